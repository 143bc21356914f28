// Changes of VPN connections that are there, and the files that their devices get.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModifyVpnTunnelOptionsSpecification } from '@aws-sdk/client-ec2'
import { type Cloud, OTHER_ACCOUNT, refusal, refused } from './support.ts'
import { addDevice, connect, DEVICE_KEY, openVpnGround, reportLink, shown } from './vpn-ground.ts'

const FIRST = '203.0.113.1'
const SECOND = '203.0.113.2'

async function reported(cloud: Cloud, id: string): Promise<void> {
  await reportLink(cloud, id, 1, { endpoints: [FIRST], up: true })
  await reportLink(cloud, id, 2, { endpoints: [SECOND], trouble: 'no proposal was chosen' })
}

test('ModifyVpnTunnelOptions changes the tunnel at an address, and nothing else', async (t) => {
  const ground = await openVpnGround(t)
  const { cloud } = ground
  const { VpnConnectionId } = await connect(ground, ground.ipsec)
  const modify = (options: ModifyVpnTunnelOptionsSpecification, at = SECOND) =>
    cloud.call('ModifyVpnTunnelOptions', {
      ...{ VpnConnectionId, VpnTunnelOutsideIpAddress: at, TunnelOptions: options },
    })
  const early = await refused(modify({ StartupAction: 'start' }))
  assert.match(early.message, /no addresses yet/)
  await reported(cloud, VpnConnectionId)
  const before = (await shown(cloud, VpnConnectionId)).Options?.TunnelOptions ?? []

  await modify({ PreSharedKey: 'rotated.key_1', Phase2DHGroupNumbers: [{ Value: 14 }] })
  await modify({ TunnelInsideCidr: '169.254.10.0/30', DPDTimeoutAction: 'restart' })
  const [first, second] = (await shown(cloud, VpnConnectionId)).Options?.TunnelOptions ?? []
  assert.deepEqual(first, before[0])
  assert.deepEqual(second, {
    ...before[1],
    ...{ PreSharedKey: 'rotated.key_1', Phase2DHGroupNumbers: [{ Value: 14 }] },
    ...{ TunnelInsideCidr: '169.254.10.0/30', DpdTimeoutAction: 'restart' },
  })
  const names = (await cloud.state.fresh()).withPrefix('name', 'vpn-inside/')
  assert.equal(names.length, 2, 'the old block is free again')

  assert.equal(await refusal(modify({ PreSharedKey: 'short' })), 'InvalidParameterValue')
  assert.equal(await refusal(modify({}, '203.0.113.9')), 'InvalidParameterValue')
  const same = modify({ TunnelInsideCidr: '169.254.10.0/30' }, FIRST)
  assert.equal(await refusal(same), 'InvalidParameterValue')
  assert.equal(await refusal(modify({ ReplayWindowSize: 64 })), 'UnsupportedOperation')
  await modify({ TunnelInsideCidr: '169.254.10.0/30' })
})

test('ModifyVpnConnection leads to another device or VPN gateway', async (t) => {
  const ground = await openVpnGround(t)
  const { cloud, ipsec, wireguard, vpnGateway } = ground
  const { VpnConnectionId } = await connect(ground, ipsec)
  const modify = (change: { CustomerGatewayId?: string; VpnGatewayId?: string }) =>
    cloud.call('ModifyVpnConnection', { VpnConnectionId, ...change })
  const moved = await addDevice(cloud, { IpAddress: '198.51.100.20' })
  const changed = await modify({ CustomerGatewayId: moved })
  assert.equal(changed.VpnConnection?.CustomerGatewayId, moved)
  assert.match(changed.VpnConnection?.CustomerGatewayConfiguration ?? '', /198\.51\.100\.20/)
  await cloud.call('DeleteCustomerGateway', { CustomerGatewayId: ipsec })
  const gone = modify({ CustomerGatewayId: ipsec })
  assert.equal(await refusal(gone), 'InvalidCustomerGatewayID.NotFound')
  const other = await refused(modify({ CustomerGatewayId: wireguard }))
  assert.match(other.message, /two kinds/)
  assert.equal(await refusal(modify({})), 'MissingParameter')

  const made = await cloud.call('CreateVpnGateway', { Type: 'ipsec.1' })
  const gateway = made.VpnGateway?.VpnGatewayId ?? ''
  await modify({ VpnGatewayId: gateway })
  const fresh = await connect(ground, moved)
  const twin = await refused(modify({ VpnGatewayId: vpnGateway }))
  assert.match(twin.message, new RegExp(fresh.VpnConnectionId))
  const foreign = cloud.call(
    'ModifyVpnConnection',
    { VpnConnectionId, CustomerGatewayId: moved },
    { account: OTHER_ACCOUNT },
  )
  assert.equal(await refusal(foreign), 'InvalidVpnConnectionID.NotFound')
})

