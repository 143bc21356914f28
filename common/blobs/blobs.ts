// What every store of objects' bytes offers. Bytes are written once under a random name and never
// change; which object they belong to is the index's matter (gateway/s3/index).

/** Where bytes are. A reference is of use only to the store of that name. */
export interface BlobRef {
  readonly store: string
  readonly id: string
  readonly sizeBytes: number
}

export interface StoredBlob {
  readonly id: string
  /** What it takes on the store, checksums included. */
  readonly sizeBytes: number
  /** When the last byte was written, in milliseconds since 1970. */
  readonly writtenAtMs: number
}

export interface BlobStore {
  readonly name: string
  /**
   * Writes what the iterable gives and takes over its buffers: nobody may change them afterwards.
   * Those that were lent (common/lent-bytes.ts) are given back.
   * Resolves when it survives a power cut. When it or the iterable throws, nothing is left. Throws
   * MalleeError StoreFull, StoreUnavailable.
   */
  write(bytes: AsyncIterable<Uint8Array>): Promise<BlobRef>
  /**
   * Bytes from `start` up to `end` (exclusive), everything without a range. Who is done with a
   * piece may give it back (common/lent-bytes.ts), and must not touch it then. Throws MalleeError
   * DataCorrupt that names blob and block before it gives a wrong byte, NotFound,
   * StoreUnavailable.
   */
  read(ref: BlobRef, range?: ByteRange): AsyncIterable<Uint8Array>
  /** Done as well when it is not there. Throws MalleeError StoreUnavailable. */
  delete(id: string): Promise<void>
  /**
   * Gives up what writers began before that time, in milliseconds since 1970, and have not ended,
   * where a list does not show it. Throws MalleeError StoreUnavailable.
   */
  abandon?(beforeMs: number): Promise<void>
  /** Everything that is there, whole or not, in no order. */
  list(): AsyncIterable<StoredBlob>
  /**
   * Reads everything of a blob; returns how many bytes that were. Throws MalleeError DataCorrupt,
   * NotFound, StoreUnavailable.
   */
  verify(id: string): Promise<number>
}

export interface ByteRange {
  readonly start: number
  readonly end: number
}
