// Scaling policies that somebody executes, and scheduled actions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AutoScalingInputs } from '../../../gateway/aws/handlers.ts'
import { refused, START_MS } from '../ec2/support.ts'
import { createGroup, idsIn, openScaling, type ScalingCloud } from './support.ts'

const web = { AutoScalingGroupName: 'web' }
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

type Policy = Partial<AutoScalingInputs['PutScalingPolicy']>

const put = ({ call }: ScalingCloud, change: Policy) =>
  call('PutScalingPolicy', {
    ...{ ...web, PolicyName: 'more', AdjustmentType: 'ChangeInCapacity', ...change },
  })
const execute = ({ call }: ScalingCloud, change: object = {}) =>
  call('ExecutePolicy', { ...web, PolicyName: 'more', ...change })
const desired = async ({ group }: ScalingCloud) => (await group()).DesiredCapacity

for (const [kind, adjustment, from, want, magnitude] of [
  ['ChangeInCapacity', 2, 4, 6],
  ['ChangeInCapacity', -2, 4, 2],
  ['ChangeInCapacity', 50, 4, 10],
  ['ExactCapacity', 3, 4, 3],
  ['ExactCapacity', 0, 4, 1],
  ['PercentChangeInCapacity', 50, 4, 6],
  ['PercentChangeInCapacity', 10, 4, 5],
  ['PercentChangeInCapacity', -10, 4, 3],
  ['PercentChangeInCapacity', -40, 4, 3],
  ['PercentChangeInCapacity', 10, 4, 7, 3],
] as const) {
  const least = magnitude === undefined ? '' : ` and at least ${magnitude}`
  test(`a policy of ${kind} by ${adjustment}${least} makes ${want} of ${from}`, async (t) => {
    const scaling = await openScaling(t)
    await createGroup(scaling, { MinSize: 1, MaxSize: 10, DesiredCapacity: from })
    await put(scaling, {
      ...{ AdjustmentType: kind, ScalingAdjustment: adjustment },
      ...(magnitude === undefined ? {} : { MinAdjustmentMagnitude: magnitude }),
    })
    await execute(scaling)
    assert.equal(await desired(scaling), want)
  })
}

test('a simple policy has a cooldown, which who executes it may honour', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { MaxSize: 10, DefaultCooldown: 60 })
  const { PolicyARN = '' } = await put(scaling, { ScalingAdjustment: 1 })
  await execute(scaling)
  const again = () => execute(scaling, { HonorCooldown: true })
  assert.equal((await refused(again())).code, 'ScalingActivityInProgress')
  const set = { ...web, DesiredCapacity: 2, HonorCooldown: true }
  const refusedSet = await refused(scaling.call('SetDesiredCapacity', set))
  assert.equal(refusedSet.code, 'ScalingActivityInProgress')
  await scaling.call('ExecutePolicy', { PolicyName: PolicyARN })
  assert.equal(await desired(scaling), 2)
  scaling.clock.nowMs += MINUTE_MS
  await again()
  assert.equal(await desired(scaling), 3)
  await scaling.settle()
  const [last] = await scaling.activities()
  assert.match(
    last?.Cause ?? '',
    /^At \S+ a user request executed policy more changing the desired/,
  )
})

test('a policy of steps takes the step that the metric is in', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { MaxSize: 10, DesiredCapacity: 5 })
  const step = (lower: number | undefined, upper: number | undefined, by: number) => ({
    MetricIntervalLowerBound: lower,
    MetricIntervalUpperBound: upper,
    ScalingAdjustment: by,
  })
  const StepAdjustments = [step(0, 10, 1), step(10, undefined, 2), step(-10, 0, -1)]
  await put(scaling, { PolicyType: 'StepScaling', StepAdjustments })
  const at = async (MetricValue: number) => {
    await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: 5 })
    await execute(scaling, { MetricValue, BreachThreshold: 50 })
    return await desired(scaling)
  }
  assert.deepEqual([await at(50), await at(59), await at(60), await at(45)], [6, 6, 7, 4])
  assert.equal((await refused(at(40))).code, 'ValidationError')
  assert.equal((await refused(execute(scaling))).code, 'ValidationError')
  const { ScalingPolicies } = await scaling.call('DescribePolicies', {
    PolicyTypes: ['StepScaling'],
  })
  assert.deepEqual(ScalingPolicies?.[0]?.StepAdjustments, StepAdjustments)
  for (const bad of [
    [],
    [step(undefined, undefined, 1)],
    [step(10, 0, 1)],
    [step(0, 10, 1), step(5, 20, 2)],
    [step(0, 10, 1), step(20, 30, 2)],
    [step(-10, 10, 1)],
  ]) {
    const made = put(scaling, { PolicyType: 'StepScaling', StepAdjustments: bad })
    assert.equal((await refused(made)).code, 'ValidationError', JSON.stringify(bad))
  }
})

