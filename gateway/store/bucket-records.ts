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
  /** Once on, it is never off again. */
  readonly versioning: Versioning
  /** Absent without any. */
  readonly tags?: Readonly<Record<string, string>>
}

export interface BucketRecords {
  bucket: BucketRecord
}
