// What is copied: the source that a header names, if its conditions hold and who copies it may
// read it.

import type { ByteRange } from '../../../common/blobs/blobs.ts'
import { noSuchBucket } from '../buckets/names.ts'
import type { CustomerKey } from '../encryption/data-keys.ts'
import type { ReadObject } from '../index/objects.ts'
import type { S3Call } from '../wire/call.ts'
import { denied, S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { checkSource } from './conditions.ts'
import { type CopiedFrom, keyToRead, ofSource } from './encryption.ts'
import { findObject } from './find.ts'
import { type Asked, checkKey, type ObjectParts } from './parts.ts'

export interface SourceInput extends CopiedFrom {
  readonly CopySource?: string | undefined
  readonly CopySourceIfMatch?: string | undefined
  readonly CopySourceIfNoneMatch?: string | undefined
  readonly CopySourceIfModifiedSince?: Date | undefined
  readonly CopySourceIfUnmodifiedSince?: Date | undefined
  readonly ExpectedSourceBucketOwner?: string | undefined
}

export interface Source {
  readonly asked: Asked
  /** '' for the current version. */
  readonly versionId: string
  readonly object: ReadObject
  /** What it is encrypted with, when a client holds that. */
  readonly customer: CustomerKey | null
}

const SOURCE = /^\/?([^/]+)\/(.+)$/s
const VERSION = /\?versionId=([^&]*)$/
const RANGE = /^bytes=(\d+)-(\d+)$/
/** Of one copy; more goes in parts. */
const MAX_COPY_BYTES = 5 * 2 ** 30

/** Throws NoSuchBucket, NoSuchKey, AccessDenied, PreconditionFailed, InvalidArgument. */
export async function sourceOf(
  parts: ObjectParts,
  call: Pick<S3Call<SourceInput>, 'input' | 'allows' | 'arrival'>,
): Promise<Source> {
  const { input } = call
  const { bucket: name, key, versionId } = parseSource(input.CopySource ?? '')
  const bucket =
    parts.state.view().get('bucket', name) ?? (await parts.state.fresh()).get('bucket', name)
  if (bucket === null) throw noSuchBucket(name)
  const owner = input.ExpectedSourceBucketOwner
  if (owner !== undefined && owner !== bucket.account) throw denied()
  const asked = { bucket, key }
  const isCurrent = versionId === ''
  const action = isCurrent ? 's3:GetObject' : 's3:GetObjectVersion'
  const named = isCurrent ? undefined : versionId
  const object = await findObject(parts, asked, named, { allows: call.allows })
  if (!call.allows(action, bucket, key, new Map(), object.version)) throw denied()
  checkSource(
    {
      IfMatch: input.CopySourceIfMatch,
      IfNoneMatch: input.CopySourceIfNoneMatch,
      IfModifiedSince: input.CopySourceIfModifiedSince,
      IfUnmodifiedSince: input.CopySourceIfUnmodifiedSince,
    },
    object.version,
  )
  const customer = keyToRead(parts.sealing, object.version, ofSource(call))
  return { asked, versionId, object, customer }
}

/** The range of a part's source: unlike reads, it must lie within. Throws InvalidArgument. */
export function sourceRange(header: string | undefined, sizeBytes: number): ByteRange {
  const whole = { start: 0, end: sizeBytes }
  if (header === undefined) return checkSize(whole)
  const [, first = '', last = ''] = RANGE.exec(header) ?? []
  if (first === '' || Number(last) < Number(first)) {
    const message =
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy'
    throw invalidArgument('x-amz-copy-source-range', header, message)
  }
  if (Number(last) >= sizeBytes) {
    const message = `Range specified is not valid for source object of size: ${sizeBytes}`
    throw invalidArgument('x-amz-copy-source-range', header, message)
  }
  return checkSize({ start: Number(first), end: Number(last) + 1 })
}

function checkSize(range: ByteRange): ByteRange {
  if (range.end - range.start <= MAX_COPY_BYTES) return range
  const message = `The specified copy source is larger than the maximum allowable size for a copy source: ${MAX_COPY_BYTES}`
  throw new S3Error('InvalidRequest', message, 400)
}

function parseSource(text: string): { bucket: string; key: string; versionId: string } {
  const version = VERSION.exec(text)
  const path = version === null ? text : text.slice(0, version.index)
  const [, bucket = '', key = ''] = SOURCE.exec(decoded(path, text)) ?? []
  if (bucket === '' || key === '') throw badSource(text)
  checkKey(key)
  return { bucket, key, versionId: decoded(version?.[1] ?? '', text) }
}

function decoded(part: string, whole: string): string {
  try {
    return decodeURIComponent(part.replaceAll('+', ' '))
  } catch {
    throw badSource(whole)
  }
}

function badSource(text: string): S3Error {
  const message = 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey'
  return invalidArgument('x-amz-copy-source', text, message)
}
