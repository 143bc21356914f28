// Uploads in parts: begun, listed, given up. Their end is complete.ts, their parts upload-parts.ts.

import { bucketOf, canonicalId } from '../buckets/bucket.ts'
import { isUploadId } from '../index/keys.ts'
import type { NewUpload, Upload } from '../index/objects.ts'
import type { S3Handlers, S3Inputs } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { ownerOf } from './acl.ts'
import { newEncryption, shownEncryption } from './encryption.ts'
import { abortOf } from './expiration.ts'
import { encoderOf } from './list.ts'
import { lockAsked } from './lock.ts'
import { type Asked, askedOf, type ObjectParts } from './parts.ts'
import { algorithmNamed, propertiesOf, refuseWishes } from './properties.ts'
import { keyAfter, type Place, walk } from './walk.ts'

type Checksum = NonNullable<NewUpload['checksum']>

const MAX_UPLOADS = 1_000
/** Those that are no CRC: of pieces one cannot tell what the whole has. */
const PIECEWISE = new Set<string>(['SHA1', 'SHA256'])

export function uploadHandlers(parts: ObjectParts): S3Handlers {
  const { index, sealing } = parts
  return {
    CreateMultipartUpload: async (call) => {
      const { bucket, key } = askedOf(call)
      refuseWishes(call.input)
      const { encryption, customer } = newEncryption(sealing, bucket, call)
      const checksum = checksumOf(call.input)
      const upload = await index.uploads.create({
        ...{ bucket: bucket.id, key, ...ownerOf(parts, call) },
        ...propertiesOf(call.input),
        ...lockAsked(call),
        ...(checksum !== undefined && { checksum }),
        ...(encryption !== undefined && { encryption }),
      })
      return {
        output: {
          ...abortOf(parts, bucket, upload),
          Bucket: bucket.name,
          Key: key,
          UploadId: upload.uploadId,
          ...shownEncryption(encryption, customer),
          ...(checksum !== undefined && {
            ChecksumAlgorithm: checksum.algorithm,
            ChecksumType: checksum.type,
          }),
        },
      }
    },

    AbortMultipartUpload: async (call) => {
      const { bucket, key } = askedOf(call)
      const uploadId = call.input.UploadId ?? ''
      if (await index.uploads.abort(bucket.id, key, uploadId)) return { output: {} }
      throw noSuchUpload(uploadId)
    },

    ListMultipartUploads: async (call) => {
      const { input } = call
      const { id, name } = bucketOf(call)
      const { Prefix: prefix = '', Delimiter: delimiter = '' } = input
      const { KeyMarker = '', UploadIdMarker = '', MaxUploads = MAX_UPLOADS } = input
      const maxKeys = Math.min(Math.max(MaxUploads, 0), MAX_UPLOADS)
      const encode = encoderOf(input)
      const marked = KeyMarker !== '' && isUploadId(UploadIdMarker) ? UploadIdMarker : null
      const { entries, prefixes, last } = await walk<Upload>({
        ...{ prefix, delimiter, maxKeys, keyOf },
        start: KeyMarker === '' ? { kind: 'start' } : { kind: 'key', key: KeyMarker },
        next: (place, limit) => {
          const after = {
            afterKey: keyAfter(place, keyOf),
            afterUpload: uploadAfter(place, marked),
          }
          return index.uploads.list(id, { prefix, ...after, limit })
        },
      })
      return {
        output: {
          Bucket: name,
          KeyMarker: encode(KeyMarker),
          UploadIdMarker,
          Prefix: encode(prefix),
          ...(delimiter !== '' && { Delimiter: encode(delimiter) }),
          MaxUploads: maxKeys,
          ...(input.EncodingType !== undefined && { EncodingType: input.EncodingType }),
          IsTruncated: last !== null,
          ...(last?.kind === 'beyond' && { NextKeyMarker: encode(last.prefix) }),
          ...(last?.kind === 'after' && {
            NextKeyMarker: encode(last.entry.key),
            NextUploadIdMarker: last.entry.uploadId,
          }),
          Uploads: entries.map((one) => ({
            UploadId: one.uploadId,
            Key: encode(one.key),
            Initiated: new Date(one.createdAtMs),
            StorageClass: 'STANDARD' as const,
            Owner: { ID: canonicalId(one.owner) },
            Initiator: { ID: canonicalId(one.owner) },
            ...(one.checksum !== undefined && {
              ChecksumAlgorithm: one.checksum.algorithm,
              ChecksumType: one.checksum.type,
            }),
          })),
          CommonPrefixes: prefixes.map((common) => ({ Prefix: encode(common) })),
        },
      }
    },
  }
}

/** Throws NoSuchUpload. */
export async function uploadNamed(
  { index }: Pick<ObjectParts, 'index'>,
  { bucket, key }: Asked,
  uploadId = '',
): Promise<Upload> {
  const upload = await index.uploads.get(bucket.id, key, uploadId)
  if (upload === null) throw noSuchUpload(uploadId)
  return upload
}

export function noSuchUpload(UploadId: string): S3Error {
  const message =
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.'
  return new S3Error('NoSuchUpload', message, 404, { UploadId })
}

/** What the whole has when nobody says: of CRC64NVME always one sum of all bytes. */
export function defaultType(algorithm: Checksum['algorithm']): Checksum['type'] {
  return algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE'
}

function checksumOf(input: S3Inputs['CreateMultipartUpload']): Checksum | undefined {
  const algorithm = algorithmNamed(input.ChecksumAlgorithm)
  const wished = input.ChecksumType
  if (algorithm === undefined) {
    if (wished === undefined) return undefined
    const message =
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.'
    throw new S3Error('InvalidRequest', message, 400)
  }
  const type = wished ?? defaultType(algorithm)
  const fits = type === 'FULL_OBJECT' ? !PIECEWISE.has(algorithm) : algorithm !== 'CRC64NVME'
  if (fits) return { algorithm, type }
  const message = `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`
  throw new S3Error('InvalidRequest', message, 400)
}

function keyOf({ key }: Upload): string {
  return key
}

function uploadAfter(place: Place<Upload>, marked: string | null): string | null {
  if (place.kind === 'after') return place.entry.uploadId
  return place.kind === 'key' ? marked : null
}
