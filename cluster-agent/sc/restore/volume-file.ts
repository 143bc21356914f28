// A volume's own file or block device while its snapshot comes: what is written is in it when that
// is said. Of a file the disk's room is taken when it is written. A thin device takes its own only
// when the page cache is written back, and a failure then would be nobody's: there, writes that
// come together are brought to the device together before any of them is said to be done.

import { type FileHandle, open, readFile } from 'node:fs/promises'
import { MalleeError, messageOf } from '../../../common/errors.ts'

interface Put {
  readonly offset: number
  readonly bytes: Uint8Array
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

const FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
/** In which the kernel counts a device's size, whatever the device's own are (sysfs-block). */
const SECTOR_BYTES = 512

export class VolumeFile {
  readonly #path: string
  readonly #handle: FileHandle
  /** What the kernel says of a block device; null for a file. */
  readonly #sysfs: string | null
  #waiting: Put[] = []
  #isPutting = false

  private constructor(path: string, handle: FileHandle, sysfs: string | null) {
    this.#path = path
    this.#handle = handle
    this.#sysfs = sysfs
  }

  /** Throws NotFound when it is not there. */
  static async open(path: string): Promise<VolumeFile> {
    const handle = await open(path, 'r+').catch((cause: unknown) => {
      throw new MalleeError('NotFound', `${path} cannot be opened`, { cause })
    })
    const stat = await handle.stat({ bigint: true })
    const sysfs = stat.isBlockDevice() ? `/sys/dev/block/${deviceOf(stat.rdev)}/size` : null
    return new VolumeFile(path, handle, sysfs)
  }

  async sizeBytes(): Promise<number> {
    if (this.#sysfs === null) return (await this.#handle.stat()).size
    return Number(await readFile(this.#sysfs, 'utf8')) * SECTOR_BYTES
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    for (let filled = 0; filled < length; ) {
      const at = offset + filled
      const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, at)
      if (bytesRead === 0) throw new RangeError(`byte ${at} is behind the end of ${this.#path}`)
      filled += bytesRead
    }
    return bytes
  }

  /** Throws StoreFull, StoreUnavailable: a device that is full often says no more than that. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    try {
      if (this.#sysfs === null) await this.#put(offset, bytes)
      else await this.#putSurely(offset, bytes)
    } catch (error) {
      if (FULL.has((error as NodeJS.ErrnoException).code)) {
        throw new MalleeError('StoreFull', 'there is no room for the volume', { cause: error })
      }
      if (this.#sysfs === null) throw error
      const why = `${this.#path} does not take what is written, its pool may be full`
      const what = `${why}: ${messageOf(error)}`
      throw new MalleeError('StoreUnavailable', what, { cause: error })
    }
  }

  /** What was written before is on the disk. */
  sync(): Promise<void> {
    return this.#sysfs === null ? this.#handle.datasync() : this.#putSurely(0, new Uint8Array())
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  /** Not write() alone: on a disk that gets full it may take a part and say so in its result. */
  async #put(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const left = bytes.length - done
      const { bytesWritten } = await this.#handle.write(bytes, done, left, offset + done)
      done += bytesWritten
    }
  }

  async #putSurely(offset: number, bytes: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ offset, bytes, done: resolve, failed: reject })
    if (!this.#isPutting) void this.#putAll()
    await promise
  }

  /**
   * One round after the other, and no other sync: an error is told to the first one after it
   * (fsync(2)), which is that of the writes it belongs to.
   */
  async #putAll(): Promise<void> {
    this.#isPutting = true
    while (this.#waiting.length > 0) {
      const puts = this.#waiting
      this.#waiting = []
      const ends = await Promise.allSettled(
        puts.map(({ offset, bytes }) => this.#put(offset, bytes)),
      )
      ends.push(...(await Promise.allSettled([this.#handle.datasync()])))
      const bad = ends.find((end) => end.status === 'rejected')
      for (const { done, failed } of puts) bad === undefined ? done() : failed(bad.reason)
    }
    this.#isPutting = false
  }
}

/** `major:minor`, as makedev(3) of glibc packs them. */
function deviceOf(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}
