// DeleteSnapshot and CopySnapshot on records, and what becomes of snapshots by themselves.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memorySnapshots } from '../../support/snapshot-bytes.ts'
import {
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  refused,
  registerImage,
} from '../ec2/support.ts'
import {
  complete,
  described,
  emptyManifest,
  imageVolume,
  keep,
  recordOf,
  setSnapshot,
  taken,
  volume,
  ZONE,
} from './snapshot-support.ts'
import { setVolume } from './support.ts'

const THEM = { account: OTHER_ACCOUNT }

test('DeleteSnapshot is seen at once; record and bytes go when nobody needs them', async (t) => {
  const bytes = memorySnapshots()
  const cloud = await openCloud(t, { snapshotHolds: bytes })
  const VolumeId = await volume(cloud)
  const SnapshotId = await taken(cloud, VolumeId)
  await complete(cloud, SnapshotId, await emptyManifest(bytes, SnapshotId))
  const next = await taken(cloud, VolumeId)
  assert.equal(recordOf(cloud, next).base, SnapshotId)
  const theirs = cloud.call('DeleteSnapshot', { SnapshotId }, THEM)
  assert.equal(await refusal(theirs), 'InvalidSnapshot.NotFound')
  await cloud.call('DeleteSnapshot', { SnapshotId })
  for (const action of ['DeleteSnapshot', 'CreateVolume'] as const) {
    const input = { SnapshotId, AvailabilityZone: ZONE }
    assert.equal(await refusal(cloud.call(action, input)), 'InvalidSnapshot.NotFound')
  }
  await setSnapshot(cloud, SnapshotId, { released: true })
  await keep(cloud, bytes)
  assert.ok(bytes.memory.manifests.has(SnapshotId), 'the next one is compared with it')
  await complete(cloud, next)
  await setSnapshot(cloud, SnapshotId, { released: false })
  await keep(cloud, bytes)
  assert.ok(bytes.memory.manifests.has(SnapshotId), 'its SC keeps something')
  await setSnapshot(cloud, SnapshotId, { released: true })
  await keep(cloud, bytes)
  assert.ok(!bytes.memory.manifests.has(SnapshotId))
  assert.equal(cloud.state.view().get('volume-snapshot', SnapshotId), null)
})

test('DeleteSnapshot waits with the bytes for volumes that are still being filled', async (t) => {
  const bytes = memorySnapshots()
  const cloud = await openCloud(t, { snapshotHolds: bytes })
  const SnapshotId = await taken(cloud, await volume(cloud))
  await complete(cloud, SnapshotId, await emptyManifest(bytes, SnapshotId))
  const filling = await cloud.call('CreateVolume', { SnapshotId, AvailabilityZone: ZONE })
  await cloud.call('DeleteSnapshot', { SnapshotId })
  await setSnapshot(cloud, SnapshotId, { released: true })
  await keep(cloud, bytes)
  assert.ok(bytes.memory.manifests.has(SnapshotId))
  await setVolume(cloud.state, filling.VolumeId ?? '', { state: 'ready', missingBytes: 5 })
  await keep(cloud, bytes)
  assert.ok(bytes.memory.manifests.has(SnapshotId))
  await setVolume(cloud.state, filling.VolumeId ?? '', { missingBytes: 0 })
  await keep(cloud, bytes)
  assert.ok(!bytes.memory.manifests.has(SnapshotId))
})

test('DeleteSnapshot refuses one that an image is made of', async (t) => {
  const cloud = await openCloud(t)
  const SnapshotId = await taken(cloud, await volume(cloud))
  const image = await registerImage(cloud)
  const devices = [{ device: '/dev/sda1', ephemeral: null, volume: imageVolume(SnapshotId) }]
  await cloud.state.update(async (tx) => {
    const record = await tx.get('image', image)
    assert.ok(record)
    await tx.put('image', [image], { ...record, devices })
  })
  const { code, message } = await refused(cloud.call('DeleteSnapshot', { SnapshotId }))
  assert.equal(code, 'InvalidSnapshot.InUse')
  assert.ok(message.includes(image))
  await cloud.call('DeregisterImage', { ImageId: image })
  assert.equal(await refusal(cloud.call('DeleteSnapshot', { SnapshotId })), 'accepted')
})

