// How the operations of S3 that are done differ from AWS, in a few words each, for
// docs/ec2-actions.md.

import type { S3Handlers } from './wire/call.ts'

const NONE_HERE = 'there is none of them here: always the answer of a bucket without'
const NO_EVENT_HOLDS = 'no event holds'

export const S3_DEVIATIONS: { readonly [K in keyof S3Handlers]?: string } = {
  CreateBucket: 'in the cloud as a whole; no directory buckets',
  GetBucketAccelerateConfiguration: NONE_HERE,
  GetBucketAnalyticsConfiguration: NONE_HERE,
  GetBucketEncryption: 'where neither bucket nor cloud encrypts: that there is none',
  GetBucketIntelligentTieringConfiguration: NONE_HERE,
  GetBucketInventoryConfiguration: NONE_HERE,
  GetBucketMetricsConfiguration: NONE_HERE,
  GetBucketReplication: NONE_HERE,
  GetBucketRequestPayment: 'always the owner',
  PutBucketAcl: 'no grants by e-mail address',
  PutBucketEncryption: 'takes `AES256` only: there is no KMS',
  PutBucketLifecycleConfiguration: 'no transitions: there is one storage class',
  PutBucketLogging: 'no grants; one line for a request that deletes many objects',
  PutBucketNotificationConfiguration:
    'targets are what operators made: [webhooks and streams](s3-events.md); no functions, no EventBridge',
  PutObjectAcl: 'no grants by e-mail address',
  PutBucketPolicy: 'no canonical users, no federated principals',
  PutBucketRequestPayment: 'takes `BucketOwner` only',
  PutBucketVersioning: 'no MFA Delete',
  PutObjectLockConfiguration: NO_EVENT_HOLDS,
  PutObjectRetention: NO_EVENT_HOLDS,
}
