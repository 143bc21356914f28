// What a CC has for each tunnel of a VPN connection that it holds: the customer's device, the
// secret they share, and the prefixes that may meet there.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type IpsecVpnSchema,
  VpnLinkSchema,
  type WireguardVpnSchema,
} from '../../proto/gen/mallee/v1/border_pb.js'
import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import { resource } from '../../proto/resources.ts'
import { covers, formatAddress, mustCidr } from '../../topology/cidr.ts'
import { IPSEC_MTU, TENANT_MTU, VPN_PORT } from '../../topology/ranges.ts'
import { insideEnds } from '../../topology/vpn.ts'
import type { View } from '../store/state.ts'
import type {
  CustomerGatewayRecord,
  VpnConnectionRecord,
  VpnTunnelRecord,
} from '../store/vpn-records.ts'
import { type OpenVpnKey, wireguardKeyOf } from '../vpn/keys.ts'
import { espProposals, ikeProposals } from '../vpn/proposals.ts'
import { isHeldBy, tunnelOf, tunnelsIn } from '../vpn/tunnels.ts'
import type { AgentName } from './desired.ts'

/** At the CC that holds the tunnel, from when the connection is asked for until it is deleted. */
export function vpnAt(
  view: View,
  agent: AgentName,
  number: string,
  openVpnKey: OpenVpnKey,
): Resource | null {
  const found = tunnelOf(view, Number(number))
  if (found === null || !isHeldBy(found.tunnel, agent)) return null
  const { connection, tunnel } = found
  const device = view.get('customer-gateway', connection.customerGateway)
  if (device === null) return null
  const inside = mustCidr(tunnel.insideCidr)
  const ends = insideEnds(inside)
  const key = openVpnKey(tunnel)
  const value = create(VpnLinkSchema, {
    number: tunnel.number,
    id: connection.id,
    host: tunnel.host,
    kind:
      device.publicKey === ''
        ? { case: 'ipsec', value: ipsecOf(device, tunnel, key) }
        : { case: 'wireguard', value: wireguardOf(device, tunnel, key) },
    ...prefixesOf(view, connection),
    mtu: device.publicKey === '' ? IPSEC_MTU : TENANT_MTU,
    insideAddress: `${formatAddress(ends.cloud)}/${inside.length}`,
    farInsideAddress: `${formatAddress(ends.device)}/${inside.length}`,
  })
  return resource(`vpn/${number}`, { case: 'vpnLink', value })
}

/** Everything that a rack may have for the sake of the tunnels that its CCs hold. */
export function vpnKeys(view: View, rack: string): string[] {
  return tunnelsIn(view, rack).flatMap(({ connection, tunnel }) => {
    const vpc = view.get('vpn-gateway', connection.vpnGateway)?.vpc ?? ''
    if (vpc === '') return [`vpn/${tunnel.number}`]
    return [
      `vpn/${tunnel.number}`,
      `vpc/${vpc}`,
      ...view.subnetsOf('vpc', vpc).map(({ id }) => `routing/${id}`),
    ]
  })
}

/**
 * While the VPN gateway is detached the tunnel stays up and nothing may meet there. What the VPC
 * has itself is not behind the device, whatever the connection's routes say.
 */
function prefixesOf(
  view: View,
  { vpnGateway, routes }: VpnConnectionRecord,
): { readonly remotePrefixes: string[]; readonly localPrefixes: string[] } {
  const vpc = view.get('vpc', view.get('vpn-gateway', vpnGateway)?.vpc ?? '')
  const localPrefixes = [...(vpc?.ipv4Cidrs ?? []), ...(vpc?.ipv6Cidrs ?? [])]
  const own = localPrefixes.map(mustCidr)
  const isFar = (cidr: string): boolean => !own.some((block) => covers(block, mustCidr(cidr)))
  return { remotePrefixes: routes.filter(isFar), localPrefixes }
}

function wireguardOf(
  { publicKey, ipAddress }: CustomerGatewayRecord,
  { number }: VpnTunnelRecord,
  key: string,
): MessageInitShape<typeof WireguardVpnSchema> {
  const host = ipAddress.includes(':') ? `[${ipAddress}]` : ipAddress
  // The same at both ends: a device may have several tunnels.
  const port = VPN_PORT + number
  return {
    publicKey,
    presharedKey: wireguardKeyOf(key),
    endpoint: ipAddress === '' ? '' : `${host}:${port}`,
    listenPort: port,
  }
}

function ipsecOf(
  { ipAddress }: CustomerGatewayRecord,
  { options }: VpnTunnelRecord,
  key: string,
): MessageInitShape<typeof IpsecVpnSchema> {
  return {
    remoteAddress: ipAddress,
    presharedKey: Buffer.from(key),
    ikeProposals: ikeProposals(options),
    espProposals: espProposals(options),
    ikeLifetimeS: options.phase1LifetimeSeconds,
    childLifetimeS: options.phase2LifetimeSeconds,
    dpdTimeoutS: options.dpdTimeoutSeconds,
    restartOnSilence: options.dpdTimeoutAction === 'restart',
    initiate: options.startupAction === 'start',
  }
}
