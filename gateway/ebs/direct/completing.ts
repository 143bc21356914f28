// The end of a snapshot that was put together by EBS direct APIs: it takes no more blocks, gets its
// manifest, and is complete. Whoever finds one between these steps goes on.

import { storedBytes } from '../../../common/volume-sizes.ts'
import type { State } from '../../store/state.ts'
import type { SnapshotRecord } from '../../store/volume-records.ts'
import type { SnapshotHolds, StagedSnapshots } from '../chunks/snapshot-bytes.ts'

/** Takes no more blocks from now on. Null when it is not there, or not pending, any more. */
export async function closeFor(
  state: State,
  id: string,
  nowMs: number,
): Promise<SnapshotRecord | null> {
  return await state.update(async (tx) => {
    const one = await tx.get('volume-snapshot', id)
    const isOpen = one?.state === 'pending' && one.deletedAtMs === null
    if (!isOpen || one.origin?.kind !== 'direct') return null
    const closed = { ...one, origin: { ...one.origin, completingAtMs: nowMs } }
    await tx.put('volume-snapshot', [id], closed)
    return closed
  })
}

/** What became of it; null when it was deleted meanwhile. May be said again. */
export async function completeDirect(
  state: State,
  bytes: StagedSnapshots & SnapshotHolds,
  { id, base, volumeSizeGib, encrypted }: SnapshotRecord,
): Promise<SnapshotRecord['state'] | null> {
  const parent = base === '' ? null : (await state.fresh()).get('volume-snapshot', base)
  const size = storedBytes(volumeSizeGib, encrypted)
  const done = await bytes.completeStaged(id, parent?.manifest ?? null, size)
  const became = await state.update(async (tx) => {
    const one = await tx.get('volume-snapshot', id)
    if (one === null || one.deletedAtMs !== null) return null
    if (one.state !== 'pending') return one.state
    const next = { state: 'completed', progressPercent: 100, completedAtMs: tx.nowMs() } as const
    await tx.put('volume-snapshot', [id], { ...one, ...next, ...done })
    return next.state
  })
  // Whoever deleted it may have let go of its bytes before it had any.
  if (became === null) await bytes.dropManifest(id)
  return became
}
