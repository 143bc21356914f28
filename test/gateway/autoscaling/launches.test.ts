// What groups launch: templates and their versions, overrides, places, and what cannot be launched.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACCOUNT, refused } from '../ec2/support.ts'
import { byZone, createGroup, idsIn, openScaling, type ScalingCloud } from './support.ts'

const MINUTE_MS = 60_000
const web = { AutoScalingGroupName: 'web' }
const template = (Version: string) => ({ LaunchTemplate: { LaunchTemplateName: 'web', Version } })

async function addVersion({ cloud }: ScalingCloud, data: object): Promise<void> {
  await cloud.call('CreateLaunchTemplateVersion', {
    ...{ LaunchTemplateName: 'web', SourceVersion: '$Latest', LaunchTemplateData: data },
  })
}

async function typesOf(scaling: ScalingCloud): Promise<string[]> {
  const { Instances = [] } = await scaling.group()
  return Instances.filter((one) => one.LifecycleState === 'InService')
    .map((one) => one.InstanceType ?? '')
    .sort()
}

const grow = ({ call }: ScalingCloud, DesiredCapacity: number) =>
  call('SetDesiredCapacity', { ...web, DesiredCapacity })

for (const [version, want] of [
  ['$Latest', 't3.micro'],
  ['$Default', 't3.nano'],
  ['1', 't3.nano'],
] as const) {
  test(`a group of version ${version} launches what that is at each launch`, async (t) => {
    const scaling = await openScaling(t)
    await createGroup(scaling, { DesiredCapacity: 1, ...template(version) })
    await scaling.settle()
    await addVersion(scaling, { InstanceType: 't3.micro' })
    await grow(scaling, 2)
    await scaling.settle()
    assert.deepEqual(await typesOf(scaling), [want, 't3.nano'].sort())
    assert.equal((await scaling.group()).LaunchTemplate?.Version, version)
    const versions = (await scaling.group()).Instances?.map((one) => one.LaunchTemplate?.Version)
    assert.deepEqual(versions?.sort(), version === '$Latest' ? ['1', '2'] : ['1', '1'])
  })
}

test('a template that is gone fails launches, with an activity that says so, until there is one', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { DesiredCapacity: 1 })
  await scaling.settle()
  await scaling.cloud.call('DeleteLaunchTemplate', { LaunchTemplateName: 'web' })
  scaling.clock.nowMs += MINUTE_MS
  await grow(scaling, 2)
  await scaling.settle()
  const [failed] = await scaling.activities()
  assert.equal(failed?.StatusCode, 'Failed')
  const message = (failed?.StatusMessage ?? '').replace(/lt-\w+/, 'ID')
  const what = 'The specified launch template, with template ID ID, version $Latest, does not exist'
  assert.equal(message, `${what}. Launching EC2 instance failed.`)
  for (let n = 0; n < 6; n += 1) {
    scaling.clock.nowMs += MINUTE_MS
    await scaling.settle()
  }
  // Each wait is twice as long as the one before.
  const failures = (await scaling.activities()).filter((one) => one.StatusCode === 'Failed')
  assert.equal(failures.length, 5)
  const ImageId = scaling.cloud.state.view().all('image')[0]?.id
  await scaling.cloud.call('CreateLaunchTemplate', {
    ...{ LaunchTemplateName: 'new', LaunchTemplateData: { ImageId, InstanceType: 't3.micro' } },
  })
  await scaling.call('UpdateAutoScalingGroup', {
    ...{ ...web, LaunchTemplate: { LaunchTemplateName: 'new' } },
  })
  await scaling.settle()
  assert.deepEqual(await typesOf(scaling), ['t3.micro', 't3.nano'])
  // The one of the other template goes first.
  await grow(scaling, 1)
  await scaling.settle()
  assert.deepEqual(await typesOf(scaling), ['t3.micro'])
})

test('a mixed instances policy launches its first override that has room', async (t) => {
  const scaling = await openScaling(t, { vcpus: 4 })
  const LaunchTemplateSpecification = { LaunchTemplateName: 'web', Version: '$Latest' }
  const Overrides = [{ InstanceType: 'm5.2xlarge' }, { InstanceType: 't3.micro' }]
  const policy = { LaunchTemplate: { LaunchTemplateSpecification, Overrides } }
  const { LaunchTemplate: _, ...rest } = {
    ...{ ...web, MinSize: 2, MaxSize: 4, VPCZoneIdentifier: scaling.subnets['a'] },
    LaunchTemplate: undefined,
  }
  await scaling.call('CreateAutoScalingGroup', { ...rest, MixedInstancesPolicy: policy })
  await scaling.settle()
  assert.deepEqual(await typesOf(scaling), ['t3.micro', 't3.micro'])
  const group = await scaling.group()
  assert.deepEqual(group.MixedInstancesPolicy, policy)
  assert.equal(group.LaunchTemplate, undefined)
  const InstancesDistribution = { OnDemandPercentageAboveBaseCapacity: 0 }
  await scaling.call('UpdateAutoScalingGroup', {
    ...{ ...web, MixedInstancesPolicy: { ...policy, InstancesDistribution }, MinSize: 3 },
  })
  await scaling.settle()
  const spot = scaling.cloud.state
    .view()
    .all('instance')
    .filter((one) => one.spot !== undefined)
  assert.equal(spot.length, 1)
  await scaling.call('UpdateAutoScalingGroup', { ...web, ...template('1') })
  assert.equal((await scaling.group()).MixedInstancesPolicy, undefined)
})

