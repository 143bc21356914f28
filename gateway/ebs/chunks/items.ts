// What is kept of snapshots, by SHA-256: blocks, pages and roots, each once for the whole cloud, in
// a blob of its own, with a count of who refers to it. Leaves refer to blocks, branches to leaves,
// roots to branches, snapshots to roots; and snapshots that are being put together to blocks.
// A count changes in the very transaction that makes or unmakes what refers, so it never says less
// nor more. What nobody refers to is idle: it is kept for whoever put it until a time that a row of
// its own says, and the sweep (sweep.ts) takes it then.

import type { BlobRef } from '../../../common/blobs/blobs.ts'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import type { Draft } from '../../s3/index/commits.ts'
import { discard, type Moment, READERS_GRACE_MS, type Reference } from '../../s3/index/garbage.ts'
import { damagedKey, type ItemKind, idleKey, itemKey } from './keys.ts'

export interface Item {
  readonly blob: BlobRef
  readonly count: number
  /** Blocks below a page or root; of a block 1. */
  readonly blocks: number
  /** Nobody refers to it. */
  readonly idle?: Idle
}

interface Idle {
  readonly untilMs: number
  /** Which snapshot wants it kept as long as its bytes are on their way; empty for none. */
  readonly lessee: string
}

/** How long what was put waits for whoever refers to it; longer while its snapshot is pending. */
export const LEASE_MS = 24 * 60 * 60_000

/**
 * What commits that count are rivals for: two of them would be in each other's way at blocks that
 * many have.
 */
export const COUNTING = 'ebs'

export function momentOf(parts: { readonly clock: Clock; readonly randomHex: RandomHex }): Moment {
  return { nowMs: parts.clock.nowMs(), randomHex: parts.randomHex }
}

export async function readItem(draft: Draft, kind: ItemKind, sha256: string): Promise<Item | null> {
  return await draft.read<Item>(itemKey(kind, sha256))
}

/** Writes an item's row and the row of its being idle; `before` as the store has it. */
export function putItem(
  draft: Draft,
  kind: ItemKind,
  sha256: string,
  before: Item | null,
  after: Item,
): void {
  const was = before?.idle?.untilMs
  if (was !== undefined && was !== after.idle?.untilMs) draft.delete(idleKey(was, kind, sha256))
  if (after.idle !== undefined) draft.put(idleKey(after.idle.untilMs, kind, sha256), {})
  draft.put(itemKey(kind, sha256), after)
}

/** One more refers to it. */
export function taken({ blob, count, blocks }: Item): Item {
  return { blob, blocks, count: count + 1 }
}

/** Nobody refers to it, but somebody is about to. */
export function leased(item: Item, lessee: string, nowMs: number): Item {
  return item.count > 0 ? item : { ...item, idle: { untilMs: nowMs + LEASE_MS, lessee } }
}

/**
 * So many less refer to each of them. A block goes with the last one; a page or root is left for
 * the sweep, as it refers to others. Returns the bytes that are to go.
 */
export async function release(
  draft: Draft,
  kind: ItemKind,
  times: ReadonlyMap<string, number>,
  { nowMs }: Moment,
): Promise<readonly Reference[]> {
  const gone: Reference[] = []
  const items = [...times].map(async ([sha256, less]) => {
    const item = await readItem(draft, kind, sha256)
    return { sha256, item, count: (item?.count ?? 0) - less }
  })
  for (const { sha256, item, count } of await Promise.all(items)) {
    if (item === null || item.count === 0) continue
    if (count > 0) putItem(draft, kind, sha256, item, { ...item, count })
    else if (kind === 'block') gone.push(removeItem(draft, kind, sha256, item))
    else {
      const idle = { untilMs: nowMs, lessee: '' }
      putItem(draft, kind, sha256, item, { ...item, count: 0, idle })
    }
  }
  return gone
}

/** Each once, for `release`. */
export function once(sha256s: readonly string[]): ReadonlyMap<string, number> {
  return new Map(sha256s.map((one) => [one, 1]))
}

/** Takes its rows away; the bytes that are to go. */
export function removeItem(draft: Draft, kind: ItemKind, sha256: string, item: Item): Reference {
  if (item.idle !== undefined) draft.delete(idleKey(item.idle.untilMs, kind, sha256))
  draft.delete(itemKey(kind, sha256))
  draft.delete(damagedKey(kind, sha256))
  return item.blob
}

/** Has bytes taken away, after a while, so that whoever reads them gets to the end. */
export function discardBlobs(draft: Draft, gone: readonly Reference[], moment: Moment): void {
  if (gone.length === 0) return
  const blobs = gone.map(({ store, id }) => ({ store, id }))
  discard(draft, { blobs }, moment.nowMs + READERS_GRACE_MS, moment.randomHex)
}

/** Each once. */
export function distinct(sha256s: readonly string[]): readonly string[] {
  return [...new Set(sha256s)]
}
