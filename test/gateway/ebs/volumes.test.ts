// CreateVolume, DescribeVolumes and DeleteVolume on records alone: no host is there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { volumeAt } from '../../../gateway/control/desired-volumes.ts'
import type { SnapshotRecord } from '../../../gateway/store/volume-records.ts'
import { SECRETS } from '../control/records.ts'
import { volumeStore } from '../ec2/host-reports.ts'
import {
  ACCOUNT,
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  refused,
  registerImage,
  START_MS,
  setHost,
} from '../ec2/support.ts'
import { attach, putSnapshot, setVolume } from './support.ts'

const ZONE = `${REGION}-a`
const BY = { account: OTHER_ACCOUNT }

test('CreateVolume makes a record for the SC of the zone, and shows it', async (t) => {
  const { call, state } = await openCloud(t)
  const made = await call('CreateVolume', {
    ...{ AvailabilityZone: ZONE, Size: 8, VolumeType: 'gp3' },
    TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'Name', Value: 'data' }] }],
  })
  assert.ok(made.VolumeId)
  assert.deepEqual(made, {
    VolumeId: made.VolumeId,
    VolumeArn: `arn:aws:ec2:${REGION}:${ACCOUNT}:volume/${made.VolumeId}`,
    OwnerId: ACCOUNT,
    ...{ Size: 8, VolumeType: 'gp3', Iops: 3_000, Throughput: 125, MultiAttachEnabled: false },
    ...{ Encrypted: false, SnapshotId: '', State: 'creating' },
    ...{ AvailabilityZone: ZONE, AvailabilityZoneId: `${REGION}-az1` },
    ...{ CreateTime: new Date(START_MS), Tags: [{ Key: 'Name', Value: 'data' }] },
  })
  const record = state.view().get('volume', made.VolumeId)
  assert.equal(record?.rack, 'a')
  assert.equal(record.host, 'a0')
  assert.equal(record.sealedKey, undefined)
  await setVolume(state, made.VolumeId, { state: 'ready' })
  const { Volumes } = await call('DescribeVolumes', { VolumeIds: [made.VolumeId] })
  assert.deepEqual(Volumes, [{ ...made, State: 'available', Attachments: [] }])
})

test('CreateVolume by the same token makes one volume', async (t) => {
  const { call, state } = await openCloud(t)
  const ask = { AvailabilityZone: ZONE, Size: 1, ClientToken: 'once' }
  const [one, two] = [await call('CreateVolume', ask), await call('CreateVolume', ask)]
  assert.equal(one.VolumeId, two.VolumeId)
  assert.equal(state.view().all('volume').length, 1)
  const other = call('CreateVolume', { ...ask, Size: 2 })
  assert.equal(await refusal(other), 'IdempotentParameterMismatch')
})

test('CreateVolume as a dry run makes nothing', async (t) => {
  const { call, state } = await openCloud(t)
  const dry = call('CreateVolume', { AvailabilityZone: ZONE, Size: 1, DryRun: true })
  assert.equal(await refusal(dry), 'DryRunOperation')
  assert.deepEqual(state.view().all('volume'), [])
  assert.deepEqual(state.view().all('volume-placed'), [])
})

test('an encrypted volume has a secret of its own, which only the master key opens', async (t) => {
  const { call, state } = await openCloud(t)
  const ask = { AvailabilityZone: ZONE, Size: 1, Encrypted: true }
  const ids = [await call('CreateVolume', ask), await call('CreateVolume', ask)]
  const keys = ids.map(({ VolumeId = '' }) => state.view().get('volume', VolumeId)?.sealedKey)
  assert.ok(keys.every((key) => key !== undefined && /^sealed1\./.test(key)))
  assert.notEqual(keys[0], keys[1])
  assert.ok(ids.every(({ Encrypted }) => Encrypted === true))
})

