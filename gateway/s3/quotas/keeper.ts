// Keeps what quotas are held to: which buckets they are about, their counts in the index, and the
// tally of this gateway.

import type { Clock } from '../../../common/clock.ts'
import type { Log } from '../../../common/log.ts'
import { Loop } from '../../../common/reconcile.ts'
import type { State } from '../../store/state.ts'
import type { Store } from '../../store/store.ts'
import { foldCounts, readCounts, walkBucket } from './counts.ts'
import { Tally } from './tally.ts'

/** How late a gateway hears of what others take. */
export const REFRESH_MS = 5_000
/** Walks heal what a change of quotas at the wrong moment left uncounted. */
const WALK_EVERY_MS = 6 * 60 * 60_000

export interface QuotaParts {
  readonly store: Store
  readonly state: Pick<State, 'view' | 'onChange'>
  readonly clock: Clock
  readonly chance: () => number
  readonly log: Log
}

export interface Quotas {
  readonly tally: Tally
  readonly stop: () => Promise<void>
}

export function keepQuotas(parts: QuotaParts): Quotas {
  const { store, state, clock } = parts
  const ending = new AbortController()
  const { signal } = ending
  const tally = new Tally(() => state.view())
  /** Those that quotas were about a pass ago. */
  let known: ReadonlySet<string> = new Set()
  const loop = new Loop({
    ...parts,
    ...{ name: 'object-quotas', everyMs: REFRESH_MS },
    pass: async () => {
      const counted = tally.look()
      await foldCounts(store, counted)
      for (const bucket of counted) {
        // Other gateways shall have heard of it before a walk begins, and note what they write.
        if (known.has(bucket)) {
          await walkBucket(parts, bucket, clock.nowMs() - WALK_EVERY_MS, signal)
        }
        if (signal.aborted) return
      }
      known = counted
      if (counted.size > 0) await tally.refresh(() => readCounts(store))
    },
  })
  const unwatch = state.onChange((changes) => {
    if (changes.some(({ key }) => /^(?:bucket|quota)\//.test(key))) tally.look()
  })
  loop.start()
  return {
    tally,
    stop: async () => {
      ending.abort()
      unwatch()
      await loop.stop()
    },
  }
}
