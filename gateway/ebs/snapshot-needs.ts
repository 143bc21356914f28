// Whose bytes are needed although nobody sees the snapshot any more. Pure.

import type { View } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import { isBaseOfPending } from './snapshot-life.ts'

/** Another one is made over it, or a volume of it is still being filled. */
export function areBytesNeeded(view: View, snapshot: SnapshotRecord): boolean {
  if (isBaseOfPending(snapshot, view.by('volume-snapshot', 'base', snapshot.id))) return true
  return view
    .by('volume', 'snapshot', snapshot.id)
    .some((one) => one.state === 'creating' || (one.missingBytes ?? 0) > 0)
}
