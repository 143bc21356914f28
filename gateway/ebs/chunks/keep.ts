// Keeps one block, page or root: its bytes first, then its rows. What a crash leaves in between is
// nobody's, and goes as objects' orphans do (gateway/s3/keeping/orphans.ts).

import type { BlobRef } from '../../../common/blobs/blobs.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Sealed } from '../../../common/snapshot-manifest.ts'
import type { Draft } from '../../s3/index/commits.ts'
import { blobKey } from '../../s3/index/keys.ts'
import type { BlobOwner } from '../../s3/index/sharing.ts'
import { writeBlob } from './blobs.ts'
import { discardBlobs, type Item, momentOf, putItem, readItem } from './items.ts'
import { damagedKey, type ItemKind, itemKey } from './keys.ts'
import type { ChunkParts } from './parts.ts'

export interface Keeping<T> {
  /** Names what rivals are rivals for. */
  readonly about: string
  /** Its bytes are, whether they are there or not. */
  readonly isAlwaysWritten?: boolean
  /** `item` as it is before; with an item of null it is not kept. */
  readonly change: (
    draft: Draft,
    item: Item,
    isNew: boolean,
  ) => Promise<{ readonly item: Item | null; readonly value?: T }>
}

/** Writes the bytes when they are not there, or damaged, and changes the item in a transaction. */
export async function keep<T = undefined>(
  parts: ChunkParts,
  kind: ItemKind,
  { sha256, bytes }: Sealed,
  blocks: number,
  { about, isAlwaysWritten = false, change }: Keeping<T>,
): Promise<T> {
  const { store, commits, blobs } = parts
  for (;;) {
    const row = await store.get(itemKey(kind, sha256))
    const isSound = row !== null && (await store.get(damagedKey(kind, sha256))) === null
    const written = isSound && !isAlwaysWritten ? null : await writeBlob(blobs(), bytes)
    const done = await commits.commit(about, async (draft) => {
      const moment = momentOf(parts)
      const before = await readItem(draft, kind, sha256)
      const isDamaged = (await draft.read(damagedKey(kind, sha256))) !== null
      // It went between the two looks: its bytes are to be written after all.
      if (written === null && (before === null || isDamaged)) return null
      const isNeeded = before === null || isDamaged
      const blob = isNeeded ? written : null
      const fresh = blob === null ? null : { blob, blocks, count: before?.count ?? 0 }
      const base = fresh === null ? before : { ...before, ...fresh }
      if (base === null) return null
      const { item, value } = await change(draft, base, before === null)
      const unused: BlobRef[] = []
      if (written !== null && (blob === null || item === null)) unused.push(written)
      if (item !== null) {
        if (blob !== null) await claim(draft, blob)
        if (blob !== null && before !== null) unused.push(before.blob)
        if (isDamaged) draft.delete(damagedKey(kind, sha256))
        putItem(draft, kind, sha256, before, item)
      }
      discardBlobs(draft, unused, moment)
      return { value }
    })
    if (done !== null) return done.value as T
  }
}

/** The blob is not taken for nobody's any more. */
async function claim(draft: Draft, { store, id }: BlobRef): Promise<void> {
  const at = blobKey(store, id)
  if ((await draft.read<BlobOwner>(at)) !== null) {
    throw new MalleeError('Conflict', `blob ${id} is not free any more, write it again`)
  }
  const owner: BlobOwner = { of: 'snapshots' }
  draft.put(at, owner)
}
