// VPN connections: made, seen and deleted, what they hold, and what is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VpnTunnelOptionsSpecification } from '@aws-sdk/client-ec2'
import { OTHER_ACCOUNT, refusal, refused, START_MS, setHost } from './support.ts'
import {
  addDevice,
  connect,
  openVpnGround,
  reportLink,
  STATIC,
  shown,
  type VpnGround,
} from './vpn-ground.ts'

test('a connection is made, answers its CCs, and is gone at once when it is deleted', async (t) => {
  const ground = await openVpnGround(t)
  const { cloud, vpnGateway, ipsec } = ground
  const { call, state } = cloud
  const made = await connect(ground, ipsec)
  const id = made.VpnConnectionId
  assert.equal(made.State, 'pending')
  assert.equal(made.VpnGatewayId, vpnGateway)
  assert.equal(made.CustomerGatewayId, ipsec)
  assert.equal(made.Options?.StaticRoutesOnly, true)
  const [first, second] = made.Options?.TunnelOptions ?? []
  assert.match(first?.PreSharedKey ?? '', /^[A-Za-z1-9._][A-Za-z0-9._]{31}$/)
  assert.notEqual(first?.PreSharedKey, second?.PreSharedKey)
  assert.notEqual(first?.TunnelInsideCidr, second?.TunnelInsideCidr)
  assert.equal(first?.OutsideIpAddress, undefined)
  assert.equal((await connect(ground, ipsec)).VpnConnectionId, id, 'the same again is that one')

  await reportLink(cloud, id, 1, { endpoints: ['203.0.113.1', '2001:db8::1'], up: true })
  await reportLink(cloud, id, 2, { endpoints: ['2001:db8::2', '203.0.113.2'], trouble: 'no key' })
  await call('CreateVpnConnectionRoute', {
    VpnConnectionId: id,
    DestinationCidrBlock: '192.168.7.9/24',
  })
  const seen = await shown(cloud, id)
  assert.equal(seen.State, 'available')
  assert.deepEqual(seen.Routes, [
    { DestinationCidrBlock: '192.168.7.0/24', Source: 'Static', State: 'available' },
  ])
  const LastStatusChange = new Date(START_MS)
  assert.deepEqual(seen.VgwTelemetry, [
    {
      ...{ OutsideIpAddress: '203.0.113.1', Status: 'UP', StatusMessage: '', LastStatusChange },
      AcceptedRouteCount: 1,
    },
    {
      ...{ OutsideIpAddress: '203.0.113.2', Status: 'DOWN', StatusMessage: 'no key' },
      ...{ LastStatusChange, AcceptedRouteCount: 0 },
    },
  ])
  const [record] = (await state.fresh()).all('vpn-connection')
  assert.doesNotMatch(JSON.stringify(record), new RegExp(first?.PreSharedKey ?? 'x'))
  const { rack = '', host = '' } = record?.tunnels[0] ?? {}
  await setHost(state, rack, host, { connected: false })
  const [away] = (await shown(cloud, id)).VgwTelemetry ?? []
  assert.deepEqual(
    [away?.Status, away?.StatusMessage, away?.AcceptedRouteCount],
    ['DOWN', 'The host of this tunnel is away', 0],
  )

  await call('DeleteVpnConnection', { VpnConnectionId: id })
  const gone = await shown(cloud, id)
  assert.equal(gone.State, 'deleted')
  assert.deepEqual(gone.VgwTelemetry, [])
  assert.deepEqual(gone.Options?.TunnelOptions, [])
  assert.equal(gone.CustomerGatewayConfiguration, undefined)
  const view = await state.fresh()
  assert.deepEqual(view.all('vpn-link'), [])
  assert.deepEqual(view.withPrefix('name', 'vpn-inside/'), [])
  const again = call('DeleteVpnConnection', { VpnConnectionId: id })
  assert.equal(await refusal(again), 'InvalidVpnConnectionID.NotFound')
  const fresh = await connect(ground, ipsec)
  assert.notEqual(fresh.VpnConnectionId, id)
  const numbers = (await state.fresh()).all('vpn-connection').map((one) => one.tunnels)
  assert.equal(new Set(numbers.flat().map(({ number }) => number)).size, 4, 'numbers rest')
})

