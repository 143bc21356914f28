// StopInstances and StartInstances: states, what a stopped instance keeps and what it gives back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceRecord } from '../../../gateway/store/records.ts'
import { addPublicPool } from './network-support.ts'
import {
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  registerImage,
  report,
  run,
  START_MS,
  setHost,
} from './support.ts'

const UNKNOWN = 'i-0123456789abcdef0'

async function running(cloud: Cloud, more: object = {}): Promise<string> {
  const [id = ''] = await run(cloud, { ImageId: await imageOf(cloud), ...more })
  await report(cloud.state, id, 'running')
  return id
}

async function imageOf(cloud: Cloud): Promise<string> {
  return cloud.state.view().all('image')[0]?.id ?? (await registerImage(cloud))
}

function record(cloud: Cloud, id: string): InstanceRecord {
  const found = cloud.state.view().get('instance', id)
  assert.ok(found)
  return found
}

async function stopped(cloud: Cloud, more: object = {}): Promise<string> {
  const id = await running(cloud, more)
  await cloud.call('StopInstances', { InstanceIds: [id] })
  await report(cloud.state, id, 'stopped')
  return id
}

async function shown(cloud: Cloud, id: string) {
  const { Reservations } = await cloud.call('DescribeInstances', { InstanceIds: [id] })
  return Reservations?.[0]?.Instances?.[0]
}

test('StopInstances and StartInstances go through AWS’s states and can be repeated', async (t) => {
  const cloud = await openCloud(t)
  const id = await running(cloud)
  const stop = async (): Promise<(string | undefined)[]> => {
    const { StoppingInstances } = await cloud.call('StopInstances', { InstanceIds: [id] })
    const [one] = StoppingInstances ?? []
    return [one?.PreviousState?.Name, one?.CurrentState?.Name]
  }
  const start = async (): Promise<(string | undefined)[]> => {
    const input = { InstanceIds: [id] }
    const answer = await cloud.call('StartInstances', input, { nowMs: START_MS + 60_000 })
    const [one] = answer.StartingInstances ?? []
    return [one?.PreviousState?.Name, one?.CurrentState?.Name]
  }
  assert.deepEqual(await start(), ['running', 'running'])
  assert.equal(record(cloud, id).startCount, undefined)
  assert.deepEqual(await stop(), ['running', 'stopping'])
  assert.deepEqual(await stop(), ['stopping', 'stopping'])
  assert.equal(await refusal(start()), 'IncorrectInstanceState')
  const reason = await shown(cloud, id)
  assert.deepEqual(reason?.StateReason, {
    Code: 'Client.UserInitiatedShutdown',
    Message: 'Client.UserInitiatedShutdown: User initiated shutdown',
  })
  assert.equal(reason?.StateTransitionReason, 'User initiated (2026-11-22 12:00:00 GMT)')
  await report(cloud.state, id, 'stopped')
  assert.deepEqual(await stop(), ['stopped', 'stopped'])
  const before = await shown(cloud, id)
  assert.deepEqual(await start(), ['stopped', 'pending'])
  assert.deepEqual(await start(), ['pending', 'pending'])
  assert.equal(record(cloud, id).startCount, 1, 'a start that was under way is no new one')
  const after = await shown(cloud, id)
  assert.equal(after?.StateReason, undefined)
  assert.equal(after?.StateTransitionReason, '')
  assert.equal(after?.LaunchTime?.getTime(), START_MS + 60_000)
  assert.equal(after?.PrivateIpAddress, before?.PrivateIpAddress)
  assert.deepEqual(
    after?.NetworkInterfaces?.map((one) => [one.NetworkInterfaceId, one.MacAddress]),
    before?.NetworkInterfaces?.map((one) => [one.NetworkInterfaceId, one.MacAddress]),
  )
})

