// What of the agreed peerings passes, between which prefixes, and over which pair of borders. The
// last gate before the racks: whatever was recorded, no prefix gets through here that the terms do
// not cover, and none at two places.

import { type Cidr, mustCidr, overlaps, parseCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { componentsOf, pairFor } from '../../topology/peering.ts'
import type { PeeringRecord } from '../store/network-records.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { CloudRecord, VpcRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { type Agreed, agreedOn, ownSide } from './agreed.ts'
import { type BorderOf, ownBorders, theirBorders } from './borders.ts'
import { isAccepted } from './limits.ts'
import { vpcBlocks } from './seen-as.ts'

/** An own block, and by what the other cloud sees it. */
export interface OwnBlock {
  readonly own: string
  readonly seenAs: string
}

/** A peering through which packets pass. */
export interface Passing {
  readonly id: string
  readonly peer: PeerRecord
  readonly vpc: string
  readonly theirVpc: string
  readonly blocks: readonly OwnBlock[]
  /** The other's, as seen here. */
  readonly theirs: readonly string[]
  /** Those of `theirs` and what the blocks are seen as, read: there may be many thousands. */
  readonly read: ReadonlyMap<string, Cidr>
  /** Null while one side has no border. */
  readonly pair: { readonly own: BorderOf; readonly theirs: BorderOf } | null
}

type Passes = Omit<Passing, 'pair'>

interface Traffic {
  readonly byPeering: ReadonlyMap<string, Passing>
  readonly byVpc: ReadonlyMap<string, readonly Passing[]>
  /** By the CC here that carries it, `<rack>/<host>`. */
  readonly byBorder: ReadonlyMap<string, readonly Passing[]>
}

/** For a list of peerings what came of it, with the other lists that it came of. */
const known = new WeakMap<object, { readonly of: readonly unknown[]; readonly traffic: Traffic }>()

/** Of each peering; the same object until something that it hangs on changes. */
export function trafficOf(view: View): Traffic {
  const peerings = view.all('peering')
  const of = [
    ...(['peer', 'peer-statement', 'peer-link', 'host', 'vpc'] as const).map((k) => view.all(k)),
    view.get('cloud', 'self'),
  ]
  const last = known.get(peerings)
  if (last?.of.every((one, i) => isSame(one, of[i])) === true) return last.traffic
  const traffic = compute(view)
  known.set(peerings, { of, traffic })
  return traffic
}

/** Of a kind that has no records each list is another one. */
function isSame(one: unknown, other: unknown): boolean {
  const isEmpty = (list: unknown): boolean => Array.isArray(list) && list.length === 0
  return one === other || (isEmpty(one) && isEmpty(other))
}

function compute(view: View): Traffic {
  const cloud = view.get('cloud', 'self')
  const passing = cloud?.uid === undefined ? [] : withoutTwice(everything(view, cloud, cloud.uid))
  return {
    byPeering: new Map(passing.map((one) => [one.id, one])),
    byVpc: Map.groupBy(passing, ({ vpc }) => vpc),
    byBorder: Map.groupBy(passing, ({ pair }) => `${pair?.own.rack}/${pair?.own.host}`),
  }
}

function everything(view: View, cloud: CloudRecord, ownUid: string): Passing[] {
  const agreed = Map.groupBy(
    view.all('peering').flatMap((one) => agreedOn(view, one) ?? []),
    ({ remote }) => remote.uid,
  )
  const peers = view.all('peer').toSorted((a, b) => a.number - b.number)
  return peers.flatMap((peer) => {
    const found = agreed.get(peer.uid) ?? []
    const all = withoutDoubles(found.flatMap((one) => passingOf(view, cloud, peer, one)))
    const components = componentsOf(
      all.map(({ id, vpc, theirVpc }) => ({ id, own: vpc, theirs: theirVpc })),
    )
    const own = { uid: ownUid, borders: ownBorders(view, peer) }
    const theirs = { uid: peer.uid, borders: theirBorders(view, peer.uid) }
    return all.map((one) => ({
      ...one,
      pair: pairFor(components.get(one.id) ?? one.id, own, theirs),
    }))
  })
}

/** By peering what was made of it, and of which other records: most stay as they are. */
const made = new WeakMap<PeeringRecord, { readonly of: readonly unknown[]; passes: Passes[] }>()

function passingOf(view: View, cloud: CloudRecord, peer: PeerRecord, one: Agreed): Passes[] {
  const vpc = view.get('vpc', ownSide(one.peering).vpc)
  const of = [cloud, peer, vpc, one.remote]
  const last = made.get(one.peering)
  if (last?.of.every((each, i) => each === of[i]) === true) return last.passes
  const passes = vpc === null ? [] : [passesOf(cloud, peer, vpc, one)]
  made.set(one.peering, { of, passes })
  return passes
}

function passesOf(cloud: CloudRecord, peer: PeerRecord, vpc: VpcRecord, one: Agreed): Passes {
  const { peering, remote } = one
  const theirs = [...new Set(remote.theirs)].filter((cidr) => isCounted(cloud, peer, cidr))
  const blocks = blocksOf(vpc, one)
  const read = new Map(
    [...theirs, ...blocks.map(({ seenAs }) => seenAs)].map((cidr) => [cidr, mustCidr(cidr)]),
  )
  return { id: peering.id, peer, vpc: vpc.id, theirVpc: remote.vpc, blocks, theirs, read }
}

/** Blocks that the VPC has, under prefixes that were offered for them. */
function blocksOf(vpc: VpcRecord, { remote }: Agreed): OwnBlock[] {
  const held = vpcBlocks(vpc)
  return remote.own.flatMap((own, i) => {
    const seenAs = remote.seenAs[i]
    const isOffered = seenAs !== undefined && remote.offers[i]?.includes(seenAs) === true
    return held.includes(own) && isOffered && isAlike(own, seenAs) ? [{ own, seenAs }] : []
  })
}

/** Translation is one to one. */
function isAlike(own: string, seenAs: string): boolean {
  const [a, b] = [mustCidr(own), parseCidr(seenAs)]
  return b.ok && a.family === b.value.family && a.length === b.value.length
}

function isCounted(cloud: CloudRecord, { terms }: PeerRecord, text: string): boolean {
  const cidr = parseCidr(text)
  return cidr.ok && isAccepted(cloud, terms, cidr.value)
}

interface Claim {
  readonly cidr: Cidr
  /** Claims with the same one are one. */
  readonly key: string
  /** Of two that overlap the lower one stays. */
  readonly rank: number
}

/** A prefix of theirs leads one way, also when two peers have it. */
function withoutTwice(passing: readonly Passing[]): Passing[] {
  const keyOf = ({ peer, pair }: Passing, cidr: string): string =>
    `${cidr} ${peer.number} ${pair?.own.publicKey} ${pair?.theirs.publicKey}`
  const kept = apart(
    passing.flatMap((one, rank) =>
      one.theirs.map((cidr) => ({ cidr: cidrOf(one, cidr), key: keyOf(one, cidr), rank })),
    ),
  )
  return passing.map((one) => ({
    ...one,
    theirs: one.theirs.filter((cidr) => kept.has(keyOf(one, cidr))),
  }))
}

/** What comes in for a prefix goes to one block. */
function withoutDoubles(passing: readonly Passes[]): Passes[] {
  const keyOf = ({ own, seenAs }: OwnBlock): string => `${own} ${seenAs}`
  const kept = apart(
    passing.flatMap((one, rank) =>
      one.blocks.map((block) => ({ cidr: cidrOf(one, block.seenAs), key: keyOf(block), rank })),
    ),
  )
  return passing.map((one) => ({
    ...one,
    blocks: one.blocks.filter((block) => kept.has(keyOf(block))),
  }))
}

function cidrOf({ read }: Passes, text: string): Cidr {
  return read.get(text) ?? mustCidr(text)
}

/** The keys of claims of which no two overlap. */
function apart(claims: readonly Claim[]): Set<string> {
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
