// The counts of buckets with quotas, in the index: a row for each, made by a walk and kept by what
// transactions note. Every gateway does it; who is slower finds nothing left to do.

import type { Clock } from '../../../common/clock.ts'
import type { Entry, Op, Store } from '../../store/store.ts'
import {
  COUNTS,
  countKey,
  DELTAS,
  deltaBucket,
  deltaPrefix,
  partPrefix,
  uploadPrefix,
} from '../index/keys.ts'
import type { Upload, UploadPart } from '../index/objects.ts'
import type { Delta } from '../index/tally.ts'
import { measureUsage } from '../keeping/usage.ts'
import { sum } from './tally.ts'

const PAGE = 1_000
/** Walks of a bucket that somebody writes to, until one that is not exact will do. */
const WALKS = 3

export interface CountParts {
  readonly store: Store
  readonly clock: Clock
}

/** What a count is, and when a walk made it. */
interface Count extends Delta {
  readonly walkedAtMs: number
}

/** What buckets hold by their ids, as far as it is known. */
export async function readCounts(store: Store): Promise<ReadonlyMap<string, Delta>> {
  // Notes before counts: what moves in between is seen twice, and not not at all.
  const deltas = await rows(store, DELTAS)
  const counts = await rows(store, COUNTS)
  const all = [
    ...deltas.map(({ key, value }) => [deltaBucket(key), JSON.parse(value) as Delta] as const),
    ...counts.map(
      ({ key, value }) => [key.slice(COUNTS.length), JSON.parse(value) as Count] as const,
    ),
  ]
  return new Map(
    [...Map.groupBy(all, ([bucket]) => bucket)].map(([bucket, some]) => [
      bucket,
      sum(some.map(([, delta]) => delta)),
    ]),
  )
}

/** Takes notes into the counts that there are, and away what is about no bucket of these. */
export async function foldCounts(store: Store, counted: ReadonlySet<string>): Promise<void> {
  const notes = Map.groupBy(await rows(store, DELTAS), ({ key }) => deltaBucket(key))
  const counts = await rows(store, COUNTS)
  for (const [bucket, all] of notes) {
    const some = all.slice(0, PAGE)
    const count = counts.find(({ key }) => key === countKey(bucket))
    if (!counted.has(bucket)) await remove(store, some)
    else if (count !== undefined) {
      const before = JSON.parse(count.value) as Count
      const { bytes, objects } = sum([before, ...some.map(({ value }) => JSON.parse(value))])
      await replace(store, count, { ...before, bytes, objects }, some)
    }
  }
  await remove(
    store,
    counts.filter(({ key }) => !counted.has(key.slice(COUNTS.length))),
  )
}

/**
 * Counts a bucket by a walk, when that was not done since. Exact when nobody wrote to it meanwhile;
 * if somebody always does, what came during the walk may be counted twice.
 */
export async function walkBucket(
  parts: CountParts,
  bucket: string,
  sinceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { store, clock } = parts
  for (let walks = 1; walks <= WALKS; walks++) {
    const count = await store.get(countKey(bucket))
    if (count !== null && (JSON.parse(count.value) as Count).walkedAtMs >= sinceMs) return
    const noted = await rows(store, deltaPrefix(bucket))
    // The walk will see all of that.
    if (count === null) await remove(store, noted)
    else if (noted.length > PAGE) return
    const before = count === null ? [] : noted
    const held = await heldBy(parts, bucket, signal)
    if (signal.aborted) return
    const after = await rows(store, deltaPrefix(bucket))
    const isQuiet =
      after.length === before.length && after.every(({ key }, at) => key === before[at]?.key)
    if (!isQuiet && walks < WALKS) continue
    const at: Pick<Entry, 'key' | 'version'> = count ?? { key: countKey(bucket), version: 0 }
    const value: Count = { ...held, walkedAtMs: clock.nowMs() }
    if (await replace(store, at, value, before)) return
  }
}

/** Versions, and parts of uploads that have not ended. */
async function heldBy({ store, clock }: CountParts, bucket: string, signal: AbortSignal) {
  const usage = (await measureUsage(store, clock, signal, bucket)).get(bucket)
  let bytes = usage?.bytes ?? 0
  for (const upload of await rows(store, uploadPrefix(bucket, ''))) {
    const { uploadId } = JSON.parse(upload.value) as Upload
    const parts = await rows(store, partPrefix(uploadId))
    bytes += parts.reduce(
      (total, { value }) => total + (JSON.parse(value) as UploadPart).sizeBytes,
      0,
    )
  }
  return { bytes, objects: (usage?.objects ?? 0) + (usage?.olderVersions ?? 0) }
}

/** False: somebody was faster, and nothing was written. */
async function replace(
  store: Store,
  { key, version }: Pick<Entry, 'key' | 'version'>,
  count: Count,
  notes: readonly Entry[],
): Promise<boolean> {
  const when = [{ key, version }, ...notes.map((one) => ({ key: one.key, version: one.version }))]
  const then: Op[] = [
    { put: key, value: JSON.stringify(count) },
    ...notes.map((one) => ({ del: one.key })),
  ]
  return (await store.txn(when, then)).ok
}

async function remove(store: Store, some: readonly Entry[]): Promise<void> {
  for (let at = 0; at < some.length; at += PAGE) {
    await store.txn(
      [],
      some.slice(at, at + PAGE).map(({ key }) => ({ del: key })),
    )
  }
}

async function rows(store: Store, prefix: string): Promise<readonly Entry[]> {
  const all: Entry[] = []
  for (let after = prefix; ; ) {
    const page = await store.list(prefix, { after, limit: PAGE })
    all.push(...page.entries)
    after = page.entries.at(-1)?.key ?? after
    if (!page.more) return all
  }
}
