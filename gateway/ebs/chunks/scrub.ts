// Reads all bytes of snapshots, slowly, all the time, and compares them with their SHA-256: what is
// damaged or gone is found while it can still be mended.

import type { BlobRef } from '../../../common/blobs/blobs.ts'
import { codeOf, messageOf } from '../../../common/errors.ts'
import { isOfMedium } from '../../s3/keeping/scrub.ts'
import { readBlob } from './blobs.ts'
import { damageOfSnapshots, noteDamage } from './damage.ts'
import type { Item } from './items.ts'
import { damagedKey, ITEM_KINDS, type ItemKind, itemKey, itemPrefix, SCRUB } from './keys.ts'
import type { ChunkParts } from './parts.ts'

/** Items between two notes of where a round is: what a restart may read again. */
const PAGE = 100

/** The round under way, or the last one. */
export interface SnapshotScrub {
  readonly startedAtMs: number
  /** Null: it is under way. */
  readonly endedAtMs: number | null
  /** The key of the item up to which it got; empty at the start. */
  readonly after: string
  readonly items: number
  readonly bytes: number
  /** Not read, as their store is away. */
  readonly skipped: number
}

/** Goes on with the round under way until its end; begins one when the last has ended. */
export async function scrubSnapshots(
  parts: ChunkParts,
  /** Called after each item; it may wait, and throws to end the pass. */
  pace: (sizeBytes: number) => Promise<void>,
): Promise<SnapshotScrub> {
  const { store, clock, log, metrics } = parts
  const before = await lastSnapshotScrub(parts)
  const begun = { startedAtMs: clock.nowMs(), endedAtMs: null, after: '' }
  const none: SnapshotScrub = { ...begun, items: 0, bytes: 0, skipped: 0 }
  let round = before === null || before.endedAtMs !== null ? none : before
  for (const kind of ITEM_KINDS) {
    const prefix = itemPrefix(kind)
    // A round that goes on is behind the kinds that it has read, in the order of ITEM_KINDS.
    const reached = ITEM_KINDS.find((one) => round.after.startsWith(itemPrefix(one)))
    if (reached !== undefined && ITEM_KINDS.indexOf(reached) > ITEM_KINDS.indexOf(kind)) continue
    for (let more = true; more; ) {
      const after = round.after.startsWith(prefix) ? round.after : prefix
      const page = await store.list(prefix, { after, limit: PAGE })
      for (const { key, value } of page.entries) {
        const { blob } = JSON.parse(value) as Item
        const isRead = await look(parts, kind, key.slice(prefix.length), blob)
        const [items, bytes] = [round.items + 1, round.bytes + blob.sizeBytes]
        round = { ...round, items, bytes, skipped: round.skipped + (isRead ? 0 : 1) }
        await pace(blob.sizeBytes)
      }
      more = page.more
      round = { ...round, after: page.entries.at(-1)?.key ?? after }
      await store.txn([], [{ put: SCRUB, value: JSON.stringify(round) }])
    }
  }
  round = { ...round, endedAtMs: clock.nowMs() }
  await store.txn([], [{ put: SCRUB, value: JSON.stringify(round) }])
  metrics.setSnapshotItems(round.items, round.bytes)
  metrics.setSnapshotDamage((await damageOfSnapshots(parts)).length)
  log.info('snapshots scrubbed', { ...round })
  return round
}

/** The round under way or the last one; null before the first. */
export async function lastSnapshotScrub({
  store,
}: Pick<ChunkParts, 'store'>): Promise<SnapshotScrub | null> {
  const row = await store.get(SCRUB)
  return row === null ? null : (JSON.parse(row.value) as SnapshotScrub)
}

/** False when it could not be read for a reason that says nothing about it. */
async function look(
  parts: ChunkParts,
  kind: ItemKind,
  sha256: string,
  blob: BlobRef,
): Promise<boolean> {
  const { store, storeOf } = parts
  const at = damagedKey(kind, sha256)
  try {
    await readBlob(storeOf(blob.store), blob, sha256)
    if ((await store.get(at)) !== null) await store.txn([], [{ del: at }])
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'DataCorrupt' && code !== 'NotFound' && !isOfMedium(error)) {
      if (code === 'StoreUnavailable') return false
      throw error
    }
    const row = await store.get(itemKey(kind, sha256))
    const now = row === null ? null : (JSON.parse(row.value) as Item).blob.id
    // It went, or was put anew, while it was read.
    if (now === blob.id) await noteDamage(parts, kind, sha256, messageOf(error))
    return true
  }
}
