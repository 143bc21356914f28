// What the SC of a volume is told of its snapshots: to take one, and to let go of what it keeps.

import { create } from '@bufbuild/protobuf'
import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import { VolumeSnapshotSchema } from '../../proto/gen/mallee/v1/volumes_pb.js'
import { resource } from '../../proto/resources.ts'
import { mayRelease } from '../ebs/snapshot-life.ts'
import type { View } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'

/** Of the rack where the volume is; null for one that no SC has anything of. */
export function volumeSnapshotAt(view: View, rack: string, id: string): Resource | null {
  const snapshot = view.get('volume-snapshot', id)
  if (snapshot === null || snapshot.rack !== rack || !isAtHost(snapshot)) return null
  const { host, volume, base, group, groupSize } = snapshot
  const siblings = view.by('volume-snapshot', 'volume', volume)
  const released = mayRelease(snapshot, siblings, isVolumeThere(view, volume))
  const value = create(VolumeSnapshotSchema, {
    ...{ id, host, volumeId: volume, group, groupSize, released },
    baseSnapshotId: base,
    baseManifestSha256: view.get('volume-snapshot', base)?.manifest ?? '',
  })
  return resource(`snapshot/${id}`, { case: 'volumeSnapshot', value })
}

/** Every key that the rack may have a snapshot under. */
export function volumeSnapshotKeys(view: View, rack: string): string[] {
  return view
    .by('volume-snapshot', 'rack', rack)
    .filter(isAtHost)
    .map(({ id }) => `snapshot/${id}`)
}

/** A volume that is being deleted is not written any more: nothing will be compared with it. */
function isVolumeThere(view: View, id: string): boolean {
  const volume = view.get('volume', id)
  return volume !== null && volume.state !== 'deleting'
}

/** Has its SC anything of it? */
export function isAtHost({ host, released }: SnapshotRecord): boolean {
  return host !== '' && !released
}
