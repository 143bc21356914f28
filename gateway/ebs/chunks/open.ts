// Snapshots' bytes in a gateway that runs, and the loops that keep them in order. Every gateway of
// a cloud runs them.

import { messageOf } from '../../../common/errors.ts'
import { Loop } from '../../../common/reconcile.ts'
import { Commits } from '../../s3/index/commits.ts'
import type { ObjectStorage } from '../../s3/storage.ts'
import type { State } from '../../store/state.ts'
import { createSnapshotBytes } from './create.ts'
import { damageOfSnapshots, type SnapshotDamage } from './damage.ts'
import type { ChunkParts, Standing } from './parts.ts'
import { lastSnapshotScrub, type SnapshotScrub, scrubSnapshots } from './scrub.ts'
import type { SnapshotBytes, SnapshotUploads } from './snapshot-bytes.ts'
import { sweepIdle, sweepSnapshots } from './sweep.ts'

const SWEEP_EVERY_MS = 60_000
const LOOK_EVERY_MS = 6 * 60 * 60_000
const SCRUB_EVERY_MS = 7 * 24 * 60 * 60_000
/** How soon a round of the scrubber is looked for. */
const SCRUB_LOOK_MS = 10 * 60_000
/** What the scrubber reads in a second. */
const SCRUB_BYTES_PER_S = 16 << 20

export interface OpenSnapshotParts
  extends Pick<ChunkParts, 'clock' | 'randomHex' | 'log' | 'metrics'> {
  readonly state: Pick<State, 'view'>
  readonly storage: Pick<ObjectStorage, 'rows' | 'blobsFor' | 'storeOf'>
  readonly chance: () => number
}

/** What an operator hears of snapshots' bytes. */
export interface SnapshotReport {
  /** Null before the first round. */
  readonly scrub: SnapshotScrub | null
  readonly damage: readonly SnapshotDamage[]
}

export interface RunningSnapshots {
  readonly bytes: SnapshotBytes & SnapshotUploads
  readonly report: () => Promise<SnapshotReport>
  /** Resolves when what is under way is done. */
  readonly stop: () => Promise<void>
}

export function openSnapshots(given: OpenSnapshotParts): RunningSnapshots {
  const { state, storage, clock, chance, log } = given
  const parts: ChunkParts = {
    ...given,
    store: storage.rows,
    commits: new Commits({ ...given, store: storage.rows }),
    blobs: () => storage.blobsFor({}),
    storeOf: storage.storeOf,
    standing: (snapshot) => standingOf(state, snapshot),
  }
  const ending = new AbortController()
  const { signal } = ending
  const loop = (name: string, everyMs: number, pass: () => Promise<void>): Loop =>
    new Loop({ name, everyMs, pass, clock, chance, log })
  const sweep = loop('snapshot-sweep', SWEEP_EVERY_MS, async () => {
    const { items, trouble } = await sweepIdle(parts, signal)
    if (items > 0) log.info('snapshots swept', { items })
    if (trouble === null || trouble === undefined) return
    throw new Error(`bytes of snapshots stay: ${messageOf(trouble)}`, { cause: trouble })
  })
  const loops = [
    sweep,
    loop('snapshot-drop', LOOK_EVERY_MS, () => sweepSnapshots(parts, signal)),
    loop('snapshot-scrub', SCRUB_LOOK_MS, () => scrubWhenDue(parts, signal)),
  ]
  for (const one of loops) one.start()
  return {
    bytes: createSnapshotBytes(parts, () => sweep.wake()),
    report: async () => ({
      scrub: await lastSnapshotScrub(parts),
      damage: await damageOfSnapshots(parts),
    }),
    stop: async () => {
      ending.abort()
      await Promise.all(loops.map((one) => one.stop()))
    },
  }
}

function standingOf(state: Pick<State, 'view'>, snapshot: string): Standing {
  const record = state.view().get('volume-snapshot', snapshot)
  if (record === null) return 'unknown'
  return record.state === 'pending' && record.deletedAtMs === null ? 'pending' : 'settled'
}

async function scrubWhenDue(parts: ChunkParts, signal: AbortSignal): Promise<void> {
  const { clock } = parts
  const last = await lastSnapshotScrub(parts)
  const isDue = last === null || clock.nowMs() - last.startedAtMs >= SCRUB_EVERY_MS
  if (last !== null && last.endedAtMs !== null && !isDue) return
  const ended = new Error('the gateway stops')
  const pace = async (sizeBytes: number): Promise<void> => {
    await clock.sleep((sizeBytes / SCRUB_BYTES_PER_S) * 1000, signal)
    if (signal.aborted) throw ended
  }
  await scrubSnapshots(parts, pace).catch((error: unknown) => {
    if (error !== ended) throw error
  })
}
