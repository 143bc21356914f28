// VPN gateways and the routes to them: one of a VPC, what holds what, and what stays of them.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRaceCloud } from './race-support.ts'
import { type Call, type Cloud, openCloud, refusal, refused, START_MS } from './support.ts'
import { connect, customerGateway, Type, vpnGateway } from './vpn-support.ts'

const LATER_MS = START_MS + 60_000

interface Ground {
  readonly vpc: string
  readonly table: string
  readonly gateway: string
}

/** A VPC with a route table, and a VPN gateway that is attached to it. */
async function lay(call: Call, CidrBlock = '172.16.0.0/16'): Promise<Ground> {
  const vpc = (await call('CreateVpc', { CidrBlock })).Vpc?.VpcId ?? ''
  const { RouteTable } = await call('CreateRouteTable', { VpcId: vpc })
  const gateway = await vpnGateway(call)
  await call('AttachVpnGateway', { VpnGatewayId: gateway, VpcId: vpc })
  return { vpc, table: RouteTable?.RouteTableId ?? '', gateway }
}

async function openGround(t: TestContext): Promise<Ground & { readonly cloud: Cloud }> {
  const cloud = await openCloud(t, { racks: [] })
  return { cloud, ...(await lay(cloud.call)) }
}

async function routesOf({ cloud, table }: { cloud: Cloud; table: string }): Promise<string[]> {
  const { RouteTables } = await cloud.call('DescribeRouteTables', { RouteTableIds: [table] })
  return (RouteTables?.[0]?.Routes ?? [])
    .filter(({ GatewayId }) => GatewayId !== 'local')
    .map((one) => {
      const to = one.DestinationCidrBlock ?? one.DestinationIpv6CidrBlock
      return `${to} ${one.GatewayId?.slice(0, 3)} ${one.Origin} ${one.State}`
    })
}

async function propagatingOf({ cloud, table }: { cloud: Cloud; table: string }): Promise<unknown> {
  const { RouteTables } = await cloud.call('DescribeRouteTables', { RouteTableIds: [table] })
  return RouteTables?.[0]?.PropagatingVgws?.map(({ GatewayId }) => GatewayId)
}

test('both ends of a connection are in use until it is deleted', async (t) => {
  const { cloud, gateway, vpc } = await openGround(t)
  const { call } = cloud
  const customer = await customerGateway(call)
  const ends = { customerGateway: customer, vpnGateway: gateway }
  await connect(cloud, { ...ends, state: 'pending' })
  await call('DetachVpnGateway', { VpnGatewayId: gateway, VpcId: vpc })
  for (const end of [
    () => call('DeleteCustomerGateway', { CustomerGatewayId: customer }),
    () => call('DeleteVpnGateway', { VpnGatewayId: gateway }),
  ]) {
    const { code, message } = await refused(end())
    assert.equal(code, 'IncorrectState')
    assert.match(message, /vpn-0123456789abcdef0/)
  }
  await connect(cloud, { ...ends, state: 'deleted', deletedAtMs: START_MS })
  await call('DeleteCustomerGateway', { CustomerGatewayId: customer })
  await call('DeleteVpnGateway', { VpnGatewayId: gateway }, { nowMs: LATER_MS })
  const { VpnGateways } = await call('DescribeVpnGateways', { VpnGatewayIds: [gateway] })
  assert.deepEqual(
    VpnGateways?.map(({ State }) => State),
    ['deleted'],
  )
  assert.equal((await cloud.state.fresh()).get('vpn-gateway', gateway)?.deletedAtMs, LATER_MS)
  for (const use of [
    call('AttachVpnGateway', { VpnGatewayId: gateway, VpcId: vpc }),
    call('DetachVpnGateway', { VpnGatewayId: gateway, VpcId: vpc }),
    call('DeleteVpnGateway', { VpnGatewayId: gateway }),
  ]) {
    assert.equal(await refusal(use), 'InvalidVpnGatewayID.NotFound')
  }
})

