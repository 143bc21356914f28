// The parts of an upload: taken from the client or from another object, and listed.

import { canonicalId } from '../buckets/bucket.ts'
import type { KeyPlace } from '../encryption/data-keys.ts'
import type { Upload, UploadPart } from '../index/objects.ts'
import type { NewPart } from '../index/sharing.ts'
import { MAX_PARTS } from '../index/uploads.ts'
import type { Room } from '../quotas/tally.ts'
import type { ChecksumAlgorithm, S3Body, S3Handlers } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { committed, type Taken, takeBlob } from './bytes.ts'
import { checkKeyOfUpload, dataKeyFor, etagOf, keyOfUpload, shownEncryption } from './encryption.ts'
import { abortOf } from './expiration.ts'
import { lockOf, mustBeSummed } from './lock.ts'
import { type Asked, askedOf, type ObjectParts, quoted, versionShown } from './parts.ts'
import { bodyOf } from './put.ts'
import { sourceOf, sourceRange } from './source.ts'
import { type CopyOrder, commitCopy } from './take-copy.ts'
import { noSuchUpload, uploadNamed } from './uploads.ts'

const MAX_LISTED = 1_000
const DEFAULT_ALGORITHM = 'CRC64NVME'

export function uploadPartHandlers(parts: ObjectParts): S3Handlers {
  return {
    UploadPart: async (call) => {
      const asked = askedOf(call)
      const { UploadId, PartNumber } = call.input
      const number = numberOf(PartNumber)
      const upload = await uploadNamed(parts, asked, UploadId)
      const { encryption } = upload
      const customer = keyOfUpload(parts.sealing, upload, call)
      const body = bodyOf(call)
      agree(upload, body)
      mustBeSummed('Put Part', call, body, lockOf(upload, asked.bucket, call.nowMs))
      const dataKey = dataKeyFor(parts.sealing, { encryption, customer }, placeOf(asked, number))
      using room = parts.takeRoom(asked.bucket, { bytes: body.sizeBytes ?? 0, objects: 0 })
      const taken = await takeBlob(parts.blobsFor(asked.bucket), body.bytes, dataKey)
      const { md5Hex, checksum } = body.sums()
      const etag = etagOf(md5Hex, { encryption, customer })
      const part = { ...taken, number, etag, checksum }
      await committed(parts, [part], () => putPart(parts, asked, upload, part, room))
      const { algorithm, base64 } = checksum
      return {
        output: {
          ETag: quoted(etag),
          [`Checksum${algorithm}`]: base64,
          ...shownEncryption(encryption, customer),
        },
      }
    },

    UploadPartCopy: async (call) => {
      const asked = askedOf(call)
      const { UploadId, PartNumber, CopySourceRange } = call.input
      const number = numberOf(PartNumber)
      const upload = await uploadNamed(parts, asked, UploadId)
      const { encryption } = upload
      const customer = keyOfUpload(parts.sealing, upload, call)
      const source = await sourceOf(parts, call)
      const { version } = source.object
      const range = sourceRange(CopySourceRange, version.sizeBytes)
      const sizeBytes = range.end - range.start
      using room = parts.takeRoom(asked.bucket, { bytes: sizeBytes, objects: 0 })
      const ciphering = { encryption, customer }
      const order: CopyOrder = {
        ...{ source, range, ciphering, isPart: true },
        algorithm: upload.checksum?.algorithm ?? DEFAULT_ALGORITHM,
        blobs: parts.blobsFor(asked.bucket),
        place: placeOf(asked, number),
      }
      const put = await commitCopy(parts, order, async ({ md5Hex, checksum, ...copied }) => {
        const etag = etagOf(md5Hex, ciphering)
        const part = { ...partIn(copied), number, etag, checksum }
        return await putPart(parts, asked, upload, part, room)
      })
      const { etag = '', checksum, modifiedAtMs } = put
      const from = versionShown(source.asked.bucket, version)
      return {
        output: {
          ...(from !== undefined && { CopySourceVersionId: from }),
          ...shownEncryption(encryption, customer),
          CopyPartResult: {
            ETag: quoted(etag),
            LastModified: new Date(modifiedAtMs),
            ...(checksum !== undefined && { [`Checksum${checksum.algorithm}`]: checksum.base64 }),
          },
        },
      }
    },

    ListParts: async (call) => {
      const { bucket, key } = askedOf(call)
      const { UploadId, MaxParts = MAX_LISTED, PartNumberMarker } = call.input
      const upload = await uploadNamed(parts, { bucket, key }, UploadId)
      checkKeyOfUpload(parts.sealing, upload, call)
      const { uploadId, owner, checksum } = upload
      const limit = Math.min(Math.max(MaxParts, 0), MAX_LISTED)
      const after = Math.min(Math.max(Number(PartNumberMarker ?? 0) || 0, 0), MAX_PARTS)
      const page =
        limit === 0
          ? { entries: [], more: false }
          : await parts.index.uploads.parts(uploadId, { after, limit })
      const last = page.entries.at(-1)
      return {
        output: {
          ...abortOf(parts, bucket, upload),
          Bucket: bucket.name,
          Key: key,
          UploadId: uploadId,
          PartNumberMarker: String(after),
          MaxParts: limit,
          IsTruncated: page.more,
          ...(page.more && last !== undefined && { NextPartNumberMarker: String(last.number) }),
          Parts: page.entries.map(shown),
          Initiator: { ID: canonicalId(owner) },
          Owner: { ID: canonicalId(owner) },
          StorageClass: 'STANDARD',
          ...(checksum !== undefined && {
            ChecksumAlgorithm: checksum.algorithm,
            ChecksumType: checksum.type,
          }),
        },
      }
    },
  }
}

