// Who is asked for the chunks of one image: neighbours that have it first, each as much as it
// takes, then parents, the next one when one fails. Who sends wrong bytes is left alone for long.

import type { ChunkList } from '../../common/chunk-list.ts'
import type { Clock } from '../../common/clock.ts'
import { codeOf, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { ImageRef } from '../../proto/blob.ts'

export interface Source {
  /** The same for the same source. */
  readonly name: string
  readonly kind: 'neighbour' | 'parent'
  /** Checked. Throws ImageCorrupt, NotFound, Unavailable. */
  readonly chunk: (
    ref: ImageRef,
    list: ChunkList,
    index: number,
    signal: AbortSignal,
  ) => Promise<Uint8Array>
}

/** All sources of an image, parents in the order in which they are tried. */
export type FindSources = (ref: ImageRef) => Promise<readonly Source[]>

interface Entry {
  source: Source
  /** Requests that it gets at a time: fewer when it is slow. */
  window: number
  flying: number
  failures: number
  pausedUntilMs: number
  /** What it did not have when it was asked. */
  readonly lacks: Set<number>
}

const FIRST_WINDOW = 4
const MOST_WINDOW = 8
/** Beyond its window, for chunks that somebody waits for. */
const URGENT = 2
const PAUSE_MS = { first: 500, last: 30_000 }
/** After wrong bytes. */
const BANNED_MS = 10 * 60_000
const FIND_EVERY_MS = 10_000

export interface SourcesOptions {
  readonly ref: ImageRef
  readonly find: FindSources
  readonly clock: Clock
  readonly log: Log
}

export class Sources {
  readonly #options: SourcesOptions
  readonly #entries = new Map<string, Entry>()
  #order: readonly string[] = []
  #foundAtMs = Number.NEGATIVE_INFINITY
  #finding: Promise<void> | null = null
  #lastError: unknown = null

  constructor(options: SourcesOptions) {
    this.#options = options
  }

  /** What went wrong last; null when nothing did. */
  get lastError(): unknown {
    return this.#lastError
  }

  /** Looks for sources again when it is time. Never rejects. */
  async find(): Promise<void> {
    const { clock } = this.#options
    if (clock.nowMs() - this.#foundAtMs < FIND_EVERY_MS) return
    this.#finding ??= this.#find().finally(() => {
      this.#finding = null
    })
    await this.#finding
  }

  /** Whom to ask for a chunk now; null when all have enough to do or rest. */
  pick(index: number, isUrgent: boolean): Source | null {
    const nowMs = this.#options.clock.nowMs()
    const awake = this.#order
      .flatMap((name) => this.#entries.get(name) ?? [])
      .filter(({ pausedUntilMs }) => pausedUntilMs <= nowMs)
    const more = isUrgent ? URGENT : 0
    const isFree = ({ flying, window }: Entry): boolean => flying < Math.floor(window) + more
    const neighbours = awake.filter(
      (one) => one.source.kind === 'neighbour' && isFree(one) && !one.lacks.has(index),
    )
    const least = neighbours.sort((a, b) => a.flying - b.flying)[0]
    if (least !== undefined) return least.source
    const parent = awake.find(({ source }) => source.kind === 'parent')
    return parent !== undefined && isFree(parent) ? parent.source : null
  }

  /** Asks one that was picked. Throws what it throws, after it was taken note of. */
  async ask(source: Source, list: ChunkList, index: number, signal: AbortSignal) {
    const entry = this.#entries.get(source.name)
    if (entry === undefined) throw new RangeError(`${source.name} was not picked`)
    entry.flying += 1
    try {
      const bytes = await source.chunk(this.#options.ref, list, index, signal)
      entry.failures = 0
      entry.window = Math.min(MOST_WINDOW, entry.window + 1 / entry.window)
      return bytes
    } catch (error) {
      if (!signal.aborted) this.#failed(entry, index, error)
      throw error
    } finally {
      entry.flying -= 1
    }
  }

  #failed(entry: Entry, index: number, error: unknown): void {
    const { clock, log, ref } = this.#options
    const { source } = entry
    this.#lastError = error
    const about = { sha256: ref.sha256, source: source.name, error: messageOf(error) }
    if (codeOf(error) === 'NotFound' && source.kind === 'neighbour') {
      entry.lacks.add(index)
      return
    }
    entry.failures += 1
    entry.window = Math.max(1, entry.window / 2)
    if (codeOf(error) === 'ImageCorrupt') {
      log.error('source of an image sends wrong bytes', about)
      entry.pausedUntilMs = clock.nowMs() + BANNED_MS
      return
    }
    if (entry.failures === 1) log.warn('source of an image fails', about)
    const pauseMs = Math.min(PAUSE_MS.last, PAUSE_MS.first * 2 ** (entry.failures - 1))
    entry.pausedUntilMs = Math.max(entry.pausedUntilMs, clock.nowMs() + pauseMs)
  }

  async #find(): Promise<void> {
    const { ref, find, clock } = this.#options
    try {
      const found = await find(ref)
      for (const source of found) {
        const known = this.#entries.get(source.name)
        if (known !== undefined) {
          known.source = source
          known.lacks.clear()
          continue
        }
        this.#entries.set(source.name, {
          ...{ source, window: FIRST_WINDOW, flying: 0, failures: 0, pausedUntilMs: 0 },
          lacks: new Set(),
        })
      }
      this.#order = found.map(({ name }) => name)
    } catch (error) {
      this.#lastError = error
    } finally {
      this.#foundAtMs = clock.nowMs()
    }
  }
}
