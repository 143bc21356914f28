// Volumes on the wire: what is wanted of one becomes a checked value, what it is becomes a status.

import { create } from '@bufbuild/protobuf'
import {
  type Status,
  StatusSchema,
  type VolumeStore,
  VolumeStoreSchema,
} from '../../../proto/gen/mallee/v1/observed_pb.js'
import {
  type Volume,
  VolumeState,
  VolumeStatusSchema,
} from '../../../proto/gen/mallee/v1/volumes_pb.js'
import type { Result } from '../../../topology/result.ts'
import type { StoreSpace } from './backend.ts'
import type { StoreKind } from './place.ts'
import type { VolumeStatus } from './reconcile.ts'
import { parseWantedVolume, type WantedVolume } from './wanted.ts'

/** Every change is a report: sizes are told in so many steps of the whole. */
const STEPS = 64

/** Also of one that has no right id. */
type Told = Omit<VolumeStatus, 'id'> & { readonly id: string }

const STATES: Readonly<Record<VolumeStatus['state'], VolumeState>> = {
  ready: VolumeState.READY,
  deleted: VolumeState.DELETED,
  error: VolumeState.ERROR,
}

/** Says what is wrong in words that hold no secret. */
export function wantedVolume(volume: Volume): Result<WantedVolume> {
  const { id, sizeBytes, targetIqn, multiAttach, grants, deleted, source, encryptionKey } = volume
  return parseWantedVolume({
    ...{ id, targetIqn, multiAttach, deleted },
    ...(encryptionKey === '' ? {} : { encryptionKey }),
    sizeBytes: Number(sizeBytes),
    source:
      source === undefined
        ? null
        : {
            snapshot: source.snapshotId,
            manifest: source.manifestSha256,
            sizeBytes: Number(source.sizeBytes),
            ...(source.plain && { isPlain: true }),
          },
    grants: grants.map(({ attachment, initiatorIqn, chapUser, chapSecret, ...one }) => ({
      ...{ attachment, initiatorIqn, chapUser, chapSecret },
      generation: Number(one.generation),
      ...(one.targetIqn !== '' && { targetIqn: one.targetIqn }),
    })),
  })
}

export function volumeStatus(host: string, status: Told): Status {
  const { id, state, reason, grants, sizeBytes, usedBytes, missingBytes, refusedBytes } = status
  const value = create(VolumeStatusSchema, {
    ...{ id, host, reason, state: STATES[state] },
    grants: grants.map(({ generation, ...one }) => ({ ...one, generation: BigInt(generation) })),
    sizeBytes: BigInt(sizeBytes),
    refusedBytes: BigInt(refusedBytes),
    missingBytes: BigInt(Math.ceil(missingBytes / stepOf(sizeBytes)) * stepOf(sizeBytes)),
    usedBytes: BigInt(Math.ceil(usedBytes / stepOf(sizeBytes)) * stepOf(sizeBytes)),
  })
  return create(StatusSchema, { key: `volume/${id}`, body: { case: 'volume', value } })
}

/** Of a volume that cannot be made out. */
export function badVolume(host: string, { id }: Volume, reason: string): Status {
  return volumeStatus(host, {
    ...{ id, reason, state: 'error', grants: [], sizeBytes: 0, usedBytes: 0 },
    ...{ missingBytes: 0, refusedBytes: 0 },
  })
}

/** `portal` is empty while none is served. */
export function volumeStore(
  portal: string,
  { sizeBytes, roomBytes }: StoreSpace,
  { backend, snapshots, rbd }: StoreKind,
): VolumeStore {
  // A power of two: the size of a store that shares its disk changes, too, and the steps must not.
  const step = 2 ** Math.floor(Math.log2(stepOf(sizeBytes)))
  return create(VolumeStoreSchema, {
    ...{ portal, snapshots, backend, encrypts: true, ...(rbd !== undefined && { rbd }) },
    sizeBytes: BigInt(Math.floor(sizeBytes / step) * step),
    roomBytes: BigInt(Math.floor(roomBytes / step) * step),
  })
}

function stepOf(bytes: number): number {
  return Math.max(1, Math.floor(bytes / STEPS))
}
