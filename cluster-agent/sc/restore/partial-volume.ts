// A volume of which some blocks are here, read and written meanwhile: what is touched comes first.
// Its file is the volume's own; a block that is not here is a hole in it.

import { MalleeError } from '../../../common/errors.ts'
import { SNAPSHOT_BLOCK_BYTES as BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import type { Missing } from '../snapshots/missing.ts'
import { Gate } from './gate.ts'
import { type MarkFiles, Marks } from './marks.ts'
import type { RestoreBlocks } from './source-blocks.ts'
import { VolumeFile } from './volume-file.ts'

export interface PartialVolumeOptions {
  readonly file: string
  readonly marks: MarkFiles
  readonly blocks: RestoreBlocks
  /** Makes a hole of bytes of the file. */
  readonly punch: (offset: number, length: number) => Promise<void>
  /** A block that was touched before it was here. */
  readonly touched: (block: number) => void
}

/** A hole in the file is worth a program; less is overwritten. */
const PUNCH_BYTES = 1 << 20

export class PartialVolume {
  readonly #options: PartialVolumeOptions
  readonly #file: VolumeFile
  readonly #marks: Marks
  readonly #gate = new Gate()
  /** On their way from the store. */
  readonly #coming = new Map<number, Promise<void>>()
  /** Being put into the file for the first time. */
  readonly #arriving = new Map<number, Promise<void>>()

  private constructor(options: PartialVolumeOptions, file: VolumeFile, marks: Marks) {
    this.#options = options
    this.#file = file
    this.#marks = marks
  }

  /** Goes on with what is there. Throws NotFound when the file is not. */
  static async open(options: PartialVolumeOptions): Promise<PartialVolume> {
    const { marks, blocks } = options
    const file = await VolumeFile.open(options.file)
    try {
      const sizeBytes = await file.sizeBytes()
      // What is behind the snapshot's end are zeroes, which are here.
      const count = Math.ceil(Math.min(sizeBytes, blocks.source.sizeBytes) / BLOCK_BYTES)
      return new PartialVolume(options, file, await Marks.open(marks, count))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  get missingBytes(): number {
    return this.#marks.missing * BLOCK_BYTES
  }

  get count(): number {
    return this.#marks.count
  }

  has(block: number): boolean {
    return block >= this.#marks.count || this.#marks.has(block)
  }

  sizeBytes(): Promise<number> {
    return this.#file.sizeBytes()
  }

  /** Throws what SourceBlocks throws; Unavailable when the signal aborts while it waits. */
  async read(offset: number, length: number, signal: AbortSignal): Promise<Buffer> {
    const needs = blocksOf(offset, length).map((block) => this.#need(block))
    await orEnded(Promise.all(needs), signal)
    return this.#file.read(offset, length)
  }

  /** Throws StoreFull, and as read; then nothing of it is done later. */
  write(offset: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#change({ offset, length: bytes.length, signal }, (at, length) =>
      this.#file.write(at, bytes.subarray(at - offset, at - offset + length)),
    )
  }

  /** As write; takes no room where it can. */
  zero(offset: number, length: number, signal: AbortSignal): Promise<void> {
    return this.#change({ offset, length, signal }, async (at, size, isHole) => {
      if (isHole) return
      if (size >= PUNCH_BYTES) return this.#options.punch(at, size)
      await this.#file.write(at, Buffer.alloc(size))
    })
  }

  /** What was written before, and is said to be here, is on the disk. */
  flush(): Promise<void> {
    return this.#marks.keep(() => this.#file.sync())
  }

  /** Brings a block here, if it is not. Throws as read, and StoreFull. */
  async bring(block: number): Promise<void> {
    if (this.has(block)) return
    const coming = this.#coming.get(block)
    if (coming !== undefined) return coming
    const bringing = this.#bring(block).finally(() => this.#coming.delete(block))
    this.#coming.set(block, bringing)
    await bringing
  }

  /** Blocks that are zeroes in the snapshot, ascending: they are here as they are. */
  async skip(blocks: readonly number[]): Promise<void> {
    await this.#gate.among(() => this.#marks.set(blocks))
  }

  /** Runs while nothing comes or is written. Throws Unavailable where nothing has what misses. */
  settled<T>(run: (missing: Missing | null) => Promise<T>): Promise<T> {
    return this.#gate.alone(async () => {
      const { source, isSame } = this.#options.blocks
      const { snapshot, manifest } = source
      const blocks = this.#marks.ranges()
      if (blocks.length > 0 && !isSame) {
        const left = `${this.missingBytes} bytes of ${snapshot} are still to be encrypted`
        throw new MalleeError('Unavailable', `no snapshot can be taken yet: ${left}`)
      }
      return run(blocks.length === 0 ? null : { snapshot, manifest, blocks })
    })
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#coming.values(), ...this.#arriving.values()])
    await this.#gate.alone(async () => {
      await this.#marks.close()
      await this.#file.close()
    })
  }

  async #bring(block: number): Promise<void> {
    const bytes = await this.#options.blocks.block(block)
    // It may have been overwritten since: then it is here.
    await this.#arrive(block, () =>
      this.#gate.among(async () => {
        if (bytes !== null) await this.#file.write(block * BLOCK_BYTES, bytes)
        await this.#marks.set([block])
      }),
    )
  }

  #need(block: number): Promise<void> {
    if (this.has(block)) return Promise.resolve()
    this.#options.touched(block)
    return this.bring(block)
  }

  /** Blocks that are changed as a whole need not come; `isHole` says that such a one is a hole. */
  async #change(
    part: { readonly offset: number; readonly length: number; readonly signal: AbortSignal },
    change: (at: number, length: number, isHole: boolean) => Promise<void>,
  ): Promise<void> {
    const { offset, length, signal } = part
    const isWhole = (block: number): boolean =>
      block * BLOCK_BYTES >= offset && (block + 1) * BLOCK_BYTES <= offset + length
    const overwrite = (block: number): Promise<void> =>
      this.#arrive(block, () =>
        this.#gate.among(async () => {
          checkGoesOn(signal)
          await change(block * BLOCK_BYTES, BLOCK_BYTES, true)
          await this.#marks.set([block])
        }),
      )
    const needs = blocksOf(offset, length).map(async (block) => {
      if (this.has(block)) return
      await (isWhole(block) ? overwrite(block) : this.#need(block))
    })
    await orEnded(Promise.all(needs), signal)
    // All are here: also those that were changed above, which came a moment before.
    await this.#gate.among(() => {
      checkGoesOn(signal)
      return change(offset, length, false)
    })
  }

  /** One at a time: who finds another one waits, and has nothing to do when that went well. */
  async #arrive(block: number, run: () => Promise<void>): Promise<void> {
    for (let other = this.#arriving.get(block); other !== undefined; ) {
      await other.catch(() => undefined)
      other = this.#arriving.get(block)
    }
    if (this.has(block)) return
    const arriving = run().finally(() => this.#arriving.delete(block))
    this.#arriving.set(block, arriving)
    await arriving
  }
}

/** Whoever asked has gone, perhaps for another who writes: nothing may be changed for it. */
function checkGoesOn(signal: AbortSignal): void {
  if (signal.aborted) throw new MalleeError('Unavailable', 'nobody waits for it any more')
}

/** The work, which goes on by itself when the signal aborts. */
async function orEnded<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const over = new AbortController()
  const ended = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { signal: over.signal })
  })
  work.catch(() => undefined)
  try {
    return await Promise.race([
      work,
      ended.then(() => {
        throw new MalleeError('Unavailable', 'nobody waits for it any more')
      }),
    ])
  } finally {
    over.abort()
  }
}

function blocksOf(offset: number, length: number): number[] {
  const first = Math.floor(offset / BLOCK_BYTES)
  const last = Math.ceil((offset + length) / BLOCK_BYTES)
  return Array.from({ length: last - first }, (_, i) => first + i)
}
