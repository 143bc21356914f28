// What owns the bytes of volumes: files now; LVM's thin pools or Ceph's RBD would be others.

import type { Brand } from '../../../topology/ids.ts'
import { no, ok, type Result } from '../../../topology/result.ts'

/** `vol-` and 17 hexadecimal digits, as EC2's. */
export type VolumeId = Brand<string, 'VolumeId'>
/** `snap-` and 17 hexadecimal digits. */
export type SnapshotId = Brand<string, 'SnapshotId'>

/** Every size is a multiple of it. */
export const SIZE_UNIT_BYTES = 1 << 20

export interface VolumeBytes {
  readonly sizeBytes: number
  /** What it really takes. */
  readonly usedBytes: number
}

export interface StoreSpace {
  readonly sizeBytes: number
  /** 0 when only the reserve is left. */
  readonly roomBytes: number
}

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/** What of a snapshot is to be read; ranges may reach a little further than what they are for. */
export interface SnapshotParts {
  /** What is in none of them are zeroes. */
  readonly data: readonly ByteRange[]
  /** What may differ from the snapshot that was asked about; null when that is not known. */
  readonly changed: readonly ByteRange[] | null
}

/** Every method throws BadArgument for a size that is no multiple of SIZE_UNIT_BYTES. */
export interface VolumeBackend {
  /** Null when there is none. */
  readonly look: (id: VolumeId) => Promise<VolumeBytes | null>
  /**
   * All zeroes, with a LUKS header of the key before them when there is one, durable when this
   * returns. Throws NameTaken when there is one, StoreFull.
   */
  readonly create: (id: VolumeId, sizeBytes: number, encryptionKey?: string) => Promise<void>
  /**
   * What the snapshot has, and zeroes up to `sizeBytes`. Throws NotSupported where bytes cannot be
   * shared, NotFound, NameTaken, and BadArgument for less than the snapshot has.
   */
  readonly clone: (id: VolumeId, from: SnapshotId, sizeBytes: number) => Promise<void>
  /** Throws NotFound, StoreFull, and Conflict for less than it has. */
  readonly grow: (id: VolumeId, sizeBytes: number) => Promise<void>
  /** Also when there is none. */
  readonly remove: (id: VolumeId) => Promise<void>
  /**
   * The volume as it is at one moment, also while it is written: what its user had flushed is in
   * it. Where bytes cannot be shared (`snapshots`) it is copied, and nobody may write meanwhile.
   * Throws NotSupported for a copy that takes too long, StoreFull, NotFound, NameTaken.
   */
  readonly snapshot: (id: VolumeId, snapshot: SnapshotId) => Promise<void>
  /** Also when there is none. */
  readonly removeSnapshot: (snapshot: SnapshotId) => Promise<void>
  /** Null when there is none. */
  readonly lookSnapshot: (snapshot: SnapshotId) => Promise<VolumeBytes | null>
  /** Runs while its bytes can be read in that file or block device. Throws NotFound. */
  readonly reading: <T>(snapshot: SnapshotId, run: (file: string) => Promise<T>) => Promise<T>
  /**
   * Without reading it; `since` is another snapshot that is kept here, or null. Throws NotSupported
   * where it is not known.
   */
  readonly parts: (snapshot: SnapshotId, since: SnapshotId | null) => Promise<SnapshotParts>
  /** Makes bytes of a volume zeroes, which take no room where it can be. Throws NotFound. */
  readonly zero: (id: VolumeId, range: ByteRange) => Promise<void>
  /** Of what holds the volumes, and what they may still take of it. */
  readonly space: () => Promise<StoreSpace>
  /** Does it share bytes: keep snapshots of what is written, and clone them? */
  readonly snapshots: boolean
  /** A file or a block device: where its bytes are, or are while they are held here. */
  readonly path: (id: VolumeId) => string
  /** Its path is there when this returns, if it has bytes; also again. */
  readonly hold: (id: VolumeId) => Promise<void>
  /** This host does not use its path any more; also when it never did. */
  readonly release: (id: VolumeId) => Promise<void>
}

export function parseVolumeId(text: string): Result<VolumeId, 'BadVolumeId'> {
  return /^vol-[0-9a-f]{17}$/.test(text) ? ok(text as VolumeId) : no('BadVolumeId')
}

export function parseSnapshotId(text: string): Result<SnapshotId, 'BadSnapshotId'> {
  return /^snap-[0-9a-f]{17}$/.test(text) ? ok(text as SnapshotId) : no('BadSnapshotId')
}
