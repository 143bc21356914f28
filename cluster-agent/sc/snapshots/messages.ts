// Snapshots on the wire: what one is becomes a status.

import { create } from '@bufbuild/protobuf'
import { type Status, StatusSchema } from '../../../proto/gen/mallee/v1/observed_pb.js'
import {
  SnapshotState,
  SnapshotStatusSchema,
  type VolumeSnapshot,
} from '../../../proto/gen/mallee/v1/volumes_pb.js'
import type { SnapshotStatus } from './reconcile.ts'

const STATES: Readonly<Record<SnapshotStatus['state'], SnapshotState>> = {
  taken: SnapshotState.TAKEN,
  completed: SnapshotState.COMPLETED,
  error: SnapshotState.ERROR,
  released: SnapshotState.RELEASED,
}

export function snapshotStatus(host: string, status: SnapshotStatus): Status {
  const { id, state, reason, takenAtMs, progressPercent, manifest } = status
  const value = create(SnapshotStatusSchema, {
    ...{ id, host, reason, progressPercent, state: STATES[state], manifestSha256: manifest },
    takenAtMs: BigInt(takenAtMs),
    readBytes: BigInt(status.readBytes),
    sentBytes: BigInt(status.sentBytes),
    dataBytes: BigInt(status.dataBytes),
  })
  return create(StatusSchema, { key: `snapshot/${id}`, body: { case: 'volumeSnapshot', value } })
}

/** Of a snapshot that cannot be made out. */
export function badSnapshot(host: string, { id }: VolumeSnapshot, reason: string): Status {
  const value = create(SnapshotStatusSchema, { id, host, reason, state: SnapshotState.ERROR })
  return create(StatusSchema, { key: `snapshot/${id}`, body: { case: 'volumeSnapshot', value } })
}
