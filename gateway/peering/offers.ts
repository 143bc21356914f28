// By which prefixes the blocks of a VPC may be seen in a peer cloud: as they are when nothing there
// is known to be in the way, else by others.

import { createHash } from 'node:crypto'
import { formatCidr } from '../../topology/cidr.ts'
import { candidatesFor } from '../../topology/peering.ts'
import { blocksOf } from '../ec2/blocks.ts'
import { vpcGround, vpcSpace } from '../ec2/vpc-ground.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { remotesOf } from './asked.ts'
import { vpcBlocks } from './seen-as.ts'

const FAMILIES = [4, 6] as const

/** For each block of the VPC, the best first. */
export function offersOf(view: View, peer: PeerRecord, vpc: VpcRecord): string[][] {
  const ours = FAMILIES.flatMap((family) => usedHere(view, family))
  const uids = [view.get('cloud', 'self')?.uid ?? '', peer.uid] as const
  const inTheWay = { ours, theirs: peer.card.usedPrefixes }
  return vpcBlocks(vpc).map((block) => {
    // A VPC with two peerings there is one and the same there.
    const known = seenAlready(view, peer.uid, block)
    return known === null ? candidatesFor(block, uids, inTheWay, sha256) : [known]
  })
}

/** What an own block is seen as there by another peering. */
function seenAlready(view: View, uid: string, block: string): string | null {
  for (const { remote, endedAtMs } of remotesOf(view, uid)) {
    const seenAs = endedAtMs === null ? remote.seenAs[remote.own.indexOf(block)] : undefined
    if (seenAs !== undefined) return seenAs
  }
  return null
}

/** Blocks that somebody has here, or had lately, and what is nobody's. */
function usedHere(view: View, family: 4 | 6): string[] {
  const { reserved } = vpcGround(view, family)
  return [...reserved.map(formatCidr), ...blocksOf(view, vpcSpace(family)).map((one) => one.cidr)]
}

function sha256(text: string): bigint {
  return BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)
}
