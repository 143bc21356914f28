// The loops that keep the storage of objects in order: garbage goes, orphans are swept, every blob
// is read again and again, and it is counted what there is. Every gateway runs them.

import type { BlobStore } from '../../../common/blobs/blobs.ts'
import type { DiskState } from '../../../common/blobs/local.ts'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import { codeOf, MalleeError, messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import { Loop } from '../../../common/reconcile.ts'
import type { DiskReport } from '../../store/disk-records.ts'
import type { Store } from '../../store/store.ts'
import type { BlobStores } from '../blobs/stores.ts'
import { countGarbage, workOffGarbage } from './garbage.ts'
import {
  type LifecycleMetrics,
  type LifecycleParts,
  type LifecycleRound,
  lifecycleRounds,
  tendLifecycles,
} from './lifecycle.ts'
import { moveBucket } from './move.ts'
import { ORPHAN_AGE_MS, type OrphanParts, type Swept, sweepOrphans } from './orphans.ts'
import {
  type Damage,
  damageOf,
  INDEX,
  lastRound,
  type ScrubParts,
  type ScrubRound,
  scrub,
} from './scrub.ts'
import { scrubIndex } from './scrub-index.ts'
import { measureUsage, type Usage } from './usage.ts'

const GARBAGE_EVERY_MS = 60_000
const MOVE_EVERY_MS = 60_000
const SWEEP_EVERY_MS = 6 * 60 * 60_000
const SCRUB_EVERY_MS = 7 * 24 * 60 * 60_000
/** How soon the midnight after which a round is due is noticed. */
const LIFECYCLE_LOOK_MS = 10 * 60_000
/** How soon a round of the scrubber is looked for. */
const SCRUB_LOOK_MS = 10 * 60_000
/** What the scrubber reads of the disks in a second. */
const SCRUB_BYTES_PER_S = 16 << 20
/** Garbage is counted up to here. */
const MAX_COUNTED = 100_000

export interface ObjectMetrics extends LifecycleMetrics {
  readonly setObjects: (usage: Usage) => void
  /** The same by the ids of buckets. */
  readonly setUsage?: (usage: ReadonlyMap<string, Usage>) => void
  readonly setBlobs: (swept: Pick<Swept, 'blobs' | 'bytes'>) => void
  readonly orphansRemoved: (blobs: number) => void
  readonly setGarbage: (entries: number) => void
  readonly setDamaged: (blobs: number) => void
  readonly setDisks: (byState: Readonly<Record<string, number>>) => void
  /** As racks reported them. */
  readonly setRackDisks: (all: readonly DiskReport[]) => void
}

export interface KeeperParts extends OrphanParts, Omit<LifecycleParts, 'metrics'> {
  readonly store: Store
  readonly blobs: BlobStores
  readonly disks: () => Readonly<Record<string, DiskState>>
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly log: Log
  readonly metrics: ObjectMetrics
  /** Which buckets, by id, are to have their bytes in which store. */
  readonly wishes: () => ReadonlyMap<string, string>
}

/** What an operator hears of the storage of objects. */
export interface ObjectReport {
  readonly disks: Readonly<Record<string, DiskState>>
  readonly scrubs: Readonly<Record<string, ScrubRound | null>>
  readonly damage: readonly Damage[]
  readonly garbage: number
  /** By the ids of buckets that have rules. */
  readonly lifecycles: ReadonlyMap<string, LifecycleRound>
  /** By the ids of buckets; null before the first walk has ended. */
  readonly usage: ReadonlyMap<string, Usage> | null
}

export interface Keeper {
  readonly report: () => Promise<ObjectReport>
  /** Looks at once which buckets are to move, and which have other rules. */
  readonly bucketsChanged: () => void
  /** Resolves when what is under way is done. */
  readonly stop: () => Promise<void>
}

export function keepObjects(parts: KeeperParts): Keeper {
  const { store, blobs, disks, clock, chance, log, metrics } = parts
  const ending = new AbortController()
  const { signal } = ending
  const settled = new Map<string, string>()
  const ruled = new Map<string, string>()
  /** Rounds under way, by store: a slow one holds up no other. */
  const scrubbing = new Map<string, Promise<void>>()
  let usage: ReadonlyMap<string, Usage> | null = null
  const loop = (name: string, everyMs: number, pass: () => Promise<void>): Loop =>
    new Loop({ name, everyMs, pass, clock, chance, log })
  const moves = loop('object-move', MOVE_EVERY_MS, () => tendMoves(parts, settled, signal))
  const everyMs = Math.min(LIFECYCLE_LOOK_MS, parts.lifecycleDayMs)
  const lifecycles = loop('object-lifecycle', everyMs, () => tendLifecycles(parts, ruled, signal))
  const loops = [
    moves,
    lifecycles,
    loop('object-garbage', GARBAGE_EVERY_MS, () => tendGarbage(parts)),
    loop('object-sweep', SWEEP_EVERY_MS, async () => {
      usage = await measureUsage(store, clock, signal)
      // Uploads that began before a move may have ended since.
      settled.clear()
      if (signal.aborted) return
      metrics.setObjects(sumOf(usage))
      metrics.setUsage?.(usage)
      const all: Swept[] = []
      for (const one of blobs.values()) {
        const swept = await sweepOrphans(parts, one, signal).catch(unlessAway)
        if (swept === null) log.warn('store of blobs not swept, it is away', { store: one.name })
        else all.push(swept)
        await one.abandon?.(clock.nowMs() - ORPHAN_AGE_MS)
      }
      if (signal.aborted) return
      metrics.setBlobs({ blobs: sum(all, 'blobs'), bytes: sum(all, 'bytes') })
      metrics.orphansRemoved(sum(all, 'orphans'))
    }),
    loop('object-scrub', SCRUB_LOOK_MS, async () => {
      const rounds = [...blobs.values()].map((one) => [one.name, scrubOf(one)] as const)
      for (const [name, run] of [...rounds, [INDEX, scrubIndex] as const]) {
        if (scrubbing.has(name)) continue
        const round = tendScrub(parts, name, run, signal)
          .catch((error: unknown) => log.error('scrub failed', { store: name, error }))
          .finally(() => scrubbing.delete(name))
        scrubbing.set(name, round)
      }
    }),
  ]
  for (const one of loops) one.start()
  return {
    bucketsChanged: () => {
      moves.wake()
      lifecycles.wake()
    },
    report: async () => ({
      disks: disks(),
      scrubs: Object.fromEntries(
        await Promise.all(
          [...blobs.keys(), INDEX].map(async (name) => [name, await lastRound(store, name)]),
        ),
      ),
      damage: await damageIn(parts),
      garbage: await countGarbage(store, MAX_COUNTED),
      lifecycles: await lifecycleRounds(store),
      usage,
    }),
    stop: async () => {
      ending.abort()
      await Promise.all(loops.map((one) => one.stop()))
      await Promise.all(scrubbing.values())
    },
  }
}

async function tendGarbage(parts: KeeperParts): Promise<void> {
  const { store, disks, metrics } = parts
  const { trouble } = await workOffGarbage(parts)
  metrics.setGarbage(await countGarbage(store, MAX_COUNTED))
  const states: Record<string, number> = {}
  for (const state of Object.values(disks())) states[state] = (states[state] ?? 0) + 1
  metrics.setDisks(states)
  // What is in a rack that is away waits for the next pass like what is not due.
  if (trouble === null || codeOf(trouble) === 'RackAway') return
  throw new Error(`garbage stays: ${messageOf(trouble)}`, { cause: trouble })
}

/** `settled`: where the last pass over a bucket found nothing that was to move. */
async function tendMoves(
  parts: KeeperParts,
  settled: Map<string, string>,
  signal: AbortSignal,
): Promise<void> {
  let failed: MalleeError | null = null
  for (const [bucket, name] of parts.wishes()) {
    if (signal.aborted) break
    if (settled.get(bucket) === name) continue
    // Or it would be taken for done when it is to go back.
    settled.delete(bucket)
    const { trouble, ...moved } = await moveBucket(parts, bucket, name, signal)
    if (moved.blobs > 0) parts.log.info('objects moved', { bucket, store: name, ...moved })
    if (trouble !== null) {
      const sentence = `bucket ${bucket} does not get to ${name}: ${messageOf(trouble)}`
      // A rack that is away is looked for with the next pass, and holds up no other bucket.
      if (codeOf(trouble) === 'RackAway') parts.log.warn(sentence)
      else failed ??= new MalleeError('StoreUnavailable', sentence, { cause: trouble })
      continue
    }
    // What is damaged is tried again with the next sweep.
    if (moved.blobs === 0 && !signal.aborted) settled.set(bucket, name)
  }
  if (failed !== null) throw failed
}

type Scrub = (parts: ScrubParts) => Promise<unknown>

function scrubOf(one: BlobStore): Scrub {
  return (parts) => scrub(parts, one)
}

async function tendScrub(
  parts: KeeperParts,
  name: string,
  run: Scrub,
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, metrics } = parts
  const ended = new Error('the gateway stops')
  const pace = async (sizeBytes: number): Promise<void> => {
    await clock.sleep((sizeBytes / SCRUB_BYTES_PER_S) * 1000, signal)
    if (signal.aborted) throw ended
  }
  const last = await lastRound(store, name)
  const isDue = last === null || clock.nowMs() - last.startedAtMs >= SCRUB_EVERY_MS
  if (last?.endedAtMs === null || isDue) {
    await run({ ...parts, pace }).catch((error: unknown) => {
      if (error !== ended) throw error
    })
  }
  if (signal.aborted) return
  const damaged = (await damageIn(parts)).map(({ store: of, blob }) => `${of}/${blob}`)
  metrics.setDamaged(new Set(damaged).size)
}

/** Null when the store is a rack's that is away. */
function unlessAway(error: unknown): null {
  if (codeOf(error) !== 'RackAway') throw error
  return null
}

async function damageIn({ store, blobs }: KeeperParts): Promise<readonly Damage[]> {
  return (await Promise.all([...blobs.keys(), INDEX].map((name) => damageOf(store, name)))).flat()
}

function sumOf(usage: ReadonlyMap<string, Usage>): Usage {
  const all = [...usage.values()]
  return {
    objects: sum(all, 'objects'),
    olderVersions: sum(all, 'olderVersions'),
    bytes: sum(all, 'bytes'),
    inlineObjects: sum(all, 'inlineObjects'),
    inlineBytes: sum(all, 'inlineBytes'),
  }
}

function sum<T, K extends keyof T>(all: readonly (T & Record<K, number>)[], name: K): number {
  return all.reduce((total, one) => total + one[name], 0)
}
