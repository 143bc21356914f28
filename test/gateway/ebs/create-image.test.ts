// CreateImage: snapshots of one moment of all that an instance has, with its guest stopped for it
// or not; what becomes of the image when they are complete, fail, or never come.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { instanceAt } from '../../../gateway/control/desired-rack.ts'
import { nextInstance } from '../../../gateway/control/instance-state.ts'
import { STOP_MS, tendImaging } from '../../../gateway/ebs/imaging.ts'
import type { InstanceRecord } from '../../../gateway/store/records.ts'
import type { SnapshotRecord } from '../../../gateway/store/volume-records.ts'
import { Power } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { InstanceState, InstanceStatusSchema } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { testSealer } from '../../support/sealer.ts'
import { SECRETS } from '../control/records.ts'
import {
  type Cloud,
  OTHER_ACCOUNT,
  refusal,
  refused,
  registerImage,
  report,
  run,
  START_MS,
} from '../ec2/support.ts'
import { shown, volumesOf, withImage } from './boot-support.ts'
import { putSnapshot, setVolume } from './support.ts'

const EBS = { VolumeSize: 2, VolumeType: 'gp3' } as const

/** An instance that runs from a volume and has a second one, and housekeeping at a time. */
async function running(t: TestContext) {
  const { cloud, image } = await withImage(t, [{ DeviceName: '/dev/sdf', Ebs: EBS }])
  const [id = ''] = await run(cloud, { ImageId: image })
  await report(cloud.state, id, 'running')
  for (const { id: volume } of cloud.state.view().by('volume', 'instances', id)) {
    await setVolume(cloud.state, volume, { state: 'ready' })
  }
  const sealer = await testSealer(t)
  const tend = (nowMs = START_MS) =>
    tendImaging({
      ...{ state: cloud.state, randomHex, sealer, log: silentLog },
      clock: { nowMs: () => nowMs, sleep: async () => undefined },
    })
  const createImage = (more: object = {}) =>
    cloud.call('CreateImage', { InstanceId: id, Name: 'mine', ...more })
  return { cloud, id, tend, createImage }
}

function record(cloud: Cloud, id: string): InstanceRecord {
  const found = cloud.state.view().get('instance', id)
  assert.ok(found)
  return found
}

/** What the instance's host says. */
async function says(cloud: Cloud, id: string, state: InstanceState, startCount = 0): Promise<void> {
  await cloud.state.update(async (tx) => {
    const one = await tx.get('instance', id)
    assert.ok(one)
    const status = create(InstanceStatusSchema, { id, host: one.host, state, startCount })
    await tx.put('instance', [id], nextInstance(one, status, START_MS))
  })
}

function snapshotsOf(cloud: Cloud): SnapshotRecord[] {
  return cloud.state
    .view()
    .all('volume-snapshot')
    .filter(({ group }) => group !== '')
}

async function setSnapshots(cloud: Cloud, change: Partial<SnapshotRecord>): Promise<void> {
  for (const one of snapshotsOf(cloud)) {
    await cloud.state.update((tx) => tx.put('volume-snapshot', [one.id], { ...one, ...change }))
  }
}

async function imageShown(cloud: Cloud, id: string) {
  const { Images } = await cloud.call('DescribeImages', { ImageIds: [id] })
  return Images?.[0]
}