test('a connection in a cloud of one CC has a second tunnel that nobody holds', async (t) => {
  const ground = await openVpnGround(t, { racks: ['a'] })
  const { VpnConnectionId: id } = await connect(ground, ground.wireguard)
  const [first, second] = (await shown(ground.cloud, id)).VgwTelemetry ?? []
  assert.equal(first?.StatusMessage, 'The host of this tunnel has not made it yet')
  assert.equal(second?.StatusMessage, 'No host of the cloud is there for this tunnel')
})

test('connections are found by what EC2 has filters for', async (t) => {
  const ground = await openVpnGround(t)
  const { cloud, ipsec, wireguard, vpnGateway } = ground
  const { VpnConnectionId: id } = await connect(ground, ipsec)
  await connect(ground, wireguard)
  await cloud.call('CreateTags', { Resources: [id], Tags: [{ Key: 'Name', Value: 'office' }] })
  await cloud.call('CreateVpnConnectionRoute', {
    ...{ VpnConnectionId: id, DestinationCidrBlock: '192.168.0.0/16' },
  })
  for (const [Name, Value, count] of [
    ['customer-gateway-id', ipsec, 1],
    ['vpn-gateway-id', vpnGateway, 2],
    ['vpn-connection-id', id, 1],
    ['state', 'pending', 2],
    ['state', 'deleted', 0],
    ['type', 'ipsec.1', 2],
    ['bgp-asn', '65000', 2],
    ['option.static-routes-only', 'true', 2],
    ['route.destination-cidr-block', '192.168.0.0/16', 1],
    ['customer-gateway-configuration', '*<ike>*', 2],
    ['transit-gateway-id', '*', 0],
    ['tag:Name', 'office', 1],
  ] as const) {
    const found = await cloud.call('DescribeVpnConnections', {
      Filters: [{ Name, Values: [Value] }],
    })
    assert.equal(found.VpnConnections?.length, count, Name)
  }
  const others = await cloud.call('DescribeVpnConnections', {}, { account: OTHER_ACCOUNT })
  assert.deepEqual(others.VpnConnections, [])
})

const TUNNEL = { PreSharedKey: 'my.own_key', TunnelInsideCidr: '169.254.10.0/30' }

test('tunnels have the options that a request gives them', async (t) => {
  const ground = await openVpnGround(t)
  const given: VpnTunnelOptionsSpecification = {
    ...TUNNEL,
    Phase1EncryptionAlgorithms: [{ Value: 'AES256-GCM-16' }],
    Phase1IntegrityAlgorithms: [{ Value: 'SHA2-384' }],
    Phase1DHGroupNumbers: [{ Value: 20 }],
    Phase1LifetimeSeconds: 3_600,
    Phase2EncryptionAlgorithms: [{ Value: 'AES128' }],
    Phase2IntegrityAlgorithms: [{ Value: 'SHA2-256' }],
    Phase2DHGroupNumbers: [{ Value: 14 }, { Value: 5 }],
    Phase2LifetimeSeconds: 900,
    DPDTimeoutSeconds: 45,
    DPDTimeoutAction: 'restart',
    IKEVersions: [{ Value: 'ikev2' }],
    StartupAction: 'start',
  }
  const options = { ...STATIC, TunnelOptions: [given] }
  const made = await connect(ground, ground.ipsec, options)
  const [first, second] = made.Options?.TunnelOptions ?? []
  const { DPDTimeoutSeconds, DPDTimeoutAction, IKEVersions, ...rest } = given
  assert.deepEqual(first, {
    ...{ OutsideIpAddress: undefined, EnableTunnelLifecycleControl: false, ...rest },
    DpdTimeoutSeconds: DPDTimeoutSeconds,
    DpdTimeoutAction: DPDTimeoutAction,
    IkeVersions: IKEVersions,
  })
  assert.equal(second?.Phase1LifetimeSeconds, 28_800)
  assert.equal(second?.Phase1DHGroupNumbers, undefined)
  const same = await connect(ground, ground.ipsec, options)
  assert.equal(same.VpnConnectionId, made.VpnConnectionId)
  const other = await refused(connect(ground, ground.ipsec))
  assert.equal(other.code, 'InvalidParameterCombination')
  const taken = connect(ground, ground.wireguard, { ...STATIC, TunnelOptions: [TUNNEL] })
  assert.match((await refused(taken)).message, /169\.254\.10\.0\/30.*Another tunnel/)
})

