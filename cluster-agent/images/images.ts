// The images of a host, by digest: fetched once, checked, then never changed. Those that nothing
// uses go when there are too many of them, the longest unused first.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { CHUNK_BYTES, type ChunkList, chunkLength } from '../../common/chunk-list.ts'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { ImageRef } from '../../proto/blob.ts'
import { Arrival } from './arrival.ts'
import { ImageFolder } from './folder.ts'
import { PartialFile, readPart } from './partial-file.ts'
import { Room } from './room.ts'
import { type FindSources, Sources } from './sources.ts'

export interface ImagesOptions {
  readonly dir: string
  /** Of all images together; null for a part of the disk. What is in use stays beyond it. */
  readonly maxBytes: number | null
  /** Left free on the disk by an image that begins to come. */
  readonly reserveBytes: number
  readonly fetchList: (ref: ImageRef) => Promise<ChunkList>
  readonly findSources: FindSources
  /** Does something here have disks on images? Then nothing goes before `use` was told which. */
  readonly hasMachines: boolean
  readonly chance: () => number
  readonly clock: Clock
  readonly log: Log
}

export interface ImageStats {
  readonly bytes: number
  readonly maxBytes: number
  /** Times that an image was asked for and was here, or was not. */
  readonly hits: number
  readonly misses: number
  /** Bytes that came since the agent started. */
  readonly fromParents: number
  readonly fromNeighbours: number
}

export class Images {
  readonly #options: ImagesOptions
  readonly #folder: ImageFolder
  readonly #room: Room
  readonly #arrivals = new Map<string, Promise<Arrival>>()
  readonly #open = new Map<string, Arrival>()
  readonly #checking = new Map<string, Promise<boolean>>()
  #inUse: ReadonlySet<string> | null
  /** Asked for since `use` was told last: a machine may be about to have its disk on it. */
  #asked = new Set<string>()
  #askedBefore = new Set<string>()
  readonly #lists = new Map<string, ChunkList>()
  #told: ImageStats | null = null
  #closed = false
  readonly #counts = { hits: 0, misses: 0, parent: 0, neighbour: 0 }

