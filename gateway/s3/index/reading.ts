// Reads of single versions. What belongs together is in several rows, and a version may be replaced
// between two of them: then it is read again.

import { MalleeError } from '../../../common/errors.ts'
import type { Store } from '../../store/store.ts'
import { Draft, holds } from './commits.ts'
import type { StoredVersion } from './garbage.ts'
import { inlineBytes } from './inline.ts'
import { inlineKey, manifestPrefix } from './keys.ts'
import type { ObjectPart, ObjectVersion, ReadObject } from './objects.ts'
import { type Place, versionAsked } from './versions.ts'

const MAX_TRIES = 50

/**
 * A version (null: the current one) with its parts; with its inline bytes when asked for. Throws
 * DataCorrupt when they are not as they were written.
 */
export async function readVersion(
  store: Store,
  place: Place,
  versionId: string | null,
  { withBytes }: { withBytes: boolean },
): Promise<ReadObject | null> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const draft = new Draft(store)
    const stored = await versionAsked(draft, place, versionId)
    if (stored === null) {
      // Nothing in several rows is nothing only when all are of one moment.
      if (await holds(store, draft)) return null
      continue
    }
    const parts = await partsOf(store, stored)
    const inline = withBytes ? await bytesOf(store, stored) : null
    if (parts === null || inline === undefined) continue
    return { version: { ...stored, parts }, inline }
  }
  throw new MalleeError('Conflict', `${place.key} was replaced ${MAX_TRIES} times, try again`)
}

/** Null: they are gone already. */
async function partsOf(
  store: Store,
  { bucket, manifestId, partsCount, parts = [] }: StoredVersion,
): Promise<ObjectVersion['parts'] | null> {
  if (manifestId === undefined) return parts
  const { entries } = await store.list(manifestPrefix(bucket, manifestId))
  const all = entries.flatMap(({ value }) => JSON.parse(value) as ObjectPart[])
  return all.length === partsCount ? all : null
}

/** Undefined: they are gone already. Throws DataCorrupt. */
async function bytesOf(
  store: Store,
  { bucket, inlineId }: StoredVersion,
): Promise<Uint8Array | null | undefined> {
  if (inlineId === undefined) return null
  const row = await store.get(inlineKey(bucket, inlineId))
  return row === null ? undefined : inlineBytes(inlineId, row.value)
}
