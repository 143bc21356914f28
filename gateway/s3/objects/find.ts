// The version of an object that a request is about, and the errors when it is not there.

import type { BucketRecord } from '../../store/bucket-records.ts'
import { orderOf } from '../index/keys.ts'
import { NULL_VERSION, type ObjectEntry, type ReadObject } from '../index/objects.ts'
import type { S3Call } from '../wire/call.ts'
import { denied, S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { type Asked, noSuchKey, noSuchVersion, type ObjectParts, versionShown } from './parts.ts'

type Allows = S3Call<unknown>['allows']

/**
 * Throws NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker that is asked for by its
 * id, InvalidArgument for what is no version id. Who may not list the bucket is told AccessDenied,
 * and so is who may not have what has come in place of the object that leave was asked for.
 */
export async function findObject(
  { index }: Pick<ObjectParts, 'index'>,
  { bucket, key }: Asked,
  versionId: string | undefined,
  { allows, mayStill }: Pick<S3Call<unknown>, 'allows' | 'mayStill'>,
): Promise<ReadObject> {
  if (versionId !== undefined) checkVersionId(versionId)
  const found = await index.read(bucket.id, key, versionId ?? null)
  if (found !== null && !found.version.isDeleteMarker) {
    mayStill?.(found.version)
    return found
  }
  throw missing({ bucket, key }, versionId, found?.version ?? null, allows)
}

/** Throws InvalidArgument. */
export function checkVersionId(versionId: string): void {
  if (versionId === NULL_VERSION || orderOf(versionId) !== null) return
  throw invalidArgument('versionId', versionId, 'Invalid version id specified')
}

/** What to say of one that is not there, or of a delete marker. */
export function missing(
  { bucket, key }: Asked,
  versionId: string | undefined,
  marker: ObjectEntry | null,
  allows: Allows,
): S3Error {
  const headers = markerHeaders(bucket, marker)
  if (marker !== null && versionId !== undefined) {
    const message = 'The specified method is not allowed against this resource.'
    const fields = { Method: 'GET', ResourceType: 'DeleteMarker' }
    return new S3Error('MethodNotAllowed', message, 405, fields, { ...headers, allow: 'DELETE' })
  }
  if (!allows('s3:ListBucket', bucket, null)) {
    return denied()
  }
  if (versionId !== undefined) return noSuchVersion(key, versionId)
  const { code, message, status, fields } = noSuchKey(key)
  return new S3Error(code, message, status, fields, headers)
}

function markerHeaders(bucket: BucketRecord, marker: ObjectEntry | null): Record<string, string> {
  if (marker === null) return {}
  const id = versionShown(bucket, marker)
  return { 'x-amz-delete-marker': 'true', ...(id !== undefined && { 'x-amz-version-id': id }) }
}
