// Target groups, their attributes and their targets, before any load balancer uses them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  deregisterInstances,
  instanceHealth,
  registerInstances,
} from '../../../gateway/elb/instance-targets.ts'
import {
  ACCOUNT,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  refused,
  registerImage,
  START_MS,
} from '../ec2/support.ts'
import { balancingOf, defaultNetwork, makeGroup, running } from './support.ts'

test('a target group is shown with the health check that AWS gives it', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  const arn = await makeGroup(cloud)
  assert.match(arn, /^arn:aws:elasticloadbalancing:mallee-1:\d{12}:targetgroup\/web\/[0-9a-f]{16}$/)
  const { TargetGroups } = await elb('DescribeTargetGroups', { Names: ['web'] })
  assert.deepEqual(TargetGroups, [
    {
      ...{ TargetGroupArn: arn, TargetGroupName: 'web', Protocol: 'TCP', Port: 80 },
      ...{ VpcId: defaultNetwork(cloud).vpc, TargetType: 'instance', IpAddressType: 'ipv4' },
      ...{ HealthCheckEnabled: true, HealthCheckProtocol: 'TCP', HealthCheckPort: 'traffic-port' },
      ...{ HealthCheckIntervalSeconds: 30, HealthCheckTimeoutSeconds: 10 },
      ...{ HealthyThresholdCount: 5, UnhealthyThresholdCount: 2, LoadBalancerArns: [] },
    },
  ])
})

test('a group of the same name is the same one, or a duplicate', async (t) => {
  const cloud = await openCloud(t)
  const arn = await makeGroup(cloud)
  assert.equal(await makeGroup(cloud), arn)
  const { code, message } = await refused(makeGroup(cloud, { Port: 81 }))
  assert.equal(code, 'DuplicateTargetGroupName')
  assert.match(message, /'web' exists, but with different settings/)
  await balancingOf(cloud)('DeleteTargetGroup', { TargetGroupArn: arn })
  assert.notEqual(await makeGroup(cloud, { Port: 81 }), arn)
})

test('a health check keeps what a change does not name', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  const check = { HealthCheckProtocol: 'HTTP', HealthCheckPath: '/up' } as const
  const arn = await makeGroup(cloud, { ...check, Matcher: { HttpCode: '200,204-299' } })
  const modify = async (input: object) => {
    const asked = { TargetGroupArn: arn, ...input }
    const [group] = (await elb('ModifyTargetGroup', asked)).TargetGroups ?? []
    return [
      group?.HealthCheckProtocol,
      group?.HealthCheckPath,
      group?.Matcher?.HttpCode,
      group?.HealthCheckTimeoutSeconds,
      group?.HealthCheckPort,
    ]
  }
  const port = { HealthCheckPort: '8080' }
  assert.deepEqual(await modify(port), ['HTTP', '/up', '200,204-299', 6, '8080'])
  const tcp = { HealthCheckProtocol: 'TCP' }
  assert.deepEqual(await modify(tcp), ['TCP', undefined, undefined, 10, '8080'])
  const again = { HealthCheckProtocol: 'HTTP', HealthCheckPort: 'traffic-port' }
  assert.deepEqual(await modify(again), ['HTTP', '/', '200-399', 6, 'traffic-port'])
})

test('attributes are those of AWS; what is not had keeps its default', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  const arn = await makeGroup(cloud)
  const set = async (Key: string, Value: string) =>
    await elb('ModifyTargetGroupAttributes', {
      TargetGroupArn: arn,
      Attributes: [{ Key, Value }],
    })
  await set('deregistration_delay.timeout_seconds', '7')
  await set('preserve_client_ip.enabled', 'false')
  const { Attributes } = await elb('DescribeTargetGroupAttributes', { TargetGroupArn: arn })
  const shown = new Map(Attributes?.map(({ Key, Value }) => [Key, Value]))
  assert.equal(shown.get('deregistration_delay.timeout_seconds'), '7')
  assert.equal(shown.get('stickiness.type'), 'source_ip')
  assert.equal(shown.get('load_balancing.cross_zone.enabled'), 'use_load_balancer_configuration')
  const refusals = [
    ['preserve_client_ip.enabled', 'true', 'InvalidConfigurationRequest'],
    ['slow_start.duration_seconds', '30', 'InvalidConfigurationRequest'],
    ['deregistration_delay.timeout_seconds', '3601', 'ValidationError'],
    ['no.such.key', '1', 'ValidationError'],
    ['__proto__', '1', 'ValidationError'],
  ] as const
  for (const [key, value, code] of refusals) assert.equal(await refusal(set(key, value)), code, key)
})

