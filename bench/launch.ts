// How long RunInstances takes to answer, and until the guest's kernel says its first word, against
// a QEMU that somebody starts by hand with the same command line, image and host, in turns.

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
import { type Emit, median, percentile } from './harness.ts'
import { type BareQemu, bareQemu } from './peers/qemu.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'launch'
const ROUNDS = 10
const RATIO_GOAL = 1.2
const INSTANCE_TYPE: _InstanceType = 't3.nano'
/** The first line that the guest image prints (setup/guest/initramfs-init). */
const FIRST_LINE = 'MALLEE-GUEST boot'
const BOOT_MS = 120_000
const END_MS = 60_000
const POLL_MS = 5
const HOST = 'a1'
const PLAN = planOf('bench-launch', [
  { name: 'a', joinsOver: 'ipv4', hosts: [{ name: HOST, roles: ['cc', 'nc'] }] },
])

interface Launch {
  readonly id: string
  /** Of the API call. */
  readonly answeredMs: number
  readonly firstLineMs: number
}

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const client = clientOf(world)
    try {
      // The first one starts while its image comes; the next shows what QEMU's command line is.
      const cold = await launch(world, client, signal)
      await imageIsWhole(world, signal)
      await terminate(client, cold.id, signal)
      const warm = await launch(world, client, signal)
      const bare = await bareOf(world, warm.id)
      await terminate(client, warm.id, signal)
      const launches: Launch[] = []
      const bareMs: number[] = []
      for (let round = 1; round <= ROUNDS; round++) {
        const one = await launch(world, client, signal)
        await terminate(client, one.id, signal)
        launches.push(one)
        bareMs.push(await launchBare(bare, signal))
        const both = `${one.firstLineMs.toFixed(0)} ms, by hand ${bareMs.at(-1)?.toFixed(0)} ms`
        say(`round ${round} of ${ROUNDS}: first line after ${both}`)
      }
      report(emit, cold, launches, bareMs)
    } finally {
      client.destroy()
    }
  })
}

function report(
  emit: Emit,
  cold: Launch,
  launches: readonly Launch[],
  bareMs: readonly number[],
): void {
  const line = { bench: BENCH, unit: 'ms', higher_is_better: false }
  const answers = launches.map(({ answeredMs }) => answeredMs)
  emit({ ...line, case: 'RunInstances answered, p50', value: rounded(percentile(answers, 50)) })
  emit({
    ...line,
    case: 'RunInstances to the first line on the console',
    value: rounded(median(launches.map(({ firstLineMs }) => firstLineMs))),
    peer: 'QEMU started by hand',
    peer_value: rounded(median(bareMs)),
    goal: RATIO_GOAL,
  })
  const name = 'the first on a host, which fetches the image, to the first line on the console'
  emit({ ...line, case: name, value: rounded(cold.firstLineMs) })
}

function rounded(ms: number): number {
  return Number(ms.toFixed(1))
}

function clientOf({ target }: World): EC2Client {
  const { endpoint, region, credentials } = target
  // One that fails is no measurement: it is not tried again.
  return new EC2Client({ endpoint, region, credentials, maxAttempts: 1 })
}

async function launch(world: World, client: EC2Client, signal: AbortSignal): Promise<Launch> {
  signal.throwIfAborted()
  const command = new RunInstancesCommand({
    ImageId: world.imageId,
    InstanceType: INSTANCE_TYPE,
    MinCount: 1,
    MaxCount: 1,
  })
  const startedMs = performance.now()
  const { Instances } = await client.send(command)
  const answeredMs = performance.now() - startedMs
  const id = Instances?.[0]?.InstanceId
  if (id === undefined) throw new MalleeError('NotFound', 'RunInstances named no instance')
  const { consoleLog } = machineFiles(folderOf(world, id))
  return { id, answeredMs, firstLineMs: await firstLine(consoleLog, startedMs, signal) }
}

async function terminate(client: EC2Client, id: string, signal: AbortSignal): Promise<void> {
  await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
  // Until then its processors are not free for the next one.
  const ended = async (): Promise<boolean> => {
    const asked = new DescribeInstancesCommand({ InstanceIds: [id] })
    const { Reservations } = await client.send(asked)
    return Reservations?.[0]?.Instances?.[0]?.State?.Name === 'terminated'
  }
  await until(`${id} is terminated`, ended, { timeoutMs: END_MS, everyMs: 50, signal })
}

async function imageIsWhole(world: World, signal: AbortSignal): Promise<void> {
  const dir = join(world.host(HOST).stateDir, 'images')
  const isWhole = async (): Promise<boolean> =>
    (await readdir(dir)).some((name) => /^[0-9a-f]{64}$/.test(name))
  await until('the image is whole', isWhole, { timeoutMs: END_MS, signal })
}

async function bareOf(world: World, id: string): Promise<BareQemu> {
  const host = world.host(HOST)
  const { pid } = machineFiles(folderOf(world, id))
  const disk = machineFiles(join('/var/lib/mallee/instances', id)).disk
  // The agent's QEMU has the disk locked (-U).
  const { stdout } = await host.exec(['qemu-img', 'info', '-U', '--output=json', disk])
  const info = JSON.parse(stdout) as Record<'full-backing-filename', string> &
    Record<'virtual-size', number>
  const image = { file: info['full-backing-filename'], diskGib: info['virtual-size'] / 1024 ** 3 }
  return bareQemu(host, (await readFile(pid, 'utf8')).trim(), image)
}

/** ms from the start of QEMU to the first line; ends it then. */
async function launchBare(bare: BareQemu, signal: AbortSignal): Promise<number> {
  await bare.prepare()
  const startedMs = performance.now()
  const qemu = await bare.start()
  try {
    return await firstLine(bare.consoleLog, startedMs, signal)
  } finally {
    await qemu.stop()
  }
}

async function firstLine(file: string, startedMs: number, signal: AbortSignal): Promise<number> {
  const said = async (): Promise<boolean> =>
    (await readFile(file, 'utf8').catch(() => '')).includes(FIRST_LINE)
  const options = { timeoutMs: BOOT_MS, everyMs: POLL_MS, signal }
  await until(`${file} has ${FIRST_LINE}`, said, options)
  return performance.now() - startedMs
}

/** An instance's folder, seen from outside. */
function folderOf(world: World, id: string): string {
  return join(world.host(HOST).stateDir, 'instances', id)
}
