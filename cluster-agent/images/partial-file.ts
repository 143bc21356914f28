// An image file of which some chunks are here: a sparse file, and beside it which of its chunks
// are checked and on disk. After a crash one may be here that is not marked, never the other way.

import { createReadStream } from 'node:fs'
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CHUNK_BYTES, type ChunkList, chunkLength, isZeroChunk } from '../../common/chunk-list.ts'
import type { Clock } from '../../common/clock.ts'
import { syncFolder, writeDurably } from '../../common/durable-file.ts'
import { messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'

/** Marked on disk after so many new chunks; whoever takes them asks for it also after a while. */
export const SYNC_CHUNKS = 64

const DIGEST_BYTES = 32
const SYNC_EVERY_MS = 5_000

export class PartialFile {
  readonly list: ChunkList
  readonly #path: string
  readonly #handle: FileHandle
  /** One bit a chunk: here, checked and readable. */
  readonly #have: Buffer
  #missing: number
  #missingBytes: number
  #unsynced = 0
  /** Nothing is marked any more: all of it is there. */
  #isFinishing = false
  #isFinished = false
  #syncing: Promise<void> = Promise.resolve()

  private constructor(path: string, list: ChunkList, handle: FileHandle, have: Buffer) {
    this.list = list
    this.#path = path
    this.#handle = handle
    this.#have = have
    this.#missing = 0
    this.#missingBytes = 0
    for (let index = 0; index < list.count; index++) {
      // Zeros are holes, which are there from the start.
      if (isZeroChunk(list, index)) this.#mark(index)
      else if (!this.has(index)) {
        this.#missing += 1
        this.#missingBytes += chunkLength(list, index)
      }
    }
  }

  /** Of the image file that will be at `path`; goes on with what an earlier try left. */
  static async open(path: string, list: ChunkList): Promise<PartialFile> {
    const handle = await open(`${path}.partial`, 'a').then(async (made) => {
      await made.close()
      return open(`${path}.partial`, 'r+')
    })
    try {
      const bits = Math.ceil(list.count / 8)
      const { size } = await handle.stat()
      const marks = size === list.sizeBytes ? await marksOf(path, list) : null
      if (marks === null) {
        await rm(marksFile(path), { force: true })
        await handle.truncate(0)
        await handle.truncate(list.sizeBytes)
      }
      return new PartialFile(path, list, handle, marks ?? Buffer.alloc(bits))
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  has(index: number): boolean {
    return ((this.#have[index >> 3] ?? 0) & (1 << (index & 7))) !== 0
  }

  get missing(): number {
    return this.#missing
  }

  /** What of the file is still to come, in bytes. */
  get missingBytes(): number {
    return this.#missingBytes
  }

  /** Takes in a checked chunk. Throws what the file system says, ENOSPC among it. */
  async put(index: number, bytes: Uint8Array): Promise<void> {
    if (this.has(index)) return
    // Not write(): on a disk that gets full it may take a part and say so only in its result.
    for (let at = 0; at < bytes.length; ) {
      const from = index * CHUNK_BYTES + at
      const { bytesWritten } = await this.#handle.write(bytes, at, bytes.length - at, from)
      at += bytesWritten
    }
    if (this.has(index)) return
    this.#mark(index)
    this.#missing -= 1
    this.#missingBytes -= bytes.length
    this.#unsynced += 1
    if (this.#unsynced >= SYNC_CHUNKS) await this.sync()
  }

  /** Bytes of chunks that are here. */
  async read(offset: number, length: number): Promise<Buffer> {
    if (this.#isFinished) return readPart(this.#path, offset, length)
    return readFully(this.#handle, offset, length)
  }

  /** Afterwards a crash loses nothing of what is here. */
  sync(): Promise<void> {
    const run = async (): Promise<void> => {
      if (this.#unsynced === 0 || this.#isFinishing) return
      // What comes while the disk works is marked next time.
      const marks = Buffer.concat([Buffer.from(this.list.sha256, 'hex'), this.#have])
      this.#unsynced = 0
      try {
        await this.#handle.datasync()
      } catch (error) {
        // What the disk lost nobody can say: nothing is marked that was not before.
        await rm(marksFile(this.#path), { force: true })
        throw error
      }
      await writeDurably(marksFile(this.#path), marks)
    }
    this.#syncing = this.#syncing.then(run, run)
    return this.#syncing
  }

  /** Gives the complete file its name. It stays readable here. */
  async finish(): Promise<void> {
    if (this.#missing > 0) throw new RangeError(`${this.#path} misses ${this.#missing} chunks`)
    this.#isFinishing = true
    try {
      await this.#syncing.catch(() => undefined)
      await this.#handle.chmod(0o400)
      await this.#handle.sync()
      await rename(`${this.#path}.partial`, this.#path)
      await syncFolder(dirname(this.#path))
    } catch (error) {
      this.#isFinishing = false
      throw error
    }
    this.#isFinished = true
    await rm(marksFile(this.#path), { force: true })
    // Reads that are under way end first.
    await this.#handle.close()
  }

  async close(): Promise<void> {
    await this.#syncing.catch(() => undefined)
    if (!this.#isFinished) await this.#handle.close()
  }

  #mark(index: number): void {
    this.#have[index >> 3] = (this.#have[index >> 3] ?? 0) | (1 << (index & 7))
  }
}

/** Syncs every few seconds until the signal aborts. Never rejects. */
export async function keepSynced(
  file: PartialFile,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await clock.sleep(SYNC_EVERY_MS, signal)
    if (signal.aborted) return
    await file.sync().catch((error: unknown) => {
      log.error('image is not synced', { list: file.list.sha256, error: messageOf(error) })
    })
  }
}

/** A whole file from an offset on. */
export function readStream(path: string, start: number): AsyncIterable<Uint8Array> {
  return createReadStream(path, { start, highWaterMark: CHUNK_BYTES })
}

/** Bytes of a file that is whole. */
export async function readPart(path: string, offset: number, length: number): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    return await readFully(handle, offset, length)
  } finally {
    await handle.close()
  }
}

async function readFully(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  for (let filled = 0; filled < length; ) {
    const at = offset + filled
    const { bytesRead } = await handle.read(bytes, filled, length - filled, at)
    if (bytesRead === 0) throw new RangeError(`byte ${at} is behind the end of the image`)
    filled += bytesRead
  }
  return bytes
}

/** Of another list, or of no sense: null. */
async function marksOf(path: string, list: ChunkList): Promise<Buffer | null> {
  const marks = await readFile(marksFile(path)).catch(() => Buffer.alloc(0))
  if (marks.length !== DIGEST_BYTES + Math.ceil(list.count / 8)) return null
  if (marks.toString('hex', 0, DIGEST_BYTES) !== list.sha256) return null
  return Buffer.from(marks.subarray(DIGEST_BYTES))
}

function marksFile(path: string): string {
  return `${path}.have`
}
