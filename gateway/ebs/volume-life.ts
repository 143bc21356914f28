// What the record of a volume becomes when its SC reports, or is lost. Pure. Its attachments:
// attachment-life.ts; its modification: modification-life.ts.

import { VolumeState, type VolumeStatus } from '../../proto/gen/mallee/v1/volumes_pb.js'
import type { VolumeRecord } from '../store/volume-records.ts'
import { afterGrants } from './attachment-life.ts'
import { withFailed } from './modification-life.ts'

const MAX_TEXT = 500
const REPORTED = ['state', 'stateReason', 'missingBytes', 'storedBytes', 'usedBytes'] as const

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
  const grants = status.grants.map(({ attachment, generation, ownTarget }) => ({
    ...{ attachment, ownTarget },
    generation: Number(generation),
  }))
  return withState(afterGrants(volume, grants, isStopped), status)
}

/** One that cannot be had now may be had again: its disk comes back. */
function withState(
  volume: VolumeRecord,
  { state, reason, missingBytes, sizeBytes, usedBytes }: VolumeStatus,
): VolumeRecord {
  const { stateReason: _, ...rest } = volume
  const isReady = state === VolumeState.READY
  const missing = Number(missingBytes)
  const made: VolumeRecord = {
    ...rest,
    state: stateAfter(volume, isReady),
    ...(reason !== '' && { stateReason: reason.slice(0, MAX_TEXT) }),
    // What has no bytes now had some, and may have them again.
    ...(isReady && (missing > 0 || volume.missingBytes !== undefined) && { missingBytes: missing }),
    ...(isReady && { storedBytes: Number(sizeBytes), usedBytes: Number(usedBytes) }),
  }
  return REPORTED.every((field) => made[field] === volume[field]) ? volume : made
}

/**
 * Its host never comes back, and its bytes with it: nobody has it any more, and only its deletion
 * is left. Null when it was being deleted.
 */
export function afterLostHost(volume: VolumeRecord, nowMs: number): VolumeRecord | null {
  if (volume.state === 'deleting') return null
  const stateReason = `the host ${volume.host} was lost, and the bytes of the volume with it`
  const failed = withFailed(volume, stateReason, nowMs)
  const { storedBytes: _, usedBytes: __, missingBytes: ___, ...rest } = failed
  const lost: VolumeRecord = {
    ...rest,
    ...{ host: '', state: 'error', attachments: [], instances: [] },
    stateReason,
  }
  return lost
}

function stateAfter({ state }: VolumeRecord, isReady: boolean): VolumeRecord['state'] {
  if (state !== 'creating' && state !== 'error') return state
  return isReady ? 'ready' : 'error'
}
