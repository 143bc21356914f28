// Instant fleets: what they launch in which order, what they say of what they could not, their end.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import {
  type Cloud,
  OTHER_ACCOUNT,
  openCloud,
  refusal,
  registerImage,
  report,
  START_MS,
} from './support.ts'

type Fleet = Ec2Inputs['CreateFleet']

const HOUR_MS = 3_600_000
const LaunchTemplateSpecification = { LaunchTemplateName: 'web', Version: '$Latest' } as const
const CONFIG = { LaunchTemplateSpecification }

test('a fleet launches by its overrides, says what failed, and ends with its instances', async (t) => {
  const cloud = await withTemplate(t)
  const Overrides = [
    { InstanceType: 'z9.huge' as 't3.nano' },
    { InstanceType: 't3.micro' as const, WeightedCapacity: 2 },
  ]
  const fleet: Fleet = {
    Type: 'instant',
    LaunchTemplateConfigs: [{ ...CONFIG, Overrides }],
    TargetCapacitySpecification: {
      TotalTargetCapacity: 4,
      OnDemandTargetCapacity: 3,
      DefaultTargetCapacityType: 'spot',
    },
    ClientToken: 'once',
  }
  const { FleetId = '', Errors, Instances } = await cloud.call('CreateFleet', fleet)
  assert.match(FleetId, /^fleet-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.deepEqual(
    Errors?.map((one) => [one.Lifecycle, one.ErrorCode, instanceType(one)]),
    [
      ['on-demand', 'InvalidParameterValue', 'z9.huge'],
      ['spot', 'InvalidParameterValue', 'z9.huge'],
    ],
  )
  const ids = Instances?.flatMap((one) => one.InstanceIds ?? []) ?? []
  // Three units of two each are two instances, and one unit is one.
  assert.equal(ids.length, 3)
  const view = cloud.state.view()
  const spot = ids.filter((id) => view.get('instance', id)?.spot !== undefined)
  assert.equal(spot.length, 1)
  assert.deepEqual(
    Instances?.filter((one) => one.Lifecycle === 'spot').flatMap((one) => one.InstanceIds),
    spot,
  )
  const again = await cloud.call('CreateFleet', fleet)
  assert.deepEqual(again, { FleetId, Errors, Instances })
  const { Fleets = [] } = await cloud.call('DescribeFleets', { FleetIds: [FleetId] })
  assert.equal(Fleets[0]?.FleetState, 'active')
  assert.equal(Fleets[0]?.ActivityStatus, 'fulfilled')
  assert.equal(Fleets[0]?.FulfilledCapacity, 6)
  assert.equal(Fleets[0]?.FulfilledOnDemandCapacity, 4)
  const lists = [Fleets[0]?.Instances, Instances].map((list) =>
    list?.map((one) => [one.Lifecycle, one.InstanceType, one.InstanceIds]),
  )
  assert.deepEqual(lists[0], lists[1])
  assert.deepEqual((await cloud.call('DescribeFleets', {})).Fleets, [])
  const theirs = { account: OTHER_ACCOUNT }
  const named = cloud.call('DescribeFleets', { FleetIds: [FleetId] }, theirs)
  assert.equal(await refusal(named), 'InvalidFleetId.NotFound')
  const gone = await cloud.call('DeleteFleets', {
    FleetIds: [FleetId, 'fleet-1', FleetId.replace(/.$/, (last) => (last === '0' ? '1' : '0'))],
    TerminateInstances: true,
  })
  assert.deepEqual(gone.SuccessfulFleetDeletions, [
    { FleetId, PreviousFleetState: 'active', CurrentFleetState: 'deleted_terminating' },
  ])
  assert.deepEqual(
    gone.UnsuccessfulFleetDeletions?.map((one) => one.Error?.Code),
    ['fleetIdMalformed', 'fleetIdDoesNotExist'],
  )
  for (const id of ids) {
    assert.equal(cloud.state.view().get('instance', id)?.desired, 'terminated')
    await report(cloud.state, id, 'terminated')
  }
  const after = await cloud.call('DescribeFleets', { FleetIds: [FleetId] })
  assert.equal(after.Fleets?.[0]?.FleetState, 'deleted')
  await purgeTerminated(cloud.state, START_MS + HOUR_MS)
  assert.notEqual(cloud.state.view().get('fleet', FleetId), null)
  await purgeTerminated(cloud.state, START_MS + HOUR_MS + 1)
  assert.equal(cloud.state.view().get('fleet', FleetId), null)
})

test('a prioritized fleet begins with the lowest priority', async (t) => {
  const cloud = await withTemplate(t)
  const Overrides = [
    { InstanceType: 't3.micro' as const },
    { InstanceType: 't3.small' as const, Priority: 2 },
    { InstanceType: 't3.nano' as const, Priority: 1 },
  ]
  for (const [AllocationStrategy, type] of [
    ['lowest-price', 't3.micro'],
    ['prioritized', 't3.nano'],
  ] as const) {
    const { Instances } = await cloud.call('CreateFleet', {
      Type: 'instant',
      LaunchTemplateConfigs: [{ ...CONFIG, Overrides }],
      OnDemandOptions: { AllocationStrategy },
      TargetCapacitySpecification: { TotalTargetCapacity: 1, OnDemandTargetCapacity: 1 },
    })
    assert.deepEqual(
      Instances?.map((one) => one.InstanceType),
      [type],
    )
  }
})

test('a fleet that can launch nothing has errors only; a protected instance keeps its fleet', async (t) => {
  const cloud = await withTemplate(t)
  const capacity = { TargetCapacitySpecification: { TotalTargetCapacity: 1 } }
  const one: Fleet = { Type: 'instant', LaunchTemplateConfigs: [CONFIG], ...capacity }
  const { FleetId = '', Instances } = await cloud.call('CreateFleet', one)
  const InstanceId = Instances?.[0]?.InstanceIds?.[0] ?? ''
  const DisableApiTermination = { Value: true }
  await cloud.call('ModifyInstanceAttribute', { InstanceId, DisableApiTermination })
  const deletion = { FleetIds: [FleetId], TerminateInstances: true }
  const kept = await cloud.call('DeleteFleets', deletion)
  assert.equal(kept.UnsuccessfulFleetDeletions?.[0]?.Error?.Code, 'unexpectedError')
  assert.equal(cloud.state.view().get('instance', InstanceId)?.desired, 'running')
  await cloud.state.update(async (tx) => {
    const self = await tx.get('cloud', 'self')
    assert.ok(self)
    await tx.put('cloud', ['self'], { ...self, spot: 'refused' })
  })
  const refused = await cloud.call('CreateFleet', one)
  assert.deepEqual(refused.Instances, [])
  assert.equal(refused.Errors?.[0]?.ErrorCode, 'UnsupportedOperation')
  const { Fleets } = await cloud.call('DescribeFleets', { FleetIds: [refused.FleetId ?? ''] })
  assert.equal(Fleets?.[0]?.ActivityStatus, 'error')
})

test('fleets that this cloud has not got are refused, and nothing is launched', async (t) => {
  const cloud = await withTemplate(t)
  const good = {
    Type: 'instant',
    LaunchTemplateConfigs: [CONFIG],
    TargetCapacitySpecification: { TotalTargetCapacity: 1 },
  } as const satisfies Fleet
  const capacity = { TotalTargetCapacity: 1, OnDemandTargetCapacity: 2 }
  const weightless = { ...CONFIG, Overrides: [{ WeightedCapacity: 0.5 }] }
  const dressed = { ...CONFIG, Overrides: [{ Placement: { GroupName: 'db' } }] }
  for (const [change, code] of [
    [{ Type: undefined }, 'UnsupportedOperation'],
    [{ Type: 'maintain' }, 'UnsupportedOperation'],
    [{ Type: 'request' }, 'UnsupportedOperation'],
    [{ Type: 'other' as 'instant' }, 'InvalidParameterValue'],
    [{ LaunchTemplateConfigs: [] }, 'MissingParameter'],
    [{ LaunchTemplateConfigs: [weightless] }, 'InvalidParameterValue'],
    [{ LaunchTemplateConfigs: [dressed] }, 'UnsupportedOperation'],
    [{ LaunchTemplateConfigs: [{}] }, 'MissingParameter'],
    [{ TargetCapacitySpecification: { TotalTargetCapacity: 0 } }, 'InvalidParameterValue'],
    [{ TargetCapacitySpecification: capacity }, 'InvalidParameterCombination'],
    [{ OnDemandOptions: { MinTargetCapacity: 1 } }, 'UnsupportedOperation'],
    [{ TagSpecifications: [{ ResourceType: 'fleet', Tags: [] }] }, 'UnsupportedOperation'],
    [{ DryRun: true }, 'DryRunOperation'],
  ] as const) {
    const call = cloud.call('CreateFleet', { ...good, ...change } as Fleet)
    assert.equal(await refusal(call), code, JSON.stringify(change))
  }
  assert.deepEqual(cloud.state.view().all('instance'), [])
  for (const [TerminateInstances, code] of [
    [undefined, 'MissingParameter'],
    [false, 'InvalidParameterValue'],
  ] as const) {
    const call = cloud.call('DeleteFleets', { FleetIds: ['fleet-1'], TerminateInstances })
    assert.equal(await refusal(call), code)
  }
  const malformed = cloud.call('DescribeFleets', { FleetIds: ['fleet-1'] })
  assert.equal(await refusal(malformed), 'InvalidFleetId.Malformed')
})

async function withTemplate(t: Parameters<typeof openCloud>[0]): Promise<Cloud> {
  const cloud = await openCloud(t)
  const ImageId = await registerImage(cloud)
  await cloud.call('CreateLaunchTemplate', {
    LaunchTemplateName: 'web',
    LaunchTemplateData: { ImageId, InstanceType: 't3.nano' },
  })
  return cloud
}

function instanceType(one: {
  LaunchTemplateAndOverrides?:
    | { Overrides?: { InstanceType?: string | undefined } | undefined }
    | undefined
}): string | undefined {
  return one.LaunchTemplateAndOverrides?.Overrides?.InstanceType
}
