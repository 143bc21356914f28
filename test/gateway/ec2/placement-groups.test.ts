// Placement groups: what a launch into one gets and is refused, also when several come at once.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Instance } from '@aws-sdk/client-ec2'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { metadataOf } from '../../../gateway/control/desired-metadata.ts'
import { SECRETS } from '../control/records.ts'
import {
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  refused,
  registerImage,
  report,
  run,
} from './support.ts'

type Create = Ec2Inputs['CreatePlacementGroup']

test('CreatePlacementGroup makes a group that its owner sees, and tags it', async (t) => {
  const cloud = await openCloud(t)
  const { PlacementGroup } = await cloud.call('CreatePlacementGroup', {
    GroupName: 'db',
    Strategy: 'partition',
    PartitionCount: 3,
    TagSpecifications: [{ ResourceType: 'placement-group', Tags: [{ Key: 'a', Value: 'b' }] }],
  })
  assert.match(PlacementGroup?.GroupId ?? '', /^pg-[0-9a-f]{17}$/)
  assert.equal(PlacementGroup?.State, 'available')
  assert.equal(PlacementGroup?.PartitionCount, 3)
  assert.match(PlacementGroup?.GroupArn ?? '', /:placement-group\/db$/)
  await make(cloud, { GroupName: 'web', Strategy: 'spread' })
  for (const asked of [
    { GroupNames: ['db'] },
    { GroupIds: [PlacementGroup?.GroupId ?? ''] },
    { Filters: [{ Name: 'strategy', Values: ['part*'] }] },
    { Filters: [{ Name: 'tag:a', Values: ['b'] }] },
  ]) {
    const { PlacementGroups } = await cloud.call('DescribePlacementGroups', asked)
    assert.deepEqual(PlacementGroups, [PlacementGroup])
  }
  const theirs = { account: OTHER_ACCOUNT }
  assert.deepEqual((await cloud.call('DescribePlacementGroups', {}, theirs)).PlacementGroups, [])
  const call = cloud.call('DeletePlacementGroup', { GroupName: 'db' }, theirs)
  assert.equal(await refusal(call), 'InvalidPlacementGroup.Unknown')
})

test('a spread group puts no two instances on one host, and says why when it is full', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  await make(cloud, { GroupName: 'web', Strategy: 'spread' })
  const into = { ImageId, Placement: { GroupName: 'web' } }
  const ids = [...(await run(cloud, into)), ...(await run(cloud, into))]
  const hosts = ids.map((id) => cloud.state.view().get('instance', id)?.host)
  assert.deepEqual(hosts.sort(), ['a1', 'a2'])
  const { code, message } = await refused(run(cloud, into))
  assert.equal(code, 'InsufficientInstanceCapacity')
  assert.match(message, /spread group web: host a1 .*has an instance of the placement group/)
  const deletion = (): Promise<string> =>
    refusal(cloud.call('DeletePlacementGroup', { GroupName: 'web' }))
  assert.equal(await deletion(), 'InvalidPlacementGroup.InUse')
  await report(cloud.state, ids[0] ?? '', 'terminated')
  assert.equal((await run(cloud, into)).length, 1, 'a terminated instance leaves its place')
  for (const one of cloud.state.view().all('instance')) {
    await report(cloud.state, one.id, 'terminated')
  }
  assert.equal(await deletion(), 'accepted')
  assert.equal(await deletion(), 'InvalidPlacementGroup.Unknown')
})

test('launches into a group at two gateways at once keep what the group promises', async (t) => {
  const cloud = await openCloud(t)
  const other = await cloud.otherGateway()
  const ImageId = await registerImage(cloud)
  await make(cloud, { GroupName: 'far', Strategy: 'spread', SpreadLevel: 'rack' })
  await make(cloud, { GroupName: 'near', Strategy: 'cluster' })
  const start = (call: typeof cloud.call, GroupName: string): Promise<string> => {
    const one = { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, ImageId } as const
    return refusal(call('RunInstances', { ...one, Placement: { GroupName } }))
  }
  const calls = [cloud.call, other, cloud.call, other]
  const outcomes = await Promise.all(calls.map((call) => start(call, 'far')))
  const short = 'InsufficientInstanceCapacity'
  assert.deepEqual(outcomes.sort(), [short, short, 'accepted', 'accepted'])
  const near = await Promise.all(calls.map((call) => start(call, 'near')))
  assert.deepEqual(new Set(near), new Set(['accepted']))
  const view = await cloud.state.fresh()
  const racksOf = (name: string): string[] => {
    const id = view.all('placement-group').find((group) => group.name === name)?.id
    const members = view.all('instance').filter((one) => one.group?.id === id)
    return members.map(({ rack }) => rack).sort()
  }
  assert.deepEqual(racksOf('far'), ['a', 'b'])
  assert.equal(new Set(racksOf('near')).size, 1)
})

