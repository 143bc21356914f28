// How much waits for each target: counted now and then, and along with what this gateway adds and
// takes in between. Bounds the outbox, whose targets may be away for days.

import type { Clock } from '../../../common/clock.ts'
import type { Log } from '../../../common/log.ts'
import type { Store } from '../../store/store.ts'
import { outboxPrefix } from '../index/keys.ts'
import type { EventMetrics } from './delivery.ts'

/** Events that wait for one target; what comes then is not taken. */
export const MAX_WAITING = 100_000
const RECOUNT_MS = 5 * 60_000
const PAGE = 1_000
/** Between two lines of the log that say that a target is full. */
const SAY_MS = 60_000

/** What a target last said when it did not take something. */
export interface TargetTrouble {
  readonly message: string
  readonly atMs: number
}

export interface WaitingParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly metrics: EventMetrics
}

export class Waiting {
  readonly #parts: WaitingParts
  readonly #counts = new Map<string, number>()
  #countedAtMs: number | null = null
  #saidAtMs = 0

  constructor(parts: WaitingParts) {
    this.#parts = parts
  }

  /** Counts anew when that is due; forgets targets that are gone. */
  async look(targets: readonly string[]): Promise<void> {
    const { store, clock, metrics } = this.#parts
    const isDue = this.#countedAtMs === null || clock.nowMs() - this.#countedAtMs > RECOUNT_MS
    if (isDue) {
      this.#countedAtMs = clock.nowMs()
      for (const target of targets) this.#counts.set(target, await countWaiting(store, target))
    }
    for (const known of this.#counts.keys()) {
      if (!targets.includes(known)) this.#counts.delete(known)
    }
    metrics.setEventsPending(
      Object.fromEntries(targets.map((target) => [target, this.#counts.get(target) ?? 0])),
    )
  }

  accepts(target: string): boolean {
    const { clock, log, metrics } = this.#parts
    if ((this.#counts.get(target) ?? 0) < MAX_WAITING) return true
    metrics.events(target, 'dropped', 1)
    if (clock.nowMs() - this.#saidAtMs > SAY_MS) {
      this.#saidAtMs = clock.nowMs()
      log.error('a target of events is full, new ones are dropped', { target, most: MAX_WAITING })
    }
    return false
  }

  came(target: string): void {
    this.#counts.set(target, (this.#counts.get(target) ?? 0) + 1)
  }

  left(target: string, events: number): void {
    this.#counts.set(target, Math.max(0, (this.#counts.get(target) ?? 0) - events))
  }
}

/** Up to the limit. */
export async function countWaiting(store: Store, target: string): Promise<number> {
  let [count, after] = [0, outboxPrefix(target)]
  for (;;) {
    const page = await store.list(outboxPrefix(target), { after, limit: PAGE })
    count += page.entries.length
    after = page.entries.at(-1)?.key ?? after
    if (!page.more || count >= MAX_WAITING) return count
  }
}
