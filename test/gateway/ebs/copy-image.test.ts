// Images of snapshots that are copied and deregistered: a copy has snapshots of its own with the
// same bytes, and who deregisters an image may have its snapshots go with it.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { keepSnapshots } from '../../../gateway/control/snapshot-keeping.ts'
import { memorySnapshots } from '../../support/snapshot-bytes.ts'
import { ACCOUNT, OTHER_ACCOUNT, REGION, refusal, run } from '../ec2/support.ts'
import { withImage } from './boot-support.ts'
import { recordOf, setSnapshot } from './snapshot-support.ts'

const THEM = { account: OTHER_ACCOUNT }
const COPY = { SourceRegion: REGION, Name: 'copy' }

/** An image of a snapshot that has bytes, which another account may launch. */
async function opened(t: TestContext) {
  const bytes = memorySnapshots()
  const { cloud, snapshot, image } = await withImage(t, [], { snapshotHolds: bytes })
  const { manifest } = await bytes.completeStaged(snapshot, null, 8 * 2 ** 30)
  await setSnapshot(cloud, snapshot, { manifest })
  const LaunchPermission = { Add: [{ UserId: OTHER_ACCOUNT }] }
  await cloud.call('ModifyImageAttribute', { ImageId: image, LaunchPermission })
  const snapshotOf = (id: string) =>
    cloud.state.view().get('image', id)?.devices?.[0]?.volume?.snapshot ?? ''
  return { bytes, cloud, snapshot, image, manifest, snapshotOf }
}

test('a copy of an image has snapshots of its own, whatever becomes of the others', async (t) => {
  const { bytes, cloud, snapshot, image, manifest, snapshotOf } = await opened(t)
  const asked = { ...COPY, SourceImageId: image, ClientToken: 'once' }
  const tags = [{ Key: 'of', Value: 'copy' }]
  const TagSpecifications = [{ ResourceType: 'snapshot' as const, Tags: tags }]
  const copy = () => cloud.call('CopyImage', { ...asked, TagSpecifications }, THEM)
  assert.equal(await refusal(copy()), 'InvalidRequest', 'it may be launched, its storage not read')
  await setSnapshot(cloud, snapshot, { sharedWith: [OTHER_ACCOUNT] })
  const { ImageId = '' } = await copy()
  assert.equal((await copy()).ImageId, ImageId)
  const own = recordOf(cloud, snapshotOf(ImageId))
  assert.notEqual(own.id, snapshot)
  assert.deepEqual([own.account, own.state, own.manifest], [OTHER_ACCOUNT, 'completed', manifest])
  assert.deepEqual(cloud.state.view().get('tags', own.id)?.tags, { of: 'copy' })
  const { Snapshots } = await cloud.call('DescribeSnapshots', { OwnerIds: ['self'] }, THEM)
  assert.deepEqual(
    Snapshots?.map((one) => one.SnapshotId),
    [own.id],
  )
  await cloud.call('DeregisterImage', { ImageId: image })
  await cloud.call('DeleteSnapshot', { SnapshotId: snapshot })
  await keepSnapshots({ state: cloud.state, bytes, clock: systemClock, log: silentLog })
  assert.equal(cloud.state.view().get('volume-snapshot', snapshot), null)
  assert.equal(bytes.memory.manifests.get(own.id), manifest)
  const theirs = cloud.call(
    'RunInstances',
    {
      ...{ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
    },
    THEM,
  )
  assert.equal(await refusal(theirs), 'accepted')
  const used = cloud.call('DeleteSnapshot', { SnapshotId: own.id }, THEM)
  assert.equal(await refusal(used), 'InvalidSnapshot.InUse')
})

test('a copy whose gateway died before it had bytes is pending, and finished by whoever finds it', async (t) => {
  const { bytes, cloud, image, snapshotOf } = await opened(t)
  const { holdManifest } = bytes
  Object.assign(bytes, { holdManifest: () => Promise.reject(new Error('killed')) })
  const asked = { ...COPY, SourceImageId: image, ClientToken: 'once' }
  await assert.rejects(cloud.call('CopyImage', asked), /killed/)
  const copied = cloud.state
    .view()
    .all('image')
    .find(({ name }) => name === 'copy')
  const ImageId = copied?.id ?? ''
  const state = async () =>
    (await cloud.call('DescribeImages', { ImageIds: [ImageId] })).Images?.[0]?.State
  assert.equal(await state(), 'pending')
  assert.equal(await refusal(run(cloud, { ImageId })), 'InvalidAMIID.Unavailable')
  const again = { ...COPY, SourceImageId: ImageId, Name: 'of a pending one' }
  assert.equal(await refusal(cloud.call('CopyImage', again)), 'InvalidAMIID.Unavailable')
  Object.assign(bytes, { holdManifest })
  await keepSnapshots({ state: cloud.state, bytes, clock: systemClock, log: silentLog })
  assert.equal(await state(), 'available')
  assert.equal(recordOf(cloud, snapshotOf(ImageId)).account, ACCOUNT)
})

test('DeregisterImage deletes the snapshots of the image that nothing else has', async (t) => {
  const { cloud, snapshot, image } = await opened(t)
  const mapping = (SnapshotId: string) => [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId } }]
  const registered = async (Name: string, SnapshotId: string) =>
    (await cloud.call('RegisterImage', { Name, BlockDeviceMappings: mapping(SnapshotId) }))
      .ImageId ?? ''
  const second = await registered('second', snapshot)
  const end = async (ImageId: string) => {
    const asked = { ImageId, DeleteAssociatedSnapshots: true }
    const { Return, DeleteSnapshotResults: results } = await cloud.call('DeregisterImage', asked)
    return [Return, results?.map((one) => [one.SnapshotId, one.ReturnCode])]
  }
  assert.deepEqual(await end(image), [true, [[snapshot, 'skipped']]])
  const Duration = { LockMode: 'governance', LockDuration: 1 } as const
  await cloud.call('LockSnapshot', { SnapshotId: snapshot, ...Duration })
  assert.deepEqual(await end(second), [true, [[snapshot, 'client-error']]])
  await cloud.call('UnlockSnapshot', { SnapshotId: snapshot })
  const third = await registered('third', snapshot)
  assert.deepEqual(await end(third), [true, [[snapshot, 'success']]])
  assert.notEqual(recordOf(cloud, snapshot).deletedAtMs, null)
  assert.equal(await refusal(end(third)), 'InvalidAMIID.Unavailable')
})

test('an account has as many images as its quota says', async (t) => {
  const { cloud, image } = await opened(t)
  await cloud.state.update((tx) =>
    tx.put('quota', [ACCOUNT, 'images'], { account: ACCOUNT, id: 'images', value: 1 }),
  )
  const asked = { ...COPY, SourceImageId: image }
  assert.equal(await refusal(cloud.call('CopyImage', asked)), 'ResourceLimitExceeded')
  await cloud.call('DeregisterImage', { ImageId: image })
  assert.equal(await refusal(cloud.call('CopyImage', asked)), 'InvalidAMIID.Unavailable')
})