test('a VPN gateway is in one VPC, a VPC has one, and neither goes while it is', async (t) => {
  const { cloud, gateway, vpc } = await openGround(t)
  const { call } = cloud
  const { VpnGateways } = await call('DescribeVpnGateways', {
    Filters: [{ Name: 'attachment.vpc-id', Values: [vpc] }],
  })
  assert.deepEqual(VpnGateways, [
    {
      ...{ VpnGatewayId: gateway, State: 'available', Type, AmazonSideAsn: 64_512 },
      ...{ VpcAttachments: [{ VpcId: vpc, State: 'attached' }], Tags: [] },
    },
  ])
  const free = await vpnGateway(call)
  const to = { VpcId: vpc }
  const { code, message } = await refused(call('AttachVpnGateway', { VpnGatewayId: free, ...to }))
  assert.equal(code, 'InvalidVpcState')
  assert.ok(message.includes(gateway), message)
  const again = call('AttachVpnGateway', { VpnGatewayId: gateway, ...to })
  assert.equal(await refusal(again), 'InvalidVpcState')
  const dependent = await refused(
    call('DeleteRouteTable', { RouteTableId: await mainOf(cloud, vpc) }),
  )
  assert.equal(dependent.code, 'DependencyViolation')
  assert.equal(await refusal(call('DeleteVpnGateway', { VpnGatewayId: gateway })), 'IncorrectState')
  for (const { id } of (await cloud.state.fresh()).by('route-table', 'vpc', vpc)) {
    if (id !== (await mainOf(cloud, vpc))) await call('DeleteRouteTable', { RouteTableId: id })
  }
  const gone = await refused(call('DeleteVpc', { VpcId: vpc }))
  assert.deepEqual([gone.code, gone.message.includes(gateway)], ['DependencyViolation', true])
  await call('DetachVpnGateway', { VpnGatewayId: gateway, ...to })
  await call('DeleteVpc', { VpcId: vpc })
})

test('of two VPN gateways that are attached at once one is', async (t) => {
  const { cloud, other, race } = await openRaceCloud(t, { racks: [] })
  const { Vpc } = await cloud.call('CreateVpc', { CidrBlock: '172.16.0.0/16' })
  const VpcId = Vpc?.VpcId ?? ''
  const [first, second] = [await vpnGateway(cloud.call), await vpnGateway(cloud.call)]
  const codes = await race(
    () => cloud.call('AttachVpnGateway', { VpnGatewayId: first, VpcId }),
    () => other('AttachVpnGateway', { VpnGatewayId: second, VpcId }),
  )
  assert.deepEqual(codes, ['InvalidVpcState', 'accepted'])
})

test('routes to a VPN gateway are static or propagated, and lead nowhere when it is detached', async (t) => {
  const ground = await openGround(t)
  const { cloud, gateway, table, vpc } = ground
  const { call } = cloud
  const routes = ['192.168.0.0/16', '198.18.0.0/15', '2001:db8:9::/48', '172.16.5.0/24']
  await connect(cloud, { vpnGateway: gateway, routes })
  const at = { RouteTableId: table, GatewayId: gateway }
  await call('CreateRoute', { ...at, DestinationCidrBlock: '198.18.0.0/15' })
  assert.deepEqual(await routesOf(ground), ['198.18.0.0/15 vgw CreateRoute active'])
  assert.deepEqual(await propagatingOf(ground), [])

  await call('EnableVgwRoutePropagation', at)
  await call('EnableVgwRoutePropagation', at)
  assert.deepEqual(await propagatingOf(ground), [gateway])
  assert.deepEqual(await routesOf(ground), [
    '198.18.0.0/15 vgw CreateRoute active',
    '192.168.0.0/16 vgw EnableVgwRoutePropagation active',
    '2001:db8:9::/48 vgw EnableVgwRoutePropagation active',
  ])
  const found = await call('DescribeRouteTables', {
    Filters: [{ Name: 'route.origin', Values: ['EnableVgwRoutePropagation'] }],
  })
  assert.deepEqual(
    found.RouteTables?.map(({ RouteTableId }) => RouteTableId),
    [table],
  )
  assert.equal(
    await refusal(call('DeleteRoute', { RouteTableId: table, DestinationCidrBlock: routes[0] })),
    'InvalidRoute.NotFound',
    'what is propagated is not the table’s own',
  )

  await call('DetachVpnGateway', { VpnGatewayId: gateway, VpcId: vpc })
  assert.deepEqual(await routesOf(ground), ['198.18.0.0/15 vgw CreateRoute blackhole'])
  assert.deepEqual(await propagatingOf(ground), [])
  assert.equal(await refusal(call('EnableVgwRoutePropagation', at)), 'Gateway.NotAttached')
  await call('AttachVpnGateway', { VpnGatewayId: gateway, VpcId: vpc })
  assert.deepEqual(await routesOf(ground), ['198.18.0.0/15 vgw CreateRoute active'])

  await call('EnableVgwRoutePropagation', at)
  await call('DisableVgwRoutePropagation', at)
  await call('DisableVgwRoutePropagation', at)
  assert.deepEqual(await propagatingOf(ground), [])
})

