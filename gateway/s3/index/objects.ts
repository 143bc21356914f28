// The names of objects: what an object, a version and an upload are to the index, and what it
// promises. Nothing of it is in memory: it is a store of its own (docs/s3-storage.md).

import type { BlobRef } from '../../../common/blobs/blobs.ts'
import type { AclGrant } from '../../store/bucket-records.ts'
import type { KeyProof } from '../encryption/data-keys.ts'
import type { NewPart } from './sharing.ts'

/** Of the bucket's record: whether versions are kept. */
export type Versioning = 'off' | 'enabled' | 'suspended'

/** The version id of what was written while versioning was off or suspended. */
export const NULL_VERSION = 'null'

/** Bytes of UTF-8 of a key, as AWS has it. */
export const MAX_OBJECT_KEY_BYTES = 1024

/** Who holds the key that an object's bytes are encrypted with. */
export type Encryption =
  | { readonly by: 'cloud' }
  | { readonly by: 'customer'; readonly proof: KeyProof }

export interface Checksum {
  readonly algorithm: 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256'
  readonly type: 'FULL_OBJECT' | 'COMPOSITE'
  readonly base64: string
}

/** A piece of an object's bytes; an object that was not uploaded in parts has at most one. */
export interface ObjectPart {
  /** From 1 to 10,000. */
  readonly number: number
  readonly blob: BlobRef
  readonly sizeBytes: number
  /** Hex MD5 of a part of an upload. */
  readonly etag?: string
  readonly checksum?: { readonly algorithm: Checksum['algorithm']; readonly base64: string }
  /** Of a blob that is encrypted: its key, sealed. `sizeBytes` is what it was before. */
  readonly sealedKey?: string
  /** Belongs to the index: which of those who share the blob; absent: who had it first. */
  readonly share?: string
}

/** Until when nobody removes a version, in milliseconds since 1970, and whether some may still. */
export interface Retention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE'
  readonly untilMs: number
}

export interface ObjectLock {
  /** Stays when its time is over. */
  readonly retention?: Retention
  /** False: it was taken off, or said to be off. */
  readonly legalHold?: boolean
}

/** Everything that one gives to make an object, but where its bytes are. */
export interface ObjectFields extends ObjectLock {
  /** The bucket's id, not its name. */
  readonly bucket: string
  readonly key: string
  readonly sizeBytes: number
  /** Without quotes. */
  readonly etag: string
  /** The account. */
  readonly owner: string
  readonly checksum?: Checksum
  /** Absent: what is stored are the bytes themselves. */
  readonly encryption?: Encryption
  /** Of encrypted bytes in the index: their key, sealed, and `:` and their tag in base64url. */
  readonly inlineKey?: string
  /** Content-Type, Cache-Control and the like, lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>
  readonly tags?: Readonly<Record<string, string>>
  /** Whom the owner grants what, where the bucket lets it; absent: nobody else anything. */
  readonly acl?: readonly AclGrant[]
}

/** What a list shows of a version. A delete marker has no bytes and an empty ETag. */
export interface ObjectEntry extends ObjectFields {
  readonly versionId: string
  readonly isDeleteMarker: boolean
  readonly modifiedAtMs: number
  /** How many parts it was uploaded in; absent when it came in one piece. */
  readonly partsCount?: number
  /** Sorts a key's versions, the newest first. Belongs to the index. */
  readonly order: string
  /** Belongs to the index: where bytes in the index, a list of parts and the version are kept. */
  readonly inlineId?: string
  readonly manifestId?: string
  readonly isKept?: boolean
}

export interface ObjectVersion extends ObjectEntry {
  /** In order of the bytes; empty when they are in the index, or none. */
  readonly parts: readonly ObjectPart[]
}

export interface NewObject extends ObjectFields {
  readonly parts: readonly NewPart[]
  /** The bytes themselves instead of parts: at most MAX_INLINE_BYTES. */
  readonly inline?: Uint8Array
}

/**
 * Sees the current version (null: none, and it may be a delete marker) in the very transaction,
 * and throws to refuse. Where a version is removed by its id, sees that one, and the current one
 * behind it. It may run several times, must not wait and must not keep anything.
 */
export type Check = (version: ObjectEntry | null, current: ObjectEntry | null) => void

/** A change of a version, in its transaction. */
export interface Done {
  /** What was made, changed or taken away. */
  readonly entry: ObjectEntry
  /** A delete marker was made. */
  readonly isMarked: boolean
  /** Hex digits that sort the changes of a key. */
  readonly sequencer: string
  readonly nowMs: number
}

/** What is to be told of a change, and to which targets. It may run several times, as a check. */
export type Note = (done: Done) => readonly { readonly target: string; readonly event: object }[]

export interface PutOptions {
  readonly versioning: Versioning
  readonly check?: Check
  /** Absent: nobody wants to hear of it. */
  readonly note?: Note
}

export interface RemoveOptions extends PutOptions {
  /** The very version to remove for good; null: the key, which then may leave a marker. */
  readonly versionId: string | null
  /** Who owns the delete marker. */
  readonly owner: string
  /** A retention in governance mode does not count. */
  readonly bypassesGovernance?: boolean
}

export interface Removed {
  /** What is gone for good; null when there was nothing, or it is only covered by a marker. */
  readonly removed: ObjectEntry | null
  /** The delete marker that was made. */
  readonly marker: ObjectEntry | null
}

