// Blobs on this machine's disks: each blob on one of them, more on those with more room. A disk
// that fails or is away takes along what is on it, and nothing else.

import type { Clock, RandomHex } from '../clock.ts'
import { readIfThere, writeDurably } from '../durable-file.ts'
import { MalleeError, messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BlobRef, BlobStore, ByteRange, StoredBlob } from './blobs.ts'
import { codeIn, type Disk, diskOf, isBlobId, isFull, openDisk } from './disk.ts'

/** How long a disk is left alone after an error, and how soon one that is away is looked for. */
const REST_MS = 30_000
/** How long is known how much room the disks have. */
const ROOM_MS = 5_000

export interface LocalOptions {
  /** Of this store, in every reference to one of its blobs. */
  readonly name: string
  /** One directory per disk. */
  readonly dirs: readonly string[]
  /** Which disk was where: tells a new disk from one that is not mounted. */
  readonly known: string
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
}

export type DiskState = 'ok' | 'full' | 'failing' | 'away'

/** A disk as it was when last looked at. */
export interface DiskShown {
  /** Of the ids of its blobs, the first digits; '' when it was never seen. */
  readonly id: string
  readonly dir: string
  readonly state: DiskState
  /** Of the file system, and what blobs may still take; 0 while it is away. */
  readonly sizeBytes: number
  readonly roomBytes: number
}

export interface LocalBlobs extends BlobStore {
  /** How the disks are, by directory. */
  readonly disks: () => Readonly<Record<string, DiskState>>
  /** Looks how they are now. */
  readonly look: () => Promise<readonly DiskShown[]>
  /**
   * A blob as it is in its file, not checked: the CRCs and the footer first, then whole blocks.
   * Throws as `read`.
   */
  readonly raw: (id: string, range: ByteRange) => AsyncIterable<Uint8Array>
}

/** Opens what is there; disks that are away come in when they are back. Throws BadConfig. */
export async function openLocalBlobs(options: LocalOptions): Promise<LocalBlobs> {
  const blobs = new Local(options)
  await blobs.open()
  return blobs
}

interface Place {
  readonly dir: string
  /** As it was seen there at any time; '' before the first. */
  id: string
  disk: Disk | null
  state: DiskState
  /** When it got into that state, or was last tried. */
  sinceMs: number
  roomBytes: number
}

class Local implements LocalBlobs {
  readonly name: string
  readonly #options: LocalOptions
  readonly #places: Place[]
  #roomKnownMs = Number.NEGATIVE_INFINITY

