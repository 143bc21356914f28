// What the record of a volume becomes when its SC reports. Pure. Its attachments:
// attachment-life.ts.

import { VolumeState, type VolumeStatus } from '../../proto/gen/mallee/v1/volumes_pb.js'
import type { VolumeRecord } from '../store/volume-records.ts'
import { afterGrants } from './attachment-life.ts'

const MAX_TEXT = 500

/**
 * What its SC says of a volume: the same record when it is no news, null when its bytes are gone as
 * they were to be. See afterGrants for `isStopped`.
 */
export function afterStatus(
  volume: VolumeRecord,
  status: VolumeStatus,
  isStopped: (instance: string) => boolean,
): VolumeRecord | null {
  if (status.host !== volume.host) return volume
  const isGoing = volume.state === 'deleting' && volume.attachments.length === 0
  if (status.state === VolumeState.DELETED) return isGoing ? null : volume
  if (status.state === VolumeState.UNSPECIFIED) return volume
  const grants = status.grants.map(({ attachment, generation }) => ({
    attachment,
    generation: Number(generation),
  }))
  return withState(afterGrants(volume, grants, isStopped), status)
}

/** One that cannot be had now may be had again: its disk comes back. */
function withState(
  volume: VolumeRecord,
  { state, reason, missingBytes }: VolumeStatus,
): VolumeRecord {
  const { stateReason: _, missingBytes: known, ...rest } = volume
  const missing = Number(missingBytes)
  const made: VolumeRecord = {
    ...rest,
    state: stateAfter(volume, state === VolumeState.READY),
    ...(reason !== '' && { stateReason: reason.slice(0, MAX_TEXT) }),
    ...((missing > 0 || known !== undefined) && { missingBytes: missing }),
  }
  const isSame =
    made.state === volume.state &&
    made.stateReason === volume.stateReason &&
    made.missingBytes === volume.missingBytes
  return isSame ? volume : made
}

function stateAfter({ state }: VolumeRecord, isReady: boolean): VolumeRecord['state'] {
  if (state !== 'creating' && state !== 'error') return state
  return isReady ? 'ready' : 'error'
}
