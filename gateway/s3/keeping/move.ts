// Moves the bytes of a bucket to the store where the bucket says that they are to be, while it is
// in use: copy, commit, and the old bytes become garbage. What was half done is done again.

import type { BlobRef, BlobStore } from '../../../common/blobs/blobs.ts'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import { type Code, codeOf, MalleeError } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import type { Store } from '../../store/store.ts'
import type { BlobStores } from '../blobs/stores.ts'
import { Commits } from '../index/commits.ts'
import { nameOf, referenceOf } from '../index/garbage.ts'
import type { ObjectPart } from '../index/objects.ts'
import { type Placed, placesOf, relocate } from '../index/relocate.ts'
import { rackOfStore } from '../racks/store.ts'

/** Another pass may help. */
const PASSING: ReadonlySet<Code | null> = new Set(['RackAway', 'StoreFull', 'StoreUnavailable'])
/** Blobs of one object that are copied before the index hears of them. */
const TOGETHER = 20

export interface MoveParts {
  readonly store: Store
  readonly blobs: BlobStores
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
}

export interface Moved {
  readonly blobs: number
  readonly bytes: number
  /** Blobs that could not be moved; the log says why. */
  readonly failed: number
  /** What speaks for another pass soon: a store that is away or full. */
  readonly trouble: unknown
}

/** One pass over a bucket, by its id. Throws StoreUnavailable when there is no such store. */
export async function moveBucket(
  parts: MoveParts,
  bucket: string,
  name: string,
  signal: AbortSignal,
): Promise<Moved> {
  const to = parts.blobs.get(name)
  if (to === undefined) throw new MalleeError('StoreUnavailable', `no store is called ${name}`)
  const commits = new Commits(parts)
  /** Stores that were not reached in this pass. */
  const away = new Set<string>()
  let [blobs, bytes, failed, trouble] = [0, 0, 0, null as unknown]
  for await (const placed of placesOf(parts.store, bucket)) {
    const elsewhere = placed.parts.filter(
      ({ blob }) => blob.store !== name && !away.has(blob.store),
    )
    for (let at = 0; at < elsewhere.length && !signal.aborted; at += TOGETHER) {
      const some = elsewhere.slice(at, at + TOGETHER)
      try {
        bytes += await move(parts, commits, placed, some, to)
        blobs += some.length
      } catch (error) {
        failed += some.length
        if (PASSING.has(codeOf(error))) trouble ??= error
        if (codeOf(error) === 'RackAway') {
          // Every other blob there would say the same.
          for (const { blob } of some) away.add(blob.store)
          if (rackOfStore(name) !== null) return { blobs, bytes, failed, trouble }
          break
        }
        const { key } = placed.version
        parts.log.error('object not moved', { bucket, key, store: name, error })
      }
    }
    if (signal.aborted) break
  }
  return { blobs, bytes, failed, trouble }
}

/** How many bytes were moved; none when the object changed meanwhile. */
async function move(
  parts: MoveParts,
  commits: Commits,
  placed: Placed,
  some: readonly ObjectPart[],
  to: BlobStore,
): Promise<number> {
  const copies = new Map<string, BlobRef>()
  let isUsed = false
  try {
    for (const part of some) {
      const { blob } = part
      const from = parts.blobs.get(blob.store)
      if (from === undefined) throw new MalleeError('StoreUnavailable', `no store ${blob.store}`)
      copies.set(nameOf(referenceOf(part)), await to.write(from.read(blob)))
    }
    isUsed = await relocate(parts, commits, placed, copies)
  } catch (error) {
    // Nobody knows whether the index has them now: then they are the sweep's.
    isUsed = copies.size === some.length
    throw error
  } finally {
    if (!isUsed) {
      for (const { id } of copies.values()) await to.delete(id).catch(() => undefined)
    }
  }
  return isUsed ? some.reduce((sum, { blob }) => sum + blob.sizeBytes, 0) : 0
}