  constructor(options: ImagesOptions) {
    this.#options = options
    this.#folder = new ImageFolder(options.dir)
    this.#inUse = options.hasMachines ? null : new Set()
    this.#room = new Room({
      folder: this.#folder,
      maxBytes: options.maxBytes,
      reserveBytes: options.reserveBytes,
      mayGo: (sha256) => this.#mayGo(sha256),
      remove: (sha256) => this.#remove(sha256),
    })
  }

  path(sha256: string): string {
    return this.#folder.path(digest(sha256))
  }

  /** Is all of it here, and what it should be? */
  async isWhole(sha256: string): Promise<boolean> {
    this.#asked.add(digest(sha256))
    if (!(await this.#folder.isWhole(sha256))) return false
    // Once in an agent's life: the disk may have damaged it, or somebody else.
    const known = this.#checking.get(sha256)
    if (known !== undefined) return known
    const check = this.#check(sha256)
    this.#checking.set(sha256, check)
    if (!(await check)) this.#checking.delete(sha256)
    return check
  }

  /**
   * The file of an image, once all of it is here. Throws Unavailable when it does not come,
   * StoreFull, ImageCorrupt.
   */
  async whole(sha256: string, listSha256: string): Promise<string> {
    if (await this.isWhole(sha256)) {
      this.#counts.hits += 1
    } else {
      await (await this.arriving({ sha256, listSha256 })).fill()
    }
    await this.#folder.used(sha256, this.#options.clock.nowMs())
    return this.path(sha256)
  }

  /** An image that is not whole yet, of which any part can be read. Throws as `whole`. */
  async arriving(ref: ImageRef): Promise<Arrival> {
    this.#asked.add(digest(ref.sha256))
    if (ref.listSha256 === '') {
      const why = `the gateway still makes the chunk list of image ${ref.sha256}`
      throw new MalleeError('Unavailable', why)
    }
    const known = this.#arrivals.get(ref.sha256)
    if (known !== undefined) return known
    const begun = this.#begin(ref)
    this.#arrivals.set(ref.sha256, begun)
    begun.catch(() => this.#arrivals.delete(ref.sha256))
    return begun
  }

  /** The list of an image for others; fetched when it is not here. */
  async chunkList(ref: ImageRef, mayFetch: boolean): Promise<Uint8Array | null> {
    const kept = await this.#list(ref)
    if (kept !== null || !mayFetch) return kept?.bytes ?? null
    return (await this.arriving(ref)).list.bytes
  }

  /** One chunk for others; null when it is not here and may not be fetched. */
  async chunk(
    ref: ImageRef,
    index: number,
    mayFetch: boolean,
    signal: AbortSignal,
  ): Promise<Uint8Array | null> {
    this.#asked.add(digest(ref.sha256))
    const list = await this.#list(ref)
    if (list !== null && index >= list.count) return null
    if (list !== null && (await this.#folder.isWhole(ref.sha256))) {
      const at = index * CHUNK_BYTES
      return await readPart(this.path(ref.sha256), at, chunkLength(list, index))
    }
    const open = this.#open.get(ref.sha256)
    if (!mayFetch && open?.has(index) !== true) return null
    const arrival = await this.arriving(ref)
    if (index >= arrival.list.count) return null
    const length = chunkLength(arrival.list, index)
    return await arrival.read(index * CHUNK_BYTES, length, signal)
  }

  /** What neighbours may ask for. */
  async held(): Promise<{ readonly sha256: string; readonly whole: boolean }[]> {
    return (await this.#folder.kept()).map(({ sha256, whole }) => ({ sha256, whole }))
  }

  /** Tells which images have machines; the others may go. To be called after every pass. */
  async use(inUse: ReadonlySet<string>): Promise<void> {
    this.#inUse = inUse
    this.#askedBefore = this.#asked
    this.#asked = new Set()
    const nowMs = this.#options.clock.nowMs()
    for (const sha256 of inUse) await this.#folder.used(sha256, nowMs)
    for (const [sha256, arrival] of this.#open) if (!inUse.has(sha256)) arrival.rest()
    await this.#room.keepTo()
  }

  /** As it was when nothing was on its way: who is told hears of each transfer once. */
  stats(): ImageStats {
    if (this.#open.size > 0 && this.#told !== null) return this.#told
    this.#told = this.#now()
    return this.#told
  }

  #now(): ImageStats {
    const { hits, misses, parent: fromParents, neighbour: fromNeighbours } = this.#counts
    return { ...this.#room.taken, hits, misses, fromParents, fromNeighbours }
  }

  /** Ends what is under way; the next start goes on with it. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#open.values()].map((arrival) => arrival.stop()))
    this.#open.clear()
    this.#arrivals.clear()
  }

  async #begin(ref: ImageRef): Promise<Arrival> {
    const { fetchList, findSources: find, clock, log, chance } = this.#options
    await this.#folder.make()
    const kept = await this.#list(ref)
    const list = kept ?? (await fetchList(ref))
    if (kept === null) await this.#folder.keepList(ref.sha256, list)
    if (this.#closed) throw new MalleeError('Unavailable', 'the agent stops')
    const file = await PartialFile.open(this.path(ref.sha256), list)
    try {
      const others = [...this.#open.values()].reduce((sum, one) => sum + one.missingBytes, 0)
      await this.#room.make(ref.sha256, file.missingBytes === 0 ? 0 : others + file.missingBytes)
    } catch (error) {
      await file.close()
      throw error
    }
    const { missingBytes } = file
    this.#counts.misses += 1
    log.info('image begins to come', { sha256: ref.sha256, missingBytes })
    const arrival = new Arrival({
      ...{ ref, file, clock, log },
      sources: new Sources({ ref, find, clock, log }),
      makeRoom: () => this.#room.removeOne(),
      received: (from, bytes) => {
        this.#counts[from] += bytes
      },
      firstChunk: Math.floor(chance() * list.count),
      finished: () => {
        this.#checking.set(ref.sha256, Promise.resolve(true))
        this.#arrivals.delete(ref.sha256)
        this.#open.delete(ref.sha256)
      },
    })
    if (arrival.missingBytes > 0) this.#open.set(ref.sha256, arrival)
    return arrival
  }

  async #list(ref: ImageRef): Promise<ChunkList | null> {
    const known = this.#lists.get(ref.sha256)
    if (known?.sha256 === ref.listSha256) return known
    const list = await this.#folder.list(ref)
    if (list !== null) this.#lists.set(ref.sha256, list)
    return list
  }

  #mayGo(sha256: string): boolean {
    if (this.#inUse === null || this.#inUse.has(sha256)) return false
    if (this.#asked.has(sha256) || this.#askedBefore.has(sha256)) return false
    const open = this.#open.get(sha256)
    return open === undefined ? !this.#arrivals.has(sha256) : open.idle
  }

  async #remove(sha256: string): Promise<void> {
    this.#options.log.info('image evicted', { sha256 })
    const open = this.#open.get(sha256)
    this.#open.delete(sha256)
    this.#arrivals.delete(sha256)
    this.#checking.delete(sha256)
    this.#lists.delete(sha256)
    await open?.stop()
    await this.#folder.remove(sha256)
  }

  async #check(sha256: string): Promise<boolean> {
    const file = this.path(sha256)
    const hash = createHash('sha256')
    const bytes = createReadStream(file, { highWaterMark: CHUNK_BYTES })
    for await (const part of bytes) hash.update(part)
    if (hash.digest('hex') === sha256) return true
    this.#options.log.error('image on disk is corrupt, fetching it again', { sha256 })
    await rm(file)
    return false
  }
}

function digest(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text
  throw new MalleeError('BadArgument', `${text} is no SHA-256`)
}
