// ModifyVolume and DescribeVolumesModifications on records alone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GIB } from '../../../common/volume-sizes.ts'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { type Cloud, openCloud, REGION, refusal, refused, START_MS } from '../ec2/support.ts'
import { openGround } from './attachment-ground.ts'
import { attach, setVolume } from './support.ts'

const ZONE = `${REGION}-a`
const HOUR_MS = 3_600_000

async function made(
  { call, state }: Cloud,
  ask: Omit<Ec2Inputs['CreateVolume'], 'AvailabilityZone'>,
): Promise<string> {
  const { VolumeId = '', Size = 0 } = await call('CreateVolume', { AvailabilityZone: ZONE, ...ask })
  await setVolume(state, VolumeId, { state: 'ready', storedBytes: Size * GIB })
  return VolumeId
}

test('ModifyVolume tells the host at once, and users when it is done there', async (t) => {
  const cloud = await openCloud(t)
  const { call, state } = cloud
  const VolumeId = await made(cloud, { Size: 8 })
  const ask = { VolumeId, Size: 10, VolumeType: 'gp3', Throughput: 250 } as const
  const { VolumeModification: said } = await call('ModifyVolume', ask)
  assert.deepEqual(said, {
    ...{ VolumeId, ModificationState: 'modifying', StatusMessage: undefined },
    ...{ OriginalSize: 8, OriginalVolumeType: 'gp2', OriginalIops: 100 },
    ...{ OriginalThroughput: undefined, OriginalMultiAttachEnabled: false },
    ...{ TargetSize: 10, TargetVolumeType: 'gp3', TargetIops: 3_000, TargetThroughput: 250 },
    ...{ TargetMultiAttachEnabled: false, Progress: 0, StartTime: new Date(START_MS) },
    EndTime: undefined,
  })
  const record = state.view().get('volume', VolumeId)
  assert.deepEqual([record?.sizeGib, record?.type], [10, 'gp3'])
  const shown = async () => (await call('DescribeVolumes', {})).Volumes?.[0]
  assert.deepEqual([(await shown())?.Size, (await shown())?.VolumeType], [8, 'gp2'])
  assert.ok(record?.modification)
  const modification = { ...record.modification, state: 'completed', endedAtMs: START_MS } as const
  await setVolume(state, VolumeId, { modification })
  assert.deepEqual([(await shown())?.Size, (await shown())?.VolumeType], [10, 'gp3'])
  const named = { VolumeIds: [VolumeId] }
  const { VolumesModifications } = await call('DescribeVolumesModifications', named)
  assert.deepEqual(VolumesModifications, [
    {
      ...said,
      ...{ ModificationState: 'completed', Progress: 100, EndTime: new Date(START_MS) },
    },
  ])
})

const WRONG: readonly (readonly [object, code: string, words: RegExp])[] = [
  [{}, 'MissingParameter', /size, volumeType/],
  [{ Size: 7 }, 'InvalidParameterValue', /smaller than existing size 8GiB/],
  [{ Size: 20_000 }, 'InvalidParameterValue', /too large .* gp2; maximum is 16384GiB/],
  [{ Iops: 4_000 }, 'InvalidParameterCombination', /iops is not supported for gp2/],
  [{ VolumeType: 'gp9' }, 'UnknownVolumeType', /gp9/],
  [{ VolumeType: 'st1' }, 'InvalidParameterValue', /minimum is 125GiB/],
  // As on AWS it has 3,000 IOPS unless the request says otherwise.
  [{ VolumeType: 'io1' }, 'InvalidParameterValue', /ratio of 375.000000 is too high/],
  [{ MultiAttachEnabled: true }, 'InvalidParameterCombination', /MultiAttachEnabled .* gp2/],
  [{ Size: 16_384 }, 'InsufficientVolumeCapacity', /16376 GiB: a0 has promised/],
  [{ Size: 9, DryRun: true }, 'DryRunOperation', /./],
]

test('ModifyVolume says what is wrong with a request, and changes nothing', async (t) => {
  const cloud = await openCloud(t)
  const VolumeId = await made(cloud, { Size: 8 })
  const before = cloud.state.view().get('volume', VolumeId)
  for (const [wish, code, words] of WRONG) {
    const said = await refused(cloud.call('ModifyVolume', { VolumeId, ...wish }))
    assert.equal(said.code, code, JSON.stringify(wish))
    assert.match(said.message, words)
  }
  assert.equal(cloud.state.view().get('volume', VolumeId), before)
})