test('CreateImage without a reboot takes all volumes at once, and launches in another rack', async (t) => {
  const { cloud, id, createImage } = await running(t)
  const { ImageId = '' } = await createImage({
    NoReboot: true,
    BlockDeviceMappings: [
      { DeviceName: '/dev/sdf', Ebs: { VolumeSize: 5, DeleteOnTermination: false } },
      { DeviceName: '/dev/sdg', Ebs: { VolumeSize: 1 } },
    ],
    TagSpecifications: [
      { ResourceType: 'image', Tags: [{ Key: 'of', Value: 'image' }] },
      { ResourceType: 'snapshot', Tags: [{ Key: 'of', Value: 'snapshot' }] },
    ],
  })
  const taken = snapshotsOf(cloud)
  assert.equal(taken.length, 2)
  assert.equal(new Set(taken.map(({ group }) => group)).size, 1)
  assert.deepEqual(new Set(taken.map(({ groupSize }) => groupSize)), new Set([2]))
  for (const one of taken) {
    assert.deepEqual(cloud.state.view().get('tags', one.id)?.tags, { of: 'snapshot' })
  }
  assert.equal(record(cloud, id).imaging, undefined)
  const before = await imageShown(cloud, ImageId)
  assert.equal(before?.State, 'pending')
  assert.equal(before?.SourceInstanceId, id)
  assert.deepEqual(before?.Tags, [{ Key: 'of', Value: 'image' }])
  assert.deepEqual(
    before?.BlockDeviceMappings?.map((one) => [one.DeviceName, one.Ebs?.VolumeSize]),
    [
      ['/dev/sda1', 8],
      ['/dev/sdf', 5],
      ['/dev/sdg', 1],
    ],
  )
  const far = { ImageId, Placement: { AvailabilityZone: 'mallee-1-b' } }
  assert.equal(await refusal(run(cloud, far)), 'InvalidAMIID.Unavailable')
  await setSnapshots(cloud, { state: 'completed', manifest: 'ab'.repeat(32) })
  assert.equal((await imageShown(cloud, ImageId))?.State, 'available')
  const [next = ''] = await run(cloud, far)
  assert.deepEqual(await volumesOf(cloud, next), [
    '/dev/sda1 8 gp2 true',
    '/dev/sdf 5 gp3 false',
    '/dev/sdg 1 gp2 true',
  ])
  const sources = cloud.state.view().by('volume', 'instances', next)
  assert.ok(sources.every(({ rack }) => rack === 'b'))
  const Filters = [{ Name: 'source-instance-id', Values: [id] }]
  assert.equal((await cloud.call('DescribeImages', { Filters })).Images?.length, 1)
})

test('CreateImage stops the guest for the moment, and starts it again', async (t) => {
  const { cloud, id, tend, createImage } = await running(t)
  const power = (): Power | null => {
    const told = instanceAt(cloud.state.view(), 'a', id, SECRETS)
    return told?.body.case === 'instance' ? told.body.value.power : null
  }
  assert.equal(power(), Power.RUNNING)
  const { ImageId = '' } = await createImage()
  assert.equal((await imageShown(cloud, ImageId))?.State, 'pending')
  assert.equal(power(), Power.STOPPED)
  assert.equal((await shown(cloud, id))?.State?.Name, 'running')
  assert.equal(await refusal(createImage({ Name: 'second' })), 'IncorrectState')
  await tend()
  assert.deepEqual(snapshotsOf(cloud), [], 'its guest still writes')
  await says(cloud, id, InstanceState.STOPPED)
  assert.deepEqual([record(cloud, id).state, record(cloud, id).desired], ['running', 'running'])
  await cloud.restart()
  await tend()
  await tend()
  assert.equal(snapshotsOf(cloud).length, 2)
  await says(cloud, id, InstanceState.STOPPED)
  assert.equal(record(cloud, id).imaging?.phase, 'taking')
  await setSnapshots(cloud, { takenAtMs: START_MS })
  await tend()
  const after = record(cloud, id)
  assert.deepEqual([after.imaging, after.state, after.startCount], [undefined, 'pending', 1])
  await says(cloud, id, InstanceState.STOPPED, 0)
  assert.equal(record(cloud, id).state, 'pending', 'an old word is about the past')
  await says(cloud, id, InstanceState.RUNNING, 1)
  assert.equal(record(cloud, id).state, 'running')
  await setSnapshots(cloud, { state: 'completed', manifest: 'ab'.repeat(32) })
  assert.equal((await imageShown(cloud, ImageId))?.State, 'available')
  assert.equal(power(), Power.RUNNING)
})

test('an image whose snapshot fails has failed, and says why', async (t) => {
  const { cloud, createImage } = await running(t)
  const { ImageId = '' } = await createImage({ NoReboot: true })
  await setSnapshots(cloud, { state: 'error', stateReason: 'its disk broke' })
  const image = await imageShown(cloud, ImageId)
  assert.equal(image?.State, 'failed')
  assert.match(image?.StateReason?.Message ?? '', /snap-[0-9a-f]+ failed: its disk broke/)
  assert.equal(await refusal(run(cloud, { ImageId })), 'InvalidAMIID.Unavailable')
  await cloud.call('DeregisterImage', { ImageId })
})

