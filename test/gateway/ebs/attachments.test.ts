// AttachVolume and DetachVolume, with hosts that are models.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SLOTS } from '../../../gateway/ebs/attaching.ts'
import { OTHER_ACCOUNT, REGION, refusal, refused, START_MS } from '../ec2/support.ts'
import { Device, openGround } from './attachment-ground.ts'
import { setVolume } from './support.ts'

test('a volume is attached when its SC grants it and its NC has it, and goes the same way', async (t) => {
  const { call, first, VolumeId, states, step, hostOf, attach, racks } = await openGround(t)
  const made = await attach()
  assert.deepEqual(made, {
    ...{ VolumeId, InstanceId: first, Device, State: 'attaching' },
    ...{ AttachTime: new Date(START_MS), DeleteOnTermination: false },
  })
  assert.deepEqual(await states(), ['attaching'])
  await step(hostOf(first))
  assert.deepEqual(await states(), ['attaching'], 'nobody told the host yet')
  await step('a0')
  assert.deepEqual(await states(), ['attaching+'])
  await step(hostOf(first))
  assert.deepEqual(await states(), ['attached+'])
  const shown = (await call('DescribeVolumes', { VolumeIds: [VolumeId] })).Volumes?.[0]
  assert.deepEqual([shown?.State, shown?.Attachments?.[0]?.State], ['in-use', 'attached'])

  const going = await call('DetachVolume', { VolumeId })
  assert.equal(going.State, 'detaching')
  await step('a0')
  assert.deepEqual(await states(), ['detaching+'], 'the guest has it still')
  assert.equal((await call('DetachVolume', { VolumeId })).State, 'detaching')
  await step(hostOf(first))
  assert.deepEqual(await states(), ['released+'])
  assert.equal(await refusal(attach()), 'VolumeInUse')
  await step('a0')
  assert.deepEqual(await states(), [])
  await attach()
  await racks.settle()
  assert.deepEqual(await states(), ['attached+'])
})

test('with force nobody waits for the guest, and the next one gets a newer right', async (t) => {
  const { call, first, second, VolumeId, states, volume, step, attach, racks } = await openGround(t)
  await attach()
  await racks.settle()
  assert.equal((await call('DetachVolume', { VolumeId, Force: true })).State, 'detaching')
  assert.deepEqual(await states(), ['released+'])
  await step('a0')
  assert.deepEqual(await states(), [])
  await attach(second)
  await racks.settle()
  const after = await volume()
  assert.deepEqual(
    after?.attachments.map(({ instance, generation, state }) => [instance, generation, state]),
    [[second, 2, 'attached']],
  )
  assert.notEqual(first, second)
})

test('a stopped instance is attached to without its host, and may lose any volume', async (t) => {
  const { cloud, call, first, VolumeId, states, step, attach, racks } = await openGround(t)
  await call('StopInstances', { InstanceIds: [first] })
  assert.equal(await refusal(attach()), 'IncorrectState')
  await racks.settle()
  await attach()
  await step('a0')
  assert.deepEqual(await states(), ['attached+'])
  await call('StartInstances', { InstanceIds: [first] })
  await racks.settle()
  assert.deepEqual(await states(), ['attached+'])
  await cloud.state.update(async (tx) => {
    const instance = await tx.get('instance', first)
    assert.ok(instance)
    await tx.put('instance', [first], { ...instance, rootDevice: Device })
  })
  const { code, message } = await refused(call('DetachVolume', { VolumeId, Force: true }))
  assert.equal(code, 'OperationNotPermitted')
  assert.equal(message, `Unable to detach root volume '${Device}' from instance '${first}'`)
  await call('StopInstances', { InstanceIds: [first] })
  await racks.settle()
  await call('DetachVolume', { VolumeId, InstanceId: first, Device })
  assert.deepEqual(await states(), ['released+'])
})

test('TerminateInstances lets go of volumes, and deletes those that go with it', async (t) => {
  const { cloud, call, first, VolumeId, create, volume, attach, racks } = await openGround(t)
  const other = await create({
    TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'a' }] }],
  })
  await racks.settle()
  await attach()
  await call('AttachVolume', { VolumeId: other, InstanceId: first, Device: '/dev/sdg' })
  await racks.settle()
  const had = (await volume(other))?.attachments ?? []
  const attachments = had.map((one) => ({ ...one, deleteOnTermination: true }))
  await setVolume(cloud.state, other, { attachments })
  await call('TerminateInstances', { InstanceIds: [first] })
  await racks.settle()
  assert.deepEqual((await volume())?.attachments, [])
  assert.equal((await volume())?.state, 'ready')
  assert.equal(await volume(other), null)
  assert.equal(cloud.state.view().get('tags', other), null)
  assert.equal((await call('DescribeVolumes', { VolumeIds: [VolumeId] })).Volumes?.length, 1)
})

