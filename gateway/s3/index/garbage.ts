// What is not needed any more, noted in the very transaction that makes it so, and worked off later
// (sweep.ts): bytes of replaced objects after a while, so that whoever reads them gets to the end.

import type { BlobRef } from '../../../common/blobs/blobs.ts'
import type { RandomHex } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Draft } from './commits.ts'
import { blobKey, garbageKey, inlineKey } from './keys.ts'
import type { ObjectEntry, ObjectPart } from './objects.ts'

/** How long the bytes of a replaced object stay for those who read them. */
export const READERS_GRACE_MS = 60 * 60_000
const ID_BYTES = 8

/** What the index stores of a version; `parts` are in rows of their own when it has a manifest. */
export type StoredVersion = ObjectEntry & { readonly parts?: readonly ObjectPart[] }

/** One of these; a blob's row goes with it. */
export interface Garbage {
  readonly blobs?: readonly Pick<BlobRef, 'store' | 'id'>[]
  /** A list of parts with their blobs. */
  readonly manifest?: { readonly bucket: string; readonly id: string }
  /** An upload's parts, but for what a manifest of the same id holds. */
  readonly upload?: { readonly bucket: string; readonly id: string }
}

/** Who a blob belongs to. Nobody: the sweep of orphans has taken it. */
export type BlobOwner =
  | { readonly bucket: string; readonly key: string }
  | { readonly condemnedAtMs: number }

export interface Moment {
  readonly nowMs: number
  readonly randomHex: RandomHex
}

/** Has it taken away at that time, in milliseconds since 1970. */
export function discard(draft: Draft, garbage: Garbage, dueMs: number, randomHex: RandomHex): void {
  draft.put(garbageKey(dueMs, randomHex(ID_BYTES)), garbage)
}

/** Gives back the bytes of a version that is gone for good. */
export function discardBytes(draft: Draft, version: StoredVersion, moment: Moment): void {
  const { bucket, inlineId, manifestId, parts = [] } = version
  const dueMs = moment.nowMs + READERS_GRACE_MS
  if (inlineId !== undefined) draft.delete(inlineKey(bucket, inlineId))
  if (manifestId !== undefined) {
    discard(draft, { manifest: { bucket, id: manifestId } }, dueMs, moment.randomHex)
  }
  const blobs = parts.map(({ blob: { store, id } }) => ({ store, id }))
  if (blobs.length > 0) discard(draft, { blobs }, dueMs, moment.randomHex)
}

/**
 * Makes a blob that was just written somebody's. Throws Conflict when the sweep of orphans was
 * faster, as it is with a writer that stood still for a day.
 */
export async function claim(draft: Draft, blob: BlobRef, owner: BlobOwner): Promise<void> {
  const at = blobKey(blob.store, blob.id)
  if ((await draft.read<BlobOwner>(at)) !== null) {
    throw new MalleeError('Conflict', `blob ${blob.id} is not free any more, write it again`)
  }
  draft.put(at, owner)
}