test('policies are changed under their name, deleted, and go with their group', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling)
  const first = await put(scaling, { ScalingAdjustment: 1 })
  const second = await put(scaling, { ScalingAdjustment: 2, Enabled: false })
  assert.equal(second.PolicyARN, first.PolicyARN)
  assert.equal((await refused(execute(scaling))).message, 'The policy more is disabled.')
  await scaling.call('DeletePolicy', { ...web, PolicyName: 'more' })
  const gone = scaling.call('DeletePolicy', { ...web, PolicyName: 'more' })
  assert.equal((await refused(gone)).message, 'PolicyName more not found')
  for (const [change, code] of [
    [{ PolicyType: 'TargetTrackingScaling' }, 'UnsupportedOperation'],
    [{ PolicyType: 'SimpleScaling' }, 'ValidationError'],
    [{ ScalingAdjustment: 1, AdjustmentType: 'Whatever' }, 'ValidationError'],
    [{ ScalingAdjustment: 1, MinAdjustmentMagnitude: 2 }, 'ValidationError'],
    [{ ScalingAdjustment: 1, PolicyName: 'a:b' }, 'ValidationError'],
  ] as const) {
    assert.equal((await refused(put(scaling, change))).code, code, JSON.stringify(change))
  }
  await put(scaling, { ScalingAdjustment: 1 })
  await scaling.call('DeleteAutoScalingGroup', web)
  assert.deepEqual(scaling.cloud.state.view().all('scaling-policy'), [])
})

test('a scheduled action changes a group when it is due, once', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { MaxSize: 2 })
  const action = { ...web, ScheduledActionName: 'grow', DesiredCapacity: 3, MaxSize: 5 }
  await scaling.call('PutScheduledUpdateGroupAction', {
    ...{ ...action, StartTime: new Date(START_MS + HOUR_MS) },
  })
  scaling.clock.nowMs += HOUR_MS - 1
  await scaling.runScheduled()
  assert.equal(await desired(scaling), 0)
  scaling.clock.nowMs += 1
  await scaling.runScheduled()
  await scaling.settle()
  const group = await scaling.group()
  assert.deepEqual([group.MinSize, group.MaxSize, group.DesiredCapacity], [0, 5, 3])
  assert.equal(idsIn(group, 'InService').length, 3)
  const { ScheduledUpdateGroupActions } = await scaling.call('DescribeScheduledActions', web)
  assert.deepEqual(ScheduledUpdateGroupActions, [])
  const [last] = await scaling.activities()
  assert.match(
    last?.Cause ?? '',
    /^At \S+ a scheduled action update of AutoScalingGroup constraints/,
  )
})

test('a recurring action is due again and again until it ends, and not while it is suspended', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { MaxSize: 5 })
  await scaling.call('PutScheduledUpdateGroupAction', {
    ...{ ...web, ScheduledActionName: 'day', DesiredCapacity: 3, Recurrence: '0 8 * * *' },
    ...{ TimeZone: 'Europe/Berlin', EndTime: new Date(START_MS + 60 * HOUR_MS) },
  })
  const shown = async () => {
    const { ScheduledUpdateGroupActions: all } = await scaling.call('DescribeScheduledActions', web)
    return all?.map((one) => one.StartTime?.toISOString())
  }
  assert.deepEqual(await shown(), ['2026-11-23T07:00:00.000Z'])
  scaling.clock.nowMs = Date.UTC(2026, 10, 23, 7)
  await scaling.runScheduled()
  assert.equal(await desired(scaling), 3)
  assert.deepEqual(await shown(), ['2026-11-24T07:00:00.000Z'])
  await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: 1 })
  await scaling.call('SuspendProcesses', { ...web, ScalingProcesses: ['ScheduledActions'] })
  scaling.clock.nowMs = Date.UTC(2026, 10, 24, 7)
  await scaling.runScheduled()
  assert.equal(await desired(scaling), 1)
  assert.deepEqual(await shown(), [])
})

test('scheduled actions in batches, and those that are refused', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling)
  const later = new Date(START_MS + HOUR_MS)
  const { FailedScheduledUpdateGroupActions: failed } = await scaling.call(
    'BatchPutScheduledUpdateGroupAction',
    {
      ...web,
      ScheduledUpdateGroupActions: [
        { ScheduledActionName: 'one', MinSize: 1, StartTime: later },
        { ScheduledActionName: 'two', MinSize: 1, Recurrence: 'every day' },
        { ScheduledActionName: 'three', MinSize: 1, Recurrence: '0 0 30 2 *' },
        { ScheduledActionName: 'four', MinSize: 1, StartTime: new Date(START_MS - 1) },
        { ScheduledActionName: 'five', StartTime: later },
        { ScheduledActionName: 'six', MinSize: 2, MaxSize: 1, StartTime: later },
        { ScheduledActionName: 'seven', MinSize: 1, StartTime: later, TimeZone: 'Moon/Base' },
        { ScheduledActionName: 'eight', MinSize: 1, StartTime: later, EndTime: later },
      ],
    },
  )
  assert.deepEqual(
    failed?.map((one) => [one.ScheduledActionName, one.ErrorCode]),
    ['two', 'three', 'four', 'five', 'six', 'seven', 'eight'].map((one) => [
      one,
      'ValidationError',
    ]),
  )
  const names = { ...web, ScheduledActionNames: ['one', 'two'] }
  const { FailedScheduledActions } = await scaling.call('BatchDeleteScheduledAction', names)
  assert.deepEqual(
    FailedScheduledActions?.map((one) => one.ScheduledActionName),
    ['two'],
  )
  assert.deepEqual(scaling.cloud.state.view().all('scheduled-action'), [])
})
