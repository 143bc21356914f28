// Which resources a change of a volume, of a snapshot, or of where volumes are served touches.

import type { HostRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'
import { inRacks, type Seen, type Touched, versions } from './touched.ts'

/** The volume, and the instances that have it or had it. */
export function touchedByVolume(change: Seen<VolumeRecord>): Touched[] {
  const racks = versions(change).map(({ rack }) => rack)
  const instances = versions(change).flatMap((one) => one.instances)
  const keys = new Set(instances.map((id) => `instance/${id}`))
  return inRacks(racks, `volume/${change.id}`, ...keys)
}

/** What was made from a snapshot. */
export function touchedBySource(view: View, snapshot: string): Touched[] {
  return view
    .by('volume', 'snapshot', snapshot)
    .map(({ id, rack }) => ({ key: `volume/${id}`, rack }))
}

/** Instances are told where their volumes are served. */
export function touchedByPortal(view: View, change: Seen<HostRecord>): Touched[] {
  const portal = (one: HostRecord | null | undefined) => {
    const { portal: at = '', rbd } = one?.status?.volumes ?? {}
    return JSON.stringify([at, rbd])
  }
  if (change.before !== undefined && portal(change.before) === portal(change.after)) return []
  return view
    .by('volume', 'host', change.id)
    .flatMap(({ rack, instances }) => inRacks([rack], ...instances.map((id) => `instance/${id}`)))
}
