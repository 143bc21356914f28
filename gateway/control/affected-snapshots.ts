// Which snapshots, as SCs are told of them, a change of a snapshot or of a volume touches.

import type { View } from '../store/state.ts'
import type { SnapshotRecord, VolumeRecord } from '../store/volume-records.ts'
import { isAtHost } from './desired-snapshots.ts'
import { differs, inRacks, type Seen, type Touched, versions } from './touched.ts'

/** Itself; and those of the same volume hang on whether it is complete, or there at all. */
export function touchedBySnapshot(view: View, change: Seen<SnapshotRecord>): Touched[] {
  const known = versions(change)
  const racks = known.map(({ rack }) => rack).filter((rack) => rack !== '')
  const own = inRacks(known.length === 0 ? null : racks, `snapshot/${change.id}`)
  // Whatever else it says is of no concern to others: progress, tags, who may use it.
  const fields = ['state', 'released', 'deletedAtMs', 'manifest', 'base', 'volume'] as const
  if (!differs(change, fields)) return own
  const others = known.flatMap(({ volume }) => snapshotsOf(view, volume))
  return [...own, ...others, ...madeOver(view, change.id)]
}

/** Those of a volume that comes or goes. */
export function touchedByVolumeOf(view: View, change: Seen<VolumeRecord>): Touched[] {
  return differs(change, ['state']) ? snapshotsOf(view, change.id) : []
}

function snapshotsOf(view: View, volume: string): Touched[] {
  if (volume === '') return []
  return view.by('volume-snapshot', 'volume', volume).filter(isAtHost).map(touched)
}

/** They name its manifest. */
function madeOver(view: View, base: string): Touched[] {
  return view.by('volume-snapshot', 'base', base).filter(isAtHost).map(touched)
}

function touched({ id, rack }: SnapshotRecord): Touched {
  return { key: `snapshot/${id}`, rack }
}
