// Who refers to a blob. The first one is in the blob's own row; a copy of it adds a row of its own,
// in the transaction that makes the copy and only while its source refers to the blob. Whoever is
// gone for good leaves when its garbage is worked off, and the blob goes with the last one: so it
// is never there for nobody, nor away while somebody has it.
// Every change of who shares a blob writes the blob's row, and reads it: so two of them never pass
// each other by. A blob that one refers to alone cannot become shared once that one is gone.

import { MalleeError } from '../../../common/errors.ts'
import type { Store } from '../../store/store.ts'
import type { Commits, Draft } from './commits.ts'
import { nameOf, type Reference, referenceOf } from './garbage.ts'
import { blobKey, manifestKey, shareKey, sharePrefix } from './keys.ts'
import type { ObjectPart, ObjectVersion } from './objects.ts'
import { findVersion, type Place } from './versions.ts'

/** A row of 1,000 parts has at most 300 KB, and a store's value at most 1 MiB. */
export const PARTS_PER_ROW = 1_000
const SHARE_BYTES = 8
const PAGE = 1_000

/**
 * A blob's row: who had it first, while that one has it; whether others do or did; or that nobody
 * does, and the sweep of orphans has taken it.
 */
export type BlobOwner =
  | (Place & { readonly isShared?: true })
  | { readonly isShared: true }
  | { readonly condemnedAtMs: number }
  | { readonly of: 'snapshots' }

/** A part that refers to a new blob, or to that of a part of a version. */
export interface NewPart extends ObjectPart {
  readonly from?: PartSource
}

/** The part of a version that another one is a copy of. */
interface PartSource {
  readonly version: ObjectVersion
  /** Among its parts, from 0. */
  readonly position: number
}

/**
 * Makes somebody refer to a part's blob, and returns the part as it is then. Throws Conflict when
 * that cannot be any more: of a new blob, as the sweep of orphans was faster with a writer that
 * stood still for a day; of one that is copied, as its source is gone or has another one.
 */
export async function claim(
  draft: Draft,
  { from, ...part }: NewPart,
  { bucket, key }: Place,
  randomHex: (bytes: number) => string,
): Promise<ObjectPart> {
  const { store, id } = part.blob
  const at = blobKey(store, id)
  const owner = await draft.read<BlobOwner>(at)
  if (from === undefined) {
    if (owner !== null) {
      throw new MalleeError('Conflict', `blob ${id} is not free any more, write it again`)
    }
    draft.put(at, { bucket, key })
    return part
  }
  const isThere = owner !== null && !('condemnedAtMs' in owner)
  if (!isThere || !(await refers(draft, from, part))) {
    const { version } = from
    throw new MalleeError('Conflict', `${version.bucket}/${version.key} has changed, copy it again`)
  }
  const share = randomHex(SHARE_BYTES)
  draft.put(at, { ...owner, isShared: true })
  draft.put(shareKey(store, id, share), { bucket, key })
  return { ...part, share }
}

/**
 * Has one leave who is gone for good; true when it was the last one: then the bytes may go, and
 * after them the rows (rowsOf). May be said again.
 */
export async function leave(
  store: Store,
  commits: Commits,
  reference: Reference,
): Promise<boolean> {
  const at = blobKey(reference.store, reference.id)
  const row = await store.get(at)
  if (row === null || !isShared(JSON.parse(row.value))) return true
  const { share } = reference
  return await commits.commit(at, async (draft) => {
    const owner = await draft.read<BlobOwner>(at)
    if (owner === null || !isShared(owner)) return true
    const own = share === undefined ? null : shareKey(reference.store, reference.id, share)
    const prefix = sharePrefix(reference.store, reference.id)
    // No condition, but whoever comes or goes writes the blob's row, which was read before.
    const { entries } = await store.list(prefix, { limit: 2 })
    const others = entries.filter(({ key }) => key !== own)
    if (others.length === 0 && (own === null || !('key' in owner))) return true
    if (own !== null) draft.delete(own)
    draft.put(at, own === null ? { isShared: true } : owner)
    return false
  })
}

/** What says that somebody refers to a blob, and is of no use without the bytes. */
export function rowsOf({ store, id, share }: Reference): string[] {
  const at = blobKey(store, id)
  return share === undefined ? [at] : [shareKey(store, id, share), at]
}

/** Whose a blob is, by its row. */
export async function ownersOf(
  store: Store,
  reference: Pick<Reference, 'store' | 'id'>,
  owner: BlobOwner,
): Promise<readonly Place[]> {
  const first = 'key' in owner ? [{ bucket: owner.bucket, key: owner.key }] : []
  if (!isShared(owner)) return first
  const page = await store.list(sharePrefix(reference.store, reference.id), { limit: PAGE })
  return [...first, ...page.entries.map(({ value }) => JSON.parse(value) as Place)]
}

function isShared(owner: BlobOwner): boolean {
  return 'isShared' in owner
}

async function refers(
  draft: Draft,
  { version, position }: PartSource,
  { blob }: ObjectPart,
): Promise<boolean> {
  const [wanted, now] = [
    version.parts[position],
    await findVersion(draft, version, version.versionId),
  ]
  if (now === null || wanted?.blob.id !== blob.id) return false
  const { bucket, manifestId } = now
  const row = Math.floor(position / PARTS_PER_ROW)
  const parts =
    manifestId === undefined
      ? now.parts
      : await draft.read<ObjectPart[]>(manifestKey(bucket, manifestId, row))
  const found = parts?.[manifestId === undefined ? position : position % PARTS_PER_ROW]
  return found !== undefined && nameOf(referenceOf(found)) === nameOf(referenceOf(wanted))
}