test('CopySnapshot holds the same bytes for itself, with tags and a secret of its own', async (t) => {
  const bytes = memorySnapshots()
  const cloud = await openCloud(t, { snapshotHolds: bytes })
  const source = await taken(cloud, await volume(cloud, 'ready', { Encrypted: true }))
  const ask = { SourceRegion: REGION, SourceSnapshotId: source }
  assert.equal(await refusal(cloud.call('CopySnapshot', ask)), 'IncorrectState')
  const manifest = await emptyManifest(bytes, source)
  await complete(cloud, source, manifest)
  const { SnapshotId = '', Tags } = await cloud.call('CopySnapshot', {
    ...{ ...ask, Description: 'copy' },
    TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'a', Value: 'b' }] }],
  })
  assert.deepEqual(Tags, [{ Key: 'a', Value: 'b' }])
  const copy = recordOf(cloud, SnapshotId)
  assert.deepEqual([copy.state, copy.manifest, copy.encrypted], ['completed', manifest, true])
  assert.notEqual(copy.sealedKey, recordOf(cloud, source).sealedKey)
  assert.equal((await described(cloud, [SnapshotId]))[0]?.VolumeId, 'vol-ffffffff')
  await cloud.call('DeleteSnapshot', { SnapshotId: source })
  await setSnapshot(cloud, source, { released: true })
  await keep(cloud, bytes)
  assert.deepEqual([...bytes.memory.manifests.keys()], [SnapshotId])
})

test('CopySnapshot refuses other regions, and to encrypt what is not encrypted', async (t) => {
  const bytes = memorySnapshots()
  const cloud = await openCloud(t, { snapshotHolds: bytes })
  const source = await taken(cloud, await volume(cloud))
  await complete(cloud, source, await emptyManifest(bytes, source))
  const ask = { SourceRegion: REGION, SourceSnapshotId: source }
  for (const [more, code] of [
    [{ SourceRegion: 'eu-west-1' }, 'SnapshotCopyUnsupported.InterRegion'],
    [{ DestinationRegion: 'eu-west-1' }, 'SnapshotCopyUnsupported.InterRegion'],
    [{ Encrypted: true }, 'UnsupportedOperation'],
    [{ KmsKeyId: 'alias/mine' }, 'UnsupportedOperation'],
    [{ DryRun: true }, 'DryRunOperation'],
  ] as const) {
    assert.equal(await refusal(cloud.call('CopySnapshot', { ...ask, ...more })), code)
  }
  const theirs = cloud.call('CopySnapshot', ask, THEM)
  assert.equal(await refusal(theirs), 'InvalidSnapshot.NotFound')
})

test('a copy whose gateway died on the way is finished by whoever finds it', async (t) => {
  const bytes = memorySnapshots()
  const broken = { ...bytes, holdManifest: () => Promise.reject(new Error('killed')) }
  const cloud = await openCloud(t, { snapshotHolds: broken })
  const source = await taken(cloud, await volume(cloud))
  await complete(cloud, source, await emptyManifest(bytes, source))
  const ask = { SourceRegion: REGION, SourceSnapshotId: source }
  await assert.rejects(cloud.call('CopySnapshot', ask), /killed/)
  await cloud.call('DeleteSnapshot', { SnapshotId: source })
  await setSnapshot(cloud, source, { released: true })
  await keep(cloud, bytes)
  const copy = cloud.state
    .view()
    .all('volume-snapshot')
    .find((one) => one.origin?.kind === 'copy')
  assert.equal(copy?.state, 'completed')
  assert.ok(bytes.memory.manifests.has(copy.id))
  await keep(cloud, bytes)
  assert.deepEqual([...bytes.memory.manifests.keys()], [copy.id])
})

test('a snapshot whose host is gone ends with a reason', async (t) => {
  const cloud = await openCloud(t)
  const SnapshotId = await taken(cloud, await volume(cloud))
  await cloud.state.update(async (tx) => await tx.delete('host', 'a', 'a0'))
  await keep(cloud, memorySnapshots())
  const [shown] = await described(cloud, [SnapshotId])
  assert.equal(shown?.State, 'error')
  assert.match(shown.StateMessage ?? '', /host of its volume is gone/)
})