  constructor(options: LocalOptions) {
    this.name = options.name
    this.#options = options
    this.#places = options.dirs.map((dir) => ({
      ...{ dir, id: '', disk: null, state: 'away', sinceMs: 0, roomBytes: 0 },
    }))
  }

  async open(): Promise<void> {
    for (const place of this.#places) await this.#enter(place)
  }

  disks(): Readonly<Record<string, DiskState>> {
    return Object.fromEntries(this.#places.map(({ dir, state }) => [dir, state]))
  }

  async write(bytes: AsyncIterable<Uint8Array>): Promise<BlobRef> {
    const { place, disk } = await this.#choose()
    let failed: unknown = null
    try {
      return await disk.write(
        this.name,
        heard(bytes, (error) => (failed = error)),
      )
    } catch (error) {
      // What the caller's iterable throws says nothing about the disk.
      if (error === failed) throw error
      throw this.#noted(place, error)
    }
  }

  async *read(ref: BlobRef, range?: ByteRange): AsyncGenerator<Uint8Array> {
    yield* this.#readOf(ref, range ?? null)
  }

  async delete(id: string): Promise<void> {
    const { place, disk } = await this.#find(id)
    try {
      await disk.delete(id)
    } catch (error) {
      if (codeIn(error) !== 'ENOENT') throw this.#noted(place, error)
      if (!(await disk.isHere())) throw this.#lost(place)
    }
  }

  async *list(): AsyncGenerator<StoredBlob> {
    for (const { disk } of this.#places) if (disk !== null) yield* disk.list()
  }

  async look(): Promise<readonly DiskShown[]> {
    await this.#look()
    return Promise.all(
      this.#places.map(async ({ id, disk, dir, state }) => {
        const none = { sizeBytes: 0, roomBytes: 0 }
        const space = (await disk?.space().catch(() => none)) ?? none
        return { id, dir, state, ...space }
      }),
    )
  }

  async *raw(id: string, range: ByteRange): AsyncGenerator<Uint8Array> {
    yield* this.#from(id, (disk) => disk.raw(id, range))
  }

  async verify(id: string): Promise<number> {
    let bytes = 0
    // Every one is checked on the way.
    for await (const chunk of this.#readOf({ id, sizeBytes: null }, null)) bytes += chunk.length
    return bytes
  }

  #readOf(
    ref: { readonly id: string; readonly sizeBytes: number | null },
    range: ByteRange | null,
  ): AsyncGenerator<Uint8Array> {
    return this.#from(ref.id, (disk) => disk.read(ref, range))
  }

  async *#from(
    id: string,
    read: (disk: Disk) => AsyncGenerator<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    const { place, disk } = await this.#find(id)
    try {
      yield* read(disk)
    } catch (error) {
      if (codeIn(error) === null) throw error
      if (codeIn(error) !== 'ENOENT') throw this.#noted(place, error)
      if (!(await disk.isHere())) throw this.#lost(place)
      throw new MalleeError('NotFound', `blob ${id} is not in ${place.dir}`)
    }
  }

  /** Weighted by room, so that an empty disk that joins full ones does not get everything. */
  async #choose(): Promise<{ place: Place; disk: Disk }> {
    await this.#look()
    const open = this.#places.filter((one) => one.state === 'ok' && one.roomBytes > 0)
    const total = open.reduce((sum, one) => sum + one.roomBytes, 0)
    let left = (total * Number.parseInt(this.#options.randomHex(4), 16)) / 2 ** 32
    for (const place of open) {
      left -= place.roomBytes
      if (left < 0 && place.disk !== null) return { place, disk: place.disk }
    }
    const isFullUp = this.#places.some(({ state }) => state === 'ok' || state === 'full')
    const states = this.#places.map(({ dir, state }) => `${dir} ${state}`).join(', ')
    if (isFullUp) throw new MalleeError('StoreFull', `no disk has room for objects: ${states}`)
    throw new MalleeError('StoreUnavailable', `no disk takes objects: ${states}`)
  }

  /** Looks how much room there is, and for those that are away or were left alone for a while. */
  async #look(): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    if (nowMs - this.#roomKnownMs < ROOM_MS) return
    this.#roomKnownMs = nowMs
    for (const place of this.#places) {
      if (place.state !== 'ok' && nowMs - place.sinceMs < REST_MS) continue
      const { disk } = place
      if (disk === null || !(await disk.isHere())) {
        await this.#enter(place)
        continue
      }
      place.roomBytes = await disk.roomBytes().catch(() => 0)
      this.#turn(place, place.roomBytes > 0 ? 'ok' : 'full', null)
    }
  }

  async #find(id: string): Promise<{ place: Place; disk: Disk }> {
    if (!isBlobId(id)) throw new MalleeError('NotFound', `${JSON.stringify(id)} is no blob`)
    const nowMs = this.#options.clock.nowMs()
    for (const place of this.#places) {
      if (place.disk === null && nowMs - place.sinceMs >= REST_MS) await this.#enter(place)
      if (place.disk?.id === diskOf(id)) return { place, disk: place.disk }
    }
    throw new MalleeError('StoreUnavailable', `disk ${diskOf(id)} with blob ${id} is away`)
  }

  /** Opens a disk, or notes that it is away. Throws BadConfig. */
  async #enter(place: Place): Promise<void> {
    const { known, randomHex } = this.#options
    const text = await readIfThere(known)
    const ids: Record<string, string> = text === null ? {} : JSON.parse(text)
    place.id = ids[place.dir] ?? place.id
    try {
      const disk = await openDisk(place.dir, ids[place.dir] ?? null, randomHex)
      if (this.#places.some((other) => other !== place && other.disk?.id === disk.id)) {
        throw new MalleeError('BadConfig', `${place.dir} is the same disk as another one`)
      }
      const all = { ...ids, [place.dir]: disk.id }
      if (ids[place.dir] !== disk.id) await writeDurably(known, `${JSON.stringify(all)}\n`)
      place.disk = disk
      place.id = disk.id
      place.roomBytes = await disk.roomBytes().catch(() => 0)
      this.#turn(place, place.roomBytes > 0 ? 'ok' : 'full', null)
    } catch (error) {
      if (error instanceof MalleeError && error.code === 'BadConfig') throw error
      place.disk = null
      this.#turn(place, 'away', error)
    }
  }

  /** What an error of a disk means for the caller, and for the next ones. */
  #noted(place: Place, cause: unknown): MalleeError {
    if (cause instanceof MalleeError) return cause
    const full = isFull(cause)
    this.#turn(place, full ? 'full' : 'failing', cause)
    const message = `${place.dir}: ${messageOf(cause)}`
    return new MalleeError(full ? 'StoreFull' : 'StoreUnavailable', message, { cause })
  }

  #lost(place: Place): MalleeError {
    const error = new MalleeError('StoreUnavailable', `the disk in ${place.dir} is gone`)
    place.disk = null
    this.#turn(place, 'away', error)
    return error
  }

  #turn(place: Place, state: DiskState, error: unknown): void {
    place.sinceMs = this.#options.clock.nowMs()
    if (place.state === state && error === null) return
    const { log } = this.#options
    if (state !== 'ok') log.error('disk of objects', { dir: place.dir, state, error })
    else log.info('disk of objects', { dir: place.dir, state })
    place.state = state
  }
}

/** The same, and tells what it threw. */
async function* heard(
  bytes: AsyncIterable<Uint8Array>,
  threw: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes
  } catch (error) {
    threw(error)
    throw error
  }
}
