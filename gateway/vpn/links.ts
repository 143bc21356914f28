// What CCs have said of VPN tunnels: where a device reaches them, and whether they are up.

import { parseAddress } from '../../topology/cidr.ts'
import type { View } from '../store/state.ts'
import type {
  CustomerGatewayRecord,
  VpnConnectionRecord,
  VpnLinkRecord,
  VpnTunnelRecord,
} from '../store/vpn-records.ts'
import { isAway, linkOf } from './active.ts'

export interface TunnelState {
  /** address:port with WireGuard, an address with IPsec; '' while no CC has said where it is. */
  readonly endpoint: string
  /** The endpoint's address. */
  readonly address: string
  /** Of the cloud's WireGuard device; ''. */
  readonly publicKey: string
  readonly up: boolean
  readonly changedAtMs: number
  /** Why it is down, as far as somebody knows. */
  readonly message: string
}

/** A tunnel whose CC is away is down, whatever it said. */
export function tunnelState(
  view: View,
  connection: Pick<VpnConnectionRecord, 'customerGateway' | 'createdAtMs'>,
  tunnel: VpnTunnelRecord,
): TunnelState {
  const { rack, host } = tunnel
  const link = linkOf(view, tunnel)
  const gateway = view.get('customer-gateway', connection.customerGateway)
  const endpoint = endpointFor(link, gateway)
  const seen = {
    endpoint,
    address: addressOf(endpoint),
    publicKey: link?.publicKey ?? '',
    changedAtMs: link?.changedAtMs ?? connection.createdAtMs,
  }
  const down = (message: string): TunnelState => ({ ...seen, up: false, message })
  if (host === '') return down('No host of the cloud is there for this tunnel')
  if (link === null) return down('The host of this tunnel has not made it yet')
  if (isAway(view, tunnel)) {
    const sinceMs = view.get('host', rack, host)?.awaySinceMs ?? 0
    const changedAtMs = Math.max(seen.changedAtMs, sinceMs)
    return { ...down('The host of this tunnel is away'), changedAtMs }
  }
  return { ...seen, up: link.up, message: link.trouble }
}

/** The best of the endpoints that the device can reach from its own address; ''. */
export function endpointFor(
  link: Pick<VpnLinkRecord, 'endpoints'> | null,
  gateway: Pick<CustomerGatewayRecord, 'ipAddress'> | null,
): string {
  const endpoints = link?.endpoints ?? []
  const family = familyOf(gateway?.ipAddress ?? '')
  const fitting = endpoints.find((one) => familyOf(addressOf(one)) === family)
  return fitting ?? endpoints[0] ?? ''
}

/** Of `address:port`, `[address]:port` or an address alone. */
export function addressOf(endpoint: string): string {
  if (parseAddress(endpoint).ok) return endpoint
  return endpoint.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
}

function familyOf(address: string): number | null {
  const parsed = parseAddress(address)
  return parsed.ok ? parsed.value.family : null
}
