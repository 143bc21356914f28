// Locks of versions: those that uploads ask for or the bucket gives them, what is told of them, and
// their changes (S3 API reference, "PutObjectRetention", "PutObjectLegalHold").

import { lockKeys } from '../../iam/s3-requests.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import { bucketOf } from '../buckets/bucket.ts'
import { retentionAt } from '../index/locks.ts'
import type { ObjectEntry, ObjectLock, Retention } from '../index/objects.ts'
import type { S3Body, S3Call, S3Handlers, S3Inputs, S3Outputs } from '../wire/call.ts'
import { denied, notImplemented, objectProtected, S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { malformed } from '../wire/xml.ts'
import { checkVersionId, findObject, missing } from './find.ts'
import { askedOf, type ObjectParts } from './parts.ts'

interface LockInput {
  readonly ObjectLockMode?: Retention['mode'] | undefined
  readonly ObjectLockRetainUntilDate?: Date | undefined
  readonly ObjectLockLegalHoldStatus?: string | undefined
}

type Upload = Pick<S3Call<LockInput>, 'input' | 'bucket' | 'header' | 'nowMs'>
type Named = Pick<
  S3Call<{ Key?: string | undefined; VersionId?: string | undefined }>,
  'input' | 'bucket' | 'allows'
>
type Shown = Pick<
  S3Outputs['HeadObject'],
  'ObjectLockMode' | 'ObjectLockRetainUntilDate' | 'ObjectLockLegalHoldStatus'
>

const UNTIL = 'x-amz-object-lock-retain-until-date'
const DAY_MS = 24 * 60 * 60_000
const BYPASS = 's3:BypassGovernanceRetention'

export function lockHandlers(parts: ObjectParts): S3Handlers {
  const { index } = parts
  return {
    PutObjectRetention: async (call) => {
      const { bucket, key } = askedOf(call)
      const { Retention: asked = {}, BypassGovernanceRetention: wantsBypass } = call.input
      const wished = retentionIn(asked)
      const { Mode, RetainUntilDate } = asked
      const lock = { ObjectLockMode: Mode, ObjectLockRetainUntilDate: RetainUntilDate }
      const keys = lockKeys(lock, call.nowMs)
      if (!call.allows('s3:PutObjectRetention', bucket, key, keys)) throw denied()
      mustHaveLocks(bucket)
      if (wished !== null) mustBeAhead(wished, call.nowMs)
      const bypasses = wantsBypass === true && call.allows(BYPASS, bucket, key, keys)
      await change(index, call, (version) => {
        mayFollow(retentionAt(version, call.nowMs), wished, bypasses)
        const { retention: _, ...rest } = version
        return { ...rest, ...(wished !== null && { retention: wished }) }
      })
      return { output: {} }
    },

    GetObjectRetention: async (call) => {
      mustHaveLocks(bucketOf(call))
      const { version } = await findObject(parts, askedOf(call), call.input.VersionId, call)
      const { retention } = version
      if (retention === undefined) throw noLock()
      const { mode: Mode, untilMs } = retention
      return { output: { Retention: { Mode, RetainUntilDate: new Date(untilMs) } } }
    },

    PutObjectLegalHold: async (call) => {
      const { bucket, key } = askedOf(call)
      const { Status } = call.input.LegalHold ?? {}
      if (Status === undefined) throw malformed()
      const keys = lockKeys({ ObjectLockLegalHoldStatus: Status }, call.nowMs)
      if (!call.allows('s3:PutObjectLegalHold', bucket, key, keys)) throw denied()
      mustHaveLocks(bucket)
      await change(index, call, (version) => ({ ...version, legalHold: Status === 'ON' }))
      return { output: {} }
    },

    GetObjectLegalHold: async (call) => {
      mustHaveLocks(bucketOf(call))
      const { version } = await findObject(parts, askedOf(call), call.input.VersionId, call)
      if (version.legalHold === undefined) throw noLock()
      return { output: { LegalHold: { Status: statusOf(version.legalHold) } } }
    },
  }
}

/**
 * What an upload asks for by its headers. Throws InvalidRequest where the bucket has no locks,
 * InvalidArgument.
 */
export function lockAsked({ input, bucket, header, nowMs }: Upload): ObjectLock {
  const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = input
  const { ObjectLockLegalHoldStatus: hold } = input
  const said = header(UNTIL)
  if (mode === undefined && said === null && until === undefined && hold === undefined) return {}
  mustHaveLocks(bucketOf({ bucket }))
  if (said !== null && until === undefined) {
    throw invalidArgument(UNTIL, said, 'The retain until date must be provided in ISO 8601 format')
  }
  if ((mode === undefined) !== (until === undefined)) {
    const message =
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied'
    throw invalidArgument(mode === undefined ? 'x-amz-object-lock-mode' : UNTIL, '', message)
  }
  const retention = retentionIn({ Mode: mode, RetainUntilDate: until })
  if (retention !== null) mustBeAhead(retention, nowMs)
  return {
    ...(retention !== null && { retention }),
    ...(hold !== undefined && { legalHold: hold === 'ON' }),
  }
}

/** What a version that is made now is locked with: as was asked, else as its bucket has it. */
export function lockOf(
  asked: ObjectLock,
  { objectLock }: Pick<BucketRecord, 'objectLock'>,
  nowMs: number,
): ObjectLock {
  const usual = objectLock?.retention
  const retention: Retention | undefined =
    asked.retention ?? (usual && { mode: usual.mode, untilMs: endOf(usual, nowMs) })
  const { legalHold } = asked
  return {
    ...(retention !== undefined && { retention }),
    ...(legalHold !== undefined && { legalHold }),
  }
}

/** What is locked must be what the client has sent. Throws InvalidRequest. */
export function mustBeSummed(
  what: 'Put Object' | 'Put Part',
  { header }: Pick<S3Call<unknown>, 'header'>,
  { announced }: Pick<S3Body, 'announced'>,
  lock: ObjectLock,
): void {
  const isLocked = lock.retention !== undefined || lock.legalHold !== undefined
  if (!isLocked || announced !== null || header('content-md5') !== null) return
  const message = `Content-MD5 OR x-amz-checksum- HTTP header is required for ${what} requests with Object Lock parameters`
  throw new S3Error('InvalidRequest', message, 400)
}

/** The lock as an answer has it, to whoever may know it. */
export function shownLock(call: Named, { retention, legalHold }: ObjectLock): Shown {
  if (retention === undefined && legalHold === undefined) return {}
  const { bucket, key } = askedOf(call)
  const may = (action: string): boolean => call.allows(action, bucket, key)
  return {
    ...(retention !== undefined &&
      may('s3:GetObjectRetention') && {
        ObjectLockMode: retention.mode,
        ObjectLockRetainUntilDate: new Date(retention.untilMs),
      }),
    ...(legalHold !== undefined &&
      may('s3:GetObjectLegalHold') && { ObjectLockLegalHoldStatus: statusOf(legalHold) }),
  }
}

/**
 * Whether a delete bypasses governance: it must ask for it and be allowed to. The header alone does
 * nothing, as AWS's console sends it always.
 */
export function bypassesGovernance(
  wants: boolean | undefined,
  { allows }: Pick<S3Call<unknown>, 'allows'>,
  bucket: BucketRecord,
  key: string,
): boolean {
  return wants === true && allows(BYPASS, bucket, key)
}

async function change(
  index: ObjectParts['index'],
  call: Named,
  to: (version: ObjectEntry) => ObjectEntry,
): Promise<void> {
  const asked = askedOf(call)
  const { VersionId } = call.input
  if (VersionId !== undefined) checkVersionId(VersionId)
  const refuse = (marker: ObjectEntry | null) => missing(asked, VersionId, marker, call.allows)
  const changed = await index.amend(asked.bucket.id, asked.key, VersionId ?? null, (version) => {
    if (version.isDeleteMarker) throw refuse(version)
    return to(version)
  })
  if (changed === null) throw refuse(null)
}

/** Null: none. Throws MalformedXML for half of one. */
function retentionIn({
  Mode: mode,
  RetainUntilDate: until,
  EventHold,
  EventHoldDuration,
}: NonNullable<S3Inputs['PutObjectRetention']['Retention']>): Retention | null {
  if (EventHold !== undefined || EventHoldDuration !== undefined) {
    throw notImplemented('event holds')
  }
  if (mode === undefined && until === undefined) return null
  if (mode === undefined || until === undefined) throw malformed()
  return { mode, untilMs: until.getTime() }
}

function mustBeAhead({ untilMs }: Retention, nowMs: number): void {
  if (untilMs > nowMs) return
  const message = 'The retain until date must be in the future!'
  throw invalidArgument('RetainUntilDate', new Date(untilMs).toISOString(), message)
}

/** A retention in force only gets longer, but for who may bypass one in governance mode. */
function mayFollow(before: Retention | null, after: Retention | null, bypasses: boolean): void {
  if (before === null || (before.mode === 'GOVERNANCE' && bypasses)) return
  if (after?.mode === before.mode && after.untilMs >= before.untilMs) return
  throw objectProtected()
}

function mustHaveLocks({ objectLock }: BucketRecord): void {
  if (objectLock !== undefined) return
  throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration', 400)
}

/** Years are those of the calendar. */
function endOf(
  { days, years = 0 }: NonNullable<NonNullable<BucketRecord['objectLock']>['retention']>,
  nowMs: number,
): number {
  if (days !== undefined) return nowMs + days * DAY_MS
  const end = new Date(nowMs)
  end.setUTCFullYear(end.getUTCFullYear() + years)
  return end.getTime()
}

function statusOf(legalHold: boolean): 'ON' | 'OFF' {
  return legalHold ? 'ON' : 'OFF'
}

function noLock(): S3Error {
  const message = 'The specified object does not have a ObjectLock configuration'
  return new S3Error('NoSuchObjectLockConfiguration', message, 404)
}
