// Groups and their instances: made, grown and shrunk, healed, deleted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACCOUNT, refused, START_MS, setHost } from '../ec2/support.ts'
import { byZone, createGroup, idsIn, openScaling } from './support.ts'

const MINUTE_MS = 60_000

test('a group launches what it desires, spread over its zones, and says what it did', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, {
    DesiredCapacity: 4,
    Tags: [
      { Key: 'Name', Value: 'web', PropagateAtLaunch: true },
      { Key: 'own', Value: 'x' },
    ],
  })
  await scaling.tend()
  const pending = await scaling.group()
  assert.deepEqual(byZone(pending), { a: 2, b: 2 })
  assert.equal(idsIn(pending, 'Pending').length, 4)
  await scaling.settle()
  const group = await scaling.group()
  assert.equal(idsIn(group, 'InService').length, 4)
  const view = scaling.cloud.state.view()
  for (const id of idsIn(group)) {
    assert.deepEqual(view.get('tags', id)?.tags, {
      Name: 'web',
      'aws:autoscaling:groupName': 'web',
      'aws:ec2launchtemplate:id': group.LaunchTemplate?.LaunchTemplateId,
      'aws:ec2launchtemplate:version': '1',
    })
  }
  const activities = await scaling.activities()
  assert.deepEqual(
    activities.map((one) => [one.StatusCode, one.Progress]),
    Array(4).fill(['Successful', 100]),
  )
  const cause = (activities[0]?.Cause ?? '').replaceAll(/At \S+/g, 'At T').replaceAll(/\d/g, 'N')
  assert.deepEqual(cause.split('  '), [
    'At T a user request created an AutoScalingGroup changing the desired capacity from N to N.',
    'At T an instance was started in response to a difference between desired and actual ' +
      'capacity, increasing the capacity from N to N.',
  ])
})

test('SetDesiredCapacity grows and shrinks a group within its bounds', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { MinSize: 1, MaxSize: 5, DesiredCapacity: 1 })
  const set = (DesiredCapacity: number) =>
    scaling.call('SetDesiredCapacity', { AutoScalingGroupName: 'web', DesiredCapacity })
  await scaling.settle()
  await set(5)
  await scaling.settle()
  assert.equal(idsIn(await scaling.group(), 'InService').length, 5)
  scaling.clock.nowMs += MINUTE_MS
  await set(2)
  await scaling.settle()
  assert.deepEqual(byZone(await scaling.group()), { a: 1, b: 1 })
  const [last] = await scaling.activities()
  assert.match(last?.Description ?? '', /^Terminating EC2 instance: i-/)
  assert.match(
    last?.Cause ?? '',
    /changing the desired capacity from 5 to 2\. .*shrinking the capacity from \d to \d\. /,
  )
  for (const [value, message] of [
    [6, 'New SetDesiredCapacity value 6 is above max value 5 for the AutoScalingGroup.'],
    [0, 'New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup.'],
  ] as const) {
    assert.deepEqual(await refused(set(value)), { code: 'ValidationError', message })
  }
})

test('an instance that its user terminates is replaced', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { DesiredCapacity: 2 })
  await scaling.settle()
  const before = idsIn(await scaling.group())
  const [gone = ''] = before
  await scaling.cloud.call('TerminateInstances', { InstanceIds: [gone] })
  await scaling.settle()
  const group = await scaling.group()
  const after = idsIn(group, 'InService')
  assert.equal(after.length, 2)
  assert.ok(!idsIn(group).includes(gone))
  const causes = (await scaling.activities()).map((one) => one.Cause ?? '')
  assert.ok(
    causes.some((one) =>
      /in response to an EC2 health check indicating it has been terminated or stopped\.$/.test(
        one,
      ),
    ),
  )
  assert.ok(
    causes.some((one) =>
      /launched in response to an unhealthy instance needing to be replaced\.$/.test(one),
    ),
  )
})

test('a rack that takes nothing leaves its share to the others, and gets it when it is back', async (t) => {
  const scaling = await openScaling(t)
  const { state } = scaling.cloud
  await setHost(state, 'b', 'b0', { connected: false })
  await createGroup(scaling, { DesiredCapacity: 4 })
  await scaling.settle()
  assert.deepEqual(byZone(await scaling.group()), { a: 4 })
  await setHost(state, 'b', 'b0', { connected: true })
  scaling.clock.nowMs += MINUTE_MS
  await scaling.settle()
  const group = await scaling.group()
  assert.deepEqual(byZone(group), { a: 2, b: 2 })
  assert.equal(idsIn(group).length, 4)
})

