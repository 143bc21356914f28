// What users do with the instances of a group, and what a group does when they are ill.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OTHER_ACCOUNT, refused, run, setHost } from '../ec2/support.ts'
import { byZone, createGroup, idsIn, openScaling, type ScalingCloud } from './support.ts'

const MINUTE_MS = 60_000
const web = { AutoScalingGroupName: 'web' }

async function withGroup(
  t: Parameters<typeof openScaling>[0],
  input: Parameters<typeof createGroup>[1] = {},
): Promise<ScalingCloud & { readonly ids: string[] }> {
  const scaling = await openScaling(t)
  await createGroup(scaling, { MinSize: 1, MaxSize: 4, DesiredCapacity: 2, ...input })
  await scaling.settle()
  return { ...scaling, ids: idsIn(await scaling.group(), 'InService') }
}

async function setGuest(
  { cloud, clock }: ScalingCloud,
  id: string,
  guest: 'passed' | 'failed',
): Promise<void> {
  await cloud.state.update(async (tx) => {
    const record = await tx.get('instance', id)
    assert.ok(record?.observed)
    const observed = { ...record.observed, guest, guestSinceMs: clock.nowMs }
    await tx.put('instance', [id], { ...record, observed })
  })
}

const stateOf = async ({ group }: ScalingCloud, id: string): Promise<string> =>
  (await group()).Instances?.find((one) => one.InstanceId === id)?.LifecycleState ?? 'gone'

test('TerminateInstanceInAutoScalingGroup replaces the instance, or makes the group smaller', async (t) => {
  const scaling = await withGroup(t)
  const [one = '', two = ''] = scaling.ids
  const terminate = (InstanceId: string, ShouldDecrementDesiredCapacity: boolean) =>
    scaling.call('TerminateInstanceInAutoScalingGroup', {
      ...{ InstanceId, ShouldDecrementDesiredCapacity },
    })
  const { Activity } = await terminate(one, false)
  assert.equal(Activity?.StatusCode, 'InProgress')
  assert.equal(Activity?.Description, `Terminating EC2 instance: ${one}`)
  assert.equal(await stateOf(scaling, one), 'Terminating')
  const again = await terminate(one, false)
  assert.equal(again.Activity?.ActivityId, Activity?.ActivityId)
  await scaling.settle()
  assert.equal((await scaling.group()).DesiredCapacity, 2)
  assert.equal(idsIn(await scaling.group(), 'InService').length, 2)
  await terminate(two, true)
  await scaling.settle()
  const group = await scaling.group()
  assert.equal(group.DesiredCapacity, 1)
  const [last = ''] = idsIn(group)
  assert.match(
    (await refused(terminate(last, true))).message,
    /^Currently, desiredSize equals minSize \(1\)\./,
  )
  assert.deepEqual(await refused(terminate('i-01234567', false)), {
    code: 'ValidationError',
    message: 'Instance Id not found - No managed instance found for instance ID i-01234567',
  })
})

test('SetInstanceHealth replaces an instance, after its grace period unless it is told not to', async (t) => {
  const scaling = await withGroup(t, { HealthCheckGracePeriod: 300 })
  const [one = '', two = ''] = scaling.ids
  const ill = { HealthStatus: 'Unhealthy' }
  await scaling.call('SetInstanceHealth', { InstanceId: one, ...ill })
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'InService')
  await scaling.call('SetInstanceHealth', {
    ...{ InstanceId: one, ...ill, ShouldRespectGracePeriod: false },
  })
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'gone')
  scaling.clock.nowMs += 5 * MINUTE_MS
  await scaling.call('SetInstanceHealth', { InstanceId: two, ...ill })
  await scaling.settle()
  assert.equal(await stateOf(scaling, two), 'gone')
  const causes = (await scaling.activities()).map((one) => one.Cause ?? '')
  assert.equal(
    causes.filter((one) => one.endsWith('in response to a user health-check.')).length,
    2,
  )
  assert.equal(idsIn(await scaling.group(), 'InService').length, 2)
  const bad = scaling.call('SetInstanceHealth', { InstanceId: two, HealthStatus: 'Dead' })
  assert.equal(
    (await refused(bad)).message,
    'Valid instance health states are: [Healthy, Unhealthy].',
  )
})