test('a volume for several instances has a right for each, and goes from one alone', async (t) => {
  const { call, first, second, create, states, racks } = await openGround(t)
  const VolumeId = await create({ VolumeType: 'io2', Iops: 100, Size: 4, MultiAttachEnabled: true })
  await racks.settle()
  for (const InstanceId of [first, second]) {
    await call('AttachVolume', { VolumeId, InstanceId, Device })
  }
  const again = call('AttachVolume', { VolumeId, InstanceId: first, Device: '/dev/sdg' })
  assert.equal(await refusal(again), 'VolumeInUse')
  await racks.settle()
  assert.deepEqual(await states(VolumeId), ['attached+', 'attached+'])
  assert.equal(await refusal(call('DetachVolume', { VolumeId })), 'MissingParameter')
  await call('DetachVolume', { VolumeId, InstanceId: first })
  await racks.settle()
  assert.deepEqual(await states(VolumeId), ['attached+'])
})

test('AttachVolume and DetachVolume say what is wrong as AWS does', async (t) => {
  const { cloud, call, first, VolumeId, create, attach, racks } = await openGround(t)
  const other = await create()
  const code = (action: 'AttachVolume' | 'DetachVolume', more: object, account?: string) =>
    refusal(
      call(
        action,
        action === 'AttachVolume'
          ? { VolumeId: other, InstanceId: first, Device: '/dev/sdg', ...more }
          : { VolumeId, ...more },
        account === undefined ? {} : { account },
      ),
    )
  assert.equal(await code('AttachVolume', {}), 'IncorrectState', 'it is made still')
  assert.equal(await code('DetachVolume', {}), 'IncorrectState', 'nobody has it')
  await racks.settle()
  await attach()
  const far = await create({ AvailabilityZone: `${REGION}-b` })
  await racks.settle()
  const NONE = { VolumeId: 'vol-0123456789abcdef0' }
  const NOBODY = { InstanceId: 'i-0123456789abcdef0' }
  for (const [more, want] of [
    [{ VolumeId: far }, 'InvalidVolume.ZoneMismatch'],
    [{ Device }, 'InvalidParameterValue'],
    [{ Device: 'sdf' }, 'InvalidParameterValue'],
    [{ Device: '/dev/vda' }, 'InvalidParameterValue'],
    [{ Device: '/dev/sda1' }, 'DryRunOperation'],
    [{ Device: 'C:' }, 'InvalidParameterValue'],
    [{ VolumeId }, 'VolumeInUse'],
    [NONE, 'InvalidVolume.NotFound'],
    [NOBODY, 'InvalidInstanceID.NotFound'],
    [{ EbsCardIndex: 1 }, 'UnsupportedOperation'],
    [{}, 'DryRunOperation'],
  ] as const) {
    assert.equal(await code('AttachVolume', { DryRun: true, ...more }), want, JSON.stringify(more))
  }
  for (const [more, want] of [
    [{ Device: '/dev/sdz' }, 'InvalidAttachment.NotFound'],
    [NONE, 'InvalidVolume.NotFound'],
    [NOBODY, 'InvalidInstanceID.NotFound'],
    [{ DryRun: true }, 'DryRunOperation'],
  ] as const) {
    assert.equal(await code('DetachVolume', more), want, JSON.stringify(more))
  }
  assert.equal(await code('AttachVolume', {}, OTHER_ACCOUNT), 'InvalidVolume.NotFound')
  assert.equal(await code('DetachVolume', {}, OTHER_ACCOUNT), 'InvalidVolume.NotFound')
  await setVolume(cloud.state, other, { state: 'deleting' })
  assert.equal(await code('AttachVolume', {}), 'IncorrectState')
})

test('AttachVolume attaches as many volumes as a guest has slots', async (t) => {
  const { call, first, create, racks } = await openGround(t)
  const codes: string[] = []
  const volumes: string[] = []
  for (let i = 0; i <= SLOTS; i += 1) volumes.push(await create())
  await racks.settle()
  for (const [i, VolumeId] of volumes.entries()) {
    const device = `/dev/sd${'bcdefghijklmnopqrs'[i]}`
    codes.push(await refusal(call('AttachVolume', { VolumeId, InstanceId: first, Device: device })))
  }
  assert.deepEqual(codes, [...Array(SLOTS).fill('accepted'), 'AttachmentLimitExceeded'])
})
