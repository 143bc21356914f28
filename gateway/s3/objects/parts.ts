// What the operations on objects have in common: where objects are, and how they are named to
// clients.

import type { BlobStore } from '../../../common/blobs/blobs.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import type { State } from '../../store/state.ts'
import { bucketOf } from '../buckets/bucket.ts'
import { NULL_VERSION, type ObjectEntry, type ObjectIndex } from '../index/objects.ts'
import type { TakeRoom } from '../quotas/tally.ts'
import type { S3Call } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import type { Sealing } from './encryption.ts'

export interface ObjectParts {
  readonly index: ObjectIndex
  /** Where new bytes of a bucket go. Throws StoreUnavailable when there is no such store. */
  readonly blobsFor: (bucket: Pick<BucketRecord, 'store'>) => BlobStore
  /** The store of that name. Throws StoreUnavailable when there is none. */
  readonly storeOf: (name: string) => BlobStore
  readonly sealing: Sealing
  /** Room for what is about to be written. Throws QuotaExceeded. */
  readonly takeRoom: TakeRoom
  /** How long a day of a lifecycle rule takes. */
  readonly lifecycleDayMs: number
  readonly state: Pick<State, 'view' | 'fresh'>
}

/** An operation on one object: its bucket, and its key. */
export interface Asked {
  readonly bucket: BucketRecord
  readonly key: string
}

const MAX_KEY_BYTES = 1024

/** Throws KeyTooLongError, InvalidArgument for a key that cannot be. */
export function askedOf(
  call: Pick<S3Call<{ Key?: string | undefined }>, 'bucket' | 'input'>,
): Asked {
  const { Key: key = '' } = call.input
  checkKey(key)
  return { bucket: bucketOf(call), key }
}

export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  if (bytes > MAX_KEY_BYTES) {
    const fields = { Size: String(bytes), MaxSizeAllowed: String(MAX_KEY_BYTES) }
    throw new S3Error('KeyTooLongError', 'Your key is too long', 400, fields)
  }
  if (key !== '' && key.isWellFormed() && !key.includes('\0')) return
  throw invalidArgument('key', key.toWellFormed(), 'A key is UTF-8 text without NUL.')
}

export function quoted(etag: string): string {
  return `"${etag}"`
}

/** Without quotes, as clients send it with and without them. */
export function unquoted(etag: string): string {
  return etag
    .trim()
    .replace(/^W\//, '')
    .replace(/^"(.*)"$/, '$1')
}

/** What an answer says of the version: nothing where the bucket never kept any. */
export function versionShown(
  { versioning }: Pick<BucketRecord, 'versioning'>,
  { versionId }: Pick<ObjectEntry, 'versionId'>,
): string | undefined {
  return versioning === 'off' && versionId === NULL_VERSION ? undefined : versionId
}

export function noSuchKey(key: string): S3Error {
  return new S3Error('NoSuchKey', 'The specified key does not exist.', 404, { Key: key })
}

export function noSuchVersion(key: string, VersionId: string): S3Error {
  const message = 'The specified version does not exist.'
  return new S3Error('NoSuchVersion', message, 404, { Key: key, VersionId })
}

export function preconditionFailed(Condition: string): S3Error {
  const message = 'At least one of the pre-conditions you specified did not hold'
  return new S3Error('PreconditionFailed', message, 412, { Condition })
}
