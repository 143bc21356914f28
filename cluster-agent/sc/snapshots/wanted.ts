// What is wanted of a snapshot, and the door through which it comes.

import type { VolumeSnapshot } from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { no, ok, type Result } from '../../../topology/result.ts'
import {
  parseSnapshotId,
  parseVolumeId,
  type SnapshotId,
  type VolumeId,
} from '../volumes/backend.ts'

export interface WantedSnapshot {
  readonly id: SnapshotId
  readonly volume: VolumeId
  /** A complete snapshot of the same volume that the new one is compared with. */
  readonly base: { readonly id: SnapshotId; readonly manifest: string } | null
  /** Snapshots of one group are of one moment; null for one alone. */
  readonly group: string | null
  /** How many the group has on this host; 1 for one alone. */
  readonly groupSize: number
  /** Nobody needs what this host keeps for it. */
  readonly released: boolean
}

const DIGEST = /^[0-9a-f]{64}$/
const MAX_GROUP_CHARS = 64
/** EC2: an instance has at most 128 volumes; a group is of one instance. */
const MAX_GROUP_SIZE = 128

export function parseWantedSnapshot(wire: VolumeSnapshot): Result<WantedSnapshot> {
  const id = parseSnapshotId(wire.id)
  if (!id.ok) return no(`${wire.id} is no snapshot id`)
  const volume = parseVolumeId(wire.volumeId)
  if (!volume.ok) return no(`${wire.id} is to be of the volume ${wire.volumeId}`)
  const { group, groupSize, released, baseManifestSha256: manifest } = wire
  const hasBase = wire.baseSnapshotId !== ''
  const baseId = parseSnapshotId(wire.baseSnapshotId)
  if (hasBase && (!baseId.ok || !DIGEST.test(manifest))) {
    return no(`${wire.id} has the base ${wire.baseSnapshotId} with the manifest ${manifest}`)
  }
  if (group.length > MAX_GROUP_CHARS) return no(`${wire.id} is of a group with a long name`)
  if (group !== '' && (groupSize < 1 || groupSize > MAX_GROUP_SIZE)) {
    return no(`${wire.id} is of a group of ${groupSize}; it has 1 to ${MAX_GROUP_SIZE}`)
  }
  return ok({
    id: id.value,
    volume: volume.value,
    base: hasBase && baseId.ok ? { id: baseId.value, manifest } : null,
    group: group === '' ? null : group,
    groupSize: group === '' ? 1 : groupSize,
    released,
  })
}
