// Two clouds of different owners: by which prefixes blocks may be seen, what is agreed about them
// in one text, and which pair of borders carries what. Both sides ask the same and come to the
// same.

import { type Cidr, formatCidr, freeAmong, mustCidr, nthBlock, overlaps } from './cidr.ts'
import { hash32 } from './hash.ts'
import { ascending } from './order.ts'

/** SHA-256 of a text as a number of 256 bits. */
export type Digest = (text: string) => bigint

/** As many as a block is offered under. */
export const MAX_CANDIDATES = 16

/**
 * Where a block that is in the way may be seen, and how many of its candidates are from there:
 * RFC 6598 first, which no site's plan has; the last has what the others leave.
 */
const IPV4_POOLS: readonly (readonly [pool: string, most: number])[] = [
  ['100.64.0.0/10', 6],
  ['172.16.0.0/12', 4],
  ['192.168.0.0/16', 2],
  ['10.0.0.0/8', MAX_CANDIDATES],
]
/** Blocks of a pool that are looked at: a plan that is full is not searched to its end. */
const MAX_LOOKS = 4096

/** What is taken on either side. */
export interface InTheWay {
  /** Of the block's own side; the block itself may be among them. */
  readonly ours: readonly Cidr[]
  readonly theirs: readonly Cidr[]
}

/**
 * The prefixes of a block's length by which the other side may see it, the best first: itself, when
 * nothing there is in the way, then some that are free on both sides. The same for everybody who
 * knows the same; blocks and pairs of clouds differ in where they look first.
 */
export function candidatesFor(
  block: string,
  uids: readonly [string, string],
  { ours, theirs }: InTheWay,
  digest: Digest,
): string[] {
  const own = mustCidr(block)
  const isFree = freeAmong([...ours, ...theirs, own], own)
  const found = theirs.some((one) => overlaps(one, own)) ? [] : [own]
  const seed = digest(`${uids.toSorted(ascending).join(' ')} ${block}`)
  if (own.family === 4) {
    for (const [pool, most] of IPV4_POOLS) {
      const room = Math.min(most, MAX_CANDIDATES - found.length)
      found.push(...someOf(mustCidr(pool), own.length, seed, isFree, room))
    }
  } else {
    for (let n = 0; n < MAX_LOOKS && found.length < MAX_CANDIDATES; n += 1) {
      const cidr = uniqueLocal(digest(`${seed} ${n}`), own.length)
      if (isFree(cidr)) found.push(cidr)
    }
  }
  return found.map(formatCidr)
}

/** A side of a peering as both agree about it. */
export interface TermsSide {
  /** The cloud's. */
  readonly uid: string
  readonly account: string
  readonly vpc: string
  /** By what the other side sees each of its blocks, in the order of its offers. */
  readonly seenAs: readonly string[]
}

/** All that two sides have agreed to of a peering, as one text: its hash is `terms`. */
export function termsText(id: string, requester: TermsSide, accepter: TermsSide): string {
  const of = ({ uid, account, vpc, seenAs }: TermsSide): string[] => [
    `${uid} ${account} ${vpc}`,
    ...seenAs.map((cidr) => `  ${formatCidr(mustCidr(cidr))}`),
  ]
  return ['mallee-peering 1', id, ...of(requester), ...of(accepter), ''].join('\n')
}

/** A peering between a VPC here and one there. */
export interface Link {
  readonly id: string
  readonly own: string
  readonly theirs: string
}

/** By peering the smallest id of those that it is joined to over VPCs: they share a way. */
export function componentsOf(links: readonly Link[]): Map<string, string> {
  const above = new Map<string, string>()
  const rootOf = (name: string): string => {
    let root = name
    for (let next = above.get(root); next !== undefined; next = above.get(root)) root = next
    // Shorter ways for those who ask later.
    for (let at = name; at !== root; ) {
      const next = above.get(at) ?? root
      above.set(at, root)
      at = next
    }
    return root
  }
  for (const { own, theirs } of links) {
    // An id of theirs may be one of ours as well.
    const [a, b] = [rootOf(`own ${own}`), rootOf(`their ${theirs}`)]
    if (a !== b) above.set(a, b)
  }
  const smallest = new Map<string, string>()
  for (const { id, own } of links) {
    const root = rootOf(`own ${own}`)
    const known = smallest.get(root)
    if (known === undefined || id < known) smallest.set(root, id)
  }
  return new Map(links.map(({ id, own }) => [id, smallest.get(rootOf(`own ${own}`)) ?? id]))
}

