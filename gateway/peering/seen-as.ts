// Prefixes by which VPCs of two clouds see each other: which an own block is offered as, which of
// the other's may be taken, and addresses from one to the other.

import { contains, formatAddress, mustAddress, mustCidr, nthAddress } from '../../topology/cidr.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { remotesOf } from './asked.ts'
import { isAccepted } from './limits.ts'
import type { RemoteRecord } from './negotiation.ts'

/** Does this side's operator let a block of the other be seen as that? */
export function mayBeSeenAs(
  view: View,
  { uid, terms }: PeerRecord,
  record: RemoteRecord,
  text: string,
): boolean {
  const cidr = mustCidr(text)
  const cloud = view.get('cloud', 'self')
  if (cloud === null || !isAccepted(cloud, terms, cidr)) return false
  const others = remotesOf(view, uid).filter((one) => one.id !== record.id)
  const taken = others.reduce((sum, { remote }) => sum + remote.theirs.length, 0)
  return taken + record.remote.theirs.length < terms.limits.maxPrefixes
}

/** The same offset in the prefix that the block is seen as; null outside of all blocks. */
export function translated(
  address: string,
  own: readonly string[],
  seenAs: readonly string[],
): string | null {
  const from = mustAddress(address)
  for (const [index, text] of own.entries()) {
    const block = mustCidr(text)
    const other = seenAs[index]
    if (other === undefined || block.family !== from.family || !contains(block, from)) continue
    return formatAddress(nthAddress(mustCidr(other), from.value - block.base))
  }
  return null
}

/** Own blocks of a VPC, in the order of what is offered for them. */
export function vpcBlocks({ ipv4Cidrs, ipv6Cidrs }: VpcRecord): string[] {
  return [...ipv4Cidrs, ...ipv6Cidrs]
}
