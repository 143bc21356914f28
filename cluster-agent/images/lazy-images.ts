// Images that instances are started from while they still come: QEMU reads them through a socket, a
// read waits until its chunk is here, and what is read next comes before all the rest.

import { stat } from 'node:fs/promises'
import type { Clock } from '../../common/clock.ts'
import { codeOf, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { ImageRef } from '../../proto/blob.ts'
import type { Arrival } from './arrival.ts'
import type { Images } from './images.ts'
import { type NbdExport, NbdServer } from './nbd-server.ts'
import { readPart } from './partial-file.ts'

export interface LazyImagesOptions {
  readonly images: Images
  readonly socket: string
  /** Do machines start before their image is whole? Those that run so are served anyway. */
  readonly starts: boolean
  /** Smaller images are here sooner than many machines could read them through the agent. */
  readonly fromBytes: number
  /** ms until what nobody reads begins to come: a guest boots first. */
  readonly fillAfterMs: number
  readonly clock: Clock
  readonly log: Log
}

/** How long a guest's read waits for bytes that nobody gives; then it is an I/O error for it. */
export const READ_WAIT_MS = 10 * 60_000
/** A machine starts when its image's first bytes are here. */
const FIRST_READ_MS = 20_000
const FIRST_BYTES = 512
const RETRY_MS = 1_000
const NEVER = new AbortController().signal

export class LazyImages {
  readonly #options: LazyImagesOptions
  readonly #exports = new Map<string, NbdExport>()
  readonly #end = new AbortController()
  #server: Promise<NbdServer> | null = null

  constructor(options: LazyImagesOptions) {
    this.#options = options
  }

  /** Where QEMU connects; the name of an export is its image's digest. */
  get socket(): string {
    return this.#options.socket
  }

  get starts(): boolean {
    return this.#options.starts
  }

  /** Does a new machine on an image of that size start before the image is whole? */
  startsFrom(sizeBytes: number): boolean {
    return this.#options.starts && sizeBytes >= this.#options.fromBytes
  }

  isServed(sha256: string): boolean {
    return this.#exports.has(sha256)
  }

  /**
   * Serves an image, and fetches all of it meanwhile. Resolves when its first bytes can be read.
   * Throws Unavailable, StoreFull, ImageCorrupt.
   */
  async serve(ref: ImageRef): Promise<void> {
    const { clock } = this.#options
    if (!this.isServed(ref.sha256)) this.#exports.set(ref.sha256, await this.#export(ref))
    await this.#listen()
    await within(clock, FIRST_READ_MS, NEVER, async (signal) => {
      await this.#exports.get(ref.sha256)?.read(0, FIRST_BYTES, signal)
    })
  }

  /** Ends the serving of images that nobody has a disk on. */
  keepOnly(inUse: ReadonlySet<string>): void {
    for (const sha256 of this.#exports.keys()) {
      if (!inUse.has(sha256)) this.#exports.delete(sha256)
    }
  }

  /** Guests wait from now on, until the next agent serves. */
  async close(): Promise<void> {
    this.#end.abort()
    const server = await this.#server?.catch(() => null)
    this.#server = null
    this.#exports.clear()
    await server?.close()
  }

  async #listen(): Promise<void> {
    this.#server ??= NbdServer.listen({
      path: this.socket,
      find: (name) => this.#exports.get(name) ?? null,
      names: () => [...this.#exports.keys()],
      log: this.#options.log,
    })
    try {
      await this.#server
    } catch (error) {
      this.#server = null
      throw error
    }
  }

  async #export(ref: ImageRef): Promise<NbdExport> {
    const { images, clock } = this.#options
    if (await images.isWhole(ref.sha256)) {
      const path = images.path(ref.sha256)
      const { size: sizeBytes } = await stat(path)
      return { sizeBytes, read: (offset, length) => readPart(path, offset, length) }
    }
    const arrival = await images.arriving(ref)
    void this.#fill(ref, arrival)
    return {
      sizeBytes: arrival.list.sizeBytes,
      read: (offset, length, gone) =>
        arrival.readHere(offset, length) ??
        within(clock, READ_WAIT_MS, gone, async (signal) => {
          for (;;) {
            try {
              return await arrival.read(offset, length, signal)
            } catch (error) {
              // Somebody may make room on the disk.
              if (codeOf(error) !== 'StoreFull' || signal.aborted) throw error
              await clock.sleep(RETRY_MS, signal)
            }
          }
        }),
    }
  }

  async #fill({ sha256 }: ImageRef, arrival: Arrival): Promise<void> {
    const { clock, fillAfterMs, log } = this.#options
    await clock.sleep(fillAfterMs, this.#end.signal)
    if (this.#end.signal.aborted || !this.isServed(sha256)) return
    await arrival.fill().catch((error: unknown) => {
      log.warn('image does not come, guests wait', { sha256, error: messageOf(error) })
    })
  }
}

/** Runs with a signal that aborts with `gone`, or after `ms`. */
async function within<T>(
  clock: Clock,
  ms: number,
  gone: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const [over, late] = [new AbortController(), new AbortController()]
  void clock.sleep(ms, over.signal).then(() => late.abort())
  try {
    return await run(AbortSignal.any([gone, late.signal]))
  } finally {
    over.abort()
  }
}