test('a tunnel gets another inner block when somebody wished for its own', async (t) => {
  const ground = await openVpnGround(t)
  const { tunnels } = (await firstTunnels(ground)) ?? { tunnels: [] }
  const wished = `169.254.16.${4 * (Math.max(...tunnels.map(({ number }) => number)) + 3)}/30`
  const TunnelOptions = [{ TunnelInsideCidr: wished }]
  await connect(ground, ground.wireguard, { ...STATIC, TunnelOptions })
  const third = await addDevice(ground.cloud, { IpAddress: '198.51.100.9' })
  const blocks = (await connect(ground, third)).Options?.TunnelOptions?.map(
    (one) => one.TunnelInsideCidr,
  )
  assert.ok(!blocks?.includes(wished))
  assert.equal(new Set(blocks).size, 2)
})

async function firstTunnels(ground: VpnGround) {
  const { VpnConnectionId: id } = await connect(ground, ground.ipsec)
  return (await ground.cloud.state.fresh()).get('vpn-connection', id)
}

test('gateways in use stay, and connections are limited', async (t) => {
  const ground = await openVpnGround(t)
  const { cloud, ipsec, vpnGateway } = ground
  const { VpnConnectionId: id } = await connect(ground, ipsec)
  const goes = cloud.call('DeleteCustomerGateway', { CustomerGatewayId: ipsec })
  assert.equal(await refusal(goes), 'IncorrectState')
  for (let n = 10; n < 19; n += 1) {
    await connect(ground, await addDevice(cloud, { IpAddress: `198.51.100.${n}` }))
  }
  const more = await addDevice(cloud, { IpAddress: '198.51.100.99' })
  const answer = await refused(connect(ground, more))
  assert.equal(answer.code, 'VpnConnectionLimitExceeded')
  assert.match(answer.message, new RegExp(`${vpnGateway} has 10 VPN connections`))
  await cloud.call('DeleteVpnConnection', { VpnConnectionId: id })
  await connect(ground, more)
  await cloud.call('DeleteCustomerGateway', { CustomerGatewayId: ipsec })
  assert.equal(await refusal(connect(ground, ipsec)), 'InvalidCustomerGatewayID.NotFound')
})

test('routes of a connection are prefixes of either family behind the device', async (t) => {
  const ground = await openVpnGround(t)
  const { call, state } = ground.cloud
  const { VpnConnectionId } = await connect(ground, ground.ipsec)
  const add = (DestinationCidrBlock: string) =>
    call('CreateVpnConnectionRoute', { VpnConnectionId, DestinationCidrBlock })
  for (const one of ['192.168.0.0/16', '2001:DB8:1::/48', '192.168.9.9/16', '0.0.0.0/0']) {
    await add(one)
  }
  const record = (await state.fresh()).get('vpn-connection', VpnConnectionId)
  assert.deepEqual(record?.routes, ['192.168.0.0/16', '2001:db8:1::/48', '0.0.0.0/0'])
  for (const one of ['192.168.0.0', '169.254.1.0/24', 'fd00:ec2::254/128', '224.0.0.0/4']) {
    assert.equal(await refusal(add(one)), 'InvalidParameterValue', one)
  }
  const take = { VpnConnectionId, DestinationCidrBlock: '0.0.0.0/0' }
  await call('DeleteVpnConnectionRoute', take)
  assert.equal(await refusal(call('DeleteVpnConnectionRoute', take)), 'InvalidRoute.NotFound')
  for (let n = 2; n < 100; n += 1) await add(`172.16.${n}.0/24`)
  assert.equal(await refusal(add('172.17.0.0/24')), 'VpnConnectionRouteLimitExceeded')
})
