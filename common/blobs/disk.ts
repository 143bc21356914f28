// One directory of blobs, which is a disk of its own: who it is, what is in it, and what its errors
// mean. It never makes folders after its first day, or it would fill what is below an empty mount
// point.

import { mkdir, opendir, stat, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { RandomHex } from '../clock.ts'
import { readIfThere, syncFolder, writeDurably } from '../durable-file.ts'
import { MalleeError, messageOf } from '../errors.ts'
import { readBlobFile, writeBlobFile } from './blob-file.ts'
import type { BlobRef, ByteRange, StoredBlob } from './blobs.ts'
import { readRawFile } from './raw-file.ts'

const IDENTITY = 'disk.json'
const DISK_ID = /^[0-9a-f]{8}$/
const DISK_ID_BYTES = 4
const DISK_ID_DIGITS = 2 * DISK_ID_BYTES
/** Of a blob's id, beside the byte that names the folder. */
const RANDOM_BYTES = 11
const FOLDERS = 256
const FOLDER_DIGITS = 2
/** Blobs that go to one folder before another one has its turn: their writers share its syncs. */
const BLOBS_IN_TURN = 64
/** Room that blobs leave, as an index on the same disk needs some to delete them. */
const RESERVE_BYTES = 256 << 20
const RESERVE_SHARE = 1 / 20
const NO_ROOM = ['ENOSPC', 'EDQUOT']

/** The id of the disk that a blob is on. */
export function diskOf(blobId: string): string {
  return blobId.slice(0, DISK_ID_DIGITS)
}

export function isBlobId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text)
}

/**
 * The disk in `dir`; made when there is none and `known` is null. Throws StoreUnavailable when a
 * disk was there (`known` is its id) and none is now, BadConfig.
 */
export async function openDisk(
  dir: string,
  known: string | null,
  randomHex: RandomHex,
): Promise<Disk> {
  try {
    const id = await identityIn(dir)
    if (id !== null) return new Disk(dir, id, randomHex)
    if (known === null) return new Disk(dir, await makeDisk(dir, randomHex), randomHex)
  } catch (cause) {
    if (cause instanceof MalleeError) throw cause
    throw new MalleeError('StoreUnavailable', `${dir}: ${messageOf(cause)}`, { cause })
  }
  throw new MalleeError('StoreUnavailable', `disk ${known} is not in ${dir}: is it mounted`)
}

async function identityIn(dir: string): Promise<string | null> {
  const text = await readIfThere(join(dir, IDENTITY))
  if (text === null) return null
  const id = /"id":\s*"(\w*)"/.exec(text)?.[1] ?? ''
  if (DISK_ID.test(id)) return id
  throw new MalleeError('BadConfig', `${join(dir, IDENTITY)} has no id of a disk of blobs`)
}

async function makeDisk(dir: string, randomHex: RandomHex): Promise<string> {
  const id = randomHex(DISK_ID_BYTES)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const folders = Array.from({ length: FOLDERS }, (_, i) => folderName(i))
  await Promise.all(folders.map((name) => mkdir(join(dir, name), { recursive: true, mode: 0o700 })))
  // Last, and syncs the directory: a disk that was only begun is begun again.
  await writeDurably(join(dir, IDENTITY), `${JSON.stringify({ id })}\n`)
  return id
}

function folderName(i: number): string {
  return i.toString(16).padStart(FOLDER_DIGITS, '0')
}

export class Disk {
  readonly dir: string
  readonly id: string
  readonly #randomHex: RandomHex
  /** By folder: the sync under way, and the one after it. */
  readonly #running = new Map<string, Promise<void>>()
  readonly #waiting = new Map<string, Promise<void>>()
  #turn = ''
  #taken = 0

  constructor(dir: string, id: string, randomHex: RandomHex) {
    this.dir = dir
    this.id = id
    this.#randomHex = randomHex
  }