const WRONG: readonly (readonly [object, code: string, words: RegExp])[] = [
  [{ Size: 1 }, 'MissingParameter', /AvailabilityZone/],
  [{ AvailabilityZone: ZONE }, 'MissingParameter', /size or snapshotId/],
  [{ AvailabilityZone: 'nowhere', Size: 1 }, 'InvalidZone.NotFound', /'nowhere'/],
  [{ AvailabilityZone: `${REGION}-any`, Size: 1 }, 'InvalidZone.NotFound', /any/],
  [{ AvailabilityZoneId: 'az9', Size: 1 }, 'InvalidZone.NotFound', /'az9'/],
  [
    { AvailabilityZone: ZONE, AvailabilityZoneId: `${REGION}-az1`, Size: 1 },
    ...(['InvalidParameterCombination', /AvailabilityZoneId/] as const),
  ],
  [
    { AvailabilityZone: ZONE, Size: 1, Encrypted: true, KmsKeyId: 'alias/mine' },
    ...(['UnsupportedOperation', /KmsKeyId/] as const),
  ],
  [
    { AvailabilityZone: ZONE, Size: 1, VolumeInitializationRate: 100 },
    ...(['UnsupportedOperation', /VolumeInitializationRate/] as const),
  ],
  [{ AvailabilityZone: ZONE, SnapshotId: 'snap-1' }, 'InvalidSnapshotID.Malformed', /snap-1/],
  [
    { AvailabilityZone: ZONE, Size: 1, TagSpecifications: [{ ResourceType: 'vpc', Tags: [] }] },
    ...(['InvalidParameterValue', /'vpc'/] as const),
  ],
]

test('CreateVolume says what is wrong with a request', async (t) => {
  const { call } = await openCloud(t)
  for (const [ask, code, words] of WRONG) {
    const said = await refused(call('CreateVolume', ask))
    assert.equal(said.code, code, JSON.stringify(ask))
    assert.match(said.message, words)
  }
})

test('a store promises as much as the setting says, to new volumes and those that grow', async (t) => {
  const { call, state } = await openCloud(t, { racks: ['a'], overcommit: 1 })
  const ask = { AvailabilityZone: ZONE, VolumeType: 'gp3' } as const
  const { VolumeId = '' } = await call('CreateVolume', { ...ask, Size: 1_024 })
  const full = /a0 has promised 1 times its 1024.0 GiB/
  const late = await refused(call('CreateVolume', { ...ask, Size: 1 }))
  assert.match(late.message, full)
  await setVolume(state, VolumeId, { state: 'ready' })
  const grown = await refused(call('ModifyVolume', { VolumeId, Size: 1_025 }))
  assert.match(grown.message, full)
  const image = await registerImage({ call } as Cloud)
  const data = { DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1 } }
  const launch = call('RunInstances', {
    ...{ ImageId: image, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
    BlockDeviceMappings: [data],
  })
  assert.match((await refused(launch)).message, full)
})

test('CreateVolume goes to no host that is leaving, full, or away', async (t) => {
  const { call, state } = await openCloud(t)
  const ask = { AvailabilityZone: ZONE, Size: 1 }
  const why = async () => (await refused(call('CreateVolume', ask))).message
  await setHost(state, 'a', 'a0', { draining: true })
  assert.match(await why(), /a0 is being taken out/)
  await setHost(state, 'a', 'a0', { draining: false, connected: false })
  assert.match(await why(), /a0 is in a rack that is not connected/)
  await setHost(state, 'a', 'a0', { connected: true })
  const large = call('CreateVolume', { AvailabilityZone: ZONE, Size: 16_384 })
  const said = await refused(large)
  assert.equal(said.code, 'InsufficientVolumeCapacity')
  assert.match(said.message, /16384 GiB: a0 has promised 10 times/)
})

test('CreateVolume refuses what the quotas of the account do not have', async (t) => {
  const { call, state } = await openCloud(t)
  const limit = (quota: string, value: number) =>
    state.update((tx) => tx.put('quota', [ACCOUNT, quota], { account: ACCOUNT, id: quota, value }))
  await limit('volume-gib', 10)
  await call('CreateVolume', { AvailabilityZone: ZONE, Size: 8 })
  const said = await refused(call('CreateVolume', { AvailabilityZone: ZONE, Size: 3 }))
  assert.equal(said.code, 'VolumeLimitExceeded')
  assert.match(said.message, /has 8 GiB of volumes and asks for 3 more; at most 10/)
  await limit('volumes', 1)
  const second = call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 })
  assert.equal(await refusal(second), 'VolumeLimitExceeded')
  await call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 }, BY)
})

