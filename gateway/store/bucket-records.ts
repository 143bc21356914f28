// Buckets of the object store. Their objects are kept in a store of their own, by the bucket's id.

export type Versioning = 'off' | 'enabled' | 'suspended'

/** Key: its name, which no other bucket of the cloud has. */
export interface BucketRecord {
  readonly name: string
  /** Random hex. Objects hang on it: a bucket made again under the name has none of them. */
  readonly id: string
  readonly account: string
  /** The rack that holds its bytes; '' is the cloud's default. */
  readonly rack: string
  readonly createdAtMs: number
  /** Where its bytes are, and where the others move; absent: in the default of the cloud. */
  readonly store?: string
  /** Once on, it is never off again. */
  readonly versioning: Versioning
  /** Absent without any. */
  readonly tags?: Readonly<Record<string, string>>
  /** Who else may do what with it; absent without one. */
  readonly policy?: BucketPolicy
  /** What of that is not to be; absent when its owner took the block away. */
  readonly publicAccess?: PublicAccessBlock
  /** What pages of other origins may do with it; absent without any. */
  readonly cors?: readonly CorsRule[]
  /** How it is served as a website; absent when it is none. */
  readonly website?: WebsiteRecord
  /** What it may hold at most, when the operator said so; at least one of the two. */
  readonly quota?: { readonly bytes?: number; readonly objects?: number }
  /** Who is told of changes of its objects; absent without any. */
  readonly notifications?: readonly NotificationRule[]
  /** Where requests about it are logged; absent when they are not. */
  readonly logging?: BucketLogging
  /** Versions can be locked in it; once that is so, it stays so. */
  readonly objectLock?: BucketLock
  /**
   * Whose objects are, and whether lists of grants count; absent: all are the bucket's owner's. Of
   * `none` somebody took away what was said, which is as `ObjectWriter`.
   */
  readonly ownership?: 'BucketOwnerEnforced' | 'BucketOwnerPreferred' | 'ObjectWriter' | 'none'
  /** Whom its owner grants what; absent: nobody else anything. */
  readonly acl?: readonly AclGrant[]
  /** What becomes of objects that nobody says anything of; absent: what the cloud does. */
  readonly encryption?: BucketEncryption
  /** What goes by itself, and when; absent without any. */
  readonly lifecycle?: BucketLifecycle
}

export type AclPermission = 'READ' | 'WRITE' | 'READ_ACP' | 'WRITE_ACP' | 'FULL_CONTROL'

export interface AclGrant {
  /** An account's canonical id, or a group: AllUsers, AuthenticatedUsers, LogDelivery. */
  readonly to: string
  readonly permission: AclPermission
}

export interface BucketEncryption {
  /** Absent: what the cloud does. */
  readonly algorithm?: 'AES256'
  /** Kept for who asks: it is about keys of KMS, which are not here. */
  readonly bucketKey: boolean
  /** What no new object may have. */
  readonly blocked?: 'NONE' | 'SSE-C'
}

export interface BucketLifecycle {
  readonly rules: readonly LifecycleRule[]
  /** Says something of transitions, which there are none of here: kept for who asks. */
  readonly minimumSize?: 'all_storage_classes_128K' | 'varies_by_storage_class'
}

export interface LifecycleRule {
  /** No other rule of the bucket has it. */
  readonly id: string
  readonly isEnabled: boolean
  /** How its filter was written: as the rule's own prefix, as one condition or none, as several. */
  readonly form: 'prefix' | 'filter' | 'and'
  readonly prefix?: string
  /** An object must have all of them. */
  readonly tags?: Readonly<Record<string, string>>
  readonly largerThanBytes?: number
  readonly smallerThanBytes?: number
  /** Of current versions: one of days and a date, or of delete markers with nothing below them. */
  readonly expiration?: {
    readonly days?: number
    readonly dateMs?: number
    readonly markers?: boolean
  }
  /** Of versions that are not current any more; the newest `keep` of a key stay. */
  readonly noncurrent?: { readonly days: number; readonly keep?: number }
  /** Of uploads in parts, since they began. */
  readonly abortDays?: number
}

export interface BucketLock {
  /** What a new version gets that comes without a lock of its own. */
  readonly retention?: {
    readonly mode: 'GOVERNANCE' | 'COMPLIANCE'
    /** One of the two. */
    readonly days?: number
    readonly years?: number
  }
}

export interface BucketPolicy {
  /** JSON as it was put. */
  readonly document: string
  /**
   * ARN of a user or role → its id when the policy was put: who is made later under that name is
   * somebody else.
   */
  readonly principals: Readonly<Record<string, string>>
}

/** S3's four switches. */
export interface PublicAccessBlock {
  /** An ACL that grants everyone something is not taken. */
  readonly blockAcls: boolean
  /** What ACLs grant everyone does not count. */
  readonly ignoreAcls: boolean
  /** A policy that makes the bucket public is not taken. */
  readonly blockPolicy: boolean
  /** Where there is such a policy, only the account's own may what it says. */
  readonly restrict: boolean
}

export interface CorsRule {
  readonly id?: string
  readonly methods: readonly string[]
  /** May have one `*` each. */
  readonly origins: readonly string[]
  /** Likewise. */
  readonly headers: readonly string[]
  readonly exposed: readonly string[]
  readonly maxAgeSeconds?: number
}

export interface BucketLogging {
  /** By its name, as S3 has it. */
  readonly targetBucket: string
  readonly targetPrefix: string
  /** By whose dates keys are parted; absent: they are not. */
  readonly partitions?: 'EventTime' | 'DeliveryTime'
  /** Its owner said so. */
  readonly isSimple?: true
}

export interface NotificationRule {
  readonly id: string
  /** As it was put. */
  readonly arn: string
  /** Name of the target that it means. */
  readonly target: string
  /** `s3:ObjectCreated:Put`, `s3:ObjectCreated:*` and the like. */
  readonly events: readonly string[]
  /** Of the keys that it is about; '' for all. */
  readonly prefix: string
  readonly suffix: string
}

export interface WebsiteRecord {
  /** To where every request is sent; nothing else is there then. */
  readonly redirectAll?: Pick<WebsiteRule, 'protocol'> & { readonly host: string }
  /** What a folder's page is called, without a slash. */
  readonly indexSuffix?: string
  /** The page of errors below 500. */
  readonly errorKey?: string
  readonly rules?: readonly WebsiteRule[]
}

/** A redirect. The first rule that fits counts. */
export interface WebsiteRule {
  /** With which a key begins. */
  readonly prefix?: string
  /** Asked only after the page came to this status. */
  readonly errorStatus?: number
  /** The one that was asked when absent, as the protocol. */
  readonly host?: string
  readonly protocol?: 'http' | 'https'
  /** 301 when absent. */
  readonly status?: number
  /** In place of the key, or of the prefix. */
  readonly key?: string
  readonly keyPrefix?: string
}

export interface BucketRecords {
  bucket: BucketRecord
}
