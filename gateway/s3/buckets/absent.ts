// Configurations that no bucket of this cloud has: what S3 answers where there is none. Tools that
// keep buckets as they are described read all of them.

import type { S3Handlers } from '../wire/call.ts'
import { notImplemented, S3Error } from '../wire/error.ts'
import { bucketOf } from './bucket.ts'

const NO_CONFIGURATION = [
  'NoSuchConfiguration',
  'The specified configuration does not exist.',
] as const

/** Operation → code and sentence, status 404. */
const NOT_THERE = {
  GetBucketReplication: [
    'ReplicationConfigurationNotFoundError',
    'The replication configuration was not found',
  ],
  GetBucketAnalyticsConfiguration: NO_CONFIGURATION,
  GetBucketIntelligentTieringConfiguration: NO_CONFIGURATION,
  GetBucketInventoryConfiguration: NO_CONFIGURATION,
  GetBucketMetricsConfiguration: NO_CONFIGURATION,
} as const satisfies Partial<Record<keyof S3Handlers, readonly [code: string, message: string]>>

export function absentHandlers(): S3Handlers {
  const missing = Object.entries(NOT_THERE).map(([operation, [code, message]]) => [
    operation,
    async (call: { readonly bucket: Parameters<typeof bucketOf>[0]['bucket'] }) => {
      throw new S3Error(code, message, 404, { BucketName: bucketOf(call).name })
    },
  ])
  return { ...Object.fromEntries(missing), ...emptyHandlers() }
}

function emptyHandlers(): S3Handlers {
  const none = async () => ({ output: {} })
  const noneOfMany = async () => ({ output: { IsTruncated: false } })
  return {
    GetBucketAccelerateConfiguration: none,
    ListBucketAnalyticsConfigurations: noneOfMany,
    ListBucketIntelligentTieringConfigurations: noneOfMany,
    ListBucketInventoryConfigurations: noneOfMany,
    ListBucketMetricsConfigurations: noneOfMany,

    async GetBucketAbac() {
      return { output: { AbacStatus: { Status: 'Disabled' } } }
    },

    async GetBucketRequestPayment() {
      return { output: { Payer: 'BucketOwner' } }
    },

    async PutBucketRequestPayment({ input }) {
      const { Payer } = input.RequestPaymentConfiguration ?? {}
      if (Payer !== 'BucketOwner') throw notImplemented('Requester Pays')
      return { output: {} }
    },
  }
}
