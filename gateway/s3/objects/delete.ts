// DeleteObject and DeleteObjects: of one version for good, or of the key, which then may leave a
// delete marker.

import { hasAcls } from '../acl/grants.ts'
import { bucketOf } from '../buckets/bucket.ts'
import { noted } from '../events/notes.ts'
import type { Check, ObjectEntry, Removed, RemoveOptions } from '../index/objects.ts'
import type { S3Call, S3Handlers, S3Inputs, S3Outputs } from '../wire/call.ts'
import { denied, notImplemented, s3ErrorOf } from '../wire/error.ts'
import { malformed } from '../wire/xml.ts'
import { checkVersionId } from './find.ts'
import { bypassesGovernance } from './lock.ts'
import {
  type Asked,
  askedOf,
  checkKey,
  type ObjectParts,
  preconditionFailed,
  unquoted,
} from './parts.ts'

interface Conditions {
  readonly ETag?: string | undefined
  readonly LastModifiedTime?: Date | undefined
  readonly Size?: number | undefined
}

type Many = S3Call<S3Inputs['DeleteObjects']>
type Outcome = Pick<S3Outputs['DeleteObjects'], 'Deleted' | 'Errors'>

const MAX_KEYS = 1_000
/** Deletes that run at once. */
const AT_ONCE = 16

export function deleteHandlers(parts: ObjectParts): S3Handlers {
  return {
    DeleteObject: async (call) => {
      const { VersionId, IfMatch: ETag, BypassGovernanceRetention: wantsBypass } = call.input
      const { IfMatchLastModifiedTime: LastModifiedTime, IfMatchSize: Size } = call.input
      const asked = askedOf(call)
      const conditions = { ETag, LastModifiedTime, Size, ...noted(call, 'remove', asked.key) }
      const bypasses = bypassesGovernance(wantsBypass, call, asked.bucket, asked.key)
      const done = await deleteOne(parts, asked, VersionId, conditions, bypasses)
      const shown = done.marker ?? done.removed
      const keeps = bucketOf(call).versioning !== 'off'
      const VersionIdShown = VersionId ?? (keeps ? done.marker?.versionId : undefined)
      return {
        output: {
          ...(shown?.isDeleteMarker === true && { DeleteMarker: true }),
          ...(VersionIdShown !== undefined && { VersionId: VersionIdShown }),
        },
      }
    },

    DeleteObjects: async (call) => {
      const { Objects: asked = [], Quiet: isQuiet = false } = call.input.Delete ?? {}
      if (asked.length === 0 || asked.length > MAX_KEYS) {
        throw malformed()
      }
      if (call.input.MFA !== undefined) throw notImplemented('MFA Delete')
      const outcomes: Outcome[] = []
      for (let from = 0; from < asked.length; from += AT_ONCE) {
        const some = asked.slice(from, from + AT_ONCE)
        outcomes.push(...(await Promise.all(some.map((one) => deleteOfMany(parts, call, one)))))
      }
      const Deleted = isQuiet ? [] : outcomes.flatMap((one) => one.Deleted ?? [])
      return { output: { Deleted, Errors: outcomes.flatMap((one) => one.Errors ?? []) } }
    },
  }
}

/** Where lists of grants count, who owns an object may delete it. */
async function objectOf(
  { index }: ObjectParts,
  { id }: Asked['bucket'],
  key: string,
  versionId: string | undefined,
): Promise<ObjectEntry | null> {
  if (versionId === undefined) return await index.current(id, key)
  return await index.version(id, key, versionId)
}

async function deleteOfMany(
  parts: ObjectParts,
  call: Many,
  one: NonNullable<NonNullable<Many['input']['Delete']>['Objects']>[number],
): Promise<Outcome> {
  const { Key = '', VersionId, ...conditions } = one
  const bucket = bucketOf(call)
  const named = { Key, ...(VersionId !== undefined && { VersionId }) }
  try {
    const action = VersionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion'
    const object = hasAcls(bucket) ? await objectOf(parts, bucket, Key, VersionId) : null
    if (!call.allows(action, bucket, Key, new Map(), object ?? undefined)) throw denied()
    checkKey(Key)
    const asked = { bucket, key: Key }
    const wantsBypass = call.input.BypassGovernanceRetention
    const bypasses = bypassesGovernance(wantsBypass, call, bucket, Key)
    const about = { ...conditions, ...noted(call, 'remove', Key) }
    const { removed, marker } = await deleteOne(parts, asked, VersionId, about, bypasses)
    const shown = marker ?? (removed?.isDeleteMarker === true ? removed : null)
    const of = shown !== null && {
      DeleteMarker: true,
      DeleteMarkerVersionId: shown.versionId,
    }
    return { Deleted: [{ ...named, ...of }] }
  } catch (error) {
    const { code: Code, message: Message, status } = s3ErrorOf(error)
    if (status >= 500) call.log.warn('an object of many was not deleted', { key: Key, error })
    return { Errors: [{ ...named, Code, Message }] }
  }
}

async function deleteOne(
  { index }: ObjectParts,
  { bucket, key }: Asked,
  versionId: string | undefined,
  { note, ...conditions }: Conditions & Pick<RemoveOptions, 'note'>,
  bypasses: boolean,
): Promise<Removed> {
  if (versionId !== undefined) checkVersionId(versionId)
  const check = checkOf(conditions)
  return await index.remove(bucket.id, key, {
    ...{ versionId: versionId ?? null, owner: bucket.account, versioning: bucket.versioning },
    bypassesGovernance: bypasses,
    ...(check !== undefined && { check }),
    ...(note !== undefined && { note }),
  })
}

/** What is not there is deleted: only what is there can be another one than the client means. */
function checkOf({ ETag, LastModifiedTime, Size }: Conditions): Check | undefined {
  if (ETag === undefined && LastModifiedTime === undefined && Size === undefined) return undefined
  return (current) => {
    if (current === null || current.isDeleteMarker) {
      if (ETag === undefined || ETag.trim() === '*') return
      throw preconditionFailed('If-Match')
    }
    const { etag, sizeBytes, modifiedAtMs } = current
    const isTagged = ETag === undefined || ETag.trim() === '*' || unquoted(ETag) === etag
    const seconds = (ms: number): number => Math.floor(ms / 1_000)
    const isTimed =
      LastModifiedTime === undefined ||
      seconds(modifiedAtMs) === seconds(LastModifiedTime.getTime())
    if (!isTagged || !isTimed || (Size !== undefined && Size !== sizeBytes)) {
      throw preconditionFailed('If-Match')
    }
  }
}