test('zones without subnets are their default subnets; stretched subnets are in every rack', async (t) => {
  const scaling = await openScaling(t)
  const { cloud } = scaling
  await createGroup(scaling, {
    ...{ DesiredCapacity: 2, AvailabilityZones: ['mallee-1-a', 'mallee-1-b'] },
    VPCZoneIdentifier: undefined,
  })
  await scaling.settle()
  const subnets = (await scaling.group()).Instances?.map(
    (one) => cloud.state.view().get('instance', one.InstanceId ?? '')?.subnet,
  )
  assert.deepEqual(subnets?.sort(), [scaling.subnets['a'], scaling.subnets['b']].sort())
  const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '10.90.0.0/16' })
  const { Subnet } = await cloud.call('CreateSubnet', {
    ...{ VpcId: Vpc?.VpcId, CidrBlock: '10.90.1.0/24', AvailabilityZone: 'mallee-1-any' },
  })
  await createGroup(scaling, {
    ...{ AutoScalingGroupName: 'wide', DesiredCapacity: 2, VPCZoneIdentifier: Subnet?.SubnetId },
  })
  await scaling.settle()
  const wide = await scaling.group('wide')
  assert.deepEqual(byZone(wide), { a: 1, b: 1 })
  assert.deepEqual(wide.AvailabilityZones, ['mallee-1-any'])
})

test('a template with network interfaces is launched in the subnets of the group', async (t) => {
  const scaling = await openScaling(t)
  const [group] = scaling.cloud.state.view().by('security-group', 'account', ACCOUNT)
  const card = { DeviceIndex: 0, Groups: [group?.id ?? ''], Description: 'own' }
  await addVersion(scaling, { NetworkInterfaces: [card] })
  await createGroup(scaling, { DesiredCapacity: 2 })
  await scaling.settle()
  assert.deepEqual(byZone(await scaling.group()), { a: 1, b: 1 })
  const cards = scaling.cloud.state.view().all('interface')
  assert.deepEqual(
    cards.map((one) => [one.description, one.subnet]).sort(),
    [
      ['own', scaling.subnets['a']],
      ['own', scaling.subnets['b']],
    ].sort(),
  )
})

test('a subnet that is taken from a group loses its instances one by one', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { DesiredCapacity: 4 })
  await scaling.settle()
  await scaling.call('UpdateAutoScalingGroup', { ...web, VPCZoneIdentifier: scaling.subnets['a'] })
  await scaling.settle()
  const group = await scaling.group()
  assert.deepEqual(byZone(group), { a: 4 })
  assert.equal(group.VPCZoneIdentifier, scaling.subnets['a'])
  const zones = (...AvailabilityZones: string[]) =>
    scaling.call('UpdateAutoScalingGroup', { ...web, AvailabilityZones })
  await zones('mallee-1-a')
  assert.equal((await scaling.group()).VPCZoneIdentifier, scaling.subnets['a'])
  const other = await refused(zones('mallee-1-b'))
  assert.match(other.message, /of the specified subnets and the AutoScalingGroup do not match$/)
})

test('UpdateAutoScalingGroup moves the desired capacity with its bounds', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { MinSize: 1, MaxSize: 4, DesiredCapacity: 2 })
  const update = (change: object) => scaling.call('UpdateAutoScalingGroup', { ...web, ...change })
  const sizes = async () => {
    const { MinSize, MaxSize, DesiredCapacity } = await scaling.group()
    return [MinSize, MaxSize, DesiredCapacity]
  }
  await update({ MinSize: 3 })
  assert.deepEqual(await sizes(), [3, 4, 3])
  await update({ MinSize: 0, MaxSize: 2 })
  assert.deepEqual(await sizes(), [0, 2, 2])
  assert.equal(
    (await refused(update({ MinSize: 3 }))).message,
    'Max bound, 2, must be greater than or equal to min bound, 3',
  )
  assert.equal(
    (await refused(update({ DesiredCapacity: 3 }))).message,
    'Desired capacity:3 must be between the specified min size:0 and max size:2',
  )
})

test('an instance that its host cannot start is a failed launch', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling, { DesiredCapacity: 1 })
  await scaling.tend()
  const [id = ''] = idsIn(await scaling.group())
  const { state } = scaling.cloud
  await state.update(async (tx) => {
    const record = await tx.get('instance', id)
    assert.ok(record)
    const stateReason = { code: 'Server.InternalError', message: 'Server.InternalError: no disk' }
    await tx.put('instance', [id], {
      ...{ ...record, state: 'shutting-down', desired: 'terminated', stateReason },
    })
  })
  await scaling.tend()
  const [failed] = await scaling.activities()
  assert.equal(
    failed?.StatusMessage,
    'Server.InternalError: no disk. Launching EC2 instance failed.',
  )
  scaling.clock.nowMs += MINUTE_MS
  await scaling.settle()
  const after = idsIn(await scaling.group(), 'InService')
  assert.equal(after.length, 1)
  assert.notEqual(after[0], id)
})

test('UpdateAutoScalingGroup refuses a placement group that nobody has', async (t) => {
  const scaling = await openScaling(t)
  await createGroup(scaling)
  const change = { ...web, PlacementGroup: 'none' }
  const { code, message } = await refused(scaling.call('UpdateAutoScalingGroup', change))
  assert.equal(code, 'ValidationError')
  assert.match(message, /none/)
  await scaling.cloud.call('CreatePlacementGroup', { GroupName: 'none', Strategy: 'spread' })
  await scaling.call('UpdateAutoScalingGroup', change)
  assert.equal((await scaling.group()).PlacementGroup, 'none')
})
