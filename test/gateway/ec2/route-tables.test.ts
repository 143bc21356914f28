// Route tables and gateways: what may be a route, what a table shows, what holds what.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { addInterface } from './network-support.ts'
import { ACCOUNT, type Cloud, OTHER_ACCOUNT, openCloud, refusal } from './support.ts'

interface Ground {
  readonly cloud: Cloud
  readonly vpc: string
  readonly table: string
  readonly main: string
  readonly subnet: string
  readonly igw: string
  readonly eigw: string
  readonly eni: string
}

async function openGround(t: TestContext): Promise<Ground> {
  const cloud = await openCloud(t, { racks: ['a'] })
  const { Vpc } = await cloud.call('CreateVpc', {
    CidrBlock: '172.16.0.0/16',
    AmazonProvidedIpv6CidrBlock: true,
  })
  const vpc = Vpc?.VpcId ?? ''
  const { Subnet } = await cloud.call('CreateSubnet', { VpcId: vpc, CidrBlock: '172.16.1.0/24' })
  const subnet = Subnet?.SubnetId ?? ''
  const { RouteTable } = await cloud.call('CreateRouteTable', { VpcId: vpc })
  const { InternetGateway } = await cloud.call('CreateInternetGateway', {})
  const igw = InternetGateway?.InternetGatewayId ?? ''
  await cloud.call('AttachInternetGateway', { InternetGatewayId: igw, VpcId: vpc })
  const made = await cloud.call('CreateEgressOnlyInternetGateway', { VpcId: vpc })
  const record = (await cloud.state.fresh()).get('subnet', subnet)
  assert.ok(record)
  return {
    cloud,
    vpc,
    subnet,
    igw,
    table: RouteTable?.RouteTableId ?? '',
    main: (await cloud.state.fresh()).get('vpc', vpc)?.mainRouteTable ?? '',
    eigw: made.EgressOnlyInternetGateway?.EgressOnlyInternetGatewayId ?? '',
    eni: (await addInterface(cloud.state, record)).id,
  }
}

async function routesOf({ cloud, table }: Ground): Promise<string[]> {
  const { RouteTables } = await cloud.call('DescribeRouteTables', { RouteTableIds: [table] })
  return (RouteTables?.[0]?.Routes ?? []).map((one) => {
    const to = one.DestinationCidrBlock ?? one.DestinationIpv6CidrBlock
    const by = one.GatewayId ?? one.EgressOnlyInternetGatewayId ?? one.NetworkInterfaceId
    return `${to} ${by?.replace(/-[0-9a-f]+$/, '')} ${one.State}`
  })
}

test('DescribeRouteTables shows local routes first, then each with its state', async (t) => {
  const ground = await openGround(t)
  const { cloud, table, igw, eigw, eni } = ground
  const at = { RouteTableId: table }
  await cloud.call('CreateRoute', { ...at, DestinationCidrBlock: '0.0.0.0/0', GatewayId: igw })
  await cloud.call('CreateRoute', {
    ...at,
    DestinationIpv6CidrBlock: '::/0',
    EgressOnlyInternetGatewayId: eigw,
  })
  // Host bits are cut off, as EC2 does.
  await cloud.call('CreateRoute', {
    ...at,
    DestinationCidrBlock: '192.168.7.9/16',
    NetworkInterfaceId: eni,
  })
  const v6 = (await cloud.state.fresh()).get('vpc', ground.vpc)?.ipv6Cidrs[0]
  assert.deepEqual(await routesOf(ground), [
    '172.16.0.0/16 local active',
    `${v6} local active`,
    '0.0.0.0/0 igw active',
    '::/0 eigw active',
    '192.168.0.0/16 eni blackhole',
  ])
  await cloud.call('DetachInternetGateway', { InternetGatewayId: igw, VpcId: ground.vpc })
  await cloud.call('DeleteEgressOnlyInternetGateway', { EgressOnlyInternetGatewayId: eigw })
  assert.deepEqual((await routesOf(ground)).slice(2, 4), [
    '0.0.0.0/0 igw blackhole',
    '::/0 eigw blackhole',
  ])
  const filter = [{ Name: 'route.state', Values: ['blackhole'] }]
  const { RouteTables } = await cloud.call('DescribeRouteTables', { Filters: filter })
  assert.deepEqual(
    RouteTables?.map((one) => one.RouteTableId),
    [table],
  )
})

type RouteInput = Omit<Ec2Inputs['CreateRoute'], 'RouteTableId'>

