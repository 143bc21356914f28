// Instances of benchmarks: launched through the API, timed to the first word of their guests.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type _InstanceType,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2'
import { machineFiles } from '../cluster-agent/host/qemu.ts'
import { MalleeError } from '../common/errors.ts'
import { until } from '../sandbox/until.ts'
import type { World } from '../sandbox/world.ts'

const INSTANCE_TYPE: _InstanceType = 't3.nano'
/** The first line that the guest image prints (setup/guest/initramfs-init). */
const FIRST_LINE = 'MALLEE-GUEST boot'
const BOOT_MS = 120_000
const END_MS = 60_000
const WHOLE_MS = 600_000
const POLL_MS = 5

export interface Launch {
  readonly id: string
  /** Of the API call. */
  readonly answeredMs: number
  readonly firstLineMs: number
}

export function clientOf({ target }: Pick<World, 'target'>): EC2Client {
  const { endpoint, region, credentials } = target
  // One that fails is no measurement: it is not tried again.
  return new EC2Client({ endpoint, region, credentials, maxAttempts: 1 })
}

/** In the host's rack, of the guest image or another one; resolves when the guest has spoken. */
export async function launch(
  world: World,
  host: string,
  client: EC2Client,
  signal: AbortSignal,
  imageId = world.imageId,
): Promise<Launch> {
  signal.throwIfAborted()
  const command = new RunInstancesCommand({
    ImageId: imageId,
    InstanceType: INSTANCE_TYPE,
    Placement: { AvailabilityZone: zoneOf(world, host) },
    MinCount: 1,
    MaxCount: 1,
  })
  const startedMs = performance.now()
  const { Instances } = await client.send(command)
  const answeredMs = performance.now() - startedMs
  const id = Instances?.[0]?.InstanceId
  if (id === undefined) throw new MalleeError('NotFound', 'RunInstances named no instance')
  const { consoleLog } = machineFiles(folderOf(world, host, id))
  return { id, answeredMs, firstLineMs: await firstLine(consoleLog, startedMs, signal) }
}

function zoneOf({ plan }: World, name: string): string {
  const rack = plan.racks.find(({ hosts }) => hosts.some((host) => host.name === name))
  if (rack !== undefined) return `${plan.region}-${rack.name}`
  throw new MalleeError('HostNotFound', `no rack of the plan has the host ${name}`)
}

export async function terminate(client: EC2Client, id: string, signal: AbortSignal): Promise<void> {
  await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  // Until then its processors are not free for the next one.
  const ended = async (): Promise<boolean> => {
    const asked = new DescribeInstancesCommand({ InstanceIds: [id] })
    const { Reservations } = await client.send(asked)
    return Reservations?.[0]?.Instances?.[0]?.State?.Name === 'terminated'
  }
  await until(`${id} is terminated`, ended, { timeoutMs: END_MS, everyMs: 50, signal })
}

/** ms from `startedMs` until the guest's first line is in its console's log. */
export async function firstLine(
  file: string,
  startedMs: number,
  signal: AbortSignal,
): Promise<number> {
  const said = async (): Promise<boolean> =>
    (await readFile(file, 'utf8').catch(() => '')).includes(FIRST_LINE)
  const options = { timeoutMs: BOOT_MS, everyMs: POLL_MS, signal }
  await until(`${file} has ${FIRST_LINE}`, said, options)
  return performance.now() - startedMs
}

/** An instance's folder, seen from outside. */
export function folderOf(world: World, host: string, id: string): string {
  return join(world.host(host).stateDir, 'instances', id)
}

/** Until an image is whole on a host, whichever it is. */
export async function imageIsWhole(world: World, host: string, signal: AbortSignal): Promise<void> {
  const isWhole = async (): Promise<boolean> =>
    (await readdir(imagesOf(world, host))).some((name) => /^[0-9a-f]{64}$/.test(name))
  await until('the image is whole', isWhole, { timeoutMs: WHOLE_MS, everyMs: 20, signal })
}

export function imagesOf(world: World, host: string): string {
  return join(world.host(host).stateDir, 'images')
}
