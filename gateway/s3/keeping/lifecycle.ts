// Does what the lifecycle rules of buckets say, in rounds: one for each day, and one when the rules
// have changed. Every gateway runs them; where a round is, is in the index, so that another one, or
// the same after a restart, goes on there.

import { hash } from 'node:crypto'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import { messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import type { Store } from '../../store/store.ts'
import { rulesOf } from '../buckets/expiry.ts'
import { LIFECYCLES, lifecycleKey } from '../index/keys.ts'
import type { ObjectIndex } from '../index/objects.ts'
import { type After, BEGIN, type Expired, lookOn, NOTHING, stretchesOf } from './lifecycle-walk.ts'

/** Pages of a bucket before the next one has its turn. */
const PAGES_IN_TURN = 20
const ROWS = 500
const ID_BYTES = 8
/** Between two pages, so that a walk over millions does not keep requests waiting. */
const REST_MS = 5

export interface LifecycleMetrics {
  readonly lifecycleExpired: (expired: Expired) => void
  readonly lifecycleRoundEnded: (atMs: number) => void
}

export interface LifecycleParts {
  readonly store: Store
  readonly index: ObjectIndex
  readonly clock: Clock
  readonly log: Log
  readonly metrics: LifecycleMetrics
  /** The buckets that have rules, as they are now. */
  readonly ruled: () => readonly BucketRecord[]
  /** How long a day of a rule takes. */
  readonly lifecycleDayMs: number
  readonly region: string
  readonly randomHex: RandomHex
}

/** The round under way of a bucket, or its last one. */
export interface LifecycleRound extends Expired {
  readonly startedAtMs: number
  /** Days since 1970 when it began. */
  readonly day: number
  /** Null: it is under way. */
  readonly endedAtMs: number | null
  /** Versions and uploads that were looked at. */
  readonly looked: number
  /** Which rules it is about: with others a new one begins. */
  readonly rules: string
  /** The stretch of keys it is in, and how far. */
  readonly stretch: number
  readonly after: After
}

/**
 * All rounds that are due, to their end. `settled` remembers by bucket of which rules the round of
 * which day has ended. Throws what kept one of them, when the others are done.
 */
export async function tendLifecycles(
  parts: LifecycleParts,
  settled: Map<string, string>,
  signal: AbortSignal,
): Promise<void> {
  await forgetOthers(parts)
  let trouble: unknown = null
  let waiting = parts.ruled().map(({ id }) => id)
  while (waiting.length > 0 && !signal.aborted) {
    const unfinished: string[] = []
    for (const id of waiting) {
      try {
        if (await takeTurn(parts, id, settled, signal)) unfinished.push(id)
      } catch (error) {
        trouble ??= error
        parts.log.warn('lifecycle round waits', { bucket: id, error })
      }
    }
    waiting = unfinished
  }
  if (trouble !== null) {
    throw new Error(`a lifecycle round waits: ${messageOf(trouble)}`, { cause: trouble })
  }
}

/** What is told of a round. */
export function toldOf({
  day: _,
  rules: __,
  stretch: ___,
  after: ____,
  ...told
}: LifecycleRound): Omit<LifecycleRound, 'day' | 'rules' | 'stretch' | 'after'> {
  return told
}

/** The last rounds, or those under way, by the ids of buckets; of 500 buckets at most. */
export async function lifecycleRounds(store: Store): Promise<ReadonlyMap<string, LifecycleRound>> {
  const { entries } = await store.list(LIFECYCLES, { limit: ROWS })
  return new Map(entries.map(({ key, value }) => [key.slice(LIFECYCLES.length), JSON.parse(value)]))
}

/** Some pages of the round of a bucket. False: it has ended, is not due, or another gateway's. */
async function takeTurn(
  parts: LifecycleParts,
  id: string,
  settled: Map<string, string>,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, clock, log, metrics, lifecycleDayMs } = parts
  const at = lifecycleKey(id)
  for (let pages = 0; pages < PAGES_IN_TURN && !signal.aborted; pages++) {
    const bucket = parts.ruled().find((one) => one.id === id)
    if (bucket === undefined) return false
    const nowMs = clock.nowMs()
    const rules = hash('sha256', JSON.stringify(bucket.lifecycle?.rules ?? []))
    const today = Math.floor(nowMs / lifecycleDayMs)
    if (settled.get(id) === `${rules} ${today}`) return false
    const row = await store.get(at)
    const last: LifecycleRound | null = row === null ? null : JSON.parse(row.value)
    // Nothing gets due but at midnight.
    if (last?.rules === rules && last.endedAtMs !== null && last.day >= today) {
      settled.set(id, `${rules} ${today}`)
      return false
    }
    const begun = { startedAtMs: nowMs, day: today, endedAtMs: null, looked: 0, rules }
    const isUnderWay = last?.rules === rules && last.endedAtMs === null
    const round = isUnderWay ? last : { ...begun, stretch: 0, after: BEGIN, ...NOTHING }
    const { next, expired } = await page(parts, bucket, round)
    metrics.lifecycleExpired(expired)
    const value = JSON.stringify(next)
    // Who loses was not alone with the page, which is done then all the same.
    const noted = await store.txn([{ key: at, version: row?.version ?? 0 }], [{ put: at, value }])
    if (!noted.ok) return false
    if (next.endedAtMs !== null) {
      log.info('lifecycle round', { bucket: bucket.name, ...toldOf(next) })
      metrics.lifecycleRoundEnded(next.endedAtMs)
      return false
    }
    await clock.sleep(REST_MS, signal)
  }
  return !signal.aborted
}

async function page(
  { index, clock, lifecycleDayMs, region, randomHex }: LifecycleParts,
  bucket: BucketRecord,
  round: LifecycleRound,
): Promise<{ next: LifecycleRound; expired: Expired }> {
  const rules = rulesOf(bucket, lifecycleDayMs)
  const stretches = stretchesOf(rules)
  const stretch = stretches[round.stretch]
  if (stretch === undefined) {
    return { next: { ...round, endedAtMs: clock.nowMs() }, expired: NOTHING }
  }
  const cause = { passId: randomHex(ID_BYTES), region }
  const walked = await lookOn({ index, clock, bucket, rules, cause }, stretch, round.after)
  const { after, looked, expired } = walked
  const at = after === null ? round.stretch + 1 : round.stretch
  const names = Object.keys(NOTHING) as (keyof Expired)[]
  const sums = names.map((name) => [name, round[name] + expired[name]])
  const next = {
    ...round,
    ...(Object.fromEntries(sums) as Record<keyof Expired, number>),
    ...{ stretch: at, after: after ?? BEGIN, looked: round.looked + looked },
    endedAtMs: at < stretches.length ? null : clock.nowMs(),
  }
  return { next, expired }
}

/** Rounds of buckets that are gone or have no rules any more. */
async function forgetOthers({ store, ruled }: LifecycleParts): Promise<void> {
  const { entries } = await store.list(LIFECYCLES, { limit: ROWS })
  const known = new Set(ruled().map(({ id }) => lifecycleKey(id)))
  const others = entries.filter(({ key }) => !known.has(key))
  if (others.length > 0) {
    await store.txn(
      [],
      others.map(({ key }) => ({ del: key })),
    )
  }
}
