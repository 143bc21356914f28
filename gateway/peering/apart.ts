// Of prefixes that overlap one stays.

import { type Cidr, overlaps } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'

export interface Claim {
  readonly cidr: Cidr
  /** Claims with the same one are one. */
  readonly key: string
  /** Of two that overlap the lower one stays. */
  readonly rank: number
}

/** The keys of claims of which no two overlap. Of equal ones the first comes first. */
export function apart(claims: readonly Claim[]): Set<string> {
  const first = new Map<string, Claim>()
  for (const one of claims) if (!first.has(one.key)) first.set(one.key, one)
  const sorted = [...first.values()].sort(
    (a, b) =>
      a.cidr.family - b.cidr.family ||
      ascending(a.cidr.base, b.cidr.base) ||
      a.cidr.length - b.cidr.length,
  )
  const kept = new Set<string>()
  let holder: Claim | null = null
  for (const claim of sorted) {
    if (holder !== null && overlaps(holder.cidr, claim.cidr)) {
      if (holder.rank <= claim.rank) continue
      kept.delete(holder.key)
    }
    kept.add(claim.key)
    holder = claim
  }
  return kept
}
