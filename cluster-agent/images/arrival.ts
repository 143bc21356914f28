// One image on its way to this host: chunks that somebody waits for first, then those that will be
// read next, then all the others. One transfer, whoever asks for it and how often.

import { type ChunkList, chunksOf } from '../../common/chunk-list.ts'
import type { Clock } from '../../common/clock.ts'
import { MalleeError, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { ImageRef } from '../../proto/blob.ts'
import { keepSynced, type PartialFile } from './partial-file.ts'
import type { Source, Sources } from './sources.ts'
import { Waiters } from './waiters.ts'

export interface ArrivalOptions {
  readonly ref: ImageRef
  readonly file: PartialFile
  readonly sources: Sources
  readonly clock: Clock
  readonly log: Log
  /** The disk is full: makes room for some chunks. False when there is nothing to give up. */
  readonly makeRoom: () => Promise<boolean>
  /** Counts bytes that came. */
  readonly received: (from: Source['kind'], bytes: number) => void
  /** Where filling begins: neighbours that begin elsewhere have something for each other. */
  readonly firstChunk: number
  /** It is whole and has its name. */
  readonly finished: () => void
}

const MAX_FLYING = 8
/** Of those that nobody waits for: who comes next does not have to wait for them. */
const MAX_FILLING = 5
/** Nobody had to wait for so long: who boots has line and processors for himself. */
const QUIET_MS = 5_000
/** Chunks behind one that is read which are fetched with it. */
const READ_AHEAD = 4
const MAX_AHEAD = 64
const RETRY_MS = 500
/** Without a new chunk for so long, those who wait for the whole hear why. */
const STALLED_MS = 30_000
const DISK_PAUSE_MS = 30_000
const SAY_EVERY_BYTES = 256 * 2 ** 20

export class Arrival {
  readonly #options: ArrivalOptions
  readonly #stop = new AbortController()
  readonly #flying = new Set<number>()
  readonly #waiting = new Waiters()
  /** All under one number. */
  readonly #forWhole = new Waiters()
  #nap = new AbortController()
  #ahead: number[] = []
  #filling = false
  #cursor: number
  #pumping = false
  #again = false
  #progressAtMs: number
  #missedAtMs = Number.NEGATIVE_INFINITY
  #diskPausedUntilMs = 0
  #saidMissing: number
  #done = false
  #tasks = new Set<Promise<void>>()

  constructor(options: ArrivalOptions) {
    this.#options = options
    this.#cursor = options.firstChunk
    this.#progressAtMs = options.clock.nowMs()
    this.#saidMissing = options.file.missingBytes
    this.#track(keepSynced(options.file, options, this.#stop.signal))
    if (options.file.missing === 0) this.#track(this.#finish())
  }

  /** Nobody waits for any of it. */
  get idle(): boolean {
    return this.#done || (!this.#filling && this.#waiting.size === 0)
  }

  get list(): ChunkList {
    return this.#options.file.list
  }

  get missingBytes(): number {
    return this.#options.file.missingBytes
  }

  has(index: number): boolean {
    return this.#options.file.has(index)
  }

  /** Resolves when the chunk is here. Throws Unavailable when `signal` aborts first, StoreFull. */
  need(index: number, signal: AbortSignal): Promise<void> {
    const { file } = this.#options
    for (let next = index + 1; next <= index + READ_AHEAD && next < file.list.count; next++) {
      if (!file.has(next)) this.#ahead.push(next)
    }
    this.#ahead = this.#ahead.slice(-MAX_AHEAD)
    if (!file.has(index)) this.#missedAtMs = this.#options.clock.nowMs()
    const come = file.has(index)
      ? Promise.resolve()
      : this.#waiting.wait(index, signal, () => this.#late(`chunk ${index}`))
    this.#pump()
    return come
  }

  /** Fetches all of it; goes on with that after an error, too. Throws Unavailable, StoreFull. */
  fill(): Promise<void> {
    if (this.#done) return Promise.resolve()
    if (this.#stop.signal.aborted) return Promise.reject(this.#late('the file'))
    if (this.#forWhole.size === 0) this.#progressAtMs = this.#options.clock.nowMs()
    this.#filling = true
    const come = this.#forWhole.wait(0, this.#stop.signal, () => this.#late('the file'))
    if (this.#options.file.missing === 0) this.#track(this.#finish())
    this.#pump()
    return come
  }

  /** Nobody wants all of it any more, but for those who wait for it. */
  rest(): void {
    this.#filling = this.#forWhole.size > 0
  }

  /** Bytes of it that are here; null when some are not. */
  readHere(offset: number, length: number): Promise<Buffer> | null {
    const { file } = this.#options
    return chunksOf(offset, length).every((index) => file.has(index))
      ? file.read(offset, length)
      : null
  }

  /** Bytes of it, which are fetched first when they are not here. */
  async read(offset: number, length: number, signal: AbortSignal): Promise<Buffer> {
    const { file } = this.#options
    const missing = chunksOf(offset, length).filter((index) => !file.has(index))
    await Promise.all(missing.map((index) => this.need(index, signal)))
    return file.read(offset, length)
  }

  /** Ends what is under way; what came stays on disk. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#nap.abort()
    this.#waiting.rejectAll(this.#late('a chunk'))
    await Promise.all(this.#tasks)
    await this.#options.file.sync().catch(() => undefined)
    await this.#options.file.close()
  }

  /** Starts what can be started. */
  #pump(): void {
    this.#again = true
    this.#nap.abort()
    if (this.#pumping || this.#done) return
    this.#pumping = true
    this.#track(this.#pumpAll())
  }

  async #pumpAll(): Promise<void> {
    const { sources, clock } = this.#options
    const { signal } = this.#stop
    try {
      while (this.#again && !signal.aborted) {
        this.#again = false
        this.#nap = new AbortController()
        await sources.find()
        let rests = false
        while (this.#flying.size < MAX_FLYING) {
          const index = this.#next()
          if (index === null) {
            rests = this.#filling && !this.#mayFill()
            break
          }
          const isFull = clock.nowMs() < this.#diskPausedUntilMs
          const source = isFull ? null : sources.pick(index, this.#waiting.has(index))
          rests = source === null
          if (source === null) break
          this.#flying.add(index)
          this.#track(this.#fetch(source, index))
        }
        if (!rests) continue
        this.#lookForStall()
        await clock.sleep(RETRY_MS, this.#nap.signal)
        this.#again = true
      }
    } finally {
      this.#pumping = false
    }
  }

  /** The chunk that is wanted most; null when none is. */
  #next(): number | null {
    const { file } = this.#options
    const isWanted = (index: number): boolean => !file.has(index) && !this.#flying.has(index)
    for (const index of this.#waiting.numbers()) if (isWanted(index)) return index
    this.#ahead = this.#ahead.filter(isWanted)
    const ahead = this.#ahead[0]
    if (ahead !== undefined) return ahead
    if (!this.#mayFill() || this.#flying.size >= MAX_FILLING) return null
    const { count } = file.list
    for (let step = 0; step < count; step++) {
      const index = (this.#cursor + step) % count
      if (!isWanted(index)) continue
      this.#cursor = index
      return index
    }
    return null
  }

  /** While somebody waits, or did so lately, what nobody waits for does not come. */
  #mayFill(): boolean {
    const isQuiet = this.#options.clock.nowMs() - this.#missedAtMs >= QUIET_MS
    return this.#filling && this.#waiting.size === 0 && isQuiet
  }

  async #fetch(source: Source, index: number): Promise<void> {
    const { sources, file, clock, received } = this.#options
    try {
      const bytes = await sources.ask(source, file.list, index, this.#stop.signal)
      received(source.kind, bytes.length)
      await this.#store(index, bytes)
      this.#progressAtMs = clock.nowMs()
    } catch {
      // It was taken note of; the chunk is still wanted.
      this.#lookForStall()
    } finally {
      this.#flying.delete(index)
    }
    if (file.has(index)) this.#waiting.resolve(index)
    this.#say()
    if (file.missing === 0 && this.#flying.size === 0) await this.#finish()
    else this.#pump()
  }

  async #store(index: number, bytes: Uint8Array): Promise<void> {
    const { file, clock, makeRoom, ref, log } = this.#options
    for (;;) {
      try {
        return await file.put(index, bytes)
      } catch (error) {
        const isFull = (error as NodeJS.ErrnoException).code === 'ENOSPC'
        if (isFull && (await makeRoom())) continue
        this.#diskPausedUntilMs = clock.nowMs() + DISK_PAUSE_MS
        log.error('image cannot be written', { sha256: ref.sha256, error: messageOf(error) })
        const why = `image ${ref.sha256} cannot be written: ${messageOf(error)}`
        const wrapped = new MalleeError(isFull ? 'StoreFull' : 'Unavailable', why, { cause: error })
        this.#waiting.reject(index, wrapped)
        this.#forWhole.rejectAll(wrapped)
        throw wrapped
      }
    }
  }

  async #finish(): Promise<void> {
    const { file, finished, log, ref } = this.#options
    if (this.#done) return
    try {
      await file.finish()
    } catch (error) {
      log.error('image cannot be finished', { sha256: ref.sha256, error: messageOf(error) })
      return this.#forWhole.rejectAll(error)
    }
    this.#done = true
    log.info('image is here', { sha256: ref.sha256, bytes: file.list.sizeBytes })
    finished()
    this.#forWhole.resolve(0)
    this.#stop.abort()
  }

  #lookForStall(): void {
    const { clock, sources } = this.#options
    if (clock.nowMs() - this.#progressAtMs < STALLED_MS) return
    this.#forWhole.rejectAll(sources.lastError ?? this.#late('the file'))
  }

  #say(): void {
    const { file, log, ref } = this.#options
    if (this.#saidMissing - file.missingBytes < SAY_EVERY_BYTES) return
    this.#saidMissing = file.missingBytes
    const missingMib = Math.ceil(file.missingBytes / 2 ** 20)
    log.info('image on its way', { sha256: ref.sha256, missingMib })
  }

  #track(task: Promise<void>): void {
    this.#tasks.add(task)
    void task.finally(() => this.#tasks.delete(task))
  }

  #late(what: string): MalleeError {
    const { ref, sources } = this.#options
    const last = sources.lastError === null ? '' : `: ${messageOf(sources.lastError)}`
    return new MalleeError('Unavailable', `${what} of image ${ref.sha256} does not come${last}`)
  }
}
