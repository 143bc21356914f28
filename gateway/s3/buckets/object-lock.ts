// Whether versions of a bucket's objects can be locked, and for how long new ones are (S3 API
// reference, "PutObjectLockConfiguration"). Once on, it stays on, and versioning with it.

import type { BucketLock, BucketRecord } from '../../store/bucket-records.ts'
import type { S3Handlers, S3Inputs } from '../wire/call.ts'
import { notImplemented, S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { malformed } from '../wire/xml.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'

type Default = NonNullable<BucketLock['retention']>
type Asked = NonNullable<S3Inputs['PutObjectLockConfiguration']['ObjectLockConfiguration']>

/** A hundred years, as AWS has it. */
const MAX_DAYS = 36_500
const MAX_YEARS = 100

export function objectLockHandlers(parts: BucketParts): S3Handlers {
  return {
    async PutObjectLockConfiguration(call) {
      const objectLock = lockOf(call.input.ObjectLockConfiguration ?? {})
      await changeBucket(parts, call, (bucket) => {
        if (bucket.versioning !== 'enabled') {
          const message =
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
          throw new S3Error('InvalidBucketState', message, 409)
        }
        return { ...bucket, objectLock }
      })
      return { output: {} }
    },

    async GetObjectLockConfiguration(call) {
      const { name, objectLock } = bucketOf(call)
      if (objectLock === undefined) {
        const message = 'Object Lock configuration does not exist for this bucket'
        const fields = { BucketName: name }
        throw new S3Error('ObjectLockConfigurationNotFoundError', message, 404, fields)
      }
      const { retention } = objectLock
      return {
        output: {
          ObjectLockConfiguration: {
            ObjectLockEnabled: 'Enabled',
            ...(retention !== undefined && { Rule: { DefaultRetention: shown(retention) } }),
          },
        },
      }
    },
  }
}

/** Throws InvalidBucketState for what would stop to keep versions that may be locked. */
export function mustKeepVersions(bucket: BucketRecord): void {
  if (bucket.objectLock === undefined) return
  const message =
    'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.'
  throw new S3Error('InvalidBucketState', message, 409)
}

/** Throws MalformedXML, InvalidRetentionPeriod, InvalidArgument. */
function lockOf({ ObjectLockEnabled: enabled, Rule: rule }: Asked): BucketLock {
  if (enabled !== 'Enabled') throw malformed()
  if (rule === undefined) return {}
  const { Mode: mode, Days: days, Years: years, DefaultEventHold } = rule.DefaultRetention ?? {}
  if (DefaultEventHold !== undefined) throw notImplemented('event holds')
  if (mode === undefined || (days === undefined) === (years === undefined)) throw malformed()
  checkPeriod('Days', days, MAX_DAYS)
  checkPeriod('Years', years, MAX_YEARS)
  const period = days === undefined ? { years: years ?? 0 } : { days }
  return { retention: { mode, ...period } }
}

function checkPeriod(name: string, period: number | undefined, max: number): void {
  if (period === undefined || (period > 0 && period <= max)) return
  if (period <= 0) {
    const message = 'Default retention period must be a positive integer value.'
    throw new S3Error('InvalidRetentionPeriod', message, 400)
  }
  const message = `Default retention period too large: ${name} is ${max} at most.`
  throw invalidArgument(name, String(period), message)
}

function shown({ mode: Mode, days: Days, years: Years }: Default) {
  return { Mode, ...(Days === undefined ? { Years: Years ?? 0 } : { Days }) }
}