test('StopInstances refuses what cannot be stopped, and then stops none', async (t) => {
  const cloud = await openCloud(t)
  const id = await running(cloud)
  const [pending = ''] = await run(cloud, { ImageId: await imageOf(cloud) })
  const gone = await running(cloud)
  await cloud.call('TerminateInstances', { InstanceIds: [gone] })
  for (const [ids, more, want] of [
    [[id, pending], {}, 'IncorrectInstanceState'],
    [[id, gone], {}, 'IncorrectInstanceState'],
    [[id], { Hibernate: true }, 'UnsupportedHibernationConfiguration'],
    [[id, UNKNOWN], {}, 'InvalidInstanceID.NotFound'],
    [[id, 'i-x'], {}, 'InvalidInstanceID.Malformed'],
    [[], {}, 'MissingParameter'],
    [[id], { DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const call = cloud.call('StopInstances', { InstanceIds: [...ids], ...more })
    assert.equal(await refusal(call), want, JSON.stringify([ids, more]))
  }
  const others = cloud.call('StopInstances', { InstanceIds: [id] }, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(others), 'InvalidInstanceID.NotFound')
  assert.equal(record(cloud, id).desired, 'running')
})

test('StartInstances refuses what cannot be started, and then starts none', async (t) => {
  const cloud = await openCloud(t)
  const id = await stopped(cloud)
  const gone = await stopped(cloud)
  await cloud.call('TerminateInstances', { InstanceIds: [gone] })
  for (const [ids, more, want] of [
    [[id, gone], {}, 'IncorrectInstanceState'],
    [[id, UNKNOWN], {}, 'InvalidInstanceID.NotFound'],
    [[id, 'i-x'], {}, 'InvalidInstanceID.Malformed'],
    [[], {}, 'MissingParameter'],
    [[id], { DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const call = cloud.call('StartInstances', { InstanceIds: [...ids], ...more })
    assert.equal(await refusal(call), want, JSON.stringify([ids, more]))
  }
  const others = cloud.call('StartInstances', { InstanceIds: [id] }, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(others), 'InvalidInstanceID.NotFound')
  assert.equal(record(cloud, id).state, 'stopped')
})

test('StopInstances with Force says so to the host, also of one that is stopping', async (t) => {
  const cloud = await openCloud(t)
  const id = await running(cloud)
  await cloud.call('StopInstances', { InstanceIds: [id] })
  assert.equal(record(cloud, id).forceStop, false)
  await cloud.call('StopInstances', { InstanceIds: [id], Force: true })
  assert.equal(record(cloud, id).forceStop, true)
  await report(cloud.state, id, 'stopped')
  await cloud.call('StartInstances', { InstanceIds: [id] })
  assert.equal(record(cloud, id).forceStop, false, 'it holds for one stop')
})

test('a stopped instance leaves its processors and memory to others, and not its disk', async (t) => {
  // One host of two processors: one t3.nano.
  const cloud = await openCloud(t, { racks: ['a'], vcpus: 2 })
  await cloud.state.update((tx) => tx.delete('host', 'a', 'a2'))
  const id = await running(cloud)
  const more = () => refusal(run(cloud, { ImageId: record(cloud, id).image }))
  assert.equal(await more(), 'InsufficientInstanceCapacity')
  await cloud.call('StopInstances', { InstanceIds: [id] })
  assert.equal(await more(), 'InsufficientInstanceCapacity', 'it runs until it has stopped')
  await report(cloud.state, id, 'stopped')
  assert.equal(await more(), 'accepted')
  const start = cloud.call('StartInstances', { InstanceIds: [id] })
  assert.equal(await refusal(start), 'InsufficientInstanceCapacity')
  assert.equal(record(cloud, id).state, 'stopped')
  await setHost(cloud.state, 'a', 'a1', { vcpus: 4 })
  await cloud.call('StartInstances', { InstanceIds: [id] })
  await setHost(cloud.state, 'a', 'a1', { vcpus: 6, diskGib: 8 })
  assert.equal(await more(), 'InsufficientInstanceCapacity', 'two disks of 4 GiB are there')
})

test('two that are started at once do not both get the last room', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'], vcpus: 4 })
  await cloud.state.update((tx) => tx.delete('host', 'a', 'a2'))
  const [first, second] = [await stopped(cloud), await stopped(cloud)]
  await setHost(cloud.state, 'a', 'a1', { vcpus: 2 })
  const both = cloud.call('StartInstances', { InstanceIds: [first, second] })
  assert.equal(await refusal(both), 'InsufficientInstanceCapacity')
  const other = await cloud.otherGateway()
  const outcomes = await Promise.all([
    refusal(cloud.call('StartInstances', { InstanceIds: [first] })),
    refusal(other('StartInstances', { InstanceIds: [second] })),
  ])
  assert.deepEqual(outcomes.toSorted(), ['InsufficientInstanceCapacity', 'accepted'])
})

test('StartInstances says why when the host is away, drained or gone; a stop is done then', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const [id, other] = [await stopped(cloud), await running(cloud)]
  const { host } = record(cloud, id)
  const start = () => refusal(cloud.call('StartInstances', { InstanceIds: [id] }))
  await setHost(cloud.state, 'a', host, { connected: false })
  assert.equal(await start(), 'InsufficientInstanceCapacity')
  await setHost(cloud.state, 'a', host, { connected: true, draining: true })
  assert.equal(await start(), 'InsufficientInstanceCapacity')
  for (const name of ['a1', 'a2']) await cloud.state.update((tx) => tx.delete('host', 'a', name))
  assert.equal(await start(), 'IncorrectInstanceState')
  const { StoppingInstances } = await cloud.call('StopInstances', { InstanceIds: [other] })
  assert.equal(StoppingInstances?.[0]?.CurrentState?.Name, 'stopped')
})

test('an automatic public address goes with the stop and comes anew; an elastic IP stays', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await addPublicPool(cloud.state, { cidr: '203.0.113.0/28' })
  const card = { DeviceIndex: 0, AssociatePublicIpAddress: true }
  const id = await running(cloud, { NetworkInterfaces: [card] })
  const first = (await shown(cloud, id))?.PublicIpAddress
  assert.match(first ?? '', /^203\.0\.113\./)
  await cloud.call('StopInstances', { InstanceIds: [id] })
  assert.equal((await shown(cloud, id))?.PublicIpAddress, first)
  await report(cloud.state, id, 'stopped')
  assert.equal((await shown(cloud, id))?.PublicIpAddress, undefined)
  await cloud.call('StartInstances', { InstanceIds: [id] })
  const second = (await shown(cloud, id))?.PublicIpAddress
  assert.match(second ?? '', /^203\.0\.113\./)
  assert.notEqual(second, first, 'the first one rests')
  await report(cloud.state, id, 'running')

  const { AllocationId, PublicIp } = await cloud.call('AllocateAddress', {})
  await cloud.call('AssociateAddress', { AllocationId, InstanceId: id })
  await cloud.call('StopInstances', { InstanceIds: [id] })
  await report(cloud.state, id, 'stopped')
  assert.equal((await shown(cloud, id))?.PublicIpAddress, PublicIp)
  await cloud.call('StartInstances', { InstanceIds: [id] })
  assert.equal((await shown(cloud, id))?.PublicIpAddress, PublicIp)
})

test('without a free public address an instance that asked for one does not start', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  await addPublicPool(cloud.state, { cidr: '203.0.113.8/32' })
  const card = { DeviceIndex: 0, AssociatePublicIpAddress: true }
  const id = await stopped(cloud, { NetworkInterfaces: [card] })
  const start = cloud.call('StartInstances', { InstanceIds: [id] })
  assert.equal(await refusal(start), 'InsufficientAddressCapacity', 'the only one rests')
  assert.equal(record(cloud, id).state, 'stopped')
})

test('an interface is attached to a stopped instance and to none that stops', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const [id, stopping] = [await stopped(cloud), await running(cloud)]
  await cloud.call('StopInstances', { InstanceIds: [stopping] })
  const { SubnetId } = (await shown(cloud, id)) ?? {}
  const made = await cloud.call('CreateNetworkInterface', { SubnetId })
  const ask = { NetworkInterfaceId: made.NetworkInterface?.NetworkInterfaceId, DeviceIndex: 1 }
  const attach = (InstanceId: string) =>
    refusal(cloud.call('AttachNetworkInterface', { ...ask, InstanceId }))
  assert.equal(await attach(stopping), 'IncorrectInstanceState')
  assert.equal(await attach(id), 'accepted')
})
