// Lifecycle rounds over an index, with days that a test holds.

import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { type LifecycleParts, tendLifecycles } from '../../../gateway/s3/keeping/lifecycle.ts'
import { type Expired, NOTHING } from '../../../gateway/s3/keeping/lifecycle-walk.ts'
import type { BucketRecord, LifecycleRule } from '../../../gateway/store/bucket-records.ts'
import { BUCKET, type IndexGround } from './index-support.ts'

export const DAY_MS = 24 * 60 * 60_000

export function rule(id: string, more: Partial<LifecycleRule>): LifecycleRule {
  return { id, isEnabled: true, form: 'filter', ...more }
}

export function bucketWith(
  rules: readonly LifecycleRule[],
  versioning: BucketRecord['versioning'],
): BucketRecord {
  return {
    ...{ name: 'photos', id: BUCKET, account: '111111111111', rack: '' },
    ...{ createdAtMs: 0, versioning, lifecycle: { rules } },
  }
}

export interface Gateway {
  readonly parts: LifecycleParts
  /** What it has counted. */
  readonly counted: () => Expired
  readonly pass: () => Promise<void>
}

export function gatewayOver(
  { index, store, clock }: Pick<IndexGround, 'index' | 'store' | 'clock'>,
  ruled: () => readonly BucketRecord[],
  log = silentLog,
): Gateway {
  const sums = { ...NOTHING }
  const settled = new Map<string, string>()
  const metrics = {
    lifecycleExpired: (expired: Expired) => {
      for (const name of Object.keys(NOTHING) as (keyof Expired)[]) sums[name] += expired[name]
    },
    lifecycleRoundEnded: () => undefined,
  }
  const days = { lifecycleDayMs: DAY_MS, region: 'mallee-1', randomHex }
  const parts = { index, store, clock, log, metrics, ruled, ...days }
  return {
    parts,
    counted: () => ({ ...sums }),
    pass: () => tendLifecycles(parts, settled, new AbortController().signal),
  }
}

/** The same index, whose pages are so small that a key goes over several. */
export function inSmallPages(index: IndexGround['index'], limit: number): IndexGround['index'] {
  return {
    ...index,
    listVersions: (bucket, options) =>
      index.listVersions(bucket, { ...options, limit: Math.min(options.limit, limit) }),
    uploads: {
      ...index.uploads,
      list: (bucket, options) =>
        index.uploads.list(bucket, { ...options, limit: Math.min(options.limit, limit) }),
    },
  }
}