export interface ListOptions {
  readonly prefix: string
  /** The first key may not be this one or one before it; '' for all. */
  readonly after: string
  /** From 1 to 1,000. */
  readonly limit: number
}

export interface VersionListOptions {
  readonly prefix: string
  readonly afterKey: string
  /** With `afterKey`, goes on after this version of it; null: after all its versions. */
  readonly afterVersion: string | null
  /** In the place of `afterVersion`: after that order, whatever became of who had it. */
  readonly afterOrder?: string
  readonly limit: number
}

export interface Listed<T> {
  readonly entries: readonly T[]
  readonly more: boolean
}

export interface ListedVersion extends ObjectEntry {
  readonly isLatest: boolean
}

/**
 * Everything is durable when it resolves, and linearizable per key. Throws MalleeError StoreFull,
 * Conflict and Unavailable (nothing was written: blobs of the caller's may be deleted),
 * StoreUnavailable (outcome unknown: leave the blobs to the sweep of orphans), NotFound when the
 * bucket was retired, NotAllowed for what would remove a locked version, and what a check throws.
 */
export interface ObjectIndex {
  /** The newest version; may be a delete marker. */
  current(bucket: string, key: string): Promise<ObjectVersion | null>
  version(bucket: string, key: string, versionId: string): Promise<ObjectVersion | null>
  /** A version (null: the current one) and, where they are in the index, its bytes. */
  read(bucket: string, key: string, versionId: string | null): Promise<ReadObject | null>
  /**
   * Makes the current version. `replaced` is gone for good; its blobs are garbage that the index
   * keeps for readers for a while and then has deleted, but for those that others refer to. Throws
   * Conflict as well when a part is from a version that is gone or has other blobs meanwhile.
   */
  put(
    object: NewObject,
    options: PutOptions,
  ): Promise<{ version: ObjectVersion; replaced: ObjectEntry | null }>
  remove(bucket: string, key: string, options: RemoveOptions): Promise<Removed>
  /**
   * Changes what a version says of itself (tags), never its bytes; null: no such version, which
   * `versionId` null takes for the current one. `change` may run several times, and may throw.
   */
  amend(
    bucket: string,
    key: string,
    versionId: string | null,
    change: (version: ObjectEntry) => ObjectEntry,
    note?: Note,
  ): Promise<ObjectEntry | null>
  /** Current versions that are no delete markers, in order of the keys' UTF-8 bytes. */
  list(bucket: string, options: ListOptions): Promise<Listed<ObjectEntry>>
  /** All versions and markers: keys in order, the newest first in each. */
  listVersions(bucket: string, options: VersionListOptions): Promise<Listed<ListedVersion>>
  /** No versions, no markers. Uploads do not count. */
  isEmpty(bucket: string): Promise<boolean>
  /**
   * Closes an empty bucket for good, uploads and all: no write that was under way comes after it.
   * False when it is not empty; it stays open then. The caller deletes the bucket's record next.
   */
  retire(bucket: string): Promise<boolean>
  /** Opens a retired bucket whose record could not be deleted. */
  reopen(bucket: string): Promise<void>
  readonly uploads: UploadIndex
}

export interface ReadObject {
  readonly version: ObjectVersion
  readonly inline: Uint8Array | null
}

export interface NewUpload extends ObjectLock {
  readonly bucket: string
  readonly key: string
  readonly owner: string
  readonly headers: ObjectFields['headers']
  readonly metadata: ObjectFields['metadata']
  readonly tags?: ObjectFields['tags']
  readonly encryption?: Encryption
  readonly acl?: ObjectFields['acl']
  /** What the parts and the object are to have. */
  readonly checksum?: Pick<Checksum, 'algorithm' | 'type'>
}

export interface Upload extends NewUpload {
  readonly uploadId: string
  readonly createdAtMs: number
}

export interface UploadPart extends ObjectPart {
  readonly modifiedAtMs: number
}

export interface CompleteOptions extends PutOptions {
  /**
   * The object, with those of the parts that it shall have. May run several times; throws to
   * refuse, and the upload stays then.
   */
  readonly build: (upload: Upload, parts: readonly UploadPart[]) => NewObject
}

export interface UploadListOptions {
  readonly prefix: string
  readonly afterKey: string
  /** With `afterKey`, goes on after this upload of it; null: after all its uploads. */
  readonly afterUpload: string | null
  readonly limit: number
}

/** Uploads in parts that are neither completed nor aborted. */
export interface UploadIndex {
  create(upload: NewUpload): Promise<Upload>
  get(bucket: string, key: string, uploadId: string): Promise<Upload | null>
  /**
   * Takes a part in, in the place of the one of its number. Null: no such upload any more. Throws
   * Conflict as put.
   */
  putPart(bucket: string, key: string, uploadId: string, part: NewPart): Promise<UploadPart | null>
  /** Parts in order of their numbers, after one; a page has 1 to 1,000. */
  parts(uploadId: string, options: { after: number; limit: number }): Promise<Listed<UploadPart>>
  /**
   * Puts the object and ends the upload in one transaction. Null: no such upload; when the current
   * version is what came of it, that one, as clients repeat the call.
   */
  complete(
    bucket: string,
    key: string,
    uploadId: string,
    options: CompleteOptions,
  ): Promise<ObjectVersion | null>
  /** False: no such upload. Its parts' bytes go soon afterwards. */
  abort(bucket: string, key: string, uploadId: string): Promise<boolean>
  /** In order of keys, then the oldest first. */
  list(bucket: string, options: UploadListOptions): Promise<Listed<Upload>>
}
