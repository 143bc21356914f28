// What policies cost a call: the same calls by a user with many of them and by the root, who is
// asked nothing. Through the whole endpoint but for the socket, all in one process.

import { signedHeadersOf } from '../test/gateway/http/sign.ts'
import { newUser, openWorld, type World } from '../test/gateway/iam/world.ts'
import type { Ending } from '../test/support/cloud.ts'
import { type Emit, median } from './harness.ts'

const BENCH = 'policies'
const POLICIES = 10
/** Of the six statements in every policy. */
const ACTIONS = [
  ['ec2:Describe*', 'ec2:Get*'],
  ['ec2:Run*', 'ec2:Start*'],
  ['ec2:*Tags'],
  ['ec2:*Vpc*', 'ec2:*Subnet*'],
  ['iam:Get*', 'iam:List*'],
  ['sts:*'],
]
const ROUNDS = 10
const ROUND_MS = 300
const GOAL = 1.1
const VERSION = 'Version=2016-11-15'
const IMAGE = 'ami-0123456789abcdef0'
const CALLS: Readonly<Record<string, string>> = {
  'describe-instances': `Action=DescribeInstances&${VERSION}&InstanceId.1=i-0123456789abcdef0`,
  'run-instances': `Action=RunInstances&${VERSION}&MinCount=1&MaxCount=1&ImageId=${IMAGE}&DryRun=true`,
}

export async function run(emit: Emit): Promise<void> {
  const steps: (() => unknown)[] = []
  const end: Ending = { after: (step) => void steps.push(step) }
  try {
    const world = await openWorld(end)
    const user = await userWithPolicies(world)
    for (const [name, body] of Object.entries(CALLS)) {
      const asked = { user: asker(world, user, body), root: asker(world, world.root, body) }
      const took: Record<keyof typeof asked, number[]> = { user: [], root: [] }
      for (let round = 0; round <= ROUNDS; round += 1) {
        for (const who of ['user', 'root'] as const) {
          const us = await timed(asked[who])
          // The first round only warms up.
          if (round > 0) took[who].push(us)
        }
      }
      emit({
        ...{ bench: BENCH, case: name, unit: 'µs', value: median(took.user) },
        ...{ peer: 'root', peer_value: median(took.root), goal: GOAL, higher_is_better: false },
      })
    }
  } finally {
    for (const step of steps.reverse()) await step()
  }
}

/** Only the last statement of the last policy allows what is asked. */
async function userWithPolicies(world: World): Promise<World['root']> {
  const key = await newUser(world, 'ann')
  const iam = world.iam()
  for (let i = 1; i <= POLICIES; i += 1) {
    const statements = ACTIONS.map((Action) => ({
      Effect: i % 2 === 0 ? 'Deny' : 'Allow',
      Action,
      Resource: [`arn:aws:ec2:*:${world.account}:*/*`, 'arn:aws:ec2:*::image/*'],
      Condition: {
        StringLike: { 'aws:UserAgent': [`client-${i}*`, 'none'] },
        NotIpAddress: { 'aws:SourceIp': ['10.0.0.0/8', '2001:db8::/32'] },
        Bool: { 'aws:SecureTransport': 'true' },
      },
    }))
    const all = { Effect: 'Allow', Action: 'ec2:*', Resource: '*' }
    const Statement = i === POLICIES ? [...statements, all] : statements
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement })
    const { Policy } = await iam.createPolicy({ PolicyName: `p${i}`, PolicyDocument })
    await iam.attachUserPolicy({ UserName: 'ann', PolicyArn: Policy?.Arn })
  }
  const PermissionsBoundary = 'arn:aws:iam::aws:policy/PowerUserAccess'
  await iam.putUserPermissionsBoundary({ UserName: 'ann', PermissionsBoundary })
  return key
}

/** One call; throws when it was refused by policies. */
function asker(world: World, key: World['root'], body: string): () => Promise<void> {
  const { app, port } = world.endpoint
  const { accessKeyId, secretAccessKey: secret } = key
  const headers = signedHeadersOf(port, { body, accessKeyId, secret })
  return async () => {
    const answer = await app.inject({ method: 'POST', url: '/', headers, payload: body })
    if (answer.statusCode === 403 || answer.statusCode >= 500) throw new Error(answer.body)
  }
}

/** Processor time of a call in microseconds, mean of a round: what else runs counts little. */
async function timed(ask: () => Promise<void>): Promise<number> {
  const startMs = performance.now()
  const before = process.cpuUsage()
  let count = 0
  while (performance.now() - startMs < ROUND_MS) {
    await ask()
    count += 1
  }
  const { user, system } = process.cpuUsage(before)
  return Number(((user + system) / count).toPrecision(4))
}
