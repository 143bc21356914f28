// CreateSnapshot, CreateSnapshots and DescribeSnapshots on records: what SCs say of them is written
// by hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ACCOUNT,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  registerImage,
  report,
  run,
  START_MS,
} from '../ec2/support.ts'
import { complete, described, recordOf, setSnapshot, taken, volume } from './snapshot-support.ts'
import { attach, setVolume } from './support.ts'

const THEM = { account: OTHER_ACCOUNT }

test('CreateSnapshot makes one that its volume’s SC is to take, and shows it', async (t) => {
  const cloud = await openCloud(t)
  const VolumeId = await volume(cloud)
  const made = await cloud.call('CreateSnapshot', {
    ...{ VolumeId, Description: 'before' },
    TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'Name', Value: 'x' }] }],
  })
  const SnapshotId = made.SnapshotId ?? ''
  assert.match(SnapshotId, /^snap-[0-9a-f]{17}$/)
  const shown = {
    ...{ SnapshotId, VolumeId, OwnerId: ACCOUNT, Description: 'before', Encrypted: false },
    ...{ VolumeSize: 8, StartTime: new Date(START_MS), State: 'pending', Progress: '0%' },
    ...{ Tags: [{ Key: 'Name', Value: 'x' }], StateMessage: undefined, StorageTier: 'standard' },
    ...{ CompletionTime: undefined, FullSnapshotSizeInBytes: undefined },
  }
  assert.deepEqual(made, shown)
  const record = recordOf(cloud, SnapshotId)
  assert.deepEqual([record.rack, record.host, record.base], ['a', 'a0', ''])
  await setSnapshot(cloud, SnapshotId, { progressPercent: 37 })
  assert.equal((await described(cloud, [SnapshotId]))[0]?.Progress, '37%')
  const second = await cloud.call('CreateSnapshot', { VolumeId })
  assert.equal(recordOf(cloud, second.SnapshotId).base, '', 'what is pending is no base')
  await complete(cloud, SnapshotId)
  const third = await cloud.call('CreateSnapshot', { VolumeId })
  assert.equal(recordOf(cloud, third.SnapshotId).base, SnapshotId)
})

test('CreateSnapshot refuses volumes that have no bytes, or too many on their way', async (t) => {
  const cloud = await openCloud(t)
  const VolumeId = await volume(cloud, 'creating')
  const ask = () => refusal(cloud.call('CreateSnapshot', { VolumeId }))
  assert.equal(await ask(), 'IncorrectState')
  await setVolume(cloud.state, VolumeId, { state: 'deleting' })
  assert.equal(await ask(), 'IncorrectState')
  await setVolume(cloud.state, VolumeId, { state: 'ready', type: 'st1' })
  assert.equal(await ask(), 'accepted')
  assert.equal(await ask(), 'ConcurrentSnapshotLimitExceeded')
  await setVolume(cloud.state, VolumeId, { type: 'gp3' })
  assert.equal(await ask(), 'accepted')
  const theirs = cloud.call('CreateSnapshot', { VolumeId }, THEM)
  assert.equal(await refusal(theirs), 'InvalidVolume.NotFound')
  for (const [more, code] of [
    [{ DryRun: true }, 'DryRunOperation'],
    [{ Location: 'local' }, 'UnsupportedOperation'],
    [{ OutpostArn: 'arn:aws:outposts:x' }, 'UnsupportedOperation'],
    [{ Description: 'x'.repeat(256) }, 'InvalidParameterValue'],
  ] as const) {
    assert.equal(await refusal(cloud.call('CreateSnapshot', { VolumeId, ...more })), code)
  }
  await cloud.state.update((tx) =>
    tx.put('quota', [ACCOUNT, 'snapshots'], { account: ACCOUNT, id: 'snapshots', value: 2 }),
  )
  assert.equal(await ask(), 'SnapshotLimitExceeded')
})

test('a snapshot of an encrypted volume has the volume’s secret, sealed for itself', async (t) => {
  const cloud = await openCloud(t)
  const VolumeId = await volume(cloud, 'ready', { Encrypted: true })
  const { SnapshotId, Encrypted } = await cloud.call('CreateSnapshot', { VolumeId })
  assert.equal(Encrypted, true)
  const [one, other] = [
    cloud.state.view().get('volume', VolumeId)?.sealedKey,
    recordOf(cloud, SnapshotId).sealedKey,
  ]
  assert.ok(one !== undefined && other !== undefined && one !== other)
})

test('CreateSnapshot answers when the SC has the moment, or after a while without', async (t) => {
  const cloud = await openCloud(t, { takenWithinMs: 60_000 })
  const VolumeId = await volume(cloud)
  const asked = cloud.call('CreateSnapshot', { VolumeId })
  const seen = await new Promise<string>((resolve) => {
    const off = cloud.state.onChange((changes) => {
      const at = changes.find(({ key }) => key.startsWith('volume-snapshot/'))
      if (at === undefined) return
      off()
      resolve(at.key.split('/')[1] ?? '')
    })
  })
  await setSnapshot(cloud, seen, { progressPercent: 3, takenAtMs: START_MS })
  assert.equal((await asked).Progress, '3%')
  const impatient = await openCloud(t, { takenWithinMs: 1 })
  const late = await impatient.call('CreateSnapshot', { VolumeId: await volume(impatient) })
  assert.equal(late.State, 'pending')
})