test('instances of the VPC that run are targets, in whose zone they are', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  const arn = await makeGroup(cloud)
  const id = await running(cloud, 'a')
  const register = (Id: string, Port?: number) =>
    elb('RegisterTargets', {
      TargetGroupArn: arn,
      Targets: [{ Id, ...(Port !== undefined && { Port }) }],
    })
  await register(id)
  await register(id)
  await register(id, 8080)
  const health = async () =>
    (await elb('DescribeTargetHealth', { TargetGroupArn: arn })).TargetHealthDescriptions
  const notUsed = {
    State: 'unused',
    Reason: 'Target.NotInUse',
    Description: 'Target group is not configured to receive traffic from the load balancer',
  }
  assert.deepEqual(await health(), [
    { Target: { Id: id, Port: 80 }, HealthCheckPort: '80', TargetHealth: notUsed },
    { Target: { Id: id, Port: 8080 }, HealthCheckPort: '8080', TargetHealth: notUsed },
  ])
  assert.equal(await refusal(register('i-00000000000000000')), 'InvalidTarget')
  const { ImageId = '' } = (await cloud.call('DescribeImages', {})).Images?.[0] ?? {}
  const pending = await cloud.call('RunInstances', {
    ...{ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 },
  })
  const other = pending.Instances?.[0]?.InstanceId ?? ''
  assert.equal(await refusal(register(other)), 'InvalidTarget', 'it is pending')
  await elb('DeregisterTargets', { TargetGroupArn: arn, Targets: [{ Id: id }] })
  assert.deepEqual(
    (await health())?.map(({ Target }) => Target?.Port),
    [8080],
    'nobody waits for a group that nothing uses',
  )
})

test('addresses are of the VPC or of its peers', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  const arn = await makeGroup(cloud, { TargetType: 'ip' })
  const { vpc, subnetIn } = defaultNetwork(cloud)
  const own =
    cloud.state
      .view()
      .get('subnet', subnetIn('b'))
      ?.ipv4Cidr.replace(/0\/\d+$/, '77') ?? ''
  const register = (Id: string, AvailabilityZone?: string) =>
    elb('RegisterTargets', {
      TargetGroupArn: arn,
      Targets: [{ Id, ...(AvailabilityZone !== undefined && { AvailabilityZone }) }],
    })
  await register(own)
  assert.equal(await refusal(register(own, `${REGION}-a`)), 'InvalidTarget')
  assert.equal(await refusal(register('10.99.0.4', 'all')), 'InvalidTarget')
  assert.equal(await refusal(register('fd00::1')), 'ValidationError')
  const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '10.99.0.0/16' })
  const peer = { VpcId: vpc, PeerVpcId: Vpc?.VpcId ?? '' }
  const { VpcPeeringConnection } = await cloud.call('CreateVpcPeeringConnection', peer)
  const { VpcPeeringConnectionId = '' } = VpcPeeringConnection ?? {}
  await cloud.call('AcceptVpcPeeringConnection', { VpcPeeringConnectionId })
  assert.equal(await refusal(register('10.99.0.4')), 'ValidationError', 'in which zone?')
  await register('10.99.0.4', 'all')
  const { TargetHealthDescriptions } = await elb('DescribeTargetHealth', { TargetGroupArn: arn })
  assert.deepEqual(
    TargetHealthDescriptions?.map(({ Target }) => Target).sort((a) => (a?.Id === own ? -1 : 1)),
    [
      { Id: own, Port: 80, AvailabilityZone: `${REGION}-b` },
      { Id: '10.99.0.4', Port: 80, AvailabilityZone: 'all' },
    ],
  )
})

