// How much room images may take: makes some by removing those that nothing uses, the longest unused
// first.

import { MalleeError } from '../../common/errors.ts'
import type { ImageFolder } from './folder.ts'

export interface RoomOptions {
  readonly folder: ImageFolder
  /** Of all images together; null for a part of the disk. */
  readonly maxBytes: number | null
  /** Left free on the disk by an image that begins to come. */
  readonly reserveBytes: number
  /** Does nothing use it? */
  readonly mayGo: (sha256: string) => boolean
  readonly remove: (sha256: string) => Promise<void>
}

/** Of the disk, when no limit is set. */
const DISK_PART = 0.25

interface Seen {
  readonly keptBytes: number
  readonly maxBytes: number
  readonly freeBytes: number
  readonly removed: number
}

export class Room {
  readonly #options: RoomOptions
  #running: Promise<void> = Promise.resolve()
  #bytes = 0
  #maxBytes = 0

  constructor(options: RoomOptions) {
    this.#options = options
  }

  /** What images take, and may take, as it was seen last. */
  get taken(): { readonly bytes: number; readonly maxBytes: number } {
    return { bytes: this.#bytes, maxBytes: this.#maxBytes }
  }

  /** Removes images until `bytes` more fit into the limit, or nothing more may go. */
  keepTo(bytes = 0): Promise<void> {
    return this.#removeWhile(({ keptBytes, maxBytes }) => keptBytes + bytes > maxBytes)
  }

  /** Makes room for so many bytes to come. Throws StoreFull when the disk does not have it. */
  async make(sha256: string, bytes: number): Promise<void> {
    await this.keepTo(bytes)
    const needed = bytes + this.#options.reserveBytes
    let freeBytes = 0
    await this.#removeWhile((seen) => {
      freeBytes = seen.freeBytes
      return freeBytes < needed
    })
    if (freeBytes >= needed || bytes === 0) return
    const has = `${bytes} bytes of it are to come, the disk has ${freeBytes}`
    throw new MalleeError('StoreFull', `there is no room for image ${sha256}: ${has}`)
  }

  /** Removes one image. False when none may go. */
  async removeOne(): Promise<boolean> {
    let removed = 0
    await this.#removeWhile((seen) => {
      removed = seen.removed
      return removed === 0
    })
    return removed > 0
  }

  #removeWhile(goesOn: (seen: Seen) => boolean): Promise<void> {
    const run = async (): Promise<void> => this.#removeUnused(goesOn)
    this.#running = this.#running.then(run, run)
    return this.#running
  }

  async #removeUnused(goesOn: (seen: Seen) => boolean): Promise<void> {
    const { folder, mayGo, remove } = this.#options
    await folder.make()
    const kept = await folder.kept()
    const unused = kept.filter(({ sha256 }) => mayGo(sha256))
    unused.sort((a, b) => b.usedAtMs - a.usedAtMs)
    this.#bytes = kept.reduce((sum, { bytes }) => sum + bytes, 0)
    let removed = 0
    for (;;) {
      const { freeBytes, allBytes } = await folder.disk()
      this.#maxBytes = this.#options.maxBytes ?? Math.floor(allBytes * DISK_PART)
      const seen = { keptBytes: this.#bytes, maxBytes: this.#maxBytes, freeBytes, removed }
      if (!goesOn(seen)) return
      const last = unused.pop()
      if (last === undefined) return
      // It may have been asked for while we looked.
      if (!mayGo(last.sha256)) continue
      await remove(last.sha256)
      removed += 1
      this.#bytes -= last.bytes
    }
  }
}