test('CreateSnapshots takes what an instance has, as one group, without what it leaves out', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const [InstanceId = ''] = await run(cloud, { ImageId })
  await report(cloud.state, InstanceId, 'running')
  await cloud.state.update(async (tx) => {
    const one = await tx.get('instance', InstanceId)
    assert.ok(one)
    await tx.put('instance', [InstanceId], { ...one, rootDevice: '/dev/sda1' })
  })
  const volumes: string[] = []
  for (const device of ['/dev/sda1', '/dev/sdf', '/dev/sdg']) {
    const id = await volume(cloud)
    await attach(cloud.state, id, { instance: InstanceId, device })
    volumes.push(id)
  }
  const [boot = '', data = '', other = ''] = volumes
  await cloud.call('CreateTags', { Resources: [data], Tags: [{ Key: 'of', Value: 'data' }] })
  const ask = async (more: object, rest: object = {}) =>
    await cloud.call('CreateSnapshots', {
      InstanceSpecification: { InstanceId, ...more },
      ...rest,
    })
  const { Snapshots = [] } = await ask({}, { CopyTagsFromSource: 'volume', Description: 'all' })
  assert.deepEqual(
    Snapshots.map((one) => one.VolumeId),
    volumes,
  )
  assert.deepEqual(Snapshots[1]?.Tags, [{ Key: 'of', Value: 'data' }])
  const records = Snapshots.map(({ SnapshotId }) => recordOf(cloud, SnapshotId))
  assert.equal(new Set(records.map(({ group }) => group)).size, 1)
  assert.deepEqual(
    records.map(({ groupSize }) => groupSize),
    [3, 3, 3],
  )
  const few = await ask({ ExcludeBootVolume: true, ExcludeDataVolumeIds: [other] })
  assert.deepEqual(
    few.Snapshots?.map((one) => one.VolumeId),
    [data],
  )
  for (const [more, code] of [
    [{ ExcludeDataVolumeIds: [boot] }, 'InvalidParameterValue'],
    [{ ExcludeDataVolumeIds: [`vol-${'0'.repeat(17)}`] }, 'InvalidVolume.NotFound'],
    [{ ExcludeDataVolumeIds: [await volume(cloud)] }, 'InvalidParameterValue'],
    [
      { ExcludeBootVolume: true, ExcludeDataVolumeIds: [data, other] },
      'InvalidParameterCombination',
    ],
  ] as const) {
    assert.equal(await refusal(ask(more)), code)
  }
  await setVolume(cloud.state, other, { state: 'creating' })
  const before = cloud.state.view().all('volume-snapshot').length
  assert.equal(await refusal(ask({})), 'IncorrectState')
  assert.equal(cloud.state.view().all('volume-snapshot').length, before, 'all or none')
})

test('DescribeSnapshots shows one’s own, what is shared, and what is public', async (t) => {
  const cloud = await openCloud(t)
  const VolumeId = await volume(cloud)
  const [own, shared, open] = await Promise.all([1, 2, 3].map(() => taken(cloud, VolumeId)))
  assert.ok(own && shared && open)
  await setSnapshot(cloud, shared, { sharedWith: [OTHER_ACCOUNT] })
  await setSnapshot(cloud, open, { isPublic: true, startedAtMs: START_MS + 1 })
  await cloud.call('CreateTags', { Resources: [open], Tags: [{ Key: 'k', Value: 'v' }] })
  const ids = async (input: object, as = {}): Promise<string[]> => {
    const { Snapshots = [] } = await cloud.call('DescribeSnapshots', input, as)
    return Snapshots.map(({ SnapshotId = '' }) => SnapshotId).sort()
  }
  assert.deepEqual(await ids({ OwnerIds: ['self'] }), [own, shared, open].sort())
  assert.deepEqual(await ids({}, THEM), [shared, open].sort())
  assert.deepEqual(await ids({ OwnerIds: ['self'] }, THEM), [])
  assert.deepEqual(await ids({ OwnerIds: [ACCOUNT] }, THEM), [shared, open].sort())
  assert.deepEqual(await ids({ OwnerIds: ['amazon'] }), [])
  assert.deepEqual(await ids({ RestorableByUserIds: ['all'] }, THEM), [open])
  assert.deepEqual(await ids({ RestorableByUserIds: ['self'] }, THEM), [shared])
  for (const [Name, value, want] of [
    ['volume-id', VolumeId, 3],
    ['status', 'pending', 3],
    ['progress', '0%', 3],
    ['volume-size', '8', 3],
    ['encrypted', 'true', 0],
    ['storage-tier', 'standard', 3],
    ['owner-id', ACCOUNT, 3],
    ['start-time', new Date(START_MS + 1).toISOString(), 1],
    ['tag:k', 'v', 1],
  ] as const) {
    assert.equal((await ids({ Filters: [{ Name, Values: [value] }] })).length, want, Name)
  }
  const { Snapshots } = await cloud.call('DescribeSnapshots', { SnapshotIds: [open] }, THEM)
  assert.deepEqual(Snapshots?.[0]?.Tags, [], 'tags are the owner’s alone')
  const named = cloud.call('DescribeSnapshots', { SnapshotIds: [own] }, THEM)
  assert.equal(await refusal(named), 'InvalidSnapshot.NotFound')
  const tiers = await cloud.call('DescribeSnapshotTierStatus', {})
  assert.deepEqual(
    tiers.SnapshotTierStatuses?.map((one) => one.StorageTier),
    ['standard', 'standard', 'standard'],
  )
  const archive = cloud.call('ModifySnapshotTier', { SnapshotId: own, StorageTier: 'archive' })
  assert.equal(await refusal(archive), 'UnsupportedOperation')
})
