// What passes between this cloud and all of its peer clouds: no prefix at two places, whoever says
// so. The last gate before the racks. A change costs the peers that it is about.

import type { PeerRecord } from '../store/peer-records.ts'
import type { View } from '../store/state.ts'
import { apart, type Claim } from './apart.ts'
import { isSame } from './kept.ts'
import { cidrOf, type Passing, passingHangsOn, passingWith } from './passing.ts'

interface Traffic {
  readonly byPeering: ReadonlyMap<string, Passing>
  readonly byVpc: ReadonlyMap<string, readonly Passing[]>
  /** By the peer's number. */
  readonly byPeer: ReadonlyMap<number, readonly Passing[]>
  /** By the CC here that carries it, `<rack>/<host>`. */
  readonly byBorder: ReadonlyMap<string, readonly Passing[]>
}

/** What one peer has by itself, and what of that no other one has before it. */
interface Part {
  readonly of: readonly unknown[]
  readonly number: number
  readonly passing: readonly Passing[]
  /** By the piece of the address space that they are in. */
  readonly claims: ReadonlyMap<string, readonly Claim[]>
  /** Null until it is known. */
  result: readonly Passing[] | null
}

interface Known {
  revision: number
  traffic: Traffic
  readonly parts: Map<string, Part>
  /** In each piece of the address space who claims something, and which claims count. */
  readonly pieces: Map<string, { readonly parts: Set<Part>; kept: ReadonlySet<string> }>
}

/** Blocks of VPCs are not larger (ipam-pools.ts): none is in two pieces. */
const PIECE_BITS = { 4: 32n - 16n, 6: 128n - 44n } as const
/** Peerings of one peer are ranked below that. */
const RANKS = 2 ** 20

const known = new WeakMap<View, Known>()

/** Of each peering; the same object until something that it hangs on changes. */
export function trafficOf(view: View): Traffic {
  const last = known.get(view)
  if (last?.revision === view.revision) return last.traffic
  const now = last ?? fresh(view)
  const isOther = follow(view, now)
  if (isOther) now.traffic = indexed(now.parts.values())
  now.revision = view.revision
  return now.traffic
}

function fresh(view: View): Known {
  const { revision } = view
  const made = { revision, parts: new Map(), pieces: new Map(), traffic: indexed([]) }
  known.set(view, made)
  return made
}

/** False when nothing changed. */
function follow(view: View, now: Known): boolean {
  const cloud = view.get('cloud', 'self')
  const peers = cloud?.uid === undefined ? [] : view.all('peer')
  const touched = new Set<string>()
  const there = new Map(peers.map((peer) => [peer.uid, peer]))
  for (const [uid, part] of now.parts) if (!there.has(uid)) leave(now, uid, part, touched)
  for (const [uid, peer] of there) {
    if (cloud === null) continue
    const of = passingHangsOn(view, cloud, peer)
    const before = now.parts.get(uid)
    if (before !== undefined && isSame(before.of, of)) continue
    if (before !== undefined) leave(now, uid, before, touched)
    enter(now, uid, partOf(peer, of, passingWith(view, cloud, peer)), touched)
  }
  settle(now, touched)
  return touched.size > 0
}

function partOf({ number }: PeerRecord, of: readonly unknown[], passing: Passing[]): Part {
  const all = passing.flatMap((one, i) =>
    one.theirs.map((text) => {
      const cidr = cidrOf(one, text)
      return { cidr, key: keyOf(one, text), rank: number * RANKS + i }
    }),
  )
  const claims = Map.groupBy(all, ({ cidr: { family, base } }) => {
    return `${family} ${base >> PIECE_BITS[family]}`
  })
  return { of, number, passing, claims, result: null }
}

function keyOf({ peer, pair }: Passing, cidr: string): string {
  return `${cidr} ${peer.number} ${pair?.own.publicKey} ${pair?.theirs.publicKey}`
}

/** Of a peer without prefixes nothing is in any piece: then this stands for it. */
const NOWHERE = ''

function leave(now: Known, uid: string, part: Part, touched: Set<string>): void {
  now.parts.delete(uid)
  touched.add(NOWHERE)
  for (const piece of part.claims.keys()) {
    now.pieces.get(piece)?.parts.delete(part)
    touched.add(piece)
  }
}

function enter(now: Known, uid: string, part: Part, touched: Set<string>): void {
  now.parts.set(uid, part)
  touched.add(NOWHERE)
  for (const piece of part.claims.keys()) {
    const there = now.pieces.get(piece) ?? { parts: new Set<Part>(), kept: new Set<string>() }
    now.pieces.set(piece, there)
    there.parts.add(part)
    touched.add(piece)
  }
}

/** What counts in the pieces that were touched, and for whom that is not what it was. */
function settle(now: Known, touched: ReadonlySet<string>): void {
  const concerned = new Set([...now.parts.values()].filter(({ result }) => result === null))
  for (const piece of touched) {
    const there = now.pieces.get(piece)
    if (there === undefined) continue
    if (there.parts.size === 0) {
      now.pieces.delete(piece)
      continue
    }
    const parts = inOrder(there.parts)
    const before = there.kept
    const kept = apart(parts.flatMap((one) => one.claims.get(piece) ?? []))
    there.kept = kept
    const isOther = ({ key }: Claim): boolean => before.has(key) !== kept.has(key)
    for (const one of parts) if (one.claims.get(piece)?.some(isOther)) concerned.add(one)
  }
  for (const part of concerned) {
    const counts = new Set(
      [...part.claims.keys()].flatMap((piece) => [...keptOf(now, part, piece)]),
    )
    part.result = part.passing.map((one) => {
      const theirs = one.theirs.filter((cidr) => counts.has(keyOf(one, cidr)))
      return theirs.length === one.theirs.length ? one : { ...one, theirs }
    })
  }
}

function keptOf({ pieces }: Known, { claims }: Part, piece: string): string[] {
  const kept = pieces.get(piece)?.kept
  return (claims.get(piece) ?? []).flatMap(({ key }) => (kept?.has(key) === true ? key : []))
}

function indexed(parts: Iterable<Part>): Traffic {
  const passing = inOrder(parts).flatMap(({ result }) => result ?? [])
  return {
    byPeering: new Map(passing.map((one) => [one.id, one])),
    byVpc: Map.groupBy(passing, ({ vpc }) => vpc),
    byPeer: Map.groupBy(passing, ({ peer }) => peer.number),
    byBorder: Map.groupBy(passing, ({ pair }) => `${pair?.own.rack}/${pair?.own.host}`),
  }
}

function inOrder(parts: Iterable<Part>): Part[] {
  return [...parts].sort((a, b) => a.number - b.number)
}