test('another part of the gateway registers instances in its own transaction', async (t) => {
  const cloud = await openCloud(t)
  const { state } = cloud
  const targetGroupArn = await makeGroup(cloud)
  const image = await registerImage(cloud)
  const instances = [await running(cloud, 'a', image), await running(cloud, 'b', image)]
  const parts = { state, region: REGION }
  const asked = { account: ACCOUNT, targetGroupArn, instances, nowMs: START_MS }
  const healthOf = (instance = '') =>
    instanceHealth(state.view(), REGION, { account: ACCOUNT, targetGroupArn, instance })
  assert.equal(healthOf(instances[0]).reason, 'Target.NotRegistered')
  await state.update((tx) => registerInstances(tx, parts, asked))
  assert.equal(healthOf(instances[0]).reason, 'Target.NotInUse')
  await state.update((tx) =>
    deregisterInstances(tx, parts, { ...asked, instances: instances.slice(1) }),
  )
  assert.deepEqual(
    instances.map((one) => healthOf(one).reason),
    ['Target.NotInUse', 'Target.NotRegistered'],
  )
  const foreign = { ...asked, account: OTHER_ACCOUNT }
  assert.equal(
    await refusal(state.update((tx) => registerInstances(tx, parts, foreign))),
    'TargetGroupNotFound',
  )
})

test('pages of target groups follow one another', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  for (const Name of ['c', 'a', 'b']) await makeGroup(cloud, { Name })
  const first = await elb('DescribeTargetGroups', { PageSize: 2 })
  const { NextMarker = '' } = first
  const rest = await elb('DescribeTargetGroups', { PageSize: 2, Marker: NextMarker })
  const names = [first, rest].map((page) => page.TargetGroups?.map((one) => one.TargetGroupName))
  assert.deepEqual(names, [['a', 'b'], ['c']])
  assert.equal(rest.NextMarker, undefined)
  for (const wrong of [{ PageSize: 0 }, { PageSize: 401 }, { Marker: 'nonsense' }]) {
    assert.equal(await refusal(elb('DescribeTargetGroups', wrong)), 'ValidationError')
  }
})

test('tags are added, replaced and taken away', async (t) => {
  const cloud = await openCloud(t)
  const elb = balancingOf(cloud)
  const arn = await makeGroup(cloud, { Tags: [{ Key: 'Name', Value: 'one' }] })
  const ResourceArns = [arn]
  const Tags = [
    { Key: 'Name', Value: 'two' },
    { Key: '__proto__', Value: 'x' },
  ]
  await elb('AddTags', { ResourceArns, Tags })
  const { TagDescriptions } = await elb('DescribeTags', { ResourceArns })
  assert.deepEqual(TagDescriptions, [{ ResourceArn: arn, Tags }])
  await elb('RemoveTags', { ResourceArns, TagKeys: ['Name', 'none'] })
  const left = (await elb('DescribeTags', { ResourceArns })).TagDescriptions?.[0]?.Tags
  assert.deepEqual(left, Tags.slice(1))
  const many = Array.from({ length: 50 }, (_, n) => ({ Key: `k${n}`, Value: '' }))
  assert.equal(await refusal(elb('AddTags', { ResourceArns, Tags: many })), 'TooManyTags')
  const twice = [...Tags, ...Tags]
  assert.equal(await refusal(elb('AddTags', { ResourceArns, Tags: twice })), 'DuplicateTagKeys')
  const theirs = { account: OTHER_ACCOUNT }
  assert.equal(await refusal(elb('DescribeTags', { ResourceArns }, theirs)), 'TargetGroupNotFound')
})
