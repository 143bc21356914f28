// What a change adds to a bucket and takes from it, noted in its very transaction where a quota
// wants it counted: as rows that nobody else writes, so that no write waits for another one's.

import type { RandomHex } from '../../../common/clock.ts'
import type { Draft } from './commits.ts'
import { deltaKey } from './keys.ts'

/** May be below zero. */
export interface Delta {
  readonly bytes: number
  /** Versions that are no delete markers. */
  readonly objects: number
}

/** What the index has to do with quotas. */
export interface Counting {
  readonly isCounted: (bucket: string) => boolean
  /** It is durable now. */
  readonly counted: (bucket: string, delta: Delta) => void
}

const ID_BYTES = 8

/** Writes down what the draft has counted, of buckets that are; by their ids. */
export function putDeltas(
  draft: Draft,
  counting: Counting | undefined,
  randomHex: RandomHex,
): ReadonlyMap<string, Delta> {
  if (counting === undefined) return new Map()
  const counted = [...draft.deltas].filter(
    ([bucket, { bytes, objects }]) => (bytes !== 0 || objects !== 0) && counting.isCounted(bucket),
  )
  for (const [bucket, delta] of counted) draft.put(deltaKey(bucket, randomHex(ID_BYTES)), delta)
  return new Map(counted)
}
