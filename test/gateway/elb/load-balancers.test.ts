// Load balancers: what making, changing and ending one does to records and to what racks hold.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rackDesired } from '../../../gateway/control/desired.ts'
import { recordsOf } from '../bad-requests/records.ts'
import { SECRETS } from '../control/records.ts'
import { type Cloud, refusal, refused, START_MS } from '../ec2/support.ts'
import { makeGroup, openGround, running } from './support.ts'

/** What a rack's CC holds, by key, of these kinds. */
function held({ state }: Cloud, rack: string, kinds: RegExp): Record<string, unknown> {
  const desired = rackDesired(state.view(), { rack, host: `${rack}0` }, SECRETS)
  const found = [...desired].filter(([key]) => kinds.test(key))
  return Object.fromEntries(found.map(([key, { body }]) => [key, body.value]))
}

test('a load balancer has a node with an address in each zone', async (t) => {
  const { cloud, elb, vpc, subnetIn, create } = await openGround(t)
  const arn = await create({ Subnets: [subnetIn('a'), subnetIn('b')] })
  const [, id = ''] = /:loadbalancer\/net\/web\/([0-9a-f]{16})$/.exec(arn) ?? []
  const { LoadBalancers } = await elb('DescribeLoadBalancers', { LoadBalancerArns: [arn] })
  const zone = (rack: string) => ({
    ...{ ZoneName: `mallee-1-${rack}`, SubnetId: subnetIn(rack), LoadBalancerAddresses: [] },
  })
  assert.deepEqual(LoadBalancers, [
    {
      ...{ LoadBalancerArn: arn, LoadBalancerName: 'web', Scheme: 'internet-facing' },
      ...{ Type: 'network', VpcId: vpc, IpAddressType: 'ipv4', SecurityGroups: undefined },
      DNSName: `web-${id}.elb.mallee-1.internal`,
      CanonicalHostedZoneId: LoadBalancers?.[0]?.CanonicalHostedZoneId,
      CreatedTime: new Date(START_MS),
      State: { Code: 'provisioning', Reason: undefined },
      AvailabilityZones: [zone('a'), zone('b')],
      EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic: undefined,
      EnablePrefixForIpv6SourceNat: 'off',
    },
  ])
  const filter = { Filters: [{ Name: 'interface-type', Values: ['network_load_balancer'] }] }
  const { NetworkInterfaces = [] } = await cloud.call('DescribeNetworkInterfaces', filter)
  assert.deepEqual(
    NetworkInterfaces.map((one) => [one.Description, one.RequesterManaged, one.Status]),
    Array.from({ length: 2 }, () => [`ELB net/web/${id}`, true, 'in-use']),
  )
  for (const { Association } of NetworkInterfaces) {
    assert.match(Association?.PublicIp ?? '', /^203\.0\.113\./)
    assert.equal(Association?.IpOwnerId, 'amazon')
  }
})