test('a guest that fails its status check for three minutes is replaced', async (t) => {
  const scaling = await withGroup(t)
  const [one = ''] = scaling.ids
  await setGuest(scaling, one, 'failed')
  scaling.clock.nowMs += 3 * MINUTE_MS - 1
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'InService')
  scaling.clock.nowMs += 1
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'gone')
  assert.equal(idsIn(await scaling.group(), 'InService').length, 2)
})

test('the members on a host that is drained are replaced elsewhere, one after the other', async (t) => {
  const scaling = await withGroup(t)
  const { state } = scaling.cloud
  const places = (ids: readonly string[]): string[] =>
    ids.map((id) => state.view().get('instance', id)?.host ?? '')
  const [one = ''] = scaling.ids
  const { rack = '', host = '' } = state.view().get('instance', one) ?? {}
  const times = { startedAtMs: scaling.clock.nowMs, notBeforeMs: scaling.clock.nowMs }
  await state.update(async (tx) => {
    const record = await tx.get('host', rack, host)
    assert.ok(record)
    const drain = { id: 'a drain', instances: 'keep' as const, ...times }
    await tx.put('host', [rack, host], { ...record, cordoned: true, drain })
  })
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'gone')
  const serving = idsIn(await scaling.group(), 'InService')
  assert.equal(serving.length, 2)
  assert.ok(!places(serving).includes(host))
  const causes = (await scaling.activities()).map(({ Cause }) => Cause ?? '')
  assert.ok(causes.some((cause) => cause.endsWith('an EC2 scheduled event of the instance.')))
})

test('a host that is away for ten minutes loses its instances when its rack is there', async (t) => {
  const scaling = await withGroup(t)
  const { state } = scaling.cloud
  const [one = ''] = scaling.ids
  const { rack = '', host = '' } = state.view().get('instance', one) ?? {}
  const away = async (connected: boolean) => {
    await setHost(state, rack, host, { connected })
    await state.update(async (tx) => {
      const record = await tx.get('host', rack, host)
      assert.ok(record)
      await tx.put('host', [rack, host], { ...record, awaySinceMs: scaling.clock.nowMs })
    })
  }
  await away(false)
  scaling.clock.nowMs += 10 * MINUTE_MS - 1
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'InService')
  // Then its rack is away as well: nobody can say anything of it.
  await setHost(state, rack, `${rack}0`, { connected: false })
  scaling.clock.nowMs += 10 * MINUTE_MS
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'InService')
  await setHost(state, rack, `${rack}0`, { connected: true })
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'Terminating')
  assert.equal(idsIn(await scaling.group(), 'InService').length, 2)
  await setHost(state, rack, host, { connected: true })
  await scaling.settle()
  assert.equal(await stateOf(scaling, one), 'gone')
})

test('a protected instance is not chosen by a scale-in', async (t) => {
  const scaling = await withGroup(t, { DesiredCapacity: 4 })
  const [kept = ''] = scaling.ids
  const InstanceIds = [kept]
  await scaling.call('SetInstanceProtection', { ...web, InstanceIds, ProtectedFromScaleIn: true })
  await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: 1 })
  await scaling.settle()
  assert.deepEqual(idsIn(await scaling.group()), [kept])
  assert.equal((await scaling.group()).Instances?.[0]?.ProtectedFromScaleIn, true)
})

test('an instance in standby is not counted, not checked, and comes back', async (t) => {
  const scaling = await withGroup(t)
  const [one = '', two = ''] = scaling.ids
  const { Activities } = await scaling.call('EnterStandby', {
    ...{ ...web, InstanceIds: [one], ShouldDecrementDesiredCapacity: true },
  })
  assert.equal(Activities?.[0]?.Description, `Moving EC2 instance to Standby: ${one}`)
  await setGuest(scaling, one, 'failed')
  scaling.clock.nowMs += 60 * MINUTE_MS
  await scaling.settle()
  assert.equal((await scaling.group()).DesiredCapacity, 1)
  assert.equal(await stateOf(scaling, one), 'Standby')
  const last = scaling.call('EnterStandby', {
    ...{ ...web, InstanceIds: [two], ShouldDecrementDesiredCapacity: true },
  })
  assert.deepEqual(await refused(last), {
    code: 'ValidationError',
    message:
      'AutoScalingGroup web has min-size=1, max-size=4, and desired-size=1. To place into ' +
      'standby 1 instance, please update the AutoScalingGroup sizes appropriately.',
  })
  await setGuest(scaling, one, 'passed')
  await scaling.call('ExitStandby', { ...web, InstanceIds: [one] })
  await scaling.settle()
  assert.equal((await scaling.group()).DesiredCapacity, 2)
  assert.deepEqual(idsIn(await scaling.group(), 'InService').sort(), [one, two].sort())
  // Without a smaller capacity another one stands in.
  await scaling.call('EnterStandby', {
    ...{ ...web, InstanceIds: [one], ShouldDecrementDesiredCapacity: false },
  })
  await scaling.settle()
  assert.equal(idsIn(await scaling.group()).length, 3)
})

