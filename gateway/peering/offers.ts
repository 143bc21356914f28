// By which prefixes the blocks of a VPC may be seen in a peer cloud: as they are when nothing there
// is known to be in the way, else by others.

import { createHash } from 'node:crypto'
import { type Cidr, mustCidr, overlaps } from '../../topology/cidr.ts'
import { candidatesFor } from '../../topology/peering.ts'
import { blocksOf, cidrOfBlock } from '../ec2/blocks.ts'
import { vpcGround, vpcSpace } from '../ec2/vpc-ground.ts'
import type { RemotePeering } from '../store/network-records.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { remotesOf } from './asked.ts'
import { MAX_OFFERS } from './connection-form.ts'
import { vpcBlocks } from './seen-as.ts'

const FAMILIES = [4, 6] as const

/**
 * The VPC's blocks as they are now, those that were offered before as they were, and behind them
 * new ones, for each the prefixes by which it may be seen, the best first. A block for which there
 * is no prefix is left out.
 */
export function offersOf(
  view: View,
  peer: PeerRecord,
  vpc: VpcRecord,
  before: Pick<RemotePeering, 'own' | 'offers'> = { own: [], offers: [] },
): Pick<RemotePeering, 'own' | 'offers'> {
  const blocks = vpcBlocks(vpc)
  const found = before.own.flatMap((own, i) =>
    blocks.includes(own) ? [{ own, offers: before.offers[i] ?? [] }] : [],
  )
  const added = blocks.filter((one) => !before.own.includes(one))
  const used = added.length === 0 ? [] : FAMILIES.flatMap((family) => usedHere(view, family))
  const theirs = peer.card.usedPrefixes.map(mustCidr)
  const uids = [view.get('cloud', 'self')?.uid ?? '', peer.uid] as const
  for (const own of added.slice(0, MAX_OFFERS - found.length)) {
    const best = found.flatMap(({ offers }) => offers.slice(0, 1))
    const inTheWay = { ours: [...used, ...best.map(mustCidr)], theirs }
    // A VPC with two peerings there is one and the same there.
    const known = seenAlready(view, peer.uid, own)
    const offers = known === null ? candidatesFor(own, uids, inTheWay, sha256) : [known]
    const apart = besides(offers, best)
    if (apart.length > 0) found.push({ own, offers: apart })
  }
  return { own: found.map(({ own }) => own), offers: found.map(({ offers }) => offers) }
}

/** Those that overlap none of the others: the best of two blocks must not. */
export function besides(candidates: readonly string[], best: readonly string[]): string[] {
  const others = best.map(mustCidr)
  return candidates.filter((one) => !others.some((other) => overlaps(other, mustCidr(one))))
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
function usedHere(view: View, family: 4 | 6): Cidr[] {
  const { reserved } = vpcGround(view, family)
  return [...reserved, ...blocksOf(view, vpcSpace(family)).map(cidrOfBlock)]
}

function sha256(text: string): bigint {
  return BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)
}
