// Which gateways tunnel to which, and who of a rack's speaks for which prefix. Full mesh, within
// racks too. WireGuard drops what arrives from a peer whose allowed-ips do not cover its source, so
// a prefix that stood at two peers would be lost at one of them.

import { formatCidr, mustCidr, nthAddress, single } from './cidr.ts'
import { hash32 } from './hash.ts'
import { ascending } from './order.ts'

export interface OverlayGateway {
  readonly host: string
  readonly index: number
  /** Base64; empty while the host has not reported one. */
  readonly publicKey: string
  readonly endpoints: readonly string[]
  /** Its session is open. */
  readonly connected: boolean
  /** What it speaks for beyond its rack: prefixes of peer clouds. At no other gateway. */
  readonly beyond: readonly string[]
}

export interface OverlayRack {
  readonly name: string
  readonly index: number
  /** The rack's /64 of the cloud's fabric. */
  readonly fabric: string
  /** What tenants have in this rack; disjoint from every other rack's. */
  readonly vpcs: readonly OverlayVpc[]
  readonly gateways: readonly OverlayGateway[]
}

/** A VPC's share of a rack: one gateway speaks for all of it. */
export interface OverlayVpc {
  readonly id: string
  readonly prefixes: readonly string[]
}

export interface TunnelPlan {
  readonly rack: string
  readonly host: string
  readonly publicKey: string
  readonly endpoints: readonly string[]
  /** Exactly what this gateway may speak for, in ascending order. */
  readonly allowedIps: readonly string[]
}

/**
 * The peers of one gateway: every other one with a key, by rack and host. Does not ask whether
 * `from` itself has a key yet; its peers learn of it when it has.
 */
export function planTunnels(
  racks: readonly OverlayRack[],
  from: { readonly rack: string; readonly host: string },
): TunnelPlan[] {
  return racks
    .flatMap((rack) => tunnelsTo(rack, from))
    .sort((a, b) => ascending(a.rack, b.rack) || ascending(a.host, b.host))
}

/**
 * The name of two racks' pre-shared key, the same from both sides; of a rack with itself that of
 * its own gateways'. Rack names have no `|`.
 */
export function pairName(a: string, b: string): string {
  return [a, b].sort(ascending).join('|')
}

/**
 * The gateway of a rack that does one thing, for example is the edge of a VPC: the same for
 * everybody who asks. Null when none has a key.
 */
export function gatewayFor<T extends Pick<OverlayGateway, 'host' | 'publicKey' | 'connected'>>(
  rack: string,
  thing: string,
  gateways: readonly T[],
): T | null {
  return chosen(rack, thing, speakersOf(gateways))
}

function speakersOf<T extends Pick<OverlayGateway, 'publicKey' | 'connected'>>(
  gateways: readonly T[],
): T[] {
  const keyed = gateways.filter((gateway) => gateway.publicKey !== '')
  const connected = keyed.filter((gateway) => gateway.connected)
  // Silence of all of them removes nothing: they may well go on without us.
  return connected.length > 0 ? connected : keyed
}

function tunnelsTo(
  rack: OverlayRack,
  from: { readonly rack: string; readonly host: string },
): TunnelPlan[] {
  const isInside = rack.name === from.rack
  const keyed = rack.gateways.filter((gateway) => gateway.publicKey !== '')
  const speakers = speakersOf(keyed)
  const spokenFor = new Map<string, string[]>()
  // Within the rack everybody is found by its own address.
  const all = isInside ? rack.vpcs : [{ id: rack.fabric, prefixes: [rack.fabric] }, ...rack.vpcs]
  for (const { id, prefixes } of all) {
    const host = chosen(rack.name, id, speakers)?.host
    if (host !== undefined) spokenFor.set(host, [...(spokenFor.get(host) ?? []), ...prefixes])
  }
  const peers = keyed.filter(({ host }) => !isInside || host !== from.host)
  return peers.map(({ host, index, publicKey, endpoints, beyond }) => {
    const prefixes = spokenFor.get(host) ?? []
    // Also within its own rack's /64: it is by this one that others know where it is.
    const own = formatCidr(single(nthAddress(mustCidr(rack.fabric), index)))
    const allowedIps = [...prefixes, ...beyond, own]
    return { rack: rack.name, host, publicKey, endpoints, allowedIps: allowedIps.sort(ascending) }
  })
}

/**
 * Rendezvous hashing: everybody who asks gets the same answer, and when a gateway comes or goes
 * only the prefixes move that it gains or had.
 */
function chosen<T extends { readonly host: string }>(
  rack: string,
  thing: string,
  speakers: readonly T[],
): T | null {
  let best: { one: T; weight: number } | null = null
  for (const one of speakers) {
    const weight = hash32(`${thing} ${rack} ${one.host}`)
    const wins =
      best === null || weight > best.weight || (weight === best.weight && one.host < best.one.host)
    if (wins) best = { one, weight }
  }
  return best?.one ?? null
}
