// Reads every blob that somebody refers to, slowly, all the time: what is damaged or gone is found
// while a copy may still be somewhere. Where a round is, and what it found, is in the index.

import type { BlobStore } from '../../../common/blobs/blobs.ts'
import type { Clock } from '../../../common/clock.ts'
import { codeOf, messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import type { Store } from '../../store/store.ts'
import { blobKey, damageKey, inlineKey, scrubKey } from '../index/keys.ts'
import { type BlobOwner, ownersOf } from '../index/sharing.ts'

/** Blobs between two notes of where a round is: what a restart may read again. */
const PAGE = 100
const PAGE_OF_DAMAGE = 1_000
/** In the place of a store's name, for bytes that are in rows of the index. */
export const INDEX = 'index'

export interface ScrubParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** Called after each blob; it may wait, and throws to end the pass. */
  readonly pace: (sizeBytes: number) => Promise<void>
}

/** The round under way, or the last one. */
export interface ScrubRound {
  readonly startedAtMs: number
  /** Null: it is under way. */
  readonly endedAtMs: number | null
  /** The id of the blob up to which it got. */
  readonly after: string
  readonly blobs: number
  /** Not read, as their disk is away. */
  readonly skipped: number
}

export interface Damage {
  readonly store: string
  readonly blob: string
  readonly bucket: string
  readonly key: string
  readonly what: string
  readonly foundAtMs: number
}

/** Goes on with the round under way until its end; begins one when the last has ended. */
export async function scrub(parts: ScrubParts, blobs: BlobStore): Promise<ScrubRound> {
  const { store, clock, log } = parts
  const at = scrubKey(blobs.name)
  const before = await lastRound(store, blobs.name)
  const begun = { startedAtMs: clock.nowMs(), endedAtMs: null, after: '', blobs: 0, skipped: 0 }
  let round: ScrubRound = before === null || before.endedAtMs !== null ? begun : before
  const prefix = blobKey(blobs.name, '')
  for (;;) {
    const page = await store.list(prefix, { after: `${prefix}${round.after}`, limit: PAGE })
    let skipped = 0
    for (const { key, value } of page.entries) {
      const id = key.slice(prefix.length)
      const owner = JSON.parse(value) as BlobOwner
      // Snapshots have a scrubber of their own (gateway/ebs/chunks/scrub.ts).
      const isOurs = !('condemnedAtMs' in owner) && !('of' in owner)
      if (isOurs && !(await look(parts, blobs, id))) skipped += 1
    }
    const after = page.entries.at(-1)?.key.slice(prefix.length) ?? round.after
    const endedAtMs = page.more ? null : clock.nowMs()
    round = {
      ...round,
      ...{ after, endedAtMs, blobs: round.blobs + page.entries.length },
      skipped: round.skipped + skipped,
    }
    await store.txn([], [{ put: at, value: JSON.stringify(round) }])
    if (endedAtMs !== null) break
  }
  log.info('objects scrubbed', { store: blobs.name, ...round })
  return round
}

/** The round under way or the last one; null before the first. */
export async function lastRound(store: Store, name: string): Promise<ScrubRound | null> {
  const row = await store.get(scrubKey(name))
  return row === null ? null : (JSON.parse(row.value) as ScrubRound)
}

/**
 * What was found damaged and has not been deleted or read well since, object by object; of 1,000
 * blobs at most, and of 1,000 copies of one.
 */
export async function damageOf(store: Store, name: string): Promise<readonly Damage[]> {
  const page = await store.list(damageKey(name, ''), { limit: PAGE_OF_DAMAGE })
  const found = page.entries.map(({ key, value }) => ({ key, damage: JSON.parse(value) as Damage }))
  const gone: string[] = []
  const damaged: Damage[] = []
  for (const { key, damage } of found) {
    const { bucket, blob } = damage
    const row = await store.get(name === INDEX ? inlineKey(bucket, blob) : blobKey(name, blob))
    if (row === null) gone.push(key)
    else if (name === INDEX) damaged.push(damage)
    else {
      const owners = await ownersOf(store, { store: name, id: blob }, JSON.parse(row.value))
      damaged.push(...owners.map((place) => ({ ...damage, ...place })))
    }
  }
  await store.txn(
    [],
    gone.map((key) => ({ del: key })),
  )
  return damaged
}

/** False when it could not be read for a reason that says nothing about it. */
async function look(
  { store, clock, log, pace }: ScrubParts,
  blobs: BlobStore,
  id: string,
): Promise<boolean> {
  const at = damageKey(blobs.name, id)
  try {
    await pace(await blobs.verify(id))
    if ((await store.get(at)) !== null) await store.txn([], [{ del: at }])
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'DataCorrupt' && code !== 'NotFound' && !isOfMedium(error)) {
      if (code === 'StoreUnavailable' || code === 'RackAway') return false
      throw error
    }
    const row = blobKey(blobs.name, id)
    const entry = await store.get(row)
    // Deleted while it was read.
    if (entry === null) return true
    const reference = { store: blobs.name, id }
    const [first, ...others] = await ownersOf(store, reference, JSON.parse(entry.value))
    if (first === undefined) return true
    const what = messageOf(error)
    const found = { store: blobs.name, blob: id, ...first, what, foundAtMs: clock.nowMs() }
    await store.txn(
      [{ key: row, version: entry.version }],
      [{ put: at, value: JSON.stringify(found) }],
    )
    const copies = others.length > 0 && { copies: others.length }
    log.error('object damaged', { ...found, ...copies, error })
    return true
  }
}

/** The disk answers, but not with these bytes. */
export function isOfMedium(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : null
  return (cause as NodeJS.ErrnoException | null)?.code === 'EIO'
}