test('ModifyVolume refuses a volume that is not ready, and one in use for other users', async (t) => {
  const cloud = await openCloud(t)
  const { call, state } = cloud
  const VolumeId = await made(cloud, { Size: 8, VolumeType: 'io2', Iops: 100 })
  for (const now of ['creating', 'deleting', 'error'] as const) {
    await setVolume(state, VolumeId, { state: now })
    assert.equal(await refusal(call('ModifyVolume', { VolumeId, Size: 9 })), 'IncorrectState')
  }
  await setVolume(state, VolumeId, { state: 'ready' })
  await attach(state, VolumeId, {})
  const shared = call('ModifyVolume', { VolumeId, MultiAttachEnabled: true })
  assert.equal(await refusal(shared), 'InvalidParameterCombination')
})

test('ModifyVolume waits six hours from one modification to the next', async (t) => {
  const cloud = await openCloud(t)
  const { call, state } = cloud
  const VolumeId = await made(cloud, { Size: 8 })
  const ask = (Size: number, nowMs = START_MS) =>
    call('ModifyVolume', { VolumeId, Size }, { nowMs })
  await ask(9)
  const busy = await refused(ask(10))
  assert.equal(busy.code, 'IncorrectModificationState')
  assert.match(busy.message, /modification state MODIFYING/)
  const { modification } = state.view().get('volume', VolumeId) ?? {}
  assert.ok(modification)
  const ended = { ...modification, state: 'completed', endedAtMs: START_MS } as const
  await setVolume(state, VolumeId, { modification: ended })
  const early = await refused(ask(10, START_MS + 6 * HOUR_MS - 1))
  assert.equal(early.code, 'VolumeModificationRateExceeded')
  assert.match(early.message, /at least 6 hours/)
  await ask(10, START_MS + 6 * HOUR_MS)
})

test('DescribeVolumesModifications filters, pages, and knows what was never modified', async (t) => {
  const cloud = await openCloud(t)
  const { call } = cloud
  const ids = [
    await made(cloud, { Size: 8 }),
    await made(cloud, { Size: 20 }),
    await made(cloud, { Size: 1 }),
  ]
  for (const VolumeId of ids.slice(0, 2)) {
    await call('ModifyVolume', { VolumeId, Size: 30, VolumeType: 'gp3' })
  }
  const found = async (ask: Ec2Inputs['DescribeVolumesModifications']) => {
    const page = await call('DescribeVolumesModifications', ask)
    return page.VolumesModifications?.map(({ VolumeId }) => VolumeId)
  }
  assert.deepEqual((await found({}))?.sort(), ids.slice(0, 2).sort())
  const Filters = [{ Name: 'original-size', Values: ['20'] }]
  assert.deepEqual(await found({ Filters }), [ids[1]])
  assert.equal((await found({ MaxResults: 1 }))?.length, 1)
  const never = call('DescribeVolumesModifications', { VolumeIds: [ids[2] ?? ''] })
  assert.equal(await refusal(never), 'InvalidVolumeModification.NotFound')
})

test('a volume grows in a guest that has it: first at its SC, then there, then for its user', async (t) => {
  const ground = await openGround(t)
  const { call, first, VolumeId, step, hostOf, attach, racks } = ground
  await attach()
  await racks.settle()
  await call('ModifyVolume', { VolumeId, Size: 2 })
  const shown = async () => {
    const { VolumesModifications } = await call('DescribeVolumesModifications', {})
    const { Volumes } = await call('DescribeVolumes', {})
    return [
      VolumesModifications?.[0]?.ModificationState,
      Volumes?.find((one) => one.VolumeId === VolumeId)?.Size,
    ]
  }
  await step(hostOf(first))
  assert.deepEqual(await shown(), ['modifying', 1], 'nobody told the host yet')
  await step('a0')
  assert.deepEqual(await shown(), ['optimizing', 2])
  await step(hostOf(first))
  assert.deepEqual(await shown(), ['completed', 2])
})