test('ReplaceRoute takes a VPN gateway, and nothing takes one of another VPC', async (t) => {
  const { cloud, gateway, table, vpc } = await openGround(t)
  const { call } = cloud
  const { InternetGateway } = await call('CreateInternetGateway', {})
  const igw = InternetGateway?.InternetGatewayId ?? ''
  await call('AttachInternetGateway', { InternetGatewayId: igw, VpcId: vpc })
  const at = { RouteTableId: table, DestinationCidrBlock: '0.0.0.0/0' }
  await call('CreateRoute', { ...at, GatewayId: igw })
  await call('ReplaceRoute', { ...at, GatewayId: gateway })
  assert.deepEqual(await routesOf({ cloud, table }), ['0.0.0.0/0 vgw CreateRoute active'])
  const inside = { RouteTableId: table, DestinationCidrBlock: '172.16.5.0/24', GatewayId: gateway }
  assert.equal(await refusal(call('CreateRoute', inside)), 'InvalidParameterValue')
  const elsewhere = await lay(call, '172.17.0.0/16')
  const far = { ...at, GatewayId: elsewhere.gateway }
  assert.equal(await refusal(call('ReplaceRoute', far)), 'InvalidParameterValue')
  const propagated = { RouteTableId: table, GatewayId: elsewhere.gateway }
  assert.equal(await refusal(call('EnableVgwRoutePropagation', propagated)), 'Gateway.NotAttached')
})

test('propagation that begins while the gateway is detached leaves nothing behind', async (t) => {
  const { cloud, other, race } = await openRaceCloud(t, { racks: [] })
  const first = await lay(cloud.call)
  const enable =
    (call: Call, { gateway, table }: Ground) =>
    () =>
      call('EnableVgwRoutePropagation', { GatewayId: gateway, RouteTableId: table })
  const detach =
    (call: Call, { gateway, vpc }: Ground) =>
    () =>
      call('DetachVpnGateway', { VpnGatewayId: gateway, VpcId: vpc })
  const codes = await race(detach(cloud.call, first), enable(other, first))
  assert.deepEqual(codes, ['accepted', 'accepted'])
  const second = await lay(cloud.call, '172.17.0.0/16')
  const others = await race(enable(cloud.call, second), detach(other, second))
  assert.deepEqual(others, ['Gateway.NotAttached', 'accepted'])
  const tables = (await cloud.state.fresh()).all('route-table')
  assert.deepEqual(
    tables.flatMap(({ propagating = [] }) => propagating),
    [],
  )
})

async function mainOf({ state }: Cloud, vpc: string): Promise<string> {
  return (await state.fresh()).get('vpc', vpc)?.mainRouteTable ?? ''
}