test('two gateways at once promise no more than a store and a quota have', async (t) => {
  const cloud = await openCloud(t)
  const gateways = [cloud.call, await cloud.otherGateway()]
  const ask = { AvailabilityZone: ZONE, Size: 1 }
  const made = async (account: string, times: number): Promise<number> => {
    const asked = Array.from({ length: times }, () => gateways)
    const calls = asked.flat().map((call) => refusal(call('CreateVolume', ask, { account })))
    return (await Promise.all(calls)).filter((code) => code === 'accepted').length
  }
  // Ten times a GiB, of which all is free.
  const store = { portal: '192.0.2.1:3260', backend: 'files', snapshots: true }
  const volumes = { ...store, sizeBytes: 2 ** 30, roomBytes: 2 ** 30 }
  await setHost(cloud.state, 'a', 'a0', { volumes })
  assert.equal(await made(OTHER_ACCOUNT, 7), 10)
  const large = { ...volumes, sizeBytes: 2 ** 40, roomBytes: 2 ** 40 }
  await setHost(cloud.state, 'a', 'a0', { volumes: large })
  await cloud.state.update((tx) =>
    tx.put('quota', [ACCOUNT, 'volume-gib'], { account: ACCOUNT, id: 'volume-gib', value: 3 }),
  )
  assert.equal(await made(ACCOUNT, 4), 3)
})

test('a volume of a snapshot is as large at least, and encrypted as it is, or more', async (t) => {
  const { call, state } = await openCloud(t)
  const plain = await putSnapshot(state, {})
  const sealed = await putSnapshot(state, { encrypted: true })
  const ask = { AvailabilityZone: ZONE }
  const of = await call('CreateVolume', { ...ask, SnapshotId: plain.id })
  assert.deepEqual([of.Size, of.SnapshotId, of.Encrypted], [8, plain.id, false])
  const more = await call('CreateVolume', { ...ask, SnapshotId: sealed.id, Size: 9 })
  assert.deepEqual([more.Size, more.Encrypted], [9, true])
  const small = await refused(call('CreateVolume', { ...ask, SnapshotId: plain.id, Size: 7 }))
  assert.equal(small.code, 'InvalidParameterValue')
  assert.match(small.message, /smaller than snapshot .* expect size >= 8GiB/)
  const changed = { ...ask, SnapshotId: plain.id, Encrypted: true }
  const { VolumeId = '', Encrypted } = await call('CreateVolume', changed)
  assert.equal(Encrypted, true)
  const told = (id = '') => {
    const resource = volumeAt(state.view(), 'a', id, SECRETS)
    assert.ok(resource?.body.case === 'volume')
    return resource.body.value
  }
  assert.deepEqual([told(VolumeId).source?.plain, told(of.VolumeId).source?.plain], [true, false])
  assert.equal(told(more.VolumeId).source?.plain, false)
  await call('EnableEbsEncryptionByDefault', {})
  const byDefault = await call('CreateVolume', { ...ask, SnapshotId: plain.id })
  assert.deepEqual([byDefault.Encrypted, told(byDefault.VolumeId).source?.plain], [true, true])
  const { encrypts: _, ...old } = volumeStore('a0')
  await setHost(state, 'a', 'a0', { volumes: old })
  const late = await refused(call('CreateVolume', changed))
  assert.equal(late.code, 'InsufficientVolumeCapacity')
  assert.match(late.message, /a0 encrypts no bytes of snapshots: its program is too old/)
  assert.equal(await refusal(call('CreateVolume', { ...ask, SnapshotId: sealed.id })), 'accepted')
})

