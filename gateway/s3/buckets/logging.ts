// Whether requests about a bucket are logged, and to which other one (S3 user guide, "Logging
// requests with server access logging").

import type { BucketLogging } from '../../store/bucket-records.ts'
import type { S3Call, S3Handlers, S3Inputs } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { malformed } from '../wire/xml.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'

type Put = S3Call<S3Inputs['PutBucketLogging']>

/** Leaves room for the rest of a key. */
const MAX_PREFIX_BYTES = 800

export function loggingHandlers(parts: BucketParts): S3Handlers {
  return {
    async PutBucketLogging(call) {
      const logging = await checkLogging(parts, call)
      await changeBucket(parts, call, ({ logging: _, ...bucket }) => ({
        ...bucket,
        ...(logging !== null && { logging }),
      }))
      return { output: {} }
    },

    async GetBucketLogging(call) {
      const { logging } = bucketOf(call)
      if (logging === undefined) return { output: {} }
      const { targetBucket: TargetBucket, targetPrefix: TargetPrefix, partitions } = logging
      const format = logging.isSimple
        ? { SimplePrefix: {} }
        : { PartitionedPrefix: { PartitionDateSource: partitions } }
      const isSaid = logging.isSimple === true || partitions !== undefined
      const said = isSaid && { TargetObjectKeyFormat: format }
      return { output: { LoggingEnabled: { TargetBucket, TargetPrefix, ...said } } }
    },
  }
}

/** Null: requests are not logged. Throws InvalidTargetBucketForLogging and the like. */
async function checkLogging({ state }: BucketParts, call: Put): Promise<BucketLogging | null> {
  const asked = call.input.BucketLoggingStatus?.LoggingEnabled
  if (asked === undefined) return null
  const { TargetBucket = '', TargetPrefix = '', TargetGrants, TargetObjectKeyFormat } = asked
  if (TargetGrants !== undefined && TargetGrants.length > 0) {
    const message = 'The bucket does not allow ACLs'
    throw new S3Error('AccessControlListNotSupported', message, 400)
  }
  if (Buffer.byteLength(TargetPrefix) > MAX_PREFIX_BYTES || TargetPrefix.includes('\0')) {
    const message = `A prefix of access logs has at most ${MAX_PREFIX_BYTES} bytes.`
    throw invalidArgument('TargetPrefix', TargetPrefix, message)
  }
  const target = (await state.fresh()).get('bucket', TargetBucket)
  if (target === null) throw unfit('The target bucket for logging does not exist', TargetBucket)
  if (target.account !== bucketOf(call).account) {
    const message = 'The owner for the bucket to be logged and the target bucket must be the same.'
    throw unfit(message, TargetBucket)
  }
  if (target.objectLock?.retention !== undefined) {
    const message = 'The target bucket for logging has a default retention of Object Lock.'
    throw unfit(message, TargetBucket)
  }
  const { SimplePrefix: simple, PartitionedPrefix: partitioned } = TargetObjectKeyFormat ?? {}
  if (simple !== undefined && partitioned !== undefined) throw malformed()
  return {
    ...{ targetBucket: TargetBucket, targetPrefix: TargetPrefix },
    ...(simple !== undefined && { isSimple: true as const }),
    ...(partitioned !== undefined && {
      partitions: partitioned.PartitionDateSource ?? 'DeliveryTime',
    }),
  }
}

function unfit(message: string, TargetBucket: string): S3Error {
  return new S3Error('InvalidTargetBucketForLogging', message, 400, { TargetBucket })
}