test('an image of an instance that does not stop in time, or is terminated, has failed', async (t) => {
  const { cloud, id, tend, createImage } = await running(t)
  const { ImageId: late = '' } = await createImage()
  await tend(START_MS + STOP_MS - 1)
  assert.equal((await imageShown(cloud, late))?.State, 'pending')
  await tend(START_MS + STOP_MS)
  assert.match((await imageShown(cloud, late))?.StateReason?.Message ?? '', /did not stop in time/)
  assert.equal(record(cloud, id).imaging, undefined)
  await says(cloud, id, InstanceState.RUNNING, 1)
  const { ImageId: gone = '' } = await createImage({ Name: 'second' })
  await cloud.call('TerminateInstances', { InstanceIds: [id] })
  await tend()
  assert.match((await imageShown(cloud, gone))?.StateReason?.Message ?? '', /was terminated/)
  assert.equal(record(cloud, id).imaging, undefined)
})

test('an SC that is away does not keep a guest stopped', async (t) => {
  const { cloud, id, tend, createImage } = await running(t)
  await createImage()
  await says(cloud, id, InstanceState.STOPPED)
  await tend(START_MS)
  await tend(START_MS + 59_999)
  assert.notEqual(record(cloud, id).imaging, undefined)
  await tend(START_MS + 60_000)
  assert.equal(record(cloud, id).state, 'pending')
})

test('what its user stops meanwhile is imaged all the same, and stays stopped', async (t) => {
  const { cloud, id, tend, createImage } = await running(t)
  await createImage()
  await cloud.call('StopInstances', { InstanceIds: [id] })
  await tend()
  assert.deepEqual(snapshotsOf(cloud), [])
  await says(cloud, id, InstanceState.STOPPED)
  await tend()
  await setSnapshots(cloud, { takenAtMs: START_MS })
  await tend()
  assert.equal(snapshotsOf(cloud).length, 2)
  assert.deepEqual([record(cloud, id).state, record(cloud, id).imaging], ['stopped', undefined])
  const { ImageId = '' } = await createImage({ Name: 'of a stopped one' })
  assert.equal(cloud.state.view().get('image', ImageId)?.making, undefined)
})

test('CreateImage refuses what no image can be made of', async (t) => {
  const { cloud, id, createImage } = await running(t)
  const file = await registerImage(cloud)
  const [onHost = ''] = await run(cloud, { ImageId: file })
  await report(cloud.state, onHost, 'running')
  const [pending = ''] = await run(cloud, {
    ImageId: record(cloud, id).image,
  })
  const mapped = (device: object) => ({ BlockDeviceMappings: [device] })
  const foreign = await putSnapshot(cloud.state, { account: OTHER_ACCOUNT })
  for (const [more, code] of [
    [
      mapped({ DeviceName: '/dev/sdg', Ebs: { SnapshotId: foreign.id } }),
      'InvalidSnapshot.NotFound',
    ],
    [{ InstanceId: undefined }, 'MissingParameter'],
    [{ Name: undefined }, 'MissingParameter'],
    [{ Name: 'a' }, 'InvalidAMIName.Malformed'],
    [{ Name: 'debian' }, 'InvalidAMIName.Duplicate'],
    [{ InstanceId: 'i-0123456789abcdef0' }, 'InvalidInstanceID.NotFound'],
    [{ InstanceId: onHost }, 'InvalidParameterValue'],
    [{ InstanceId: pending }, 'IncorrectState'],
    [{ SnapshotLocation: 'local' }, 'UnsupportedOperation'],
    [{ DryRun: true }, 'DryRunOperation'],
    [mapped({ DeviceName: '/dev/sda1', NoDevice: '' }), 'InvalidBlockDeviceMapping'],
    [mapped({ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1 } }), 'InvalidBlockDeviceMapping'],
    [
      mapped({ DeviceName: '/dev/sdf', Ebs: { SnapshotId: 'snap-0123456789abcdef0' } }),
      'InvalidBlockDeviceMapping',
    ],
    [mapped({ DeviceName: '/dev/sdf', VirtualName: 'ephemeral0' }), 'InvalidBlockDeviceMapping'],
  ] as const) {
    const { revision } = await cloud.state.fresh()
    assert.equal(await refusal(createImage(more)), code, JSON.stringify(more))
    assert.equal((await cloud.state.fresh()).revision, revision, JSON.stringify(more))
  }
  const theirs = cloud.call(
    'CreateImage',
    { InstanceId: id, Name: 'theirs' },
    { account: OTHER_ACCOUNT },
  )
  assert.equal((await refused(theirs)).code, 'InvalidInstanceID.NotFound')
})
