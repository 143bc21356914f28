// What answers tell of lifecycle rules: when an object expires, when an upload is given up.

import type { BucketRecord } from '../../store/bucket-records.ts'
import { currentDue, rulesOf, uploadDue } from '../buckets/expiry.ts'
import type { ObjectEntry, Upload } from '../index/objects.ts'
import type { ObjectParts } from './parts.ts'

type Days = Pick<ObjectParts, 'lifecycleDayMs'>

/** Nobody lives to see it, and HTTP's dates end with four digits of a year. */
const LAST_MS = Date.UTC(9999, 11, 31)

/** `x-amz-expiration` of a current version. */
export function expirationOf(
  { lifecycleDayMs }: Days,
  bucket: BucketRecord,
  version: ObjectEntry,
): { Expiration?: string } {
  if (bucket.lifecycle === undefined) return {}
  const due = currentDue(rulesOf(bucket, lifecycleDayMs), version)
  if (due === null) return {}
  const date = dateOf(due.atMs).toUTCString()
  return { Expiration: `expiry-date="${date}", rule-id="${encodeURIComponent(due.ruleId)}"` }
}

/** `x-amz-abort-date` and the rule that says so. */
export function abortOf(
  { lifecycleDayMs }: Days,
  bucket: BucketRecord,
  upload: Upload,
): { AbortDate?: Date; AbortRuleId?: string } {
  if (bucket.lifecycle === undefined) return {}
  const due = uploadDue(rulesOf(bucket, lifecycleDayMs), upload)
  if (due === null) return {}
  return { AbortDate: dateOf(due.atMs), AbortRuleId: encodeURIComponent(due.ruleId) }
}

function dateOf(ms: number): Date {
  return new Date(Math.min(ms, LAST_MS))
}
