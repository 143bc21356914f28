// Writes of whole objects: what a version consists of, row by row.

import { MalleeError } from '../../../common/errors.ts'
import type { Draft } from './commits.ts'
import type { Moment, StoredVersion } from './garbage.ts'
import { inlineRow } from './inline.ts'
import { closedKey, inlineKey, manifestKey } from './keys.ts'
import {
  MAX_OBJECT_KEY_BYTES,
  type NewObject,
  type ObjectVersion,
  type PutOptions,
} from './objects.ts'
import { claim, PARTS_PER_ROW } from './sharing.ts'
import { headOf, makeCurrent } from './versions.ts'

/** Bytes of an object that may be in the index instead of in a blob. */
export const MAX_INLINE_BYTES = 16 << 10
const ID_BYTES = 8
/** A bucket that somebody began to retire and did not end is open again after that. */
const RETIRE_MS = 60_000

/** When somebody began to retire a bucket; once `closed`, it stays so until it is reopened. */
export interface Closed {
  readonly sinceMs: number
  readonly closed: boolean
}

/** Throws NotFound when the bucket takes no writes any more. */
export async function mustBeOpen(draft: Draft, bucket: string, nowMs: number): Promise<void> {
  const closed = await draft.read<Closed>(closedKey(bucket))
  if (closed === null) return
  if (closed.closed || nowMs - closed.sinceMs < RETIRE_MS) {
    throw new MalleeError('NotFound', `bucket ${bucket} is being deleted`)
  }
  draft.delete(closedKey(bucket))
}

/** Throws BadArgument for what the index cannot keep. */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  const fits = bytes > 0 && bytes <= MAX_OBJECT_KEY_BYTES
  if (fits && !key.includes('\0') && key.isWellFormed()) return
  const wanted = `text of 1 to ${MAX_OBJECT_KEY_BYTES} bytes without NUL`
  throw new MalleeError('BadArgument', `the key of an object is ${wanted}, this has ${bytes}`)
}

/** `uploadId`: the upload that the parts are of, and which has claimed their blobs. */
export async function putObject(
  draft: Draft,
  object: NewObject,
  { versioning, check }: PutOptions,
  moment: Moment,
  uploadId: string | null,
): Promise<{ version: ObjectVersion; replaced: StoredVersion | null }> {
  const { parts: given, inline, ...fields } = object
  const { bucket } = object
  await mustBeOpen(draft, bucket, moment.nowMs)
  const { live, marker } = await headOf(draft, object)
  check?.(live ?? marker, live ?? marker)
  const rows = { ...fields, isDeleteMarker: false }
  const inlineId = inline === undefined ? undefined : moment.randomHex(ID_BYTES)
  if (inline !== undefined && inlineId !== undefined) {
    draft.putText(inlineKey(bucket, inlineId), inlineRow(inlineId, inline))
  }
  const parts =
    uploadId === null
      ? await Promise.all(given.map((part) => claim(draft, part, object, moment.randomHex)))
      : given
  if (uploadId !== null) {
    for (let row = 0; row * PARTS_PER_ROW < parts.length; row++) {
      const first = row * PARTS_PER_ROW
      draft.put(manifestKey(bucket, uploadId, row), parts.slice(first, first + PARTS_PER_ROW))
    }
  }
  const whole =
    uploadId === null
      ? { ...(parts.length === 0 ? {} : { parts }) }
      : { manifestId: uploadId, partsCount: parts.length }
  const stored = { ...rows, ...whole, ...(inlineId === undefined ? {} : { inlineId }) }
  const { version, replaced } = await makeCurrent(draft, stored, versioning, moment)
  return { version: { ...version, parts }, replaced }
}

/** Throws BadArgument when the pieces of an object do not make up its size. */
export function checkPieces({ sizeBytes, parts, inline }: NewObject): void {
  const bytes = parts.reduce((sum, part) => sum + part.sizeBytes, inline?.length ?? 0)
  const isTooMuch = inline !== undefined && (parts.length > 0 || inline.length > MAX_INLINE_BYTES)
  if (bytes === sizeBytes && !isTooMuch) return
  throw new MalleeError('BadArgument', `an object of ${sizeBytes} bytes has pieces of ${bytes}`)
}