const SNAPSHOTS: readonly (readonly [Partial<SnapshotRecord>, code: string])[] = [
  [{ account: OTHER_ACCOUNT }, 'InvalidSnapshot.NotFound'],
  [{ account: OTHER_ACCOUNT, sharedWith: [ACCOUNT] }, 'accepted'],
  [{ account: OTHER_ACCOUNT, isPublic: true }, 'accepted'],
  [{ state: 'pending' }, 'IncorrectState'],
  [{ state: 'error' }, 'IncorrectState'],
  [{ deletedAtMs: START_MS }, 'InvalidSnapshot.NotFound'],
]

for (const [change, code] of SNAPSHOTS) {
  test(`CreateVolume of a snapshot with ${JSON.stringify(change)}: ${code}`, async (t) => {
    const { call, state } = await openCloud(t)
    const { id } = await putSnapshot(state, change)
    const made = call('CreateVolume', { AvailabilityZone: ZONE, SnapshotId: id })
    assert.equal(await refusal(made), code)
  })
}

test('DescribeVolumes shows attachments, filters by them, and pages', async (t) => {
  const { call, state } = await openCloud(t)
  const ids: string[] = []
  for (let n = 0; n < 7; n++) {
    const { VolumeId = '' } = await call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 + n })
    await setVolume(state, VolumeId, { state: 'ready' })
    ids.push(VolumeId)
  }
  const [first = '', second = ''] = ids
  await attach(state, first, { device: '/dev/sdf', state: 'released' })
  await attach(state, second, { device: '/dev/sdg', deleteOnTermination: true })
  const found = async (Name: string, ...Values: string[]) =>
    (await call('DescribeVolumes', { Filters: [{ Name, Values }] })).Volumes?.map(
      ({ VolumeId }) => VolumeId,
    )
  assert.deepEqual(await found('attachment.status', 'detaching'), [first])
  assert.deepEqual(await found('attachment.device', '/dev/sdg'), [second])
  assert.deepEqual(await found('attachment.delete-on-termination', 'true'), [second])
  assert.deepEqual((await found('status', 'in-use'))?.sort(), [first, second].sort())
  assert.deepEqual(await found('size', '7'), [ids[6]])
  assert.deepEqual(await found('volume-type', 'io*'), [])
  const shown: (string | undefined)[] = []
  let NextToken: string | undefined
  do {
    const page = await call('DescribeVolumes', { MaxResults: 5, ...(NextToken && { NextToken }) })
    shown.push(...(page.Volumes ?? []).map(({ VolumeId }) => VolumeId))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  assert.deepEqual(shown, [...ids].sort())
  assert.deepEqual((await call('DescribeVolumes', {}, BY)).Volumes, [])
  const theirs = call('DescribeVolumes', { VolumeIds: [first] }, BY)
  assert.equal(await refusal(theirs), 'InvalidVolume.NotFound')
})

test('DeleteVolume waits for the host that has the bytes, and refuses what is in use', async (t) => {
  const { call, state } = await openCloud(t)
  const { VolumeId = '' } = await call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 })
  await setVolume(state, VolumeId, { state: 'ready' })
  await attach(state, VolumeId, {})
  const said = await refused(call('DeleteVolume', { VolumeId }))
  assert.equal(said.code, 'VolumeInUse')
  assert.match(said.message, /currently attached to i-/)
  await setVolume(state, VolumeId, { attachments: [], instances: [] })
  assert.equal(await refusal(call('DeleteVolume', { VolumeId }, BY)), 'InvalidVolume.NotFound')
  await call('DeleteVolume', { VolumeId })
  await call('DeleteVolume', { VolumeId })
  const { Volumes } = await call('DescribeVolumes', {})
  assert.deepEqual(
    Volumes?.map(({ State }) => State),
    ['deleting'],
  )
})

test('DeleteVolume of one whose host is gone takes it and its tags away at once', async (t) => {
  const { call, state } = await openCloud(t)
  const { VolumeId = '' } = await call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 })
  await call('CreateTags', { Resources: [VolumeId], Tags: [{ Key: 'a', Value: 'b' }] })
  await setVolume(state, VolumeId, { state: 'error', host: '' })
  await call('DeleteVolume', { VolumeId })
  assert.equal(state.view().get('volume', VolumeId), null)
  assert.equal(state.view().get('tags', VolumeId), null)
})
