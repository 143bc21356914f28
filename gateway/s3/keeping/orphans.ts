// Blobs that are nobody's: a writer that died before its commit left them. What is old enough and
// has no row in the index is condemned there first, so that a commit that comes after all fails.

import type { BlobStore, StoredBlob } from '../../../common/blobs/blobs.ts'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import type { Log } from '../../../common/log.ts'
import type { Store } from '../../store/store.ts'
import type { Garbage } from '../index/garbage.ts'
import { blobKey, garbageKey } from '../index/keys.ts'
import type { BlobOwner } from '../index/sharing.ts'

/** How long a writer may take from the last byte to its commit. */
export const ORPHAN_AGE_MS = 24 * 60 * 60_000
const ID_BYTES = 8

export interface OrphanParts {
  readonly store: Store
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
}

export interface Swept {
  readonly blobs: number
  readonly bytes: number
  /** Those that were taken away. */
  readonly orphans: number
  readonly orphanBytes: number
}

/** One pass over everything that the store of blobs has, or as far as it gets. */
export async function sweepOrphans(
  parts: OrphanParts,
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<Swept> {
  let swept: Swept = { blobs: 0, bytes: 0, orphans: 0, orphanBytes: 0 }
  const oldestMs = parts.clock.nowMs() - ORPHAN_AGE_MS
  for await (const blob of blobs.list()) {
    if (signal.aborted) break
    const isOrphan = blob.writtenAtMs < oldestMs && (await isNobodys(parts, blobs, blob))
    swept = {
      blobs: swept.blobs + 1,
      bytes: swept.bytes + blob.sizeBytes,
      orphans: swept.orphans + (isOrphan ? 1 : 0),
      orphanBytes: swept.orphanBytes + (isOrphan ? blob.sizeBytes : 0),
    }
  }
  return swept
}

async function isNobodys(
  { store, clock, randomHex, log }: OrphanParts,
  blobs: BlobStore,
  { id, sizeBytes }: StoredBlob,
): Promise<boolean> {
  const at = blobKey(blobs.name, id)
  if ((await store.get(at)) !== null) return false
  const condemned: BlobOwner = { condemnedAtMs: clock.nowMs() }
  // The row goes another day later, with whatever a restored disk has brought back until then.
  const garbage: Garbage = { blobs: [{ store: blobs.name, id }] }
  const later = garbageKey(clock.nowMs() + ORPHAN_AGE_MS, randomHex(ID_BYTES))
  const result = await store.txn(
    [{ key: at, version: 0 }],
    [
      { put: at, value: JSON.stringify(condemned) },
      { put: later, value: JSON.stringify(garbage) },
    ],
  )
  if (!result.ok) return false
  await blobs.delete(id)
  log.info('orphaned blob removed', { store: blobs.name, blob: id, sizeBytes })
  return true
}
