// Brings all of a volume here: behind what is touched what lies next to it, then the rest.

import type { Clock } from '../../../common/clock.ts'
import { codeOf, messageOf } from '../../../common/errors.ts'
import { ENTRIES_PER_PAGE } from '../../../common/snapshot-manifest.ts'
import type { PartialVolume } from './partial-volume.ts'
import type { RestoreBlocks } from './source-blocks.ts'

export interface FillOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** What keeps it; null when nothing does. */
  readonly told: (trouble: string | null) => void
  /** Less is missing than before. */
  readonly progress: () => void
}

/** Blocks that come at a time, beside those that somebody waits for. */
const MAX_COMING = 4
/** 2 MiB behind what is touched: guests read files in order. */
const NEIGHBOURS = 4
const MAX_NEIGHBOURS = 256
/** Until what failed is tried again. */
const RETRY_MS = 30_000
const SYNC_BLOCKS = 128

export class Fill {
  readonly #volume: PartialVolume
  readonly #blocks: RestoreBlocks
  readonly #options: FillOptions
  /** To come next, the one that was touched last first. */
  #next: number[] = []

  constructor(volume: PartialVolume, blocks: RestoreBlocks, options: FillOptions) {
    this.#volume = volume
    this.#blocks = blocks
    this.#options = options
  }

  /** Somebody waits for that block. */
  touched(block: number): void {
    const near = Array.from({ length: NEIGHBOURS }, (_, i) => block + 1 + i)
    this.#next = [...near, ...this.#next].slice(0, MAX_NEIGHBOURS)
  }

  /** Resolves when all is here and on the disk, or the signal aborts. Never rejects. */
  async run(): Promise<void> {
    const { clock, signal, told } = this.#options
    while (!signal.aborted) {
      const trouble = await this.#round()
      if (signal.aborted) return
      told(trouble)
      if (trouble === null) return
      await clock.sleep(RETRY_MS, signal)
    }
  }

  /** Everything once; the first trouble of it, with the rest being here. */
  async #round(): Promise<string | null> {
    try {
      await this.#skipZeroes()
    } catch (error) {
      return messageOf(error)
    }
    let trouble: string | null = null
    let at = 0
    let count = 0
    let isOver = false
    const work = async (): Promise<void> => {
      while (!isOver) {
        while (at < this.#volume.count && this.#volume.has(at)) at += 1
        const block = this.#nextNear() ?? at++
        if (block >= this.#volume.count || this.#options.signal.aborted) return
        try {
          await this.#volume.bring(block)
          count += 1
          if (count % SYNC_BLOCKS === 0) await this.#volume.flush()
          this.#options.progress()
        } catch (error) {
          trouble ??= messageOf(error)
          this.#options.told(trouble)
          // One that is spoilt keeps no other; without a store or room nothing comes.
          isOver ||= codeOf(error) !== 'DataCorrupt'
        }
      }
    }
    await Promise.all(Array.from({ length: MAX_COMING }, work))
    try {
      await this.#volume.flush()
    } catch (error) {
      trouble ??= messageOf(error)
    }
    return trouble
  }

  /** What the snapshot does not have is here: afterwards it is known how much is missing. */
  async #skipZeroes(): Promise<void> {
    for (let first = 0; first < this.#volume.count; first += ENTRIES_PER_PAGE) {
      const last = Math.min(first + ENTRIES_PER_PAGE, this.#volume.count)
      const blocks = Array.from({ length: last - first }, (_, i) => first + i)
      const missing = blocks.filter((block) => !this.#volume.has(block))
      if (missing.length === 0) continue
      if (this.#options.signal.aborted) return
      const leaf = await this.#blocks.leaf(first / ENTRIES_PER_PAGE)
      await this.#volume.skip(missing.filter((block) => !leaf.has(block - first)))
      this.#options.progress()
    }
  }

  #nextNear(): number | null {
    for (let next = this.#next.shift(); next !== undefined; next = this.#next.shift()) {
      if (next < this.#volume.count && !this.#volume.has(next)) return next
    }
    return null
  }
}
