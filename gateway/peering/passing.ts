// What of the peerings with one peer cloud passes: between which prefixes, and over which pair of
// borders. No prefix gets through here that the terms do not cover.

import { type Cidr, mustCidr, parseCidr } from '../../topology/cidr.ts'
import { componentsOf, pairFor } from '../../topology/peering.ts'
import { VPC_LENGTHS } from '../ec2/ipam-pools.ts'
import type { PeeringRecord } from '../store/network-records.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { CloudRecord, VpcRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { type Agreed, agreedOn, ownSide } from './agreed.ts'
import { apart } from './apart.ts'
import { type BorderOf, ownBorders, theirBorders } from './borders.ts'
import { Kept } from './kept.ts'
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
  readonly peer: Pick<PeerRecord, 'uid' | 'number' | 'region' | 'terms'>
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

const said = new Kept<PeerRecord, string>()
const made = new Kept<PeeringRecord, Passes[]>()

/** All that `passingWith` looks at: the same objects until something that it hangs on changes. */
export function passingHangsOn(view: View, cloud: CloudRecord, peer: PeerRecord): unknown[] {
  const { uid, number } = peer
  const peerings = view.by('peering', 'remote.uid', uid)
  const links = view.under('peer-link', String(number))
  return [
    ...[cloud, saidOf(peer), peerings, links],
    view.under('peer-statement', uid, 'connection'),
    view.under('peer-statement', uid, 'border'),
    // Whatever else hosts report.
    ...links.map(({ rack, host }) => view.get('host', rack, host)?.roles.join()),
    ...peerings.map((one) => view.get('vpc', ownSide(one).vpc)),
  ]
}

/** Of one peer; another peer may have the same prefixes (traffic.ts). */
export function passingWith(view: View, cloud: CloudRecord, peer: PeerRecord): Passing[] {
  const agreed = view.by('peering', 'remote.uid', peer.uid).flatMap((one) => {
    return agreedOn(view, one) ?? []
  })
  const all = withoutDoubles(agreed.flatMap((one) => passesOf(view, cloud, peer, one)))
  const components = componentsOf(
    all.map(({ id, vpc, theirVpc }) => ({ id, own: vpc, theirs: theirVpc })),
  )
  const own = { uid: cloud.uid ?? '', borders: ownBorders(view, peer) }
  const theirs = { uid: peer.uid, borders: theirBorders(view, peer.uid) }
  return all.map((one) => ({
    ...one,
    pair: pairFor(components.get(one.id) ?? one.id, own, theirs),
  }))
}

export function cidrOf({ read }: Passes, text: string): Cidr {
  return read.get(text) ?? mustCidr(text)
}

/** The record changes with all that is heard; what is meant by it is this. */
function saidOf(peer: PeerRecord): string {
  const { number, terms, region, state, card, heard } = peer
  return said.get(peer, [], () =>
    JSON.stringify([number, terms, region, state, card.suspended, heard.epoch]),
  )
}

function passesOf(view: View, cloud: CloudRecord, peer: PeerRecord, one: Agreed): Passes[] {
  const vpc = view.get('vpc', ownSide(one.peering).vpc)
  return made.get(one.peering, [cloud, saidOf(peer), vpc, one.remote], () =>
    vpc === null ? [] : [passesNow(cloud, peer, vpc, one)],
  )
}

function passesNow(cloud: CloudRecord, peer: PeerRecord, vpc: VpcRecord, one: Agreed): Passes {
  const { peering, remote } = one
  const { uid, number, region, terms } = peer
  const theirs = [...new Set(remote.theirs)].filter((cidr) => isCounted(cloud, peer, cidr))
  const blocks = blocksOf(vpc, one)
  const read = new Map(
    [...theirs, ...blocks.map(({ seenAs }) => seenAs)].map((cidr) => [cidr, mustCidr(cidr)]),
  )
  const ends = {
    id: peering.id,
    peer: { uid, number, region, terms },
    vpc: vpc.id,
    theirVpc: remote.vpc,
  }
  return { ...ends, blocks, theirs, read }
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

/** No block of a VPC is larger than that. */
function isCounted(cloud: CloudRecord, { terms }: PeerRecord, text: string): boolean {
  const cidr = parseCidr(text)
  if (!cidr.ok || cidr.value.length < VPC_LENGTHS[cidr.value.family].shortest) return false
  return isAccepted(cloud, terms, cidr.value)
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
