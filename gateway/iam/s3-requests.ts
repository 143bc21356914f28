// What a call to S3 asks policies for: pairs of an action and a bucket or an object (Service
// Authorization Reference, "Actions, resources, and condition keys for Amazon S3"). All of them
// must be allowed.

import type { Keys } from './ec2-keys.ts'
import type { Ask } from './ec2-requests.ts'
import type { Arrival } from './request-keys.ts'

/** What the request is about, and the parts of its input that say what else it needs leave for. */
export interface S3Asked {
  readonly operation: string
  readonly bucket: string | null
  readonly key: string | null
  readonly input: Readonly<Record<string, unknown>>
  readonly arrival: Pick<Arrival, 'nowMs'>
}

/** What a request wants locked. */
interface LockAsked {
  readonly ObjectLockMode?: string | undefined
  readonly ObjectLockRetainUntilDate?: Date | undefined
  readonly ObjectLockLegalHoldStatus?: string | undefined
}

/** How a request was signed. */
export interface HowSigned {
  readonly version: 'SigV2' | 'SigV4'
  /** `POST`: in a form. */
  readonly authType: 'AuthHeader' | 'QueryString' | 'POST'
  /** Since when it is signed, of what others may have been given: forms, and what is in a query. */
  readonly ageMs: number | null
  /** What the header says of the body that is signed; null without. */
  readonly payload: string | null
}

const DAY_MS = 24 * 60 * 60_000
const VERSIONS = { SigV2: 'AWS', SigV4: 'AWS4-HMAC-SHA256' } as const
const AUTH_TYPES = {
  ...{ AuthHeader: 'REST-HEADER', QueryString: 'REST-QUERY-STRING', POST: 'POST' },
} as const

/** Operations whose action is not `s3:` and their name. */
const ACTIONS: Readonly<Record<string, string>> = {
  AbortMultipartUpload: 'AbortMultipartUpload',
  CompleteMultipartUpload: 'PutObject',
  CopyObject: 'PutObject',
  CreateMultipartUpload: 'PutObject',
  DeleteBucketCors: 'PutBucketCORS',
  DeleteBucketEncryption: 'PutEncryptionConfiguration',
  DeleteBucketLifecycle: 'PutLifecycleConfiguration',
  DeleteBucketOwnershipControls: 'PutBucketOwnershipControls',
  DeleteBucketReplication: 'PutReplicationConfiguration',
  DeleteBucketTagging: 'PutBucketTagging',
  DeletePublicAccessBlock: 'PutBucketPublicAccessBlock',
  GetBucketAccelerateConfiguration: 'GetAccelerateConfiguration',
  GetBucketAnalyticsConfiguration: 'GetAnalyticsConfiguration',
  GetBucketCors: 'GetBucketCORS',
  GetBucketEncryption: 'GetEncryptionConfiguration',
  GetBucketIntelligentTieringConfiguration: 'GetIntelligentTieringConfiguration',
  GetBucketInventoryConfiguration: 'GetInventoryConfiguration',
  GetBucketLifecycleConfiguration: 'GetLifecycleConfiguration',
  GetBucketMetricsConfiguration: 'GetMetricsConfiguration',
  GetBucketNotificationConfiguration: 'GetBucketNotification',
  GetBucketReplication: 'GetReplicationConfiguration',
  GetObjectLockConfiguration: 'GetBucketObjectLockConfiguration',
  GetPublicAccessBlock: 'GetBucketPublicAccessBlock',
  HeadBucket: 'ListBucket',
  HeadObject: 'GetObject',
  ListBucketAnalyticsConfigurations: 'GetAnalyticsConfiguration',
  ListBucketIntelligentTieringConfigurations: 'GetIntelligentTieringConfiguration',
  ListBucketInventoryConfigurations: 'GetInventoryConfiguration',
  ListBucketMetricsConfigurations: 'GetMetricsConfiguration',
  ListBuckets: 'ListAllMyBuckets',
  ListMultipartUploads: 'ListBucketMultipartUploads',
  ListObjects: 'ListBucket',
  ListObjectsV2: 'ListBucket',
  ListObjectVersions: 'ListBucketVersions',
  ListParts: 'ListMultipartUploadParts',
  PutBucketAccelerateConfiguration: 'PutAccelerateConfiguration',
  PutBucketAnalyticsConfiguration: 'PutAnalyticsConfiguration',
  PutBucketCors: 'PutBucketCORS',
  PutBucketEncryption: 'PutEncryptionConfiguration',
  PutBucketIntelligentTieringConfiguration: 'PutIntelligentTieringConfiguration',
  PutBucketInventoryConfiguration: 'PutInventoryConfiguration',
  PutBucketLifecycleConfiguration: 'PutLifecycleConfiguration',
  PutBucketMetricsConfiguration: 'PutMetricsConfiguration',
  PutBucketNotificationConfiguration: 'PutBucketNotification',
  PutBucketReplication: 'PutReplicationConfiguration',
  PutObjectLockConfiguration: 'PutBucketObjectLockConfiguration',
  PutPublicAccessBlock: 'PutBucketPublicAccessBlock',
  UploadPart: 'PutObject',
  UploadPartCopy: 'PutObject',
}