const REFUSED: readonly [string, (ground: Ground) => RouteInput, string][] = [
  ['no destination', ({ igw }) => ({ GatewayId: igw }), 'MissingParameter'],
  ['no target', () => ({ DestinationCidrBlock: '0.0.0.0/0' }), 'MissingParameter'],
  [
    'two targets',
    ({ igw, eni }) => ({
      DestinationCidrBlock: '0.0.0.0/0',
      GatewayId: igw,
      NetworkInterfaceId: eni,
    }),
    'InvalidParameterCombination',
  ],
  [
    'no prefix',
    ({ igw }) => ({ DestinationCidrBlock: '10.0.0.0/33', GatewayId: igw }),
    'InvalidParameterValue',
  ],
  [
    'the wrong family',
    ({ igw }) => ({ DestinationCidrBlock: '::/0', GatewayId: igw }),
    'InvalidParameterValue',
  ],
  [
    'IPv4 by an egress-only gateway',
    ({ eigw }) => ({ DestinationCidrBlock: '0.0.0.0/0', EgressOnlyInternetGatewayId: eigw }),
    'InvalidParameterValue',
  ],
  [
    'a part of the VPC by a gateway',
    ({ igw }) => ({ DestinationCidrBlock: '172.16.9.0/24', GatewayId: igw }),
    'InvalidParameterValue',
  ],
  [
    'the VPC itself',
    ({ eni }) => ({ DestinationCidrBlock: '172.16.0.0/16', NetworkInterfaceId: eni }),
    'RouteAlreadyExists',
  ],
  [
    'the services of the link',
    ({ eni }) => ({ DestinationCidrBlock: '169.254.169.254/32', NetworkInterfaceId: eni }),
    'InvalidParameterValue',
  ],
  [
    'local as a gateway',
    () => ({ DestinationCidrBlock: '10.0.0.0/8', GatewayId: 'local' }),
    'InvalidParameterValue',
  ],
  [
    'an unknown VPN gateway',
    () => ({ DestinationCidrBlock: '10.0.0.0/8', GatewayId: 'vgw-12345678' }),
    'InvalidVpnGatewayID.NotFound',
  ],
  [
    'a VPC endpoint',
    () => ({ DestinationCidrBlock: '10.0.0.0/8', GatewayId: 'vpce-12345678' }),
    'UnsupportedOperation',
  ],
  [
    'a transit gateway',
    () => ({ DestinationCidrBlock: '10.0.0.0/8', TransitGatewayId: 'tgw-12345678' }),
    'UnsupportedOperation',
  ],
  [
    'an unknown gateway',
    () => ({ DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'igw-12345678' }),
    'InvalidInternetGatewayID.NotFound',
  ],
  [
    'an unknown peering',
    () => ({ DestinationCidrBlock: '10.9.0.0/16', VpcPeeringConnectionId: 'pcx-12345678' }),
    'InvalidVpcPeeringConnectionID.NotFound',
  ],
  [
    'a dry run',
    ({ igw }) => ({ DestinationCidrBlock: '0.0.0.0/0', GatewayId: igw, DryRun: true }),
    'DryRunOperation',
  ],
]

for (const [what, input, code] of REFUSED) {
  test(`CreateRoute with ${what} says ${code}`, async (t) => {
    const ground = await openGround(t)
    const { cloud, table } = ground
    const asked = { ...input(ground), RouteTableId: table }
    assert.equal(await refusal(cloud.call('CreateRoute', asked)), code)
    assert.deepEqual((await cloud.state.fresh()).get('route-table', table)?.routes, [])
  })
}

test('CreateRoute takes a gateway of another VPC for none', async (t) => {
  const { cloud, main, igw } = await openGround(t)
  const vpcs = (await cloud.state.fresh()).by('vpc', 'account', ACCOUNT)
  const RouteTableId = vpcs.find((one) => one.isDefault)?.mainRouteTable
  assert.notEqual(RouteTableId, main)
  const asked = { RouteTableId, DestinationCidrBlock: '192.0.2.0/24', GatewayId: igw }
  assert.equal(await refusal(cloud.call('CreateRoute', asked)), 'InvalidParameterValue')
})

