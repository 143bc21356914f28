// Bytes of a version that are in another store now: the rows that say where they are change, and
// the old ones become garbage, which readers have their time with.

import type { BlobRef } from '../../../common/blobs/blobs.ts'
import type { Store } from '../../store/store.ts'
import type { Commits, Draft, IndexParts } from './commits.ts'
import { discard, nameOf, READERS_GRACE_MS, referenceOf, type StoredVersion } from './garbage.ts'
import { manifestPrefix, markerKey, objectKey, versionKey, versionPrefix } from './keys.ts'
import type { ObjectPart } from './objects.ts'
import { claim } from './sharing.ts'
import { findVersion, headOf } from './versions.ts'

const PAGE = 100

/** Some bytes of a version, in one row of the index. */
export interface Placed {
  readonly version: StoredVersion
  /** The row with its list of parts; null: its own. */
  readonly row: string | null
  readonly parts: readonly ObjectPart[]
}

/** All versions of a bucket that have blobs, row by row. Writes meanwhile are in it or not. */
export async function* placesOf(store: Store, bucket: string): AsyncGenerator<Placed> {
  for (const prefix of [objectKey(bucket, ''), versionPrefix(bucket, '')]) {
    let after = prefix
    for (let more = true; more; ) {
      const page = await store.list(prefix, { after, limit: PAGE })
      for (const { key, value } of page.entries) {
        after = key
        const version = JSON.parse(value) as StoredVersion
        // What is kept comes once more, among the versions.
        const isTwice = version.isKept === true && key.startsWith('object/')
        if (!isTwice) yield* placesIn(store, version)
      }
      more = page.more
    }
  }
}

async function* placesIn(store: Store, version: StoredVersion): AsyncGenerator<Placed> {
  const { bucket, manifestId, parts = [] } = version
  if (parts.length > 0) yield { version, row: null, parts }
  if (manifestId === undefined) return
  const { entries } = await store.list(manifestPrefix(bucket, manifestId))
  for (const { key, value } of entries) yield { version, row: key, parts: JSON.parse(value) }
}

/**
 * Has parts refer to other blobs, by the names of their references to the old ones; what was shared
 * is each one's own then. False when the version is gone or has other parts meanwhile: nothing
 * refers to the new blobs then. Throws as ObjectIndex.put.
 */
export async function relocate(
  { clock, randomHex }: IndexParts,
  commits: Commits,
  { version, row }: Placed,
  moved: ReadonlyMap<string, BlobRef>,
): Promise<boolean> {
  const { bucket, key } = version
  return await commits.commit(`${bucket}/${key}`, async (draft) => {
    const now = row === null ? await partsNow(draft, version) : await draft.read<ObjectPart[]>(row)
    const movedTo = (part: ObjectPart) => moved.get(nameOf(referenceOf(part)))
    const had = now?.filter((part) => movedTo(part) !== undefined) ?? []
    if (now === null || had.length < moved.size) return false
    const claims = now.map((part) => {
      const blob = movedTo(part)
      if (blob === undefined) return part
      const { share: _, ...rest } = part
      return claim(draft, { ...rest, blob }, { bucket, key }, randomHex)
    })
    const parts = await Promise.all(claims)
    if (row === null) await putParts(draft, version, parts)
    else draft.put(row, parts)
    discard(draft, { blobs: had.map(referenceOf) }, clock.nowMs() + READERS_GRACE_MS, randomHex)
    return true
  })
}

async function partsNow(draft: Draft, version: StoredVersion): Promise<ObjectPart[] | null> {
  const found = await findVersion(draft, version, version.versionId)
  return found === null ? null : [...(found.parts ?? [])]
}

async function putParts(
  draft: Draft,
  version: StoredVersion,
  parts: readonly ObjectPart[],
): Promise<void> {
  const found = await findVersion(draft, version, version.versionId)
  if (found === null) return
  putVersionRows(draft, { ...found, parts }, await headOf(draft, version))
}

/** Writes a version again in whatever rows it has. */
export function putVersionRows(
  draft: Draft,
  version: StoredVersion,
  { live, marker }: Awaited<ReturnType<typeof headOf>>,
): void {
  const { bucket, key, order, isKept } = version
  if (isKept === true) draft.put(versionKey(bucket, key, order), version)
  if (live?.order === order) draft.put(objectKey(bucket, key), version)
  if (marker?.order === order) draft.put(markerKey(bucket, key), version)
}
