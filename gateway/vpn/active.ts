// Which tunnel carries what is behind a VPN gateway: chosen here alone.

import type { FarPrefix, Hop } from '../../topology/routes.ts'
import type { TunnelEnd } from '../../topology/vpn.ts'
import type { View } from '../store/state.ts'
import type { VpnConnectionRecord, VpnLinkRecord, VpnTunnelRecord } from '../store/vpn-records.ts'
import { connectionsOf } from './tunnels.ts'

/** What the CC that holds the tunnel says of it; null while it said nothing. */
export function linkOf(view: View, { number, rack, host }: VpnTunnelRecord): VpnLinkRecord | null {
  const link = view.get('vpn-link', String(number))
  return link?.rack === rack && link.host === host ? link : null
}

/** Is it heard, and the CC that says so? One that is away may say nothing any more. */
export function isUp(view: View, tunnel: VpnTunnelRecord): boolean {
  return !isAway(view, tunnel) && linkOf(view, tunnel)?.up === true
}

/** Is the CC that holds it away, or is there none? */
export function isAway(view: View, { rack, host }: TunnelEnd): boolean {
  return host === '' || view.get('host', rack, host)?.status?.connected !== true
}

/** Why packets do not pass through it, for people; null while it is up. */
export function whyDown(view: View, tunnel: VpnTunnelRecord): string | null {
  if (isUp(view, tunnel)) return null
  if (tunnel.host === '') return 'no CC is left for it'
  if (isAway(view, tunnel)) return 'its CC is away'
  const link = linkOf(view, tunnel)
  if (link === null) return 'its CC has not made it yet'
  return link.trouble === '' ? 'the device is not heard' : link.trouble
}

/** The first that is up, else the first that a CC holds; null while none does. */
export function activeTunnel(
  view: View,
  { tunnels }: Pick<VpnConnectionRecord, 'tunnels'>,
): VpnTunnelRecord | null {
  const held = tunnels.filter(({ host }) => host !== '')
  return held.find((one) => isUp(view, one)) ?? held[0] ?? null
}

/**
 * What the connections of a VPN gateway have routes to, each prefix once: of two connections with
 * the same the one that has a tunnel up, else the first by id.
 */
export function farPrefixes(view: View, gateway: string): FarPrefix[] {
  const active = connectionsOf(view, gateway).map(({ id, tunnels, routes }) => {
    const tunnel = activeTunnel(view, { tunnels })
    return { tunnel, to: hopTo(gateway, id, tunnel), routes }
  })
  const isCarried = ({ tunnel }: (typeof active)[number]): boolean =>
    tunnel !== null && isUp(view, tunnel)
  const found = new Map<string, FarPrefix>()
  const inOrder = [...active.filter(isCarried), ...active.filter((one) => !isCarried(one))]
  for (const { to, routes } of inOrder) {
    for (const cidr of routes) if (!found.has(cidr)) found.set(cidr, { cidr, to })
  }
  return [...found.values()]
}

function hopTo(gateway: string, connection: string, tunnel: VpnTunnelRecord | null): Hop {
  if (tunnel === null) {
    return { kind: 'blackhole', id: connection, why: 'no CC holds a tunnel of it' }
  }
  const { number, rack, host } = tunnel
  return { kind: 'vpn', id: gateway, number, rack, host }
}