test('ReplaceRoute and DeleteRoute want a route that is there and not local', async (t) => {
  const { cloud, table, igw, eni } = await openGround(t)
  const at = { RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0' }
  const local = { RouteTableId: table, DestinationCidrBlock: '172.16.0.0/16' }
  const toEni = { ...at, NetworkInterfaceId: eni }
  assert.equal(await refusal(cloud.call('ReplaceRoute', toEni)), 'InvalidRoute.NotFound')
  assert.equal(await refusal(cloud.call('DeleteRoute', at)), 'InvalidRoute.NotFound')
  assert.equal(await refusal(cloud.call('DeleteRoute', local)), 'InvalidParameterValue')
  const replaced = cloud.call('ReplaceRoute', { ...local, NetworkInterfaceId: eni })
  assert.equal(await refusal(replaced), 'InvalidParameterValue')
  await cloud.call('CreateRoute', { ...at, GatewayId: igw })
  const twice = cloud.call('CreateRoute', { ...at, GatewayId: igw })
  assert.equal(await refusal(twice), 'RouteAlreadyExists')
  await cloud.call('ReplaceRoute', toEni)
  const routes = (await cloud.state.fresh()).get('route-table', table)?.routes
  assert.deepEqual(routes, [{ destination: '0.0.0.0/0', target: 'interface', targetId: eni }])
  await cloud.call('DeleteRoute', at)
})

test('CreateRoute ends at fifty routes', async (t) => {
  const { cloud, table, igw } = await openGround(t)
  const create = (n: number) =>
    cloud.call('CreateRoute', {
      RouteTableId: table,
      DestinationCidrBlock: `198.51.100.${n}/32`,
      GatewayId: igw,
    })
  for (let n = 0; n < 50; n += 1) await create(n)
  assert.equal(await refusal(create(50)), 'RouteLimitExceeded')
})

test('a table goes when no subnet uses it and it is not the main one', async (t) => {
  const { cloud, vpc, table, main, subnet } = await openGround(t)
  const asked = { RouteTableId: table, SubnetId: subnet }
  const { AssociationId } = await cloud.call('AssociateRouteTable', asked)
  const again = cloud.call('AssociateRouteTable', { RouteTableId: main, SubnetId: subnet })
  assert.equal(await refusal(again), 'Resource.AlreadyAssociated')
  const remove = { RouteTableId: table }
  assert.equal(await refusal(cloud.call('DeleteRouteTable', remove)), 'DependencyViolation')
  const { NewAssociationId } = await cloud.call('ReplaceRouteTableAssociation', {
    AssociationId,
    RouteTableId: main,
  })
  const gone = cloud.call('DisassociateRouteTable', { AssociationId })
  assert.equal(await refusal(gone), 'InvalidAssociationID.NotFound')
  await cloud.call('DisassociateRouteTable', { AssociationId: NewAssociationId })

  const mainAssociation = (await cloud.state.fresh()).get('vpc', vpc)?.mainAssociation
  const free = cloud.call('DisassociateRouteTable', { AssociationId: mainAssociation })
  assert.equal(await refusal(free), 'InvalidParameterValue')
  await cloud.call('ReplaceRouteTableAssociation', {
    AssociationId: mainAssociation,
    RouteTableId: table,
  })
  assert.equal(await refusal(cloud.call('DeleteRouteTable', remove)), 'DependencyViolation')
  await cloud.call('DeleteRouteTable', { RouteTableId: main })
  const { RouteTables } = await cloud.call('DescribeRouteTables', {
    Filters: [
      { Name: 'vpc-id', Values: [vpc] },
      { Name: 'association.main', Values: ['true'] },
    ],
  })
  assert.equal(RouteTables?.[0]?.RouteTableId, table)
})

test('CreateRouteTable with one token makes one table', async (t) => {
  const { cloud, vpc } = await openGround(t)
  const asked = { VpcId: vpc, ClientToken: 'once' }
  const made = await Promise.all([
    cloud.call('CreateRouteTable', asked),
    cloud.call('CreateRouteTable', asked),
  ])
  assert.equal(new Set(made.map((one) => one.RouteTable?.RouteTableId)).size, 1)
})

test('an internet gateway is in one VPC, and a VPC has one', async (t) => {
  const { cloud, vpc, igw } = await openGround(t)
  const attach = { InternetGatewayId: igw, VpcId: vpc }
  const twice = cloud.call('AttachInternetGateway', attach)
  assert.equal(await refusal(twice), 'Resource.AlreadyAssociated')
  const { InternetGateway } = await cloud.call('CreateInternetGateway', {})
  const second = { InternetGatewayId: InternetGateway?.InternetGatewayId, VpcId: vpc }
  assert.equal(await refusal(cloud.call('AttachInternetGateway', second)), 'InvalidParameterValue')
  assert.equal(await refusal(cloud.call('DetachInternetGateway', second)), 'Gateway.NotAttached')
  const remove = { InternetGatewayId: igw }
  assert.equal(await refusal(cloud.call('DeleteInternetGateway', remove)), 'DependencyViolation')
  const stolen = cloud.call('DeleteInternetGateway', remove, { account: OTHER_ACCOUNT })
  assert.equal(await refusal(stolen), 'InvalidInternetGatewayID.NotFound')
  await cloud.call('DetachInternetGateway', attach)
  await cloud.call('DeleteInternetGateway', remove)
})