/** A CC that holds tunnels to the other cloud, as its side states it. */
export interface BorderEnd {
  readonly rack: string
  readonly host: string
  readonly up: boolean
  /** `<rack>/<host>` of the other's that it hears; an empty list with `up` is all of them. */
  readonly heard: readonly string[]
}

/** The borders of one cloud. */
export interface BorderSide<T extends BorderEnd> {
  readonly uid: string
  readonly borders: readonly T[]
}

/**
 * The one pair of borders that carries a component, null when a side has none: of those that hear
 * each other, where there are any. Rendezvous hashing over the pairs: when one comes or goes, only
 * what it gets or had moves.
 */
export function pairFor<A extends BorderEnd, B extends BorderEnd>(
  component: string,
  own: BorderSide<A>,
  theirs: BorderSide<B>,
): { readonly own: A; readonly theirs: B } | null {
  const ownFirst = own.uid < theirs.uid
  let best: { own: A; theirs: B; weight: number; name: string } | null = null
  for (const [a, b] of pairsOf(own.borders, theirs.borders)) {
    const names = [nameOf(a), nameOf(b)]
    const name = (ownFirst ? names : names.reverse()).join(' ')
    const weight = hash32(`${component} ${name}`)
    const wins =
      best === null || weight > best.weight || (weight === best.weight && name < best.name)
    if (wins) best = { own: a, theirs: b, weight, name }
  }
  return best === null ? null : { own: best.own, theirs: best.theirs }
}

function pairsOf<A extends BorderEnd, B extends BorderEnd>(
  own: readonly A[],
  theirs: readonly B[],
): (readonly [A, B])[] {
  const all = candidatesOf(own).flatMap((a) => candidatesOf(theirs).map((b) => [a, b] as const))
  const mutual = all.filter(([a, b]) => hears(a, b) && hears(b, a))
  return mutual.length > 0 ? mutual : all
}

function hears({ up, heard }: BorderEnd, other: BorderEnd): boolean {
  return up && (heard.length === 0 || heard.includes(nameOf(other)))
}

function nameOf({ rack, host }: BorderEnd): string {
  return `${rack}/${host}`
}

/** Silence of all of them moves nothing: they may well go on without us. */
function candidatesOf<T extends BorderEnd>(borders: readonly T[]): readonly T[] {
  const up = borders.filter((one) => one.up)
  return up.length > 0 ? up : borders
}

/** Blocks of a pool in an order of the seed's own, each at most once. */
function someOf(
  pool: Cidr,
  length: number,
  seed: bigint,
  isFree: (cidr: Cidr) => boolean,
  most: number,
): Cidr[] {
  if (length < pool.length) return []
  const count = 1n << BigInt(length - pool.length)
  // The number of blocks is a power of two: any odd step comes to all of them.
  const step = (seed >> 64n) | 1n
  const found: Cidr[] = []
  for (let n = 0n; n < count && n < MAX_LOOKS && found.length < most; n += 1n) {
    const cidr = nthBlock(pool, length, (seed + n * step) % count)
    if (cidr !== null && isFree(cidr)) found.push(cidr)
  }
  return found
}

/** RFC 4193: fd, 40 bits, and below that /48 one of its blocks. */
function uniqueLocal(bits: bigint, length: number): Cidr {
  const mask = (1n << BigInt(length)) - 1n
  const value = (0xfdn << 120n) | (bits & ((1n << 120n) - 1n))
  const base = value & (mask << BigInt(128 - length))
  return { family: 6, base, length }
}