test('instances are detached and attached, with the tag of the group', async (t) => {
  const scaling = await withGroup(t)
  const { cloud } = scaling
  const [one = ''] = scaling.ids
  const tagOf = (id: string) =>
    cloud.state.view().get('tags', id)?.tags['aws:autoscaling:groupName']
  assert.equal(tagOf(one), 'web')
  const InstanceIds = [one]
  await scaling.call('DetachInstances', {
    ...{ ...web, InstanceIds, ShouldDecrementDesiredCapacity: true },
  })
  await scaling.settle()
  assert.equal((await scaling.group()).DesiredCapacity, 1)
  assert.equal(cloud.state.view().get('instance', one)?.state, 'running')
  assert.equal(tagOf(one), undefined)
  await scaling.call('AttachInstances', { ...web, InstanceIds })
  await scaling.settle()
  assert.equal((await scaling.group()).DesiredCapacity, 2)
  assert.equal(tagOf(one), 'web')
  assert.deepEqual(byZone(await scaling.group()), { a: 1, b: 1 })
  const twice = scaling.call('AttachInstances', { ...web, InstanceIds })
  assert.equal(
    (await refused(twice)).message,
    `Instance ${one} is already part of AutoScalingGroup:web`,
  )
  const image = cloud.state.view().all('image')[0]?.id ?? ''
  const [pending = ''] = await run(cloud, { ImageId: image })
  const early = scaling.call('AttachInstances', { ...web, InstanceIds: [pending] })
  assert.match((await refused(early)).message, /is not in correct state/)
  const foreign = scaling.call(
    'AttachInstances',
    { ...web, InstanceIds },
    { account: OTHER_ACCOUNT },
  )
  assert.equal((await refused(foreign)).message, 'AutoScalingGroup name not found - null')
})

test('a suspended process waits until it is resumed', async (t) => {
  const scaling = await withGroup(t)
  await scaling.call('SuspendProcesses', { ...web, ScalingProcesses: ['Launch', 'Terminate'] })
  const suspended = (await scaling.group()).SuspendedProcesses?.map((one) => one.ProcessName)
  assert.deepEqual(suspended, ['Launch', 'Terminate'])
  await scaling.call('SetDesiredCapacity', { ...web, DesiredCapacity: 4 })
  await scaling.settle()
  assert.equal(idsIn(await scaling.group()).length, 2)
  await scaling.call('ResumeProcesses', web)
  await scaling.settle()
  assert.equal(idsIn(await scaling.group()).length, 4)
  const unknown = scaling.call('SuspendProcesses', { ...web, ScalingProcesses: ['Nothing'] })
  assert.equal((await refused(unknown)).code, 'ValidationError')
})

test('DescribeAutoScalingInstances pages through the instances of one account', async (t) => {
  const scaling = await withGroup(t)
  const seen: string[] = []
  let NextToken: string | undefined
  do {
    const page = await scaling.call('DescribeAutoScalingInstances', {
      ...{ MaxRecords: 1, NextToken },
    })
    seen.push(...(page.AutoScalingInstances ?? []).map((one) => one.InstanceId ?? ''))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  assert.deepEqual(seen.sort(), [...scaling.ids].sort())
  const theirs = await scaling.call(
    'DescribeAutoScalingInstances',
    { InstanceIds: scaling.ids },
    { account: OTHER_ACCOUNT },
  )
  assert.deepEqual(theirs.AutoScalingInstances, [])
  const bad = scaling.call('DescribeAutoScalingInstances', { NextToken: 'nonsense' })
  assert.equal((await refused(bad)).code, 'InvalidNextToken')
})
