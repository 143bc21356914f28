// What the rest of the gateway may do with snapshots' bytes. A manifest is the SHA-256 of a root
// (common/snapshot-manifest.ts), as records of snapshots have it; who has no record of a snapshot
// has no manifest, so whoever is asked to read one has looked already who may read it.

import type { ManifestRoot, PageKind, Sealed } from '../../../common/snapshot-manifest.ts'
import type { BlockRef, ChangedBlock, LoadPage } from '../../../common/snapshot-walk.ts'

/** Some of what was asked for; `next` is where to go on, null at the end. */
export interface BlockPage<T> {
  readonly blocks: readonly T[]
  readonly next: number | null
}

/** A snapshot that was put together. */
export interface CompletedBytes {
  readonly manifest: string
  /** Of all its blocks that are not zeroes. */
  readonly dataBytes: number
}

/** Reading. All throw NotFound for a manifest that nobody holds, DataCorrupt that names it. */
export interface SnapshotReads {
  readonly root: (manifest: string) => Promise<ManifestRoot>
  /** Of manifests that somebody holds. */
  readonly loadPage: LoadPage
  /** All 512 KiB, checked; null when they are zeroes. */
  readonly readBlock: (manifest: string, index: number) => Promise<Uint8Array | null>
  /** At most `max` blocks that are not zeroes, from an index on. */
  readonly listBlocks: (manifest: string, from: number, max: number) => Promise<BlockPage<BlockRef>>
  /** At most `max` blocks that differ; a `before` of null is a snapshot of zeroes. */
  readonly listChanged: (
    before: string | null,
    after: string,
    from: number,
    max: number,
  ) => Promise<BlockPage<ChangedBlock>>
}

/** What was staged. */
export interface StagedBlocks {
  /** How many different blocks. */
  readonly count: number
  /** SHA-256, in base64, of their clients' SHA-256 of them all, ascending by index (LINEAR). */
  readonly checksum: string
}

/** Snapshots that are put together block by block, in any order, by the id of the snapshot. */
export interface StagedSnapshots {
  /**
   * Notes the bytes of a block, all 512 KiB; zeroes too, over what the base has there. The last one
   * wins. `digest`, lower-case hex, is the SHA-256 of the block as its client knows it, if that is
   * not these bytes. Returns the SHA-256 of these, lower-case hex. Durable when it resolves.
   */
  readonly stageBlock: (
    snapshot: string,
    index: number,
    bytes: Uint8Array,
    digest?: string,
  ) => Promise<string>
  readonly stagedBlocks: (snapshot: string) => Promise<StagedBlocks>
  /**
   * Makes the manifest of what was staged over `base` (null for zeroes) and has the snapshot hold
   * it. May be said again after a crash. Throws BadArgument for blocks behind the volume's end.
   */
  readonly completeStaged: (
    snapshot: string,
    base: string | null,
    sizeBytes: number,
  ) => Promise<CompletedBytes>
}

/** Which snapshot has which manifest; what no snapshot has goes. */
export interface SnapshotHolds {
  /** One more snapshot has the same bytes. May be said again. Throws NotFound when nobody has. */
  readonly holdManifest: (manifest: string, snapshot: string) => Promise<void>
  /**
   * The snapshot has no bytes any more, neither a manifest nor what was put or staged for it; also
   * when it never had. May be said again.
   */
  readonly dropManifest: (snapshot: string) => Promise<void>
}

/** Snapshots whose bytes a host brings. */
export interface SnapshotUploads {
  /**
   * Keeps the bytes of another snapshot, with which a new one is compared, until that one has its
   * own; those that were kept for it before go. May be said again; does nothing when it has its own
   * already. Throws NotFound when nobody has that manifest any more.
   */
  readonly holdBase: (manifest: string, snapshot: string) => Promise<void>
  /** Those of some blocks that are to be put; the others are kept for the snapshot meanwhile. */
  readonly missing: (snapshot: string, sha256s: readonly string[]) => Promise<readonly string[]>
  /** Throws DataCorrupt for other bytes than it says, BadArgument for zeroes or another length. */
  readonly putBlock: (snapshot: string, block: Sealed) => Promise<void>
  /** Returns what it lists and is not there: then it was not kept. Throws BadMessage. */
  readonly putPage: (snapshot: string, bytes: Uint8Array) => Promise<readonly string[]>
  /** As putPage; the snapshot has its manifest then. Throws Conflict when it has another one. */
  readonly putRoot: (snapshot: string, bytes: Uint8Array) => Promise<readonly string[]>
  readonly rootBytes: (manifest: string) => Promise<Uint8Array>
  /** Null: all of it is zeroes. */
  readonly pageBytes: (
    manifest: string,
    kind: PageKind,
    number: number,
  ) => Promise<Uint8Array | null>
}

export interface SnapshotBytes extends SnapshotReads, StagedSnapshots, SnapshotHolds {}
