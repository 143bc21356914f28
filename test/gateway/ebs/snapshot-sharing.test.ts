// Who else may use a snapshot, locks that keep it, and an account that makes nothing public.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { type Cloud, OTHER_ACCOUNT, openCloud, refusal, START_MS } from '../ec2/support.ts'
import { putSnapshot } from './support.ts'

const THEM = { account: OTHER_ACCOUNT }
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const ALL = { CreateVolumePermission: { Add: [{ Group: 'all' as const }] } }

test('ModifySnapshotAttribute shares a snapshot, which others then find', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { id: SnapshotId } = await putSnapshot(cloud.state, {})
  assert.equal(await seen(cloud), 0)
  await modify(cloud, {
    ...{ SnapshotId, CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }] } },
  })
  assert.equal(await seen(cloud), 1)
  assert.deepEqual(await permissions(cloud, SnapshotId), [{ UserId: OTHER_ACCOUNT }])
  for (const call of [
    cloud.call('DeleteSnapshot', { SnapshotId }, THEM),
    cloud.call('ModifySnapshotAttribute', { SnapshotId, ...ALL }, THEM),
    cloud.call('LockSnapshot', { SnapshotId, LockMode: 'governance', LockDuration: 1 }, THEM),
    permissions(cloud, SnapshotId, THEM),
  ]) {
    assert.equal(await refusal(call), 'AuthFailure', 'it is not theirs')
  }
  // The older form of the request.
  await modify(cloud, { SnapshotId, OperationType: 'add', GroupNames: ['all'] })
  await modify(cloud, { SnapshotId, OperationType: 'remove', UserIds: [OTHER_ACCOUNT] })
  assert.deepEqual(await permissions(cloud, SnapshotId), [{ Group: 'all' }])
  const Attribute = 'createVolumePermission'
  await cloud.call('ResetSnapshotAttribute', { SnapshotId, Attribute })
  assert.deepEqual(await permissions(cloud, SnapshotId), [])
  assert.equal(await seen(cloud), 0)
})

test('ModifySnapshotAttribute refuses nobody, strangers, and to make public what is encrypted', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { id: SnapshotId } = await putSnapshot(cloud.state, { encrypted: true })
  for (const [input, code] of [
    [{}, 'MissingParameter'],
    [{ UserIds: [OTHER_ACCOUNT] }, 'MissingParameter'],
    [{ CreateVolumePermission: { Add: [{}] } }, 'MissingParameter'],
    [{ CreateVolumePermission: { Add: [{ UserId: '12' }] } }, 'InvalidParameterValue'],
    [{ CreateVolumePermission: { Add: [{ UserId: '9'.repeat(12) }] } }, 'InvalidParameterValue'],
    [{ Attribute: 'productCodes' as const, ...ALL }, 'InvalidParameterValue'],
    [ALL, 'OperationNotPermitted'],
    [
      { DryRun: true, CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }] } },
      'DryRunOperation',
    ],
  ] as const) {
    const call = modify(cloud, { SnapshotId, ...input } as Ec2Inputs['ModifySnapshotAttribute'])
    assert.equal(await refusal(call), code, JSON.stringify(input))
  }
})

test('block public access keeps snapshots from becoming public, or from being so', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { id: old } = await putSnapshot(cloud.state, { isPublic: true })
  const { id: SnapshotId } = await putSnapshot(cloud.state, {})
  const state = async () => (await cloud.call('GetSnapshotBlockPublicAccessState', {})).State
  assert.equal(await state(), 'unblocked')
  await cloud.call('EnableSnapshotBlockPublicAccess', { State: 'block-new-sharing' })
  assert.equal(await state(), 'block-new-sharing')
  assert.equal(await refusal(modify(cloud, { SnapshotId, ...ALL })), 'OperationNotPermitted')
  assert.equal(await seen(cloud), 1)
  await cloud.call('EnableSnapshotBlockPublicAccess', { State: 'block-all-sharing' })
  assert.equal(await seen(cloud), 0)
  assert.deepEqual(await permissions(cloud, old), [{ Group: 'all' }], 'the wish stays')
  await cloud.call('DisableSnapshotBlockPublicAccess', {})
  assert.equal(await state(), 'unblocked')
  assert.equal(await seen(cloud), 1)
  assert.equal(await refusal(modify(cloud, { SnapshotId, ...ALL })), 'accepted')
})

