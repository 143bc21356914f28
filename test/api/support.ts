// What the tests of the API have in common: an image, waiting for instances, what agents hold.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  DescribeInstancesCommand,
  DescribeNatGatewaysCommand,
  type EC2Client,
  type Instance,
  RegisterImageCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
} from '@aws-sdk/client-ec2'
import { filesOf } from '../../gateway/files.ts'
import { until } from '../../sandbox/until.ts'
import { filesIn } from '../gateway/s3/storage-support.ts'
import type { TestCloud } from '../support/cloud.ts'
import type { RackHost } from '../support/simulated-rack.ts'

export const IMAGE_NAME = 'little'

/** Brings a raw file of 64 KiB in, as `mallee image import` does. */
export async function importImage(cloud: TestCloud): Promise<void> {
  const path = join(cloud.dir, 'image.raw')
  await writeFile(path, Buffer.alloc(64 << 10, 7))
  const file = { path, onProgress: () => undefined }
  await cloud.local({ method: 'PUT', path: `/v1/blobs?name=${IMAGE_NAME}`, file })
}

/** Runs what must not write bytes of objects to the disks. */
export async function writesNoBlob<T>(
  { config }: Pick<TestCloud, 'config'>,
  run: () => Promise<T>,
): Promise<T> {
  const { objects } = filesOf(config.stateDir)
  const before = new Set(await filesIn([objects]))
  const result = await run()
  const fresh = (await filesIn([objects])).filter((file) => !before.has(file))
  assert.deepEqual(fresh, [])
  assert.ok(before.size > 0)
  return result
}

/** An image that instances can be run from. */
export async function makeImage(cloud: TestCloud, ec2: EC2Client): Promise<string> {
  await importImage(cloud)
  const input = { Name: IMAGE_NAME, ImageLocation: IMAGE_NAME }
  const { ImageId } = await ec2.send(new RegisterImageCommand(input))
  if (ImageId === undefined) throw new Error('no image')
  return ImageId
}

/** What clients that are programs of their own are told, and nothing of the user's own. */
export function clientEnv({ init }: Pick<TestCloud, 'init'>): Record<string, string> {
  return {
    ...{ AWS_ACCESS_KEY_ID: init.accessKeyId, AWS_SECRET_ACCESS_KEY: init.secretAccessKey },
    ...{ AWS_DEFAULT_REGION: init.region, AWS_CONFIG_FILE: '/dev/null', HOME: '/nonexistent' },
    LC_ALL: 'C.UTF-8',
  }
}

export interface RunWish extends Omit<RunInstancesCommandInput, 'MinCount' | 'MaxCount'> {
  readonly count?: number
}

/** Runs instances of the smallest type. */
export async function run(ec2: EC2Client, { count = 1, ...wish }: RunWish): Promise<Instance[]> {
  const { Instances = [] } = await ec2.send(
    new RunInstancesCommand({
      InstanceType: 't3.nano',
      MinCount: count,
      MaxCount: count,
      ...wish,
    }),
  )
  return Instances
}

export async function describe(ec2: EC2Client, ids?: readonly string[]): Promise<Instance[]> {
  const input = ids === undefined ? {} : { InstanceIds: [...ids] }
  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand(input))
  return Reservations.flatMap(({ Instances = [] }) => Instances)
}

/** Waits until all of them are in that state. */
export async function reach(
  ec2: EC2Client,
  ids: readonly string[],
  state: 'running' | 'stopped' | 'terminated',
  timeoutMs = 10_000,
): Promise<Instance[]> {
  let found: Instance[] = []
  const areThere = async (): Promise<boolean> => {
    found = await describe(ec2, ids)
    return found.every((one) => one.State?.Name === state)
  }
  await until(`${ids.length} instances are ${state}`, areThere, { timeoutMs })
  return found
}

export function idsOf(instances: readonly Instance[]): string[] {
  return instances.map(({ InstanceId }) => InstanceId ?? '')
}

/** The state of a NAT gateway. */
export async function natState(ec2: EC2Client, id: string): Promise<string | undefined> {
  const { NatGateways } = await ec2.send(new DescribeNatGatewaysCommand({ NatGatewayIds: [id] }))
  return NatGateways?.[0]?.State
}

/** The AWS code that a call is refused with; 'accepted' when it is not. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => 'accepted',
    (error: Error) => error.name,
  )
}

/** Is it in the desired state that the host has on disk? */
export function keeps({ paths }: RackHost, key: string): boolean {
  const db = new DatabaseSync(join(paths.stateDir, 'state.db'), { readOnly: true })
  try {
    return db.prepare('SELECT key FROM resource WHERE key = ?').get(key) !== undefined
  } finally {
    db.close()
  }
}