test('racks hold the nodes, groups and targets that are theirs, and the name', async (t) => {
  const { cloud, elb, subnetIn, create } = await openGround(t)
  const arn = await create({ Subnets: [subnetIn('a'), subnetIn('b')], Scheme: 'internal' })
  const TargetGroupArn = await makeGroup(cloud)
  const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn }]
  const listener = { LoadBalancerArn: arn, Protocol: 'TCP' as const, Port: 443, DefaultActions }
  await elb('CreateListener', listener)
  const ids = [await running(cloud, 'a'), await running(cloud, 'b')]
  await elb('RegisterTargets', { TargetGroupArn, Targets: ids.map((Id) => ({ Id })) })
  const group = TargetGroupArn.slice(-16)
  const cards = cloud.state.view().by('interface', 'instance', ids[0] ?? '')
  const all = /^(balancer|target-group|target|name)\//
  assert.deepEqual(
    Object.keys(held(cloud, 'a', all)).map((key) => key.split('/')[0]),
    ['name', 'balancer', 'target-group', 'target'],
  )
  const targets = held(cloud, 'a', /^target\//)
  assert.deepEqual(Object.keys(targets), [`target/${group}/${cards[0]?.ipv4}/80`])
  await elb('ModifyLoadBalancerAttributes', {
    LoadBalancerArn: arn,
    Attributes: [{ Key: 'load_balancing.cross_zone.enabled', Value: 'true' }],
  })
  assert.equal(Object.keys(held(cloud, 'a', /^target\//)).length, 2)
  const [node] = Object.values(held(cloud, 'a', /^balancer\//)) as { host: string }[]
  assert.match(node?.host ?? '', /^a[12]$/)
  const [name] = Object.values(held(cloud, 'b', /^name\//)) as { addresses: string[] }[]
  const own = cloud.state
    .view()
    .all('interface')
    .filter((one) => one.type === 'network-load-balancer')
  assert.deepEqual(name?.addresses, own.map((one) => one.ipv4).sort())
  for (const [, one] of Object.entries(held(cloud, 'a', /^interface\//))) {
    const { id, balancer } = one as { id: string; balancer: boolean }
    assert.equal(
      balancer,
      own.some((card) => card.id === id),
    )
  }
})

test('what a load balancer took is given back with it', async (t) => {
  const { cloud, elb, vpc, subnetIn, create } = await openGround(t)
  const { AllocationId } = await cloud.call('AllocateAddress', {})
  const TargetGroupArn = await makeGroup(cloud)
  // Addresses, MACs and ids rest: they differ ever after.
  const others = () =>
    recordsOf(cloud.state).filter((line) => !/^(private|public)-address: |^vpc: /.test(line))
  const before = others()
  const arn = await create({ SubnetMappings: [{ SubnetId: subnetIn('a'), AllocationId }] })
  const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn }]
  const listener = { LoadBalancerArn: arn, Protocol: 'TCP' as const, Port: 80, DefaultActions }
  await elb('CreateListener', listener)
  assert.equal(await refusal(elb('DeleteTargetGroup', { TargetGroupArn })), 'ResourceInUse')
  const { LoadBalancers } = await elb('DescribeLoadBalancers', {})
  const [{ AvailabilityZones } = {}] = LoadBalancers ?? []
  assert.equal(AvailabilityZones?.[0]?.LoadBalancerAddresses?.[0]?.AllocationId, AllocationId)
  const [{ id: InternetGatewayId = '' } = {}] = cloud.state
    .view()
    .by('internet-gateway', 'vpc', vpc)
  const detach = cloud.call('DetachInternetGateway', { InternetGatewayId, VpcId: vpc })
  assert.equal(await refusal(detach), 'DependencyViolation')
  await elb('DeleteLoadBalancer', { LoadBalancerArn: arn })
  await elb('DeleteLoadBalancer', { LoadBalancerArn: arn })
  assert.deepEqual(others(), before)
  await elb('DeleteTargetGroup', { TargetGroupArn })
})

test('a load balancer of the same name is the same one, or a duplicate', async (t) => {
  const { create, subnetIn, elb } = await openGround(t)
  const arn = await create()
  assert.equal(await create(), arn)
  assert.equal(await refusal(create({ Scheme: 'internal' })), 'DuplicateLoadBalancerName')
  assert.equal(await refusal(create({ Subnets: [subnetIn('b')] })), 'DuplicateLoadBalancerName')
  await elb('ModifyLoadBalancerAttributes', {
    LoadBalancerArn: arn,
    Attributes: [{ Key: 'deletion_protection.enabled', Value: 'true' }],
  })
  const { code } = await refused(elb('DeleteLoadBalancer', { LoadBalancerArn: arn }))
  assert.equal(code, 'OperationNotPermitted')
})

test('its interface is nobody else’s, and holds subnet, VPC and security group', async (t) => {
  const { cloud, vpc, subnetIn, create, elb } = await openGround(t)
  const { GroupId = '' } = await cloud.call('CreateSecurityGroup', {
    ...{ GroupName: 'lb', Description: 'lb', VpcId: vpc },
  })
  const arn = await create({ Scheme: 'internal', SecurityGroups: [GroupId] })
  const [one] = cloud.state.view().by('interface', 'securityGroups', GroupId)
  const NetworkInterfaceId = one?.id ?? ''
  const { AllocationId = '' } = await cloud.call('AllocateAddress', {})
  const refusals = [
    [() => cloud.call('DeleteNetworkInterface', { NetworkInterfaceId }), 'OperationNotPermitted'],
    [
      () => cloud.call('DetachNetworkInterface', { AttachmentId: one?.attachment ?? '' }),
      'OperationNotPermitted',
    ],
    [
      () =>
        cloud.call('ModifyNetworkInterfaceAttribute', {
          ...{ NetworkInterfaceId, SourceDestCheck: { Value: false } },
        }),
      'OperationNotPermitted',
    ],
    [
      () =>
        cloud.call('AssignPrivateIpAddresses', {
          ...{ NetworkInterfaceId, SecondaryPrivateIpAddressCount: 1 },
        }),
      'OperationNotPermitted',
    ],
    [
      () => cloud.call('AssociateAddress', { NetworkInterfaceId, AllocationId }),
      'OperationNotPermitted',
    ],
    [() => cloud.call('DeleteSubnet', { SubnetId: subnetIn('a') }), 'DependencyViolation'],
    [() => cloud.call('DeleteVpc', { VpcId: vpc }), 'DependencyViolation'],
    [() => cloud.call('DeleteSecurityGroup', { GroupId }), 'DependencyViolation'],
  ] as const
  for (const [call, code] of refusals) assert.equal(await refusal(call()), code)
  const none = elb('SetSecurityGroups', { LoadBalancerArn: arn, SecurityGroups: [] })
  assert.equal(await refusal(none), 'ValidationError')
  const groups = cloud.state.view().by('security-group', 'vpc', vpc)
  const usual = groups.find(({ id }) => id !== GroupId)?.id ?? ''
  await elb('SetSecurityGroups', { LoadBalancerArn: arn, SecurityGroups: [usual] })
  await cloud.call('DeleteSecurityGroup', { GroupId })
})

test('subnets come and go; nodes that stay keep their addresses', async (t) => {
  const { cloud, elb, subnetIn, create } = await openGround(t)
  const LoadBalancerArn = await create({ Scheme: 'internal' })
  const [first] = cloud.state.view().all('balancer-node')
  const Subnets = [subnetIn('a'), subnetIn('b')]
  const { AvailabilityZones } = await elb('SetSubnets', { LoadBalancerArn, Subnets })
  assert.deepEqual(
    AvailabilityZones?.map((one) => one.SubnetId),
    Subnets,
  )
  const nodes = cloud.state.view().all('balancer-node')
  assert.equal(nodes.length, 2)
  assert.ok(nodes.some((node) => node.interface === first?.interface))
  await elb('SetSubnets', { LoadBalancerArn, Subnets: [subnetIn('b')] })
  assert.deepEqual(
    cloud.state
      .view()
      .all('balancer-node')
      .map((node) => node.rack),
    ['b'],
  )
  assert.equal(cloud.state.view().get('interface', first?.interface ?? ''), null)
})

test('a dualstack load balancer has addresses of both families', async (t) => {
  const { cloud, elb, create } = await openGround(t)
  const LoadBalancerArn = await create({ Scheme: 'internal' })
  const card = () => {
    const [node] = cloud.state.view().all('balancer-node')
    return cloud.state.view().get('interface', node?.interface ?? '')
  }
  assert.equal(card()?.ipv6, '')
  await elb('SetIpAddressType', { LoadBalancerArn, IpAddressType: 'dualstack' })
  const ipv6 = card()?.ipv6 ?? ''
  assert.match(ipv6, /:/)
  const [name] = Object.values(held(cloud, 'a', /^name\//)) as { addresses: string[] }[]
  assert.deepEqual(name?.addresses, [card()?.ipv4, ipv6].sort())
  await elb('SetIpAddressType', { LoadBalancerArn, IpAddressType: 'ipv4' })
  assert.equal(card()?.ipv6, '')
})

test('listeners are of one port each, and a group is one load balancer’s', async (t) => {
  const { cloud, elb, create } = await openGround(t)
  const LoadBalancerArn = await create({ Scheme: 'internal' })
  const other = await create({ Scheme: 'internal', Name: 'other' })
  const [web, api, dns] = [
    await makeGroup(cloud),
    await makeGroup(cloud, { Name: 'api' }),
    await makeGroup(cloud, { Name: 'dns', Protocol: 'UDP' }),
  ]
  const listen = async (more: object, TargetGroupArn = web) => {
    const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn }]
    const asked = { LoadBalancerArn, Protocol: 'TCP' as const, Port: 80, DefaultActions, ...more }
    return (await elb('CreateListener', asked)).Listeners?.[0]?.ListenerArn ?? ''
  }
  const ListenerArn = await listen({})
  assert.match(ListenerArn, /:listener\/net\/web\/[0-9a-f]{16}\/[0-9a-f]{16}$/)
  assert.equal(await listen({}), ListenerArn, 'the same again')
  assert.equal(await refusal(listen({}, api)), 'DuplicateListener')
  assert.equal(await refusal(listen({ LoadBalancerArn: other })), 'TargetGroupAssociationLimit')
  assert.equal(await refusal(listen({ Port: 53 }, dns)), 'IncompatibleProtocols')
  assert.equal(await refusal(listen({ Protocol: 'TLS', Port: 443 })), 'UnsupportedProtocol')
  const { Rules } = await elb('DescribeRules', { ListenerArn })
  assert.deepEqual(
    Rules?.map(({ Priority, IsDefault }) => [Priority, IsDefault]),
    [['default', true]],
  )
  const Attributes = [{ Key: 'tcp.idle_timeout.seconds', Value: '60' }]
  await elb('ModifyListenerAttributes', { ListenerArn, Attributes })
  const nodes = Object.values(held(cloud, 'a', /^balancer\//)) as { listeners: object[] }[]
  const told = nodes.flatMap(({ listeners }) => listeners)
  assert.partialDeepStrictEqual(told, [{ port: 80, idleTimeoutS: 60 }])
  const DefaultActions = [{ Type: 'forward' as const, TargetGroupArn: api }]
  await elb('ModifyListener', { ListenerArn, Port: 81, DefaultActions })
  const { Listeners } = await elb('DescribeListeners', { LoadBalancerArn })
  assert.deepEqual(
    Listeners?.map((one) => [one.Port, one.DefaultActions?.[0]?.TargetGroupArn]),
    [[81, api]],
  )
  await listen({ LoadBalancerArn: other })
  await elb('DeleteListener', { ListenerArn })
  assert.equal(await refusal(elb('DeleteListener', { ListenerArn })), 'ListenerNotFound')
  assert.deepEqual((await elb('DescribeListeners', { LoadBalancerArn })).Listeners, [])
  const { TargetGroups } = await elb('DescribeTargetGroups', { LoadBalancerArn: other })
  assert.deepEqual(
    TargetGroups?.map((one) => one.LoadBalancerArns),
    [[other]],
  )
})
