// Brings the bytes of one snapshot to the store: reads the blocks that may have changed, asks which
// of them the store lacks, sends those, and names the whole by pages and a root. Whatever was sent
// before a crash the store has, and nobody sends it again.

import { type FileHandle, open } from 'node:fs/promises'
import { MalleeError } from '../../../common/errors.ts'
import { type BlockChange, buildManifest } from '../../../common/snapshot-build.ts'
import { blocksIn, isZeroBlock, SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import type { SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'
import { pagesFrom, readRoot } from '../../../proto/snapshot-reading.ts'
import type { SnapshotId } from '../volumes/backend.ts'
import { type BlockRanges, countOf, isWithin, numbersOf } from './block-ranges.ts'
import { sha256 } from './sha256.ts'

export interface UploadJob {
  /** Nobody writes it. */
  readonly file: string
  readonly sizeBytes: number
  /** Of the file's blocks, those that have bytes; all others are zeroes. */
  readonly data: BlockRanges
  /** What is as in the template is not in it; without one, all that has bytes. */
  readonly changed: BlockRanges
  /** A snapshot that the store has; null to begin with zeroes. */
  readonly template: Template | null
}

export interface Template {
  readonly snapshot: SnapshotId
  readonly manifest: string
}

export interface UploadSums {
  readonly manifest: string
  readonly readBytes: number
  readonly sentBytes: number
  readonly dataBytes: number
}

export interface UploadStore {
  /** Of the new snapshot. */
  readonly own: SnapshotBlocksEnd
  /** To read the template. */
  readonly endOf: (snapshot: SnapshotId) => SnapshotBlocksEnd
}

export interface UploadOptions {
  readonly signal: AbortSignal
  /** From 0 to 100, of what is to be looked at. */
  readonly progress: (percent: number) => void
}

/** Blocks that the store is asked about at once. */
const BATCH_BLOCKS = 16
/** Of an upload, at a time: 24 MiB. */
const MAX_BATCHES = 3

/**
 * Throws NotFound when the store lacks (no longer has) what the template is made of, or what was
 * sent long ago; Unavailable when the signal aborts.
 */
export async function uploadSnapshot(
  job: UploadJob,
  store: UploadStore,
  options: UploadOptions,
): Promise<UploadSums> {
  const handle = await open(job.file, 'r')
  const upload = new Upload(job, store, options, handle)
  try {
    return await upload.run()
  } finally {
    await upload.settled()
    await handle.close()
  }
}

class Upload {
  readonly #job: UploadJob
  readonly #store: UploadStore
  readonly #options: UploadOptions
  readonly #handle: FileHandle
  readonly #total: number
  /** Under way, the oldest first. */
  readonly #batches: Promise<readonly BlockChange[]>[] = []
  #done = 0
  #readBytes = 0
  #sentBytes = 0

  constructor(job: UploadJob, store: UploadStore, options: UploadOptions, handle: FileHandle) {
    this.#job = job
    this.#store = store
    this.#options = options
    this.#handle = handle
    this.#total = countOf(job.changed)
  }

  async run(): Promise<UploadSums> {
    const { sizeBytes, template } = this.#job
    const from = template === null ? null : this.#store.endOf(template.snapshot)
    const base = from === null ? null : await readRoot(from, template?.manifest ?? '')
    const load = pagesFrom(from ?? this.#store.own)
    const pages = buildManifest(base, sizeBytes, this.#changes(), load)
    let next = await pages.next()
    for (; next.done !== true; next = await pages.next()) {
      checkWhole(await this.#store.own.putPage(next.value.bytes))
    }
    const { sha256: manifest, bytes, root } = next.value
    checkWhole(await this.#store.own.putRoot(bytes))
    const dataBytes = blocksIn(root) * SNAPSHOT_BLOCK_BYTES
    return { manifest, readBytes: this.#readBytes, sentBytes: this.#sentBytes, dataBytes }
  }

  /** Nothing reads the file any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#batches)
  }

  /** In order, while the next ones are read and sent. */
  async *#changes(): AsyncGenerator<BlockChange> {
    const numbers = numbersOf(this.#job.changed)
    for (;;) {
      while (this.#batches.length < MAX_BATCHES) {
        const blocks = nextOf(numbers, BATCH_BLOCKS)
        if (blocks.length === 0) break
        const batch = this.#batch(blocks)
        // Whoever waits for it comes later.
        batch.catch(() => undefined)
        this.#batches.push(batch)
      }
      const [first] = this.#batches
      if (first === undefined) return
      const changes = await first
      void this.#batches.shift()
      this.#done += changes.length
      this.#options.progress(Math.floor((this.#done * 100) / this.#total))
      yield* changes
    }
  }

  /** Reads blocks and sees to it that the store has them. */
  async #batch(blocks: readonly number[]): Promise<readonly BlockChange[]> {
    if (this.#options.signal.aborted) throw new MalleeError('Unavailable', 'the upload was ended')
    const bytesOf = new Map<string, Uint8Array>()
    const changes = await Promise.all(
      blocks.map(async (index) => {
        const bytes = isWithin(this.#job.data, index) ? await this.#read(index) : null
        if (bytes === null || isZeroBlock(bytes)) return { index, sha256: null }
        const digest = await sha256(bytes)
        bytesOf.set(digest, bytes)
        return { index, sha256: digest }
      }),
    )
    if (bytesOf.size === 0) return changes
    const missing = await this.#store.own.missing([...bytesOf.keys()])
    await Promise.all(
      missing.map(async (digest) => {
        const bytes = bytesOf.get(digest)
        if (bytes === undefined) return
        await this.#store.own.putBlock({ sha256: digest, bytes })
        this.#sentBytes += bytes.length
      }),
    )
    return changes
  }

  async #read(block: number): Promise<Buffer<ArrayBuffer>> {
    const bytes = Buffer.allocUnsafeSlow(SNAPSHOT_BLOCK_BYTES)
    for (let filled = 0; filled < SNAPSHOT_BLOCK_BYTES; ) {
      const at = block * SNAPSHOT_BLOCK_BYTES + filled
      const left = SNAPSHOT_BLOCK_BYTES - filled
      const { bytesRead } = await this.#handle.read(bytes, filled, left, at)
      if (bytesRead === 0) throw new MalleeError('DataCorrupt', `${this.#job.file} ends at ${at}`)
      filled += bytesRead
    }
    this.#readBytes += SNAPSHOT_BLOCK_BYTES
    return bytes
  }
}

function checkWhole([missing]: readonly string[]): void {
  if (missing !== undefined) throw new MalleeError('NotFound', `the store lacks ${missing}`)
}

function nextOf<T>(items: Iterator<T, undefined>, most: number): T[] {
  const taken: T[] = []
  while (taken.length < most) {
    const { done, value } = items.next()
    if (done === true) break
    taken.push(value)
  }
  return taken
}
