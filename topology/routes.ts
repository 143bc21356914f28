// The routes of a subnet's table to where each leads, the longest prefix first. Every choice is
// made here: whoever reads the list takes the first prefix that has the address.

import {
  type Address,
  type Cidr,
  contains,
  covers,
  formatCidr,
  mustCidr,
  overlaps,
} from './cidr.ts'
import { ascending } from './order.ts'

/** Why the rest of a destination leads nowhere. */
const REST: Readonly<Record<Shared['kind'], string>> = {
  peer: 'the peer has no such addresses',
  'vpn-gateway': 'no connection of the VPN gateway has a route to such addresses',
}

/** Where a route leads. */
export type Hop =
  /** Within the VPC, or with `peering` to a peer, as private addresses are routed anyway. */
  | { readonly kind: 'local'; readonly peering: string }
  | { readonly kind: 'internet'; readonly id: string }
  | { readonly kind: 'egress-only'; readonly id: string }
  | { readonly kind: 'nat'; readonly id: string; readonly rack: string }
  | {
      readonly kind: 'interface'
      readonly id: string
      readonly rack: string
      /** '' without an address of that family. */
      readonly ipv4: string
      readonly ipv6: string
    }
  /** Through the tunnel with that number, which this CC holds; `id` is the VPN gateway's. */
  | {
      readonly kind: 'vpn'
      readonly id: string
      readonly number: number
      readonly rack: string
      readonly host: string
    }
  /** The target is not there, or cannot take what goes there. */
  | { readonly kind: 'blackhole'; readonly id: string; readonly why: string }

/** What is behind a VPN gateway, and where packets for it go. */
export interface FarPrefix {
  readonly cidr: string
  readonly to: Hop
}

/**
 * What a route table says, its target looked up. `peer` has the prefixes of the other VPC,
 * `vpn-gateway` those of its connections, each once.
 */
export interface WantedRoute {
  readonly destination: string
  readonly to:
    | Hop
    | { readonly kind: 'peer'; readonly id: string; readonly cidrs: readonly string[] }
    | { readonly kind: 'vpn-gateway'; readonly id: string; readonly prefixes: readonly FarPrefix[] }
}

type Shared = Exclude<WantedRoute['to'], Hop>

interface Given {
  readonly cidr: Cidr
  readonly to: WantedRoute['to']
}

export interface ResolvedRoute {
  readonly destination: string
  readonly to: Hop
}

/**
 * All routes of a subnet. `vpcCidrs` are of both families; of two routes to one destination the
 * first one counts, and the VPC's own before all: a peer or VPN gateway gets nothing of them,
 * however specific the route (AWS, VPC guide, "Route priority").
 */
export function resolveRoutes(
  vpcCidrs: readonly string[],
  wanted: readonly WantedRoute[],
): ResolvedRoute[] {
  const own = vpcCidrs.map(mustCidr)
  const given = firstOfEach(wanted)
  const found = new Map<string, { cidr: Cidr; to: Hop }>()
  const add = (cidr: Cidr, to: Hop): void => {
    const text = formatCidr(cidr)
    if (!found.has(text)) found.set(text, { cidr, to })
  }
  for (const cidr of own) add(cidr, { kind: 'local', peering: '' })
  for (const { cidr, to } of given) {
    if (!isShared(to)) add(cidr, fitted(cidr, to))
  }
  for (const { cidr, to } of given) {
    if (!isShared(to)) continue
    const isOwn = (one: Cidr): boolean => own.some((block) => covers(block, one))
    if (isOwn(cidr)) continue
    for (const share of sharesOf(cidr, to)) {
      if (found.has(formatCidr(share.cidr)) || isOwn(share.cidr)) continue
      // A route between the two in length comes first for what it has of the shared prefix.
      const isTaken = given.some(
        (other) =>
          other.cidr.length > cidr.length &&
          other.cidr.length <= share.cidr.length &&
          covers(other.cidr, share.cidr),
      )
      if (!isTaken) add(share.cidr, share.to)
    }
    // What the other does not have goes nowhere; in particular not where the host would send it.
    add(cidr, { kind: 'blackhole', id: to.id, why: REST[to.kind] })
  }
  return [...found.values()]
    .sort(
      (a, b) =>
        b.cidr.length - a.cidr.length ||
        a.cidr.family - b.cidr.family ||
        ascending(a.cidr.base, b.cidr.base),
    )
    .map(({ cidr, to }) => ({ destination: formatCidr(cidr), to }))
}

/** The route that an address takes, null when none fits. `routes` as resolveRoutes gives them. */
export function routeFor(routes: readonly ResolvedRoute[], address: Address): ResolvedRoute | null {
  return routes.find(({ destination }) => contains(mustCidr(destination), address)) ?? null
}

function isShared(to: WantedRoute['to']): to is Shared {
  return to.kind === 'peer' || to.kind === 'vpn-gateway'
}

function firstOfEach(wanted: readonly WantedRoute[]): Given[] {
  const found = new Map<string, Given>()
  for (const { destination, to } of wanted) {
    const cidr = mustCidr(destination)
    const text = formatCidr(cidr)
    if (!found.has(text)) found.set(text, { cidr, to })
  }
  return [...found.values()]
}

/** What `cidr` and the prefixes of the other have in common; of several all of it the longest. */
function sharesOf(cidr: Cidr, to: Shared): { readonly cidr: Cidr; readonly to: Hop }[] {
  return farPrefixes(to)
    .filter((far) => overlaps(cidr, far.cidr))
    .sort((a, b) => b.cidr.length - a.cidr.length)
    .map((far) => ({ cidr: covers(cidr, far.cidr) ? far.cidr : cidr, to: far.to }))
}

function farPrefixes(to: Shared): { readonly cidr: Cidr; readonly to: Hop }[] {
  if (to.kind === 'vpn-gateway') {
    return to.prefixes.map((far) => ({ cidr: mustCidr(far.cidr), to: far.to }))
  }
  const local: Hop = { kind: 'local', peering: to.id }
  return to.cidrs.map((cidr) => ({ cidr: mustCidr(cidr), to: local }))
}

/** A target that does not speak the destination's family takes nothing. */
function fitted({ family }: Cidr, to: Hop): Hop {
  const fits =
    to.kind === 'nat'
      ? family === 4
      : to.kind === 'egress-only'
        ? family === 6
        : to.kind === 'interface'
          ? (family === 4 ? to.ipv4 : to.ipv6) !== ''
          : true
  if (fits || to.kind === 'local') return to
  return { kind: 'blackhole', id: to.id, why: `the target takes no IPv${family}` }
}
