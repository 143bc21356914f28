// Configurations that no bucket of this cloud has: what S3 answers where there is none. Tools that
// keep buckets as they are described read all of them.

import type { S3Handlers } from '../wire/call.ts'
import { notImplemented, S3Error } from '../wire/error.ts'
import { bucketOf, canonicalId } from './bucket.ts'

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
    GetBucketLogging: none,
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

    async GetBucketAcl(call) {
      const ID = canonicalId(bucketOf(call).account)
      const Grantee = { Type: 'CanonicalUser', ID } as const
      return { output: { Owner: { ID }, Grants: [{ Grantee, Permission: 'FULL_CONTROL' }] } }
    },

    async PutBucketAcl() {
      const message = 'The bucket does not allow ACLs'
      throw new S3Error('AccessControlListNotSupported', message, 400)
    },

    async GetBucketOwnershipControls() {
      const Rules = [{ ObjectOwnership: 'BucketOwnerEnforced' as const }]
      return { output: { OwnershipControls: { Rules } } }
    },

    async PutBucketOwnershipControls({ input }) {
      const rules = input.OwnershipControls?.Rules ?? []
      const other = rules.find((rule) => rule.ObjectOwnership !== 'BucketOwnerEnforced')
      if (other !== undefined) {
        throw notImplemented(`the object ownership ${other.ObjectOwnership}`)
      }
      return { output: {} }
    },
  }
}