test('a governance lock keeps a snapshot until it ends or is taken off', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { id: SnapshotId } = await putSnapshot(cloud.state, {})
  const drop = (atMs: number) => cloud.call('DeleteSnapshot', { SnapshotId }, { nowMs: atMs })
  const ask = { SnapshotId, LockMode: 'governance' as const }
  const lock = await cloud.call('LockSnapshot', { ...ask, LockDuration: 2 })
  assert.deepEqual(lock, {
    ...{ SnapshotId, LockState: 'governance', LockDuration: 2 },
    ...{ CoolOffPeriod: undefined, CoolOffPeriodExpiresOn: undefined },
    ...{ LockCreatedOn: new Date(START_MS), LockDurationStartTime: new Date(START_MS) },
    LockExpiresOn: new Date(START_MS + 2 * DAY_MS),
  })
  assert.equal(await refusal(drop(START_MS + DAY_MS)), 'OperationNotPermitted')
  await cloud.call('UnlockSnapshot', { SnapshotId })
  assert.equal(await refusal(cloud.call('UnlockSnapshot', { SnapshotId })), 'IncorrectState')
  await cloud.call('LockSnapshot', { ...ask, ExpirationDate: new Date(START_MS + 3 * DAY_MS) })
  const states = async (nowMs: number) => {
    const { Snapshots } = await cloud.call('DescribeLockedSnapshots', {}, { nowMs })
    return Snapshots?.map((one) => one.LockState)
  }
  assert.deepEqual(await states(START_MS), ['governance'])
  assert.deepEqual(await states(START_MS + 3 * DAY_MS), ['expired'])
  assert.equal(await refusal(drop(START_MS + 3 * DAY_MS)), 'accepted')
})

test('a compliance lock cannot be taken off or shortened once it has cooled off', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { id: SnapshotId } = await putSnapshot(cloud.state, {})
  const ask = { SnapshotId, LockMode: 'compliance' as const }
  const lock = (more: object, nowMs: number) =>
    refusal(cloud.call('LockSnapshot', { ...ask, ...more }, { nowMs }))
  assert.equal(await lock({ LockDuration: 10, CoolOffPeriod: 5 }, START_MS), 'accepted')
  const { Snapshots } = await cloud.call('DescribeLockedSnapshots', {
    Filters: [{ Name: 'lock-state', Values: ['compliance-cooloff'] }],
  })
  assert.equal(Snapshots?.length, 1)
  const cool = START_MS + 6 * HOUR_MS
  const unlock = (nowMs: number) =>
    refusal(cloud.call('UnlockSnapshot', { SnapshotId, DryRun: true }, { nowMs }))
  assert.equal(await unlock(START_MS + HOUR_MS), 'DryRunOperation')
  assert.equal(await unlock(cool), 'OperationNotPermitted')
  assert.equal(await lock({ LockDuration: 5 }, cool), 'OperationNotPermitted')
  const weaker = { LockMode: 'governance', LockDuration: 20 }
  assert.equal(await lock(weaker, cool), 'OperationNotPermitted')
  assert.equal(await lock({ LockDuration: 20, CoolOffPeriod: 1 }, cool), 'OperationNotPermitted')
  assert.equal(await lock({ LockDuration: 20 }, cool), 'accepted')
})

test('LockSnapshot refuses what is no lock', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { id: SnapshotId } = await putSnapshot(cloud.state, {})
  for (const [more, code] of [
    [{}, 'MissingParameter'],
    [{ LockDuration: 0 }, 'InvalidParameterValue'],
    [{ LockDuration: 36_501 }, 'InvalidParameterValue'],
    [
      { LockDuration: 1, ExpirationDate: new Date(START_MS + 2 * DAY_MS) },
      'InvalidParameterCombination',
    ],
    [{ ExpirationDate: new Date(START_MS) }, 'InvalidParameterValue'],
    [{ LockDuration: 1, CoolOffPeriod: 1 }, 'InvalidParameterCombination'],
    [{ LockMode: 'compliance', LockDuration: 1, CoolOffPeriod: 73 }, 'InvalidParameterValue'],
    [{ LockMode: 'none', LockDuration: 1 }, 'InvalidParameterValue'],
  ] as const) {
    const input = { SnapshotId, LockMode: 'governance', ...more } as Ec2Inputs['LockSnapshot']
    assert.equal(await refusal(cloud.call('LockSnapshot', input)), code, JSON.stringify(more))
  }
})

async function modify(cloud: Cloud, input: Ec2Inputs['ModifySnapshotAttribute']): Promise<void> {
  await cloud.call('ModifySnapshotAttribute', input)
}

async function permissions(cloud: Cloud, SnapshotId: string, as = {}) {
  const asked = { SnapshotId, Attribute: 'createVolumePermission' as const }
  return (await cloud.call('DescribeSnapshotAttribute', asked, as)).CreateVolumePermissions
}

/** How many the other account finds. */
async function seen(cloud: Cloud): Promise<number> {
  return (await cloud.call('DescribeSnapshots', {}, THEM)).Snapshots?.length ?? -1
}
