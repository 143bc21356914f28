// What everything about snapshots' bytes needs.

import type { BlobStore } from '../../../common/blobs/blobs.ts'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import type { Log } from '../../../common/log.ts'
import type { Commits } from '../../s3/index/commits.ts'
import type { Store } from '../../store/store.ts'
import type { SnapshotMetrics } from './metrics.ts'

/** What a snapshot's record says of its bytes. */
export type Standing =
  /** They are on their way: what was put for it is kept. */
  | 'pending'
  /** They are all there, or will not come, or it was deleted. */
  | 'settled'
  /** There is no such record, here and now. */
  | 'unknown'

export interface ChunkParts {
  /** That of the index of objects. */
  readonly store: Store
  readonly commits: Commits
  /** Where new bytes go. */
  readonly blobs: () => BlobStore
  /** Throws StoreUnavailable. */
  readonly storeOf: (name: string) => BlobStore
  readonly standing: (snapshot: string) => Standing
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly log: Log
  readonly metrics: SnapshotMetrics
}
