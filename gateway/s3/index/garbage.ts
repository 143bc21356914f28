// What is not needed any more, noted in the very transaction that makes it so, and worked off later
// (keeping/garbage.ts): bytes of replaced objects after a while, so that whoever reads them gets to
// the end.

import type { BlobRef } from '../../../common/blobs/blobs.ts'
import type { RandomHex } from '../../../common/clock.ts'
import type { Draft } from './commits.ts'
import { garbageKey, inlineKey } from './keys.ts'
import type { ObjectEntry, ObjectPart } from './objects.ts'

/** How long the bytes of a replaced object stay for those who read them. */
export const READERS_GRACE_MS = 60 * 60_000
const ID_BYTES = 8

/** What the index stores of a version; `parts` are in rows of their own when it has a manifest. */
export type StoredVersion = ObjectEntry & { readonly parts?: readonly ObjectPart[] }

/** What a part says of its blob: that it refers to it, and as whom. */
export interface Reference extends Pick<BlobRef, 'store' | 'id'>, Pick<ObjectPart, 'share'> {}

/** One of these. A blob goes with the last one who refers to it, and its row with it. */
export interface Garbage {
  readonly blobs?: readonly Reference[]
  /** A list of parts with their blobs. */
  readonly manifest?: { readonly bucket: string; readonly id: string }
  /** An upload's parts, but for what a manifest of the same id holds. */
  readonly upload?: { readonly bucket: string; readonly id: string }
}

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
  const blobs = parts.map(referenceOf)
  if (blobs.length > 0) discard(draft, { blobs }, dueMs, moment.randomHex)
}

export function referenceOf({ blob: { store, id }, share }: ObjectPart): Reference {
  return { store, id, ...(share !== undefined && { share }) }
}

/** Which of all references to blobs it is. */
export function nameOf({ id, share }: Pick<Reference, 'id' | 'share'>): string {
  return share ?? id
}
