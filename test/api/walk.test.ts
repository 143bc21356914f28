// Stock clients walk every action that is done: the JavaScript SDK, boto3, and the aws CLI of both
// versions, each in an account of its own, side by side.

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { delimiter, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { MalleeError } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { SERVICES } from '../../gateway/aws/model.ts'
import { type ServiceParts, serviceHandlers } from '../../gateway/services.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { addHost, addTwoRacks, connected } from '../support/simulated-rack.ts'
import { IMAGE_NAME, importImage } from './support.ts'
import { AUTO_SCALING_STEPS } from './walk/autoscaling.ts'
import { pythonClient, SDKS, sdkClient, type WalkClient } from './walk/clients.ts'
import { EC2_STEPS } from './walk/ec2.ts'
import { LOAD_BALANCING_STEPS } from './walk/elb.ts'
import { IAM_STEPS } from './walk/iam.ts'
import { STS_STEPS } from './walk/sts.ts'
import { hasPages, walk } from './walk/walk.ts'

/** Debian's, with boto3 and the aws CLI of version 2. */
const PYTHON = '/usr/bin/python3'
const HANDLERS = serviceHandlers({} as ServiceParts)
const STEPS = [
  ...EC2_STEPS.made,
  ...IAM_STEPS.made,
  ...STS_STEPS,
  ...EC2_STEPS.extra,
  ...AUTO_SCALING_STEPS,
  ...LOAD_BALANCING_STEPS,
  ...EC2_STEPS.ended,
  ...IAM_STEPS.ended,
]
const USER_DATA = '#!/bin/sh\necho walk\n'
/** Actions that Debian 12's clients, of 2022, do not know yet. */
const NEWER = [
  ...['DescribeInstanceConnectEndpoints', 'DescribeSecurityGroupVpcAssociations'],
  ...['EnableImageBlockPublicAccess', 'DisableImageBlockPublicAccess'],
  ...['GetImageBlockPublicAccessState', 'GetSecurityGroupsForVpc'],
  ...['LockSnapshot', 'UnlockSnapshot', 'DescribeLockedSnapshots'],
  ...['EnableSnapshotBlockPublicAccess', 'DisableSnapshotBlockPublicAccess'],
  ...['GetSnapshotBlockPublicAccessState', 'GetActiveVpnTunnelStatus'],
  ...['GetInstanceMetadataDefaults', 'ModifyInstanceMetadataDefaults'],
  ...['DescribeCapacityReservation', 'DescribeListenerAttributes', 'ModifyListenerAttributes'],
]
/** Waiters for what nobody has here, or not yet. */
const FOR_NOTHING = new RegExp(
  [
    '^(bundle_task|conversion_task|export_task)_',
    '^(image_usage_report|store_image_task|secondary_|security_group_vpc_association|password_data)',
  ].join('|'),
)
/** To start Python and say a version. */
const PYTHON_MS = 60_000
const YEAR_MS = 365 * 86_400_000

const cloud = await startCloud(lastFirst({ after }))
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`

interface Walker {
  readonly name: string
  readonly make: () => WalkClient
  /** Why it cannot walk here. */
  readonly skip?: string
  /** Actions that it may be too old for. */
  readonly newer: readonly string[]
}

const one = await pythonOfCli1()
const python = (name: string, file: string, program: string): (() => WalkClient) => {
  return () => pythonClient({ name, file, python: program }, endpoint)
}
const { cc } = await addTwoRacks(cloud)
// Its SC is a host of its own, behind its CC.
const sc = await addHost(cloud, { rack: 'a', host: 'a-sc', roles: ['sc'], parent: cc })
await connected(cloud, [sc])
await importImage(cloud)
const pool = { cidr: '203.0.113.0/24', racks: [], exclude: [] }
await cloud.local({ method: 'POST', path: '/v1/pools', body: pool })
const WALKERS: readonly Walker[] = [
  { name: 'the JavaScript SDK', make: () => sdkClient(endpoint), newer: [] },
  { name: 'boto3', make: python('boto3', 'boto3_client.py', PYTHON), newer: NEWER },
  { name: 'aws CLI 2', make: python('aws CLI 2', 'cli_client.py', PYTHON), newer: NEWER },
  {
    ...{ name: 'aws CLI 1', make: python('aws CLI 1', 'cli_client.py', one ?? ''), newer: NEWER },
    ...(one === null ? { skip: 'no Python in PATH has awscli 1' } : {}),
  },
]

for (const service of SERVICES) {
  const done = Object.keys(HANDLERS[service])
  const ours = STEPS.filter((step) => step.service === service)

  test(`the walk goes through every action of ${service} that is done`, () => {
    const walked = new Set(ours.map(({ action }) => action))
    assert.deepEqual(
      {
        missing: done.filter((action) => !walked.has(action)),
        more: [...walked].filter((action) => !done.includes(action)),
      },
      { missing: [], more: [] },
    )
  })

  test(`the walk asks for pages of every action of ${service} that has some`, () => {
    const paged = new Set(ours.filter(hasPages).map(({ action }) => action))
    const [sdk] = SDKS[service]
    const missing = done.filter((action) => `paginate${action}` in sdk && !paged.has(action))
    assert.deepEqual(missing, [])
  })
}

test('the walk waits with every waiter that has something to wait for', () => {
  const used = SERVICES.filter((service) => Object.keys(HANDLERS[service]).length > 0)
  const there = used.flatMap((service) => Object.keys(SDKS[service][0]))
  const waiters = there.filter((name) => /^waitUntil(?!.*V\d+$)/.test(name)).map(snakeCase)
  const walked = new Set(STEPS.map(({ more }) => more.wait))
  const missing = waiters.filter((name) => !walked.has(name) && !FOR_NOTHING.test(name))
  assert.deepEqual(missing, [])
})

describe('stock clients', { concurrency: true }, () => {
  for (const [n, { name, make, skip = false, newer }] of WALKERS.entries()) {
    test(`${name} walks`, { skip }, async (t) => {
      const client = make()
      t.after(client.end)
      const { account, keys } = await newAccount(`walker-${n}`)
      const { publicKey } = generateKeyPairSync('ed25519')
      const bucket = await newBucket(`walk-${n}`, keys)
      const names = new Map([
        ['bucket', bucket],
        ...Object.entries({ account, friend: cloud.init.account, blob: IMAGE_NAME }),
        ...Object.entries({
          net: `${100 + 3 * n}`,
          net1: `${101 + 3 * n}`,
          net2: `${102 + 3 * n}`,
        }),
        ['later', new Date(Date.now() + YEAR_MS).toISOString()],
        ['publicKey', publicKey.export({ type: 'spki', format: 'pem' }).toString()],
        ['userData', Buffer.from(USER_DATA).toString('base64')],
      ])
      const { wrong, unknown, paged } = await walk(client, STEPS, { keys, names })
      assert.deepEqual(wrong, [])
      assert.deepEqual(
        unknown.filter((action) => !newer.includes(action)),
        [],
      )
      assert.ok(paged.size > 50, `${paged.size}`)
    })
  }
})

async function newAccount(name: string): Promise<{ account: string; keys: readonly string[] }> {
  const made = await cloud.local<{ account: string; accessKeyId: string; secretAccessKey: string }>(
    {
      ...{ method: 'POST', path: '/v1/accounts', body: { name } },
    },
  )
  return { account: made.account, keys: [made.accessKeyId, made.secretAccessKey] }
}

/** With an image in it. */
async function newBucket(Bucket: string, keys: readonly string[]): Promise<string> {
  const [accessKeyId = '', secretAccessKey = ''] = keys
  const credentials = { accessKeyId, secretAccessKey }
  const s3 = new S3({ endpoint, region: 'mallee-1', credentials, forcePathStyle: true })
  await s3.createBucket({ Bucket })
  await s3.putObject({ Bucket, Key: 'disk.raw', Body: Buffer.alloc(4_096, Bucket) })
  s3.destroy()
  return Bucket
}

/** A folder without Python; one that is slow to answer is no reason to skip a walk. */
function notThere(error: unknown): { stdout: string } {
  if (error instanceof MalleeError && error.code === 'CommandTimeout') throw error
  return { stdout: '' }
}

/** boto3's name of a waiter. */
function snakeCase(waitUntil: string): string {
  const name = waitUntil.replace(/^waitUntil/, '')
  return name.replaceAll(/(?<!^)([A-Z])/g, '_$1').toLowerCase()
}

/** A Python that has the aws CLI of version 1; null where there is none. */
async function pythonOfCli1(): Promise<string | null> {
  const program = 'import awscli; print(awscli.__version__)'
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const python = join(folder, 'python3')
    const options = { okCodes: [0, 1], timeoutMs: PYTHON_MS }
    const { stdout } = await exec([python, '-c', program], options).catch(notThere)
    if (stdout.startsWith('1.')) return python
  }
  return null
}
