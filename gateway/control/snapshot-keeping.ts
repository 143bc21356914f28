// What becomes of snapshots by itself: copies that nobody finished, direct ones that nobody writes
// any more, those whose host is gone, and deleted ones, which let go of their bytes and then of
// their records. Every gateway runs it; all of it may be done twice.

import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { Loop } from '../../common/reconcile.ts'
import type { SnapshotHolds, StagedSnapshots } from '../ebs/chunks/snapshot-bytes.ts'
import { finishCopy } from '../ebs/copy-snapshot.ts'
import { completeDirect } from '../ebs/direct/completing.ts'
import { areBytesNeeded } from '../ebs/snapshot-needs.ts'
import type { Records } from '../store/records.ts'
import type { AppliedChange, State, View } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'

const EVERY_MS = 60_000
/** Who begins a copy, or to complete one, ends that; only one whose gateway died waits for this. */
const WAIT_MS = 60_000

export interface KeepingParts {
  readonly state: State
  readonly bytes: SnapshotHolds & StagedSnapshots
  readonly clock: Clock
  readonly chance: () => number
  readonly log: Log
}

/** Starts the loop; resolves its end when the pass under way is done. */
export function startSnapshotKeeping(parts: KeepingParts): { stop: () => Promise<void> } {
  const { state, clock, chance, log } = parts
  const loop = new Loop({
    ...{ name: 'snapshots', pass: () => keepSnapshots(parts), everyMs: EVERY_MS },
    ...{ clock, chance, log },
  })
  const wake = (changes: readonly AppliedChange[]): void => {
    const view = state.view()
    if (changes.some((change) => letsGo(view, change, clock.nowMs()))) loop.wake()
  }
  const offChange = state.onChange(wake)
  loop.start()
  return {
    stop: async () => {
      offChange()
      await loop.stop()
    },
  }
}

/** One pass; running it twice changes nothing more. */
export async function keepSnapshots(parts: Omit<KeepingParts, 'chance'>): Promise<void> {
  const { state, bytes, clock, log } = parts
  const view = await state.fresh()
  for (const snapshot of view.all('volume-snapshot')) {
    const step = stepOf(view, snapshot, clock.nowMs())
    if (step === null) continue
    try {
      if (step === 'copy') await finishCopy(state, bytes, snapshot)
      else if (step === 'complete') await completeDirect(state, bytes, snapshot)
      else if (step === 'remove') await remove(state, bytes, snapshot.id)
      else await fail(state, snapshot.id, step.why)
    } catch (error) {
      // One that fails does not keep the others from their turn.
      log.warn('a snapshot cannot go on', { snapshot: snapshot.id, error })
    }
  }
}

type Step = 'copy' | 'complete' | 'remove' | { readonly why: string }

/** May a snapshot go on now? This one, what it is made over, or what a volume is made of. */
function letsGo(view: View, { key, before }: AppliedChange, nowMs: number): boolean {
  const [kind = '', id = ''] = key.split('/')
  if (kind !== 'volume-snapshot' && kind !== 'volume') return false
  const record = view.get(kind, id) ?? (before as Records['volume' | 'volume-snapshot'] | undefined)
  const ids = [id, record && 'base' in record ? record.base : (record?.snapshot ?? '')]
  return ids
    .flatMap((one) => view.get('volume-snapshot', one) ?? [])
    .some((one) => stepOf(view, one, nowMs) !== null)
}

/** What is to be done about it now; null when nothing is. */
function stepOf(view: View, snapshot: SnapshotRecord, nowMs: number): Step | null {
  const { state, origin, deletedAtMs } = snapshot
  if (deletedAtMs !== null) return mayGo(view, snapshot) ? 'remove' : null
  if (state !== 'pending') return null
  if (origin?.kind === 'copy') return nowMs - snapshot.startedAtMs > WAIT_MS ? 'copy' : null
  // Its task completes or deletes it.
  if (origin?.kind === 'import') return null
  if (origin?.kind === 'direct') {
    if (origin.completingAtMs !== undefined) {
      return nowMs - origin.completingAtMs > WAIT_MS ? 'complete' : null
    }
    const isLate = nowMs - origin.writtenAtMs > origin.timeoutMs
    return isLate ? { why: 'no block was written for too long' } : null
  }
  return isHostGone(view, snapshot) ? { why: 'the host of its volume is gone' } : null
}

/** Nothing is made of its bytes any more, and its SC keeps nothing. */
function mayGo(view: View, snapshot: SnapshotRecord): boolean {
  const { host, released } = snapshot
  if (areBytesNeeded(view, snapshot)) return false
  return host === '' || released || isHostGone(view, snapshot)
}

function isHostGone(view: View, { rack, host }: SnapshotRecord): boolean {
  const record = view.get('host', rack, host)
  return record === null || record.lostAtMs !== undefined
}

/** The bytes before the record: whoever dies between finds it again. */
async function remove(state: State, holds: SnapshotHolds, id: string): Promise<void> {
  await holds.dropManifest(id)
  await state.update(async (tx) => {
    if ((await tx.get('volume-snapshot', id))?.deletedAtMs === null) return
    await tx.delete('tags', id)
    await tx.delete('volume-snapshot', id)
  })
}

async function fail(state: State, id: string, why: string): Promise<void> {
  await state.update(async (tx) => {
    const snapshot = await tx.get('volume-snapshot', id)
    if (snapshot?.state !== 'pending' || snapshot.deletedAtMs !== null) return
    await tx.put('volume-snapshot', [id], { ...snapshot, state: 'error', stateReason: why })
  })
}
