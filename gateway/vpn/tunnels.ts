// The tunnels of VPN connections that are not deleted, by their numbers and by who holds them.

import type { View } from '../store/state.ts'
import type { VpnConnectionRecord, VpnTunnelRecord } from '../store/vpn-records.ts'

export interface ConnectionTunnel {
  readonly connection: VpnConnectionRecord
  readonly tunnel: VpnTunnelRecord
}

interface Tunnels {
  readonly byNumber: ReadonlyMap<number, ConnectionTunnel>
  readonly byRack: ReadonlyMap<string, readonly ConnectionTunnel[]>
}

/** The view hands out the same list until a connection changes. */
const known = new WeakMap<readonly VpnConnectionRecord[], Tunnels>()

/** Null for a number that no connection has, or a deleted one. */
export function tunnelOf(view: View, number: number): ConnectionTunnel | null {
  return tunnelsOf(view).byNumber.get(number) ?? null
}

/** Those that CCs of the rack hold; with '' those that nobody does. */
export function tunnelsIn(view: View, rack: string): readonly ConnectionTunnel[] {
  return tunnelsOf(view).byRack.get(rack) ?? []
}

/** All of connections that are not deleted, by number. */
export function allTunnels(view: View): ConnectionTunnel[] {
  const all = [...tunnelsOf(view).byNumber.values()]
  return all.sort((a, b) => a.tunnel.number - b.tunnel.number)
}

/** The connections of a VPN gateway that are not deleted, by id. */
export function connectionsOf(view: View, gateway: string): readonly VpnConnectionRecord[] {
  return view.by('vpn-connection', 'vpnGateway', gateway).filter(isLive)
}

/** The tunnels of connections to a VPC, whoever holds them. */
export function tunnelsTo(view: View, vpc: string): ConnectionTunnel[] {
  return view
    .by('vpn-gateway', 'vpc', vpc)
    .flatMap(({ id }) => connectionsOf(view, id))
    .flatMap((connection) => connection.tunnels.map((tunnel) => ({ connection, tunnel })))
}

export function isHeldBy(
  { rack, host }: VpnTunnelRecord,
  cc: { readonly rack: string; readonly host: string },
): boolean {
  return host !== '' && rack === cc.rack && host === cc.host
}

/** Does a CC of the rack hold a tunnel to the VPC? */
export function holdsTunnelTo(view: View, rack: string, vpc: string): boolean {
  return tunnelsTo(view, vpc).some(({ tunnel }) => tunnel.rack === rack)
}

function isLive({ state }: VpnConnectionRecord): boolean {
  return state !== 'deleted'
}

function tunnelsOf(view: View): Tunnels {
  const all = view.all('vpn-connection')
  const found = known.get(all) ?? sorted(all)
  known.set(all, found)
  return found
}

function sorted(all: readonly VpnConnectionRecord[]): Tunnels {
  const each = all
    .filter(isLive)
    .flatMap((connection) => connection.tunnels.map((tunnel) => ({ connection, tunnel })))
  return {
    byNumber: new Map(each.map((one) => [one.tunnel.number, one])),
    byRack: Map.groupBy(each, ({ tunnel }) => tunnel.rack),
  }
}
