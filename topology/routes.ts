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
  /** The target is not there, or cannot take what goes there. */
  | { readonly kind: 'blackhole'; readonly id: string; readonly why: string }

/** What a route table says, its target looked up; `peer` has the prefixes of the other VPC. */
export interface WantedRoute {
  readonly destination: string
  readonly to:
    | Hop
    | { readonly kind: 'peer'; readonly id: string; readonly cidrs: readonly string[] }
}

export interface ResolvedRoute {
  readonly destination: string
  readonly to: Hop
}

/**
 * All routes of a subnet. `vpcCidrs` are of both families; of two routes to one destination the
 * first one counts, and the VPC's own before all.
 */
export function resolveRoutes(
  vpcCidrs: readonly string[],
  wanted: readonly WantedRoute[],
): ResolvedRoute[] {
  const given = wanted.map((one) => ({ cidr: mustCidr(one.destination), to: one.to }))
  const found = new Map<string, { cidr: Cidr; to: Hop }>()
  const add = (cidr: Cidr, to: Hop): void => {
    const text = formatCidr(cidr)
    if (!found.has(text)) found.set(text, { cidr, to })
  }
  for (const cidr of vpcCidrs) add(mustCidr(cidr), { kind: 'local', peering: '' })
  for (const { cidr, to } of given) {
    if (to.kind !== 'peer') add(cidr, fitted(cidr, to))
  }
  for (const { cidr, to } of given) {
    if (to.kind !== 'peer') continue
    const shares = sharesOf(cidr, to.cidrs)
    for (const share of shares) {
      // A route between the two in length comes first for what it has of the peer's prefix.
      const isTaken = given.some(
        (other) =>
          other.cidr.length > cidr.length &&
          other.cidr.length <= share.length &&
          covers(other.cidr, share),
      )
      if (!isTaken) add(share, { kind: 'local', peering: to.id })
    }
    // What the peer does not have goes nowhere; in particular not where the host would send it.
    add(cidr, { kind: 'blackhole', id: to.id, why: 'the peer has no such addresses' })
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

/** What `cidr` and the peer's prefixes have in common. */
function sharesOf(cidr: Cidr, peers: readonly string[]): Cidr[] {
  return peers
    .map(mustCidr)
    .filter((peer) => overlaps(cidr, peer))
    .map((peer) => (covers(cidr, peer) ? peer : cidr))
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
