// Lifecycle hooks: instances wait as they come and go, for a word or for the end of their patience.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { refused } from '../ec2/support.ts'
import { createGroup, idsIn, openScaling, type ScalingCloud } from './support.ts'

const web = { AutoScalingGroupName: 'web' }
const LAUNCHING = 'autoscaling:EC2_INSTANCE_LAUNCHING'
const TERMINATING = 'autoscaling:EC2_INSTANCE_TERMINATING'
const MINUTE_MS = 60_000

interface Hooked extends ScalingCloud {
  readonly statesOf: () => Promise<string[]>
  readonly complete: (id: string, result?: string) => Promise<unknown>
}

async function hooked(t: TestContext, hook: object): Promise<Hooked> {
  const scaling = await openScaling(t)
  await createGroup(scaling, {
    DesiredCapacity: 1,
    LifecycleHookSpecificationList: [
      { LifecycleHookName: 'ready', LifecycleTransition: LAUNCHING, ...hook },
    ],
  })
  await scaling.settle()
  return {
    ...scaling,
    statesOf: async () =>
      ((await scaling.group()).Instances ?? []).map((one) => one.LifecycleState ?? '').sort(),
    complete: (InstanceId, LifecycleActionResult = 'CONTINUE') =>
      scaling.call('CompleteLifecycleAction', {
        ...{ ...web, LifecycleHookName: 'ready', InstanceId, LifecycleActionResult },
      }),
  }
}

test('an instance that is launched waits until somebody says that it may serve', async (t) => {
  const scaling = await hooked(t, { HeartbeatTimeout: 600 })
  assert.deepEqual(await scaling.statesOf(), ['Pending:Wait'])
  const [id = ''] = idsIn(await scaling.group())
  scaling.clock.nowMs += 9 * MINUTE_MS
  await scaling.call('RecordLifecycleActionHeartbeat', {
    ...{ ...web, LifecycleHookName: 'ready', InstanceId: id },
  })
  scaling.clock.nowMs += 9 * MINUTE_MS
  await scaling.settle()
  assert.deepEqual(await scaling.statesOf(), ['Pending:Wait'])
  await scaling.complete(id)
  await scaling.settle()
  assert.deepEqual(await scaling.statesOf(), ['InService'])
  assert.deepEqual(await refused(scaling.complete(id)), {
    code: 'ValidationError',
    message: `No active Lifecycle Action found with instance ID ${id}`,
  })
})

for (const [name, DefaultResult, said] of [
  ['nobody says anything and the default is to abandon', 'ABANDON', null],
  ['somebody abandons it', 'CONTINUE', 'ABANDON'],
] as const) {
  test(`a launch has failed when ${name}`, async (t) => {
    const scaling = await hooked(t, { HeartbeatTimeout: 60, DefaultResult })
    const [id = ''] = idsIn(await scaling.group())
    if (said === null) scaling.clock.nowMs += MINUTE_MS
    else await scaling.complete(id, said)
    await scaling.settle()
    assert.equal(scaling.cloud.state.view().get('instance', id)?.state, 'terminated')
    const [failed] = (await scaling.activities()).filter((one) => one.StatusCode === 'Failed')
    assert.match(failed?.StatusMessage ?? '', /^Lifecycle Action was completed with ABANDON Result/)
    scaling.clock.nowMs += MINUTE_MS / 2
    await scaling.settle()
    assert.deepEqual(await scaling.statesOf(), ['Pending:Wait'])
  })
}

test('a launch goes on by itself when the default is to continue', async (t) => {
  const scaling = await hooked(t, { HeartbeatTimeout: 60, DefaultResult: 'CONTINUE' })
  scaling.clock.nowMs += MINUTE_MS
  await scaling.settle()
  assert.deepEqual(await scaling.statesOf(), ['InService'])
})

test('an instance that is to end runs until the hook has had its word', async (t) => {
  const scaling = await hooked(t, { LifecycleTransition: TERMINATING, HeartbeatTimeout: 60 })
  assert.deepEqual(await scaling.statesOf(), ['InService'])
  const [id = ''] = idsIn(await scaling.group())
  await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: 0 })
  await scaling.settle()
  assert.deepEqual(await scaling.statesOf(), ['Terminating:Wait'])
  assert.equal(scaling.cloud.state.view().get('instance', id)?.state, 'running')
  await scaling.complete(id, 'ABANDON')
  await scaling.settle()
  assert.deepEqual(await scaling.statesOf(), [])
})

test('hooks are shown, changed and deleted; whoever waits for one goes on', async (t) => {
  const scaling = await hooked(t, {})
  const shown = async () => (await scaling.call('DescribeLifecycleHooks', web)).LifecycleHooks
  assert.deepEqual(await shown(), [
    {
      ...{ LifecycleHookName: 'ready', ...web, LifecycleTransition: LAUNCHING },
      ...{ NotificationMetadata: undefined, HeartbeatTimeout: 3_600, GlobalTimeout: 172_800 },
      DefaultResult: 'ABANDON',
    },
  ])
  await scaling.call('PutLifecycleHook', {
    ...{ ...web, LifecycleHookName: 'ready', HeartbeatTimeout: 30 },
  })
  assert.equal((await shown())?.[0]?.HeartbeatTimeout, 30)
  await scaling.call('DeleteLifecycleHook', { ...web, LifecycleHookName: 'ready' })
  await scaling.settle()
  assert.deepEqual(await scaling.statesOf(), ['InService'])
  assert.deepEqual(await shown(), [])
  for (const [change, code] of [
    [{ HeartbeatTimeout: 29 }, 'ValidationError'],
    [{ LifecycleTransition: 'autoscaling:SLEEPING' }, 'ValidationError'],
    [{ LifecycleTransition: undefined }, 'ValidationError'],
    [{ DefaultResult: 'MAYBE' }, 'ValidationError'],
    [{ LifecycleHookName: 'a b' }, 'ValidationError'],
    [{ NotificationTargetARN: 'arn:aws:sqs:x:1:q' }, 'UnsupportedOperation'],
  ] as const) {
    const hook = { ...web, LifecycleHookName: 'new', LifecycleTransition: LAUNCHING, ...change }
    const { code: said } = await refused(scaling.call('PutLifecycleHook', hook))
    assert.equal(said, code, JSON.stringify(change))
  }
})
