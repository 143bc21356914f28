// Lines of access logs on their way: in memory for a moment, then in files of this gateway until
// they are delivered. Owns its folder: `current`, and files that are full or old enough.

import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import { syncFolder } from '../../../common/durable-file.ts'

/** Characters that wait to be written; a disk that is away must not fill the memory. */
const MAX_WAITING = 4 << 20
const MAX_FILE_BYTES = 8 << 20
/** Of all files; what comes then is lost. */
const MAX_BYTES = 256 << 20
const CURRENT = 'current'
const SEALED = /^(\d{15})-([0-9a-f]{16})$/
const TIME_DIGITS = 15
const ID_BYTES = 8

export interface SpoolLine {
  /** Of the bucket that the request was about. */
  readonly bucketId: string
  readonly bucket: string
  readonly atMs: number
  readonly text: string
}

/** A file that is not written to any more. */
export interface Sealed {
  readonly name: string
  readonly sealedAtMs: number
  /** Random hex. */
  readonly id: string
}

export interface SpoolParts {
  readonly dir: string
  /** Age of a file, in milliseconds, at which it is delivered. */
  readonly everyMs: number
  readonly clock: Clock
  readonly randomHex: RandomHex
}

export class Spool {
  readonly #parts: SpoolParts
  #waiting: string[] = []
  #waitingSize = 0
  #handle: FileHandle | null = null
  #size = 0
  #begunAtMs = 0
  #sealedBytes = 0

  constructor(parts: SpoolParts) {
    this.#parts = parts
  }

  /** False: there is no room, and the line is lost. */
  add({ bucketId, bucket, atMs, text }: SpoolLine): boolean {
    const line = `${JSON.stringify([bucketId, bucket, atMs, text])}\n`
    const isFull = this.#sealedBytes + this.#size + this.#waitingSize + line.length > MAX_BYTES
    if (isFull || this.#waitingSize + line.length > MAX_WAITING) return false
    this.#waiting.push(line)
    this.#waitingSize += line.length
    return true
  }

  /** What waits is synced when it resolves; a file that is due is sealed. */
  async flush(): Promise<void> {
    const { clock, everyMs } = this.#parts
    if (this.#waiting.length > 0) {
      this.#handle ??= await this.#begin()
      const some = this.#waiting
      const data = Buffer.from(some.join(''))
      await this.#handle.appendFile(data)
      await this.#handle.datasync()
      this.#waiting = this.#waiting.slice(some.length)
      this.#waitingSize = this.#waiting.reduce((sum, line) => sum + line.length, 0)
      this.#size += data.length
    }
    const isOld = clock.nowMs() - this.#begunAtMs >= everyMs
    if (this.#handle !== null && (isOld || this.#size >= MAX_FILE_BYTES)) await this.#seal()
  }

  /** The oldest first, with what an earlier gateway left. */
  async sealed(): Promise<readonly Sealed[]> {
    const { dir, clock } = this.#parts
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const names = await readdir(dir)
    if (this.#handle === null && names.includes(CURRENT)) await this.#seal()
    const all = (await readdir(dir)).filter((name) => SEALED.test(name)).sort()
    const sizes = await Promise.all(all.map((name) => stat(join(dir, name))))
    this.#sealedBytes = sizes.reduce((sum, { size }) => sum + size, 0)
    return all.map((name) => {
      const [, time = String(clock.nowMs()), id = ''] = SEALED.exec(name) ?? []
      return { name, sealedAtMs: Number(time), id }
    })
  }

  /** A line that a crash tore is left out. */
  async read({ name }: Sealed): Promise<readonly SpoolLine[]> {
    const text = await readFile(join(this.#parts.dir, name), 'utf8')
    return text.split('\n').flatMap((line) => {
      try {
        const [bucketId, bucket, atMs, said] = JSON.parse(line)
        return [{ bucketId, bucket, atMs, text: said }]
      } catch {
        return []
      }
    })
  }

  async remove({ name }: Sealed): Promise<void> {
    await rm(join(this.#parts.dir, name), { force: true })
  }

  async close(): Promise<void> {
    await this.flush()
    await this.#handle?.close()
    this.#handle = null
  }

  async #begin(): Promise<FileHandle> {
    const { dir, clock } = this.#parts
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const handle = await open(join(dir, CURRENT), 'a', 0o600)
    await syncFolder(dir)
    this.#begunAtMs = clock.nowMs()
    this.#size = 0
    return handle
  }

  async #seal(): Promise<void> {
    const { dir, clock, randomHex } = this.#parts
    await this.#handle?.close()
    this.#handle = null
    this.#sealedBytes += this.#size
    this.#size = 0
    const time = String(clock.nowMs()).padStart(TIME_DIGITS, '0')
    await rename(join(dir, CURRENT), join(dir, `${time}-${randomHex(ID_BYTES)}`))
    await syncFolder(dir)
  }
}
