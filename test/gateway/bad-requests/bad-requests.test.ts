// Bad requests of every kind: each gets AWS's code and status, over raw HTTP and through boto3, and
// all of them together change nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ADDRESSES } from './addresses.ts'
import { BALANCERS } from './balancers.ts'
import { COMPUTE } from './compute.ts'
import { DEVICES } from './devices.ts'
import { EBS } from './ebs.ts'
import { FIREWALL } from './firewall.ts'
import { openGround } from './ground.ts'
import { IAM } from './iam.ts'
import { MALFORMED, UNKNOWN } from './ids.ts'
import { LAUNCHES } from './launches.ts'
import { LISTENERS } from './listeners.ts'
import { NETWORK } from './network.ts'
import { POLICIES } from './policies.ts'
import { PROTOCOL } from './protocol.ts'
import { recordsOf } from './records.ts'
import { type BadRequest, badRequests } from './row.ts'
import { SCALING } from './scaling.ts'
import { sendByBoto3, sendRaw } from './send.ts'
import { SNAPSHOTS } from './snapshots.ts'
import { STS } from './sts.ts'
import { TARGET_GROUPS } from './target-groups.ts'
import { TEMPLATES } from './templates.ts'
import { VOLUMES } from './volumes.ts'
import { VPNS } from './vpns.ts'

const REQUESTS: readonly BadRequest[] = [
  ...badRequests('ec2', PROTOCOL),
  ...badRequests('ec2', [...UNKNOWN, ...MALFORMED]),
  ...badRequests('ec2', [
    ...LAUNCHES,
    ...COMPUTE,
    ...TEMPLATES,
    ...NETWORK,
    ...FIREWALL,
    ...ADDRESSES,
    ...EBS,
    ...VOLUMES,
    ...DEVICES,
    ...SNAPSHOTS,
    ...VPNS,
  ]),
  ...badRequests('iam', [...IAM, ...POLICIES]),
  ...badRequests('sts', STS),
  ...badRequests('elasticloadbalancing', [...BALANCERS, ...TARGET_GROUPS, ...LISTENERS]),
  ...badRequests('autoscaling', SCALING),
]

test('there are so many, and no two have one name', () => {
  const names = REQUESTS.map(nameOf)
  assert.ok(names.length >= 150, `${names.length}`)
  assert.equal(new Set(names).size, names.length)
})

test('bad requests', async (t) => {
  const ground = await openGround(t)
  const { endpoint, root, state } = ground.world
  const before = recordsOf(state)
  const asked = REQUESTS.map(({ ask, ...rest }) => ({ ...rest, asked: ask(ground) }))

  for (const request of asked) {
    await t.test(`raw: ${nameOf(request)}`, async () => {
      const answer = await sendRaw(endpoint.port, root, request)
      assert.deepEqual(answer, [request.code, request.status])
    })
  }

  const byBoto3 = asked.filter((request) => typeof request.asked !== 'string')
  const answers = await sendByBoto3(t, endpoint.url, root, byBoto3)
  for (const [i, request] of byBoto3.entries()) {
    const answer = answers[i]
    await t.test(`boto3: ${nameOf(request)}`, { skip: answer === null }, () => {
      assert.deepEqual(answer, [request.code, request.status])
    })
  }

  await t.test('none of them changed anything', () => {
    assert.deepEqual(recordsOf(state), before)
  })
})

function nameOf({ service, action, what, code }: Omit<BadRequest, 'ask'>): string {
  return `${service} ${action} with ${what} is ${code}`
}
