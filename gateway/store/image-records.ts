// Records of images, and of those on their way in: the tasks of ImportImage, the key of bundles.

import type { VolumeType } from './volume-records.ts'

/** What an image is for: a disk, or what starts one that does not boot by itself. */
export type ImageKind = 'machine' | 'kernel' | 'ramdisk'

/** Of an image's file: a disk's, or what it is when it is none. */
export type FileFormat = 'raw' | 'qcow2' | 'kernel' | 'ramdisk'

export interface ImageRecord {
  readonly id: string
  readonly account: string
  readonly name: string
  readonly description: string
  readonly state: 'available' | 'deregistered'
  /** Lower-case hex SHA-256 of the file; '' of one that has none: its root is a snapshot. */
  readonly sha256: string
  readonly sizeBytes: number
  readonly virtualSizeBytes: number
  readonly format: FileFormat
  /** Images that its instances start from; absent when it boots by itself. */
  readonly kernel?: string
  readonly ramdisk?: string
  /** Of one whose root is a snapshot: the device of that. */
  readonly rootDevice?: string
  /** What its instances get beside the disk of its file; each device once. */
  readonly devices?: readonly ImageDevice[]
  /** The instance that it was made of, by CreateImage. */
  readonly sourceInstance?: string
  /** Its snapshots are still to be made: `devices` are without them. */
  readonly making?: ImageMaking
  /** Why it cannot be launched, and never will be. */
  readonly failure?: string
  readonly location: string
  readonly isPublic: boolean
  /** Accounts that may launch it; absent none. */
  readonly sharedWith?: readonly string[]
  /** From then on only its owner finds it unasked. */
  readonly deprecatedAtMs?: number | null
  readonly createdAtMs: number
}

export interface ImageMaking {
  /** Which is stopped for it. */
  readonly instance: string
  readonly volumes: readonly { readonly device: string; readonly volume: string }[]
  readonly snapshotTags: Readonly<Record<string, string>>
}

/** A volume that is made with the instance, or a disk of its host. */
export interface ImageDevice {
  /** As the user named it. */
  readonly device: string
  /** Which of the instance store volumes it is; null is a volume. */
  readonly ephemeral: number | null
  readonly volume: ImageVolume | null
}

export interface ImageVolume {
  /** '' for an empty one. */
  readonly snapshot: string
  readonly sizeGib: number
  readonly type: VolumeType
  /** null: what its type has. */
  readonly iops: number | null
  readonly throughputMibps: number | null
  readonly encrypted: boolean
  readonly deleteOnTermination: boolean
}

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
  /** What is made of it, when that is no image. */
  readonly into?: 'snapshot'
  /** The image that was made. */
  readonly image?: string
  /** The snapshot that is made. */
  readonly snapshot?: string
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
  image: ImageRecord
  'import-task': ImportTaskRecord
}