test('a rack that is away loses none of its instances', async (t) => {
  const scaling = await openScaling(t)
  const { state } = scaling.cloud
  await createGroup(scaling, { DesiredCapacity: 4 })
  await scaling.settle()
  const before = idsIn(await scaling.group())
  for (const host of ['b0', 'b1', 'b2']) await setHost(state, 'b', host, { connected: false })
  scaling.clock.nowMs += 24 * 60 * MINUTE_MS
  await scaling.settle()
  const group = await scaling.group()
  assert.deepEqual(idsIn(group, 'InService').sort(), before.sort())
  assert.deepEqual([...new Set(group.Instances?.map((one) => one.HealthStatus))], ['Healthy'])
})

test('what finds no room says so, waits, and is tried again', async (t) => {
  const scaling = await openScaling(t, { vcpus: 2 })
  await createGroup(scaling, { DesiredCapacity: 10 })
  await scaling.settle()
  // Two vCPUs on each of four hosts are room for four instances of t3.nano.
  assert.equal(idsIn(await scaling.group(), 'InService').length, 4)
  const failed = async () =>
    (await scaling.activities()).filter((one) => one.StatusCode === 'Failed')
  const [first] = await failed()
  assert.match(first?.StatusMessage ?? '', /^No room for 1 .* Launching EC2 instance failed\.$/)
  await scaling.settle()
  assert.equal((await failed()).length, 1)
  scaling.clock.nowMs += MINUTE_MS
  await scaling.settle()
  assert.equal((await failed()).length, 2)
  await scaling.call('SetDesiredCapacity', { AutoScalingGroupName: 'web', DesiredCapacity: 4 })
  await scaling.settle()
  assert.equal((await failed()).length, 2)
})

test('a group is deleted when it is empty, or with all its instances by force', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { DesiredCapacity: 2, NewInstancesProtectedFromScaleIn: true })
  await scaling.settle()
  const remove = (ForceDelete: boolean) =>
    scaling.call('DeleteAutoScalingGroup', { AutoScalingGroupName: 'web', ForceDelete })
  assert.deepEqual(await refused(remove(false)), {
    code: 'ResourceInUse',
    message:
      'You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.',
  })
  await remove(true)
  assert.equal((await scaling.group()).Status, 'Delete in progress')
  assert.equal((await refused(createGroup(scaling))).code, 'AlreadyExists')
  await scaling.settle()
  const { AutoScalingGroups } = await scaling.call('DescribeAutoScalingGroups', {})
  assert.deepEqual(AutoScalingGroups, [])
  const view = scaling.cloud.state.view()
  assert.equal(view.all('scaling-member').length, 0)
  assert.ok(view.all('instance').every((one) => one.state === 'terminated'))
  const states = (await scaling.activities()).map((one) => one.AutoScalingGroupState)
  assert.deepEqual([...new Set(states)], ['Deleted'])
  await createGroup(scaling)
  await remove(false)
})

test('activities fade after six weeks', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { DesiredCapacity: 2 })
  await scaling.settle()
  scaling.clock.nowMs = START_MS + 42 * 86_400_000
  await scaling.forget()
  assert.equal((await scaling.activities()).length, 2)
  scaling.clock.nowMs += 1
  await scaling.forget()
  assert.equal((await scaling.activities()).length, 0)
})

test('an account has as many groups as its quota says', async (t) => {
  const scaling = await openScaling(t)
  await scaling.cloud.state.update(async (tx) => {
    const quota = { account: ACCOUNT, id: 'auto-scaling-groups', value: 1 }
    await tx.put('quota', [ACCOUNT, quota.id], quota)
  })
  await createGroup(scaling)
  const second = createGroup(scaling, { AutoScalingGroupName: 'two' })
  assert.equal((await refused(second)).code, 'LimitExceeded')
  await scaling.call('DeleteAutoScalingGroup', { AutoScalingGroupName: 'web' })
  await createGroup(scaling, { AutoScalingGroupName: 'two' })
})