test('a partition group says which partition an instance is in, to user and guest', async (t) => {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  const GroupId = await make(cloud, { GroupName: 'db', Strategy: 'partition', PartitionCount: 3 })
  await run(cloud, { ImageId, Placement: { GroupId }, count: 3 })
  await run(cloud, { ImageId, Placement: { GroupId, PartitionNumber: 2 } })
  const shown = await instances(cloud)
  assert.deepEqual(shown.map((one) => one.Placement?.PartitionNumber).sort(), [1, 2, 2, 3])
  assert.deepEqual(
    new Set(shown.map((one) => `${one.Placement?.GroupId} ${one.Placement?.GroupName}`)),
    new Set([`${GroupId} db`]),
  )
  const found = await instances(cloud, [
    { Name: 'placement-group-name', Values: ['db'] },
    { Name: 'placement-partition-number', Values: ['2'] },
  ])
  assert.equal(found.length, 2)
  const view = await cloud.state.fresh()
  const hosts = new Map<string, number | null>()
  for (const { rack, host, group } of view.all('instance')) {
    assert.equal(hosts.get(`${rack}/${host}`) ?? group?.partition, group?.partition)
    hosts.set(`${rack}/${host}`, group?.partition ?? null)
  }
  const [record] = view.all('instance').filter((one) => one.group?.partition === 3)
  assert.ok(record)
  const told = metadataOf(view, record, SECRETS)
  assert.equal(told.placementGroup, 'db')
  assert.equal(told.partitionNumber, 3)
})

test('placement groups refuse bad input and change nothing', async (t) => {
  const cloud = await openCloud(t, { racks: ['a'] })
  const ImageId = await registerImage(cloud)
  const GroupId = await make(cloud, { GroupName: 'db', Strategy: 'partition' })
  await make(cloud, { GroupName: 'near', Strategy: 'cluster' })
  const { revision } = await cloud.state.fresh()
  for (const [input, code] of [
    [{}, 'MissingParameter'],
    [{ GroupName: 'db' }, 'InvalidPlacementGroup.Duplicate'],
    [{ GroupName: 'é' }, 'InvalidParameterValue'],
    [{ GroupName: 'x'.repeat(256) }, 'InvalidParameterValue'],
    [{ GroupName: 'x', Strategy: 'precision-time' }, 'InvalidParameterValue'],
    [{ GroupName: 'x', Strategy: 'partition', PartitionCount: 8 }, 'InvalidParameterValue'],
    [{ GroupName: 'x', Strategy: 'partition', PartitionCount: 0 }, 'InvalidParameterValue'],
    [{ GroupName: 'x', PartitionCount: 2 }, 'InvalidParameterCombination'],
    [{ GroupName: 'x', SpreadLevel: 'rack' }, 'InvalidParameterCombination'],
    [{ GroupName: 'x', LinkedGroupId: 'pg-01234567' }, 'UnsupportedOperation'],
    [{ GroupName: 'x', DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const call = cloud.call('CreatePlacementGroup', input)
    assert.equal(await refusal(call), code, JSON.stringify(input))
  }
  for (const [Placement, code] of [
    [{ GroupName: 'none' }, 'InvalidPlacementGroup.Unknown'],
    [{ GroupId: 'pg-01234567' }, 'InvalidPlacementGroup.Unknown'],
    [{ GroupId: 'db' }, 'InvalidPlacementGroupId.Malformed'],
    [{ GroupId, GroupName: 'db' }, 'InvalidParameterCombination'],
    [{ PartitionNumber: 1 }, 'InvalidParameterCombination'],
    [{ GroupName: 'near', PartitionNumber: 1 }, 'InvalidParameterCombination'],
    [{ GroupId, PartitionNumber: 3 }, 'InvalidParameterValue'],
    [{ GroupId, PartitionNumber: 0 }, 'InvalidParameterValue'],
    [{ Tenancy: 'dedicated' }, 'UnsupportedOperation'],
    [{ Tenancy: 'host' }, 'UnsupportedOperation'],
    [{ HostId: 'h-01234567' }, 'InvalidHostID.NotFound'],
    [{ HostId: 'a1' }, 'InvalidHostID.Malformed'],
  ] as const) {
    const call = run(cloud, { ImageId, Placement })
    assert.equal(await refusal(call), code, JSON.stringify(Placement))
  }
  const described = cloud.call('DescribePlacementGroups', { GroupNames: ['db', 'none'] })
  assert.equal(await refusal(described), 'InvalidPlacementGroup.Unknown')
  assert.equal((await cloud.state.fresh()).revision, revision)
})

async function make(cloud: Cloud, input: Create): Promise<string> {
  const { PlacementGroup } = await cloud.call('CreatePlacementGroup', input)
  return PlacementGroup?.GroupId ?? ''
}

async function instances(
  cloud: Cloud,
  Filters: Ec2Inputs['DescribeInstances']['Filters'] = [],
): Promise<Instance[]> {
  const { Reservations } = await cloud.call('DescribeInstances', { Filters })
  return (Reservations ?? []).flatMap((one) => one.Instances ?? [])
}
