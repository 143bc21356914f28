// Records of images on their way in: the tasks of ImportImage, the key of bundles.

/** What an image is for: a disk, or what starts one that does not boot by itself. */
export type ImageKind = 'machine' | 'kernel' | 'ramdisk'

/** Of an image's file: a disk's, or what it is when it is none. */
export type FileFormat = 'raw' | 'qcow2' | 'kernel' | 'ramdisk'

/** The very version of an object that an image is made of, whatever the bucket has later. */
export interface ImageSource {
  readonly bucket: string
  /** Buckets of one name may follow each other: this is the one's. */
  readonly bucketId: string
  readonly key: string
  readonly versionId: string
  /** Without quotes; versions of the id `null` take each other's place. */
  readonly etag: string
  readonly sizeBytes: number
}

export interface ImportTaskRecord {
  readonly id: string
  readonly account: string
  readonly description: string
  readonly source: ImageSource
  /** How it was named, when as a URL. */
  readonly url?: string
  /** Absent: whatever it is. */
  readonly format?: 'raw' | 'qcow2'
  readonly state: 'active' | 'deleting' | 'deleted' | 'completed'
  /** In percent. */
  readonly progress: number
  /** What users are told of it. */
  readonly message: string
  /** Whose turn it is, until when; nobody's when it is over. */
  readonly worker?: { readonly holder: string; readonly untilMs: number }
  /** Tries that ended by no fault of the object. */
  readonly failures: number
  /** The image that was made. */
  readonly image?: string
  readonly createdAtMs: number
  readonly endedAtMs?: number
}

/** What bundles are encrypted for. The key is sealed like an access key's secret. */
export interface BundleKeyRecord {
  readonly certificatePem: string
  readonly sealedKey: string
}

export interface ImageRecords {
  'bundle-key': BundleKeyRecord
  'import-task': ImportTaskRecord
}
