// DescribeVolumeStatus and the attributes of volumes, and what accounts say of encryption.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VolumeRecord } from '../../../gateway/store/volume-records.ts'
import { OTHER_ACCOUNT, openCloud, REGION, refusal, setHost } from '../ec2/support.ts'
import { putSnapshot, setVolume } from './support.ts'

const ZONE = `${REGION}-a`

const HEALTH: readonly (readonly [Partial<VolumeRecord>, status: string, enabled: string])[] = [
  [{ state: 'creating' }, 'insufficient-data', 'insufficient-data'],
  [{ state: 'ready' }, 'ok', 'passed'],
  [{ state: 'ready', stateReason: 'no room to grow' }, 'warning', 'passed'],
  [{ state: 'error', stateReason: 'its disk is gone' }, 'impaired', 'failed'],
]

for (const [change, status, enabled] of HEALTH) {
  test(`DescribeVolumeStatus of ${JSON.stringify(change)} is ${status}`, async (t) => {
    const { call, state } = await openCloud(t)
    const { VolumeId = '' } = await call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 })
    await setVolume(state, VolumeId, change)
    const { VolumeStatuses: [shown] = [] } = await call('DescribeVolumeStatus', {
      VolumeIds: [VolumeId],
    })
    assert.equal(shown?.VolumeStatus?.Status, status)
    const [io] = shown.VolumeStatus.Details ?? []
    assert.deepEqual(io, { Name: 'io-enabled', Status: enabled })
    const words = shown.Events?.map(({ Description }) => Description)
    assert.deepEqual(words, change.stateReason === undefined ? [] : [change.stateReason])
    const named = { Name: 'volume-status.status', Values: [status] }
    const found = await call('DescribeVolumeStatus', { Filters: [named] })
    assert.equal(found.VolumeStatuses?.length, 1)
  })
}

test('nobody knows how a volume is whose host is not heard, and what is deleted is left out', async (t) => {
  const { call, state } = await openCloud(t)
  const { VolumeId = '' } = await call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 })
  await setVolume(state, VolumeId, { state: 'ready' })
  await setHost(state, 'a', 'a0', { connected: false })
  const { VolumeStatuses } = await call('DescribeVolumeStatus', {})
  assert.equal(VolumeStatuses?.[0]?.VolumeStatus?.Status, 'insufficient-data')
  await setVolume(state, VolumeId, { state: 'deleting' })
  assert.deepEqual((await call('DescribeVolumeStatus', {})).VolumeStatuses, [])
})

test('DescribeVolumeStatus says how much of its snapshot a volume has', async (t) => {
  const { call, state } = await openCloud(t)
  const { id } = await putSnapshot(state, { dataBytes: 1_000 })
  const ask = { AvailabilityZone: ZONE, SnapshotId: id }
  const { VolumeId = '' } = await call('CreateVolume', ask)
  const progress = async (change: Partial<VolumeRecord>) => {
    await setVolume(state, VolumeId, { state: 'ready', ...change })
    const { VolumeStatuses } = await call('DescribeVolumeStatus', {})
    return VolumeStatuses?.[0]?.InitializationStatusDetails?.Progress
  }
  assert.equal(await progress({ missingBytes: 750 }), 25)
  assert.equal(await progress({ missingBytes: 1 }), 99)
  assert.equal(await progress({ missingBytes: 0 }), 100)
})

test('autoEnableIO is kept, product codes are none, and I/O of what has bytes is enabled', async (t) => {
  const { call, state } = await openCloud(t)
  const { VolumeId = '' } = await call('CreateVolume', { AvailabilityZone: ZONE, Size: 1 })
  const auto = { VolumeId, Attribute: 'autoEnableIO' } as const
  assert.deepEqual((await call('DescribeVolumeAttribute', auto)).AutoEnableIO, { Value: false })
  await call('ModifyVolumeAttribute', { VolumeId, AutoEnableIO: { Value: true } })
  assert.deepEqual((await call('DescribeVolumeAttribute', auto)).AutoEnableIO, { Value: true })
  const codes = await call('DescribeVolumeAttribute', { VolumeId, Attribute: 'productCodes' })
  assert.deepEqual(codes, { VolumeId, ProductCodes: [] })
  assert.equal(await refusal(call('ModifyVolumeAttribute', { VolumeId })), 'MissingParameter')
  await call('EnableVolumeIO', { VolumeId })
  await setVolume(state, VolumeId, { state: 'error' })
  assert.equal(await refusal(call('EnableVolumeIO', { VolumeId })), 'IncorrectState')
})

test('what an account encrypts by default is encrypted without being asked', async (t) => {
  const { call } = await openCloud(t)
  const ask = { AvailabilityZone: ZONE, Size: 1 }
  const isDefault = async (account?: string) =>
    (await call('GetEbsEncryptionByDefault', {}, account === undefined ? {} : { account }))
      .EbsEncryptionByDefault
  assert.equal(await isDefault(), false)
  await call('EnableEbsEncryptionByDefault', {})
  assert.deepEqual([await isDefault(), await isDefault(OTHER_ACCOUNT)], [true, false])
  assert.equal((await call('CreateVolume', { ...ask, Encrypted: false })).Encrypted, true)
  await call('DisableEbsEncryptionByDefault', {})
  assert.equal((await call('CreateVolume', ask)).Encrypted, false)
})
