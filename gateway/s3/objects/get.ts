// GetObject and HeadObject: an object, or a range or a part of it, if the conditions hold.

import type { ByteRange } from '../../../common/blobs/blobs.ts'
import type { ObjectVersion, ReadObject } from '../index/objects.ts'
import type { S3Answer, S3Call, S3Handlers, S3Inputs, S3Outputs } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { begun, bytesOf } from './bytes.ts'
import { mayRead, notModifiedHeaders } from './conditions.ts'
import { keyToRead, shownEncryption } from './encryption.ts'
import { expirationOf } from './expiration.ts'
import { findObject } from './find.ts'
import { shownLock } from './lock.ts'
import { askedOf, type ObjectParts, quoted, versionShown } from './parts.ts'
import { described, shownChecksum, tagCount } from './properties.ts'
import { contentRange, partOf, rangeOf } from './ranges.ts'

type Call = S3Call<S3Inputs['HeadObject']>
type Output = S3Outputs['HeadObject']

/** Whole, a range of it, or one of its parts. */
interface Piece {
  readonly range: ByteRange
  readonly isWhole: boolean
  readonly partsCount: number | undefined
}

interface Read {
  readonly answer: S3Answer<Output>
  /** Null: not modified. */
  readonly body: AsyncIterable<Uint8Array> | null
}

const PARTIAL_CONTENT = 206
const NOT_MODIFIED = 304

export function getHandlers(parts: ObjectParts): S3Handlers {
  return {
    GetObject: async (call) => {
      const { answer, body } = await read(parts, call)
      return { ...answer, ...(body !== null && { body: await begun(body) }) }
    },

    HeadObject: async (call) => (await read(parts, call)).answer,
  }
}

async function read(parts: ObjectParts, call: Call): Promise<Read> {
  const { input } = call
  const asked = askedOf(call)
  const object = await findObject(parts, asked, input.VersionId, call)
  const { version } = object
  const customer = keyToRead(parts.sealing, version, call)
  const VersionId = versionShown(asked.bucket, version)
  if (!mayRead(input, version)) {
    const headers = {
      ...notModifiedHeaders(version),
      ...(VersionId !== undefined && { 'x-amz-version-id': VersionId }),
    }
    return { answer: { output: {}, status: NOT_MODIFIED, headers }, body: null }
  }
  const piece = pieceOf(input, version)
  return {
    answer: {
      output: {
        ...outputOf(input, object, piece),
        ...shownEncryption(version.encryption, customer),
        ...(VersionId !== undefined && { VersionId }),
        ...shownLock(call, version),
        // Of one that is named, nobody looks whether it is current.
        ...(input.VersionId === undefined && expirationOf(parts, asked.bucket, version)),
      },
      ...(piece.isWhole ? {} : { status: PARTIAL_CONTENT }),
    },
    body: bytesOf(parts, object, piece.range, customer),
  }
}

function pieceOf({ Range, PartNumber }: Call['input'], version: ObjectVersion): Piece {
  const { sizeBytes } = version
  if (PartNumber !== undefined) {
    if (Range !== undefined) {
      const message = 'Cannot specify both Range header and partNumber query parameter'
      throw new S3Error('InvalidRequest', message, 400)
    }
    const { range, count } = partOf(PartNumber, version)
    return { range, isWhole: sizeBytes === 0, partsCount: count }
  }
  const range = rangeOf(Range, sizeBytes)
  const whole = { start: 0, end: sizeBytes }
  return { range: range ?? whole, isWhole: range === null, partsCount: undefined }
}

function outputOf(
  input: Call['input'],
  { version }: ReadObject,
  { range, isWhole, partsCount }: Piece,
): Output {
  const { sizeBytes, etag, modifiedAtMs } = version
  const tags = tagCount(version)
  // A checksum of the whole says nothing of a piece.
  const shows = input.ChecksumMode === 'ENABLED' && isWhole
  return {
    AcceptRanges: 'bytes',
    ContentLength: range.end - range.start,
    ETag: quoted(etag),
    LastModified: new Date(modifiedAtMs),
    ...described(version),
    ...overridden(input),
    ...(isWhole ? {} : { ContentRange: contentRange(range, sizeBytes) }),
    ...(partsCount !== undefined && { PartsCount: partsCount }),
    ...(tags !== undefined && { TagCount: tags }),
    ...(shows && shownChecksum(version.checksum)),
  }
}

/** The headers that a presigned request asks for in the query. */
function overridden(input: Call['input']): Output {
  const {
    ResponseCacheControl: CacheControl,
    ResponseContentDisposition: ContentDisposition,
    ResponseContentEncoding: ContentEncoding,
    ResponseContentLanguage: ContentLanguage,
    ResponseContentType: ContentType,
    ResponseExpires: Expires,
  } = input
  return {
    ...(CacheControl !== undefined && { CacheControl }),
    ...(ContentDisposition !== undefined && { ContentDisposition }),
    ...(ContentEncoding !== undefined && { ContentEncoding }),
    ...(ContentLanguage !== undefined && { ContentLanguage }),
    ...(ContentType !== undefined && { ContentType }),
    ...(Expires !== undefined && { Expires }),
  }
}