function partIn({ parts }: Pick<Taken, 'parts'>): Omit<NewPart, 'number'> {
  const [part] = parts
  if (part === undefined) throw new RangeError('a part has bytes of its own')
  return part
}

function placeOf({ bucket, key }: Asked, number: number): KeyPlace {
  return { bucket: bucket.id, key, number }
}

/** Throws NoSuchUpload when it ended meanwhile. */
async function putPart(
  parts: ObjectParts,
  { bucket, key }: Asked,
  { uploadId }: Upload,
  part: NewPart,
  room: Room,
): Promise<UploadPart> {
  room.fill(part.sizeBytes)
  const put = await parts.index.uploads.putPart(bucket.id, key, uploadId, part)
  if (put === null) throw noSuchUpload(uploadId)
  return put
}

/** A part has the checksum that its upload was begun with. Throws InvalidRequest. */
function agree({ checksum }: Upload, body: S3Body): void {
  if (body.announced === null) body.assume(checksum?.algorithm ?? DEFAULT_ALGORITHM)
  else if (checksum !== undefined && checksum.algorithm !== body.announced) {
    const name = (algorithm: ChecksumAlgorithm): string => algorithm.toLowerCase()
    const message = `Checksum Type mismatch occurred, expected checksum Type: ${name(checksum.algorithm)}, actual checksum Type: ${name(body.announced)}`
    throw new S3Error('InvalidRequest', message, 400)
  }
}

function numberOf(number: number | undefined): number {
  if (number !== undefined && number >= 1 && number <= MAX_PARTS) return number
  const message = `Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`
  throw invalidArgument('partNumber', String(number), message)
}

function shown({ number, modifiedAtMs, etag = '', sizeBytes, checksum }: UploadPart) {
  return {
    PartNumber: number,
    LastModified: new Date(modifiedAtMs),
    ETag: quoted(etag),
    Size: sizeBytes,
    ...(checksum !== undefined && { [`Checksum${checksum.algorithm}`]: checksum.base64 }),
  }
}
