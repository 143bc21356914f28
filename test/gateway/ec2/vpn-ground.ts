// VPN connections for tests: a cloud whose CCs have keys, customers' devices, and what CCs say.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { VpnConnection, VpnConnectionOptionsSpecification } from '@aws-sdk/client-ec2'
import type { VpnLinkRecord } from '../../../gateway/store/vpn-records.ts'
import { ACCOUNT, type Cloud, openCloud, START_MS, setHost } from './support.ts'
import { customerGateway, vpnGateway as newGateway } from './vpn-support.ts'

/** 32 bytes in base64. */
export const DEVICE_KEY = Buffer.alloc(32, 7).toString('base64')
export const STATIC: VpnConnectionOptionsSpecification = { StaticRoutesOnly: true }

export interface VpnGround {
  readonly cloud: Cloud
  readonly vpc: string
  readonly vpnGateway: string
  /** A device that speaks IPsec, and one that speaks WireGuard. */
  readonly ipsec: string
  readonly wireguard: string
}

/** The default VPC with a VPN gateway, and CCs of `racks` that have keys. */
export async function openVpnGround(
  t: TestContext,
  { racks = ['a', 'b'] }: { readonly racks?: readonly string[] } = {},
): Promise<VpnGround> {
  const cloud = await openCloud(t, { racks })
  for (const rack of racks) {
    await setHost(cloud.state, rack, `${rack}0`, { wireguardPublicKey: `key of ${rack}0` })
  }
  const [vpc] = (await cloud.state.fresh()).by('vpc', 'account', ACCOUNT)
  assert.ok(vpc)
  const vpnGateway = await newGateway(cloud.call)
  await cloud.call('AttachVpnGateway', { VpnGatewayId: vpnGateway, VpcId: vpc.id })
  const ipsec = await addDevice(cloud, { IpAddress: '198.51.100.7' })
  const wireguard = await addDevice(cloud, {
    IpAddress: '198.51.100.8',
    DeviceName: `wireguard:${DEVICE_KEY}`,
  })
  return { cloud, vpc: vpc.id, vpnGateway, ipsec, wireguard }
}

export async function addDevice(
  cloud: Cloud,
  device: { readonly IpAddress?: string; readonly DeviceName?: string },
): Promise<string> {
  return await customerGateway(cloud.call, device)
}

export async function connect(
  { cloud, vpnGateway }: Pick<VpnGround, 'cloud' | 'vpnGateway'>,
  device: string,
  options: VpnConnectionOptionsSpecification = STATIC,
): Promise<VpnConnection & { readonly VpnConnectionId: string }> {
  const { VpnConnection: made } = await cloud.call('CreateVpnConnection', {
    ...{ Type: 'ipsec.1', CustomerGatewayId: device, VpnGatewayId: vpnGateway },
    Options: options,
  })
  assert.ok(made?.VpnConnectionId)
  return { ...made, VpnConnectionId: made.VpnConnectionId }
}

/** What the CC that holds the nth tunnel of a connection says. */
export async function reportLink(
  { state }: Pick<Cloud, 'state'>,
  connection: string,
  index: number,
  said: Partial<VpnLinkRecord> & Pick<VpnLinkRecord, 'endpoints'>,
): Promise<void> {
  await state.update(async (tx) => {
    const record = await tx.get('vpn-connection', connection)
    const tunnel = record?.tunnels[index - 1]
    assert.ok(record && tunnel)
    const { number, rack, host } = tunnel
    await tx.put('vpn-link', [String(number)], {
      ...{ number, rack, host, publicKey: '', up: false, changedAtMs: START_MS, trouble: '' },
      ...said,
    })
    await tx.put('vpn-connection', [connection], { ...record, state: 'available' })
  })
}

export async function shown({ call }: Cloud, id: string): Promise<VpnConnection> {
  const { VpnConnections } = await call('DescribeVpnConnections', { VpnConnectionIds: [id] })
  assert.equal(VpnConnections?.length, 1)
  return VpnConnections[0] ?? {}
}