  /** Bytes that may still be written; 0 when only the reserve is left. */
  async roomBytes(): Promise<number> {
    return (await this.space()).roomBytes
  }

  /** Of the file system, and what of it blobs may still take. */
  async space(): Promise<{ readonly sizeBytes: number; readonly roomBytes: number }> {
    const { bsize, blocks, bavail } = await statfs(this.dir)
    const sizeBytes = bsize * blocks
    const reserve = Math.min(RESERVE_BYTES, sizeBytes * RESERVE_SHARE)
    return { sizeBytes, roomBytes: Math.max(0, bsize * bavail - reserve) }
  }

  /** Is it still there, and still the same one? */
  async isHere(): Promise<boolean> {
    return (await identityIn(this.dir).catch(() => null)) === this.id
  }

  async write(store: string, bytes: AsyncIterable<Uint8Array>): Promise<BlobRef> {
    const id = `${this.id}${this.#turnOf()}${this.#randomHex(RANDOM_BYTES)}`
    const file = this.#fileOf(id)
    try {
      // The name while the content is synced: a journal makes one commit of both.
      const named = (): Promise<void> => this.#sync(this.#folderOf(id))
      const sizeBytes = await writeBlobFile(file, id, bytes, named)
      return { store, id, sizeBytes }
    } catch (error) {
      // Best effort on a disk that may be broken: what stays is swept as nobody's.
      await unlink(file).catch(() => undefined)
      throw error
    }
  }

  read(
    ref: { readonly id: string; readonly sizeBytes: number | null },
    range: ByteRange | null,
  ): AsyncGenerator<Uint8Array> {
    return readBlobFile(this.#fileOf(ref.id), ref, range)
  }

  /** As it is in its file; see readRawFile. */
  raw(id: string, range: ByteRange): AsyncGenerator<Uint8Array> {
    return readRawFile(this.#fileOf(id), id, range)
  }

  async delete(id: string): Promise<void> {
    await unlink(this.#fileOf(id))
  }

  async *list(): AsyncGenerator<StoredBlob> {
    for (let i = 0; i < FOLDERS; i++) {
      const folder = join(this.dir, folderName(i))
      for await (const { name } of await opendir(folder)) {
        const found = await stat(join(folder, name)).catch(() => null)
        if (found === null || !isBlobId(name)) continue
        yield { id: name, sizeBytes: found.size, writtenAtMs: found.mtimeMs }
      }
    }
  }

  #turnOf(): string {
    if (this.#taken % BLOBS_IN_TURN === 0) this.#turn = this.#randomHex(FOLDER_DIGITS / 2)
    this.#taken += 1
    return this.#turn
  }

  /** Who asks while one runs shares the next: the one under way may not have seen their names. */
  #sync(folder: string): Promise<void> {
    const waiting = this.#waiting.get(folder)
    if (waiting !== undefined) return waiting
    const before = this.#running.get(folder) ?? Promise.resolve()
    const next = before
      .catch(() => undefined)
      .then(async () => {
        this.#waiting.delete(folder)
        const sync = syncFolder(folder)
        this.#running.set(folder, sync)
        try {
          await sync
        } finally {
          if (this.#running.get(folder) === sync) this.#running.delete(folder)
        }
      })
    this.#waiting.set(folder, next)
    return next
  }

  #folderOf(id: string): string {
    return join(this.dir, id.slice(DISK_ID_DIGITS, DISK_ID_DIGITS + FOLDER_DIGITS))
  }

  #fileOf(id: string): string {
    return join(this.#folderOf(id), id)
  }
}

/** Does it say that there is no room? */
export function isFull(error: unknown): boolean {
  return NO_ROOM.includes(codeIn(error) ?? '')
}

/** The code of an error of the file system (`EIO`), null for all others. */
export function codeIn(error: unknown): string | null {
  const { code, syscall } = error as NodeJS.ErrnoException
  return error instanceof Error && syscall !== undefined ? (code ?? null) : null
}