test('ModifyVpnConnectionOptions takes what every connection has', async (t) => {
  const ground = await openVpnGround(t)
  const { VpnConnectionId } = await connect(ground, ground.ipsec)
  const modify = (LocalIpv4NetworkCidr: string) =>
    ground.cloud.call('ModifyVpnConnectionOptions', { VpnConnectionId, LocalIpv4NetworkCidr })
  assert.equal((await modify('0.0.0.0/0')).VpnConnection?.VpnConnectionId, VpnConnectionId)
  assert.equal(await refusal(modify('10.0.0.0/8')), 'UnsupportedOperation')
})

test('GetActiveVpnTunnelStatus says how a tunnel is', async (t) => {
  const ground = await openVpnGround(t)
  const { VpnConnectionId } = await connect(ground, ground.ipsec)
  await reported(ground.cloud, VpnConnectionId)
  const statusOf = async (VpnTunnelOutsideIpAddress: string) =>
    (
      await ground.cloud.call('GetActiveVpnTunnelStatus', {
        ...{ VpnConnectionId, VpnTunnelOutsideIpAddress },
      })
    ).ActiveVpnTunnelStatus
  assert.deepEqual(await statusOf(FIRST), {
    ...{ IkeVersion: 'ikev2', ProvisioningStatus: 'available', ProvisioningStatusReason: '' },
  })
  assert.deepEqual(await statusOf(SECOND), {
    ...{ IkeVersion: 'ikev2', ProvisioningStatus: 'failed' },
    ProvisioningStatusReason: 'no proposal was chosen',
  })
})

test('a device gets its files when the cloud knows all that is in them', async (t) => {
  const ground = await openVpnGround(t)
  const { cloud, vpc, vpnGateway } = ground
  const { VpnConnectionId: ipsec } = await connect(ground, ground.ipsec)
  const { VpnConnectionId: wireguard } = await connect(ground, ground.wireguard)
  const file = async (VpnConnectionId: string, VpnConnectionDeviceTypeId: string, more = {}) =>
    (
      await cloud.call('GetVpnConnectionDeviceSampleConfiguration', {
        ...{ VpnConnectionId, VpnConnectionDeviceTypeId, ...more },
      })
    ).VpnConnectionDeviceSampleConfiguration ?? ''
  const { VpnConnectionDeviceTypes: types } = await cloud.call('GetVpnConnectionDeviceTypes', {})
  assert.deepEqual(
    types?.map((one) => one.VpnConnectionDeviceTypeId),
    ['strongswan', 'wireguard'],
  )
  assert.match((await refused(file(ipsec, 'strongswan'))).message, /tunnel 1 has not said/)
  await reported(cloud, ipsec)
  assert.match((await refused(file(ipsec, 'strongswan'))).message, /no routes/)
  const route = { VpnConnectionId: ipsec, DestinationCidrBlock: '192.168.0.0/16' }
  await cloud.call('CreateVpnConnectionRoute', route)
  const [block = ''] = (await cloud.state.fresh()).get('vpc', vpc)?.ipv4Cidrs ?? []
  await cloud.call('CreateVpnConnectionRoute', { ...route, DestinationCidrBlock: block })
  const swanctl = await file(ipsec, 'strongswan', { InternetKeyExchangeVersion: 'ikev2' })
  assert.match(swanctl, /local_ts = 192\.168\.0\.0\/16, 169\.254\.16/)
  assert.match(swanctl, new RegExp(`remote_ts = ${block}, 169.254.16`))
  const key = (await shown(cloud, ipsec)).Options?.TunnelOptions?.[1]?.PreSharedKey ?? ''
  assert.ok(swanctl.includes(`secret = "${key}"`))
  const old = file(ipsec, 'strongswan', { InternetKeyExchangeVersion: 'ikev1' })
  assert.equal(await refusal(old), 'UnsupportedOperation')
  assert.equal(await refusal(file(ipsec, 'wireguard')), 'InvalidParameterValue')

  const publicKey = Buffer.alloc(32, 1).toString('base64')
  await reportLink(cloud, wireguard, 1, { endpoints: ['203.0.113.1:44003'], publicKey })
  await reportLink(cloud, wireguard, 2, { endpoints: ['[2001:db8::2]:44004'], publicKey })
  const files = await file(wireguard, 'wireguard')
  assert.ok(files.includes(`is ${DEVICE_KEY}`))
  assert.match(files, /Endpoint = 203\.0\.113\.1:44003\n/)
  assert.match(files, /Endpoint = \[2001:db8::2\]:44004\n/)
  const telemetry = (await shown(cloud, wireguard)).VgwTelemetry ?? []
  assert.deepEqual(
    telemetry.map((one) => one.OutsideIpAddress),
    ['203.0.113.1', '2001:db8::2'],
  )
  await cloud.call('DetachVpnGateway', { VpnGatewayId: vpnGateway, VpcId: vpc })
  assert.match((await refused(file(wireguard, 'wireguard'))).message, /attached to no VPC/)
})