/** Those that have an action of their own for one version of an object. */
const OF_VERSION: Readonly<Record<string, string>> = {
  DeleteObject: 'DeleteObjectVersion',
  DeleteObjectTagging: 'DeleteObjectVersionTagging',
  GetObject: 'GetObjectVersion',
  GetObjectAcl: 'GetObjectVersionAcl',
  GetObjectAttributes: 'GetObjectVersion',
  GetObjectTagging: 'GetObjectVersionTagging',
  HeadObject: 'GetObjectVersion',
  PutObjectAcl: 'PutObjectVersionAcl',
  PutObjectTagging: 'PutObjectVersionTagging',
}

/** A member of the input → the action that it needs beside the operation's own. */
const BESIDE: readonly (readonly [RegExp, readonly string[], string])[] = [
  [/^CreateBucket$/, aclMembers('ACL'), 'PutBucketAcl'],
  [/^CreateBucket$/, ['ObjectOwnership'], 'PutBucketOwnershipControls'],
  [/^CreateBucket$/, ['ObjectLockEnabledForBucket'], 'PutBucketObjectLockConfiguration'],
  [/^CreateBucket$/, ['ObjectLockEnabledForBucket'], 'PutBucketVersioning'],
  [/^(?:Put|Copy)Object$|^CreateMultipartUpload$/, aclMembers('ACL'), 'PutObjectAcl'],
  [/^(?:Put|Copy)Object$|^CreateMultipartUpload$/, ['Tagging'], 'PutObjectTagging'],
  [/^(?:Put|Copy)Object$|^CreateMultipartUpload$/, ['ObjectLockMode'], 'PutObjectRetention'],
  [
    /^(?:Put|Copy)Object$|^CreateMultipartUpload$/,
    ['ObjectLockLegalHoldStatus'],
    'PutObjectLegalHold',
  ],
]

/** Their document says what is asked for: it is asked when that was read. */
const ASKED_LATER: ReadonlySet<string> = new Set([
  ...['DeleteObjects', 'PutObjectLegalHold', 'PutObjectRetention', 'PutObjectTagging'],
])

export function s3Asks(asked: S3Asked): Ask[] {
  const { operation, bucket, key, input } = asked
  if (ASKED_LATER.has(operation)) return []
  const ofVersion = input['VersionId'] === undefined ? undefined : OF_VERSION[operation]
  const own = ofVersion ?? ACTIONS[operation] ?? operation
  const beside = BESIDE.filter(
    ([operations, members]) =>
      operations.test(operation) && members.some((member) => input[member] !== undefined),
  ).map(([, , action]) => action)
  // What GetObjectAttributes needs is what GetObject needs, and its own.
  if (operation === 'GetObjectAttributes')
    beside.push(ofVersion ? `${operation.replace('Attr', 'VersionAttr')}` : 'GetObject')
  const resource = bucket === null ? '*' : s3Arn(bucket, key)
  return [own, ...beside].map((action) => ({
    action: `s3:${action}`,
    resource,
    keys: requestKeys(asked),
  }))
}

