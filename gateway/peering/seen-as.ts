// Prefixes by which VPCs of two clouds see each other: which an own block is offered as, which of
// the other's may be taken, and addresses from one to the other.

import {
  contains,
  covers,
  formatAddress,
  mustAddress,
  mustCidr,
  nthAddress,
  overlaps,
} from '../../topology/cidr.ts'
import { vpcGround } from '../ec2/vpc-ground.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { remotesOf } from './asked.ts'
import { isPrivateBlock } from './connection-form.ts'
import type { RemoteRecord } from './negotiation.ts'

/** Does this side's operator let a block of the other be seen as that? */
export function mayBeSeenAs(
  view: View,
  { uid, terms }: PeerRecord,
  record: RemoteRecord,
  text: string,
): boolean {
  const cidr = mustCidr(text)
  const { acceptedPrefixes, maxPrefixes } = terms.limits
  const accepted = acceptedPrefixes.map(mustCidr)
  const isAccepted = accepted.some((one) => one.family === cidr.family && covers(one, cidr))
  if (accepted.length > 0 ? !isAccepted : !isPrivateBlock(cidr)) return false
  // What is in the cloud's own pools is for its own VPCs, unless the operator says otherwise.
  const { pools } = vpcGround(view, cidr.family)
  if (accepted.length === 0 && pools.some((pool) => overlaps(pool, cidr))) return false
  const others = remotesOf(view, uid).filter((one) => one.id !== record.id)
  const taken = others.reduce((sum, { remote }) => sum + remote.theirs.length, 0)
  return taken + record.remote.theirs.length < maxPrefixes
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
export function blocksOf({ ipv4Cidrs, ipv6Cidrs }: VpcRecord): string[] {
  return [...ipv4Cidrs, ...ipv6Cidrs]
}