/** ARN of a bucket, or of an object in it. */
export function s3Arn(bucket: string, key: string | null): string {
  return key === null ? `arn:aws:s3:::${bucket}` : `arn:aws:s3:::${bucket}/${key}`
}

/** Members whose values policies may ask for, by the key that has them. */
const KEYS: readonly (readonly [key: string, member: string])[] = [
  ['s3:delimiter', 'Delimiter'],
  ['s3:max-keys', 'MaxKeys'],
  ['s3:prefix', 'Prefix'],
  ['s3:versionid', 'VersionId'],
  ['s3:x-amz-acl', 'ACL'],
  ['s3:x-amz-copy-source', 'CopySource'],
  ['s3:x-amz-grant-full-control', 'GrantFullControl'],
  ['s3:x-amz-grant-read', 'GrantRead'],
  ['s3:x-amz-grant-read-acp', 'GrantReadACP'],
  ['s3:x-amz-grant-write', 'GrantWrite'],
  ['s3:x-amz-grant-write-acp', 'GrantWriteACP'],
  ['s3:x-amz-metadata-directive', 'MetadataDirective'],
  ['s3:x-amz-server-side-encryption', 'ServerSideEncryption'],
  ['s3:x-amz-server-side-encryption-aws-kms-key-id', 'SSEKMSKeyId'],
  ['s3:x-amz-server-side-encryption-customer-algorithm', 'SSECustomerAlgorithm'],
  ['s3:x-amz-storage-class', 'StorageClass'],
  ['s3:x-amz-website-redirect-location', 'WebsiteRedirectLocation'],
  ['s3:x-amz-object-ownership', 'ObjectOwnership'],
]

/** What conditions may ask of a lock. A day that has begun counts as one that remains. */
export function lockKeys(asked: LockAsked, nowMs: number): Keys {
  const { ObjectLockMode: mode, ObjectLockLegalHoldStatus: hold } = asked
  const { ObjectLockRetainUntilDate: until } = asked
  const keys: Keys = new Map()
  if (mode !== undefined) keys.set('s3:object-lock-mode', [mode])
  if (hold !== undefined) keys.set('s3:object-lock-legal-hold', [hold])
  if (until !== undefined) {
    const days = Math.ceil((until.getTime() - nowMs) / DAY_MS)
    keys.set('s3:object-lock-retain-until-date', [until.toISOString()])
    keys.set('s3:object-lock-remaining-retention-days', [String(days)])
  }
  return keys
}

/** What conditions may ask of the tags that a request gives an object. */
export function tagKeys(tags: Iterable<readonly [key: string, value: string]>): Keys {
  const all = [...tags]
  const keys: Keys = new Map()
  for (const [key, value] of all) keys.set(`s3:requestobjecttag/${key.toLowerCase()}`, [value])
  if (all.length > 0) keys.set('s3:requestobjecttagkeys', [...new Set(all.map(([key]) => key))])
  return keys
}

/**
 * What conditions may ask of a signature (S3 API reference, "Signature Version 4 Authentication
 * Specific Policy Keys"). The age of version 2 is always 0: it does not say when it was made.
 */
export function signatureKeys({ version, authType, ageMs, payload }: HowSigned): Keys {
  const keys: Keys = new Map([
    ['s3:signatureversion', [VERSIONS[version]]],
    ['s3:authtype', [AUTH_TYPES[authType]]],
  ])
  if (ageMs !== null) keys.set('s3:signatureage', [String(Math.max(0, ageMs))])
  if (payload !== null) keys.set('s3:x-amz-content-sha256', [payload])
  return keys
}

function requestKeys({ input, arrival }: S3Asked): Keys {
  const keys = lockKeys(input, arrival.nowMs)
  const { Tagging: tags } = input
  if (typeof tags === 'string') {
    for (const [key, values] of tagKeys(new URLSearchParams(tags))) keys.set(key, values)
  }
  for (const [key, member] of KEYS) {
    const value = input[member]
    if (value !== undefined) keys.set(key, [String(value)])
  }
  return keys
}

function aclMembers(canned: string): string[] {
  const grants = ['FullControl', 'Read', 'ReadACP', 'Write', 'WriteACP']
  return [canned, ...grants.map((each) => `Grant${each}`)]
}
