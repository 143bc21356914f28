// The life of a volume's modification, from what hosts say of sizes. Pure:
//   modifying -> (its SC has it so large) -> optimizing -> (so do all its guests) -> completed
//   modifying -> (its SC has no room for it) -> failed
// What changes a class alone has its size everywhere, and goes through at once.

import { GIB, storedBytes } from '../../common/volume-sizes.ts'
import type { VolumeStatus } from '../../proto/gen/mallee/v1/volumes_pb.js'
import type {
  VolumeModificationRecord,
  VolumeRecord,
  VolumeShape,
} from '../store/volume-records.ts'
import { type InstanceWord, writersOf } from './attachment-life.ts'

/** Of the instances that have a volume: is there a guest to see it grow? */
export type Running = ReadonlyMap<string, 'runs' | 'stopped'>

/** With a modification that begins. Its SC is told at once, others are not: see presentShape. */
export function withModification(
  volume: VolumeRecord,
  target: VolumeShape,
  running: Running,
  nowMs: number,
): VolumeRecord {
  const { sizeGib, type, iops, throughputMibps, multiAttach } = volume
  const modification: VolumeModificationRecord = {
    state: 'modifying',
    original: { sizeGib, type, iops, throughputMibps, multiAttach },
    target,
    startedAtMs: nowMs,
    endedAtMs: null,
  }
  return settled({ ...volume, ...target, modification }, running, nowMs)
}

/** What it is for its users and their guests: as it was, until its SC has it as it is to be. */
export function presentShape(volume: VolumeRecord): VolumeShape {
  return volume.modification?.state === 'modifying' ? volume.modification.original : volume
}

/** The modification as far as hosts have it. The same record when it is no further. */
export function settled(volume: VolumeRecord, running: Running, nowMs: number): VolumeRecord {
  const { modification } = volume
  if (modification === undefined) return volume
  if (modification.state !== 'modifying' && modification.state !== 'optimizing') return volume
  const { sizeGib } = modification.target
  if ((volume.storedBytes ?? 0) < storedBytes(sizeGib, volume.encrypted)) return volume
  const isSmall = writersOf(volume).some(
    ({ instance, granted, sizeBytes = 0 }) =>
      granted && running.get(instance) === 'runs' && sizeBytes < sizeGib * GIB,
  )
  if (!isSmall) return withState(volume, modification, 'completed', nowMs)
  return modification.state === 'optimizing'
    ? volume
    : withState(volume, modification, 'optimizing', null)
}

/** A modification that is under way comes to nothing, and the volume is what it was. */
export function withFailed(volume: VolumeRecord, reason: string, nowMs: number): VolumeRecord {
  const { modification } = volume
  if (modification?.state !== 'modifying' && modification?.state !== 'optimizing') return volume
  const failed = { ...modification, reason }
  return withState({ ...volume, ...presentShape(volume) }, failed, 'failed', nowMs)
}

/**
 * Its SC said that it has no room for so many bytes; 0 for nothing such. Word of another size is
 * about another modification. The same record when it is no news.
 */
export function afterRefusal(
  volume: VolumeRecord,
  { host, refusedBytes, reason }: Pick<VolumeStatus, 'host' | 'refusedBytes' | 'reason'>,
  nowMs: number,
): VolumeRecord {
  const { modification, encrypted } = volume
  if (modification?.state !== 'modifying' || host !== volume.host) return volume
  const wanted = storedBytes(modification.target.sizeGib, encrypted)
  return Number(refusedBytes) === wanted ? withFailed(volume, reason, nowMs) : volume
}

/** What guests see, as their hosts say. The same record when it is no news. */
export function withGuestSizes(
  volume: VolumeRecord,
  { plugged, host }: InstanceWord,
): VolumeRecord {
  const attachments = volume.attachments.map((one) => {
    const plug = plugged.find(
      ({ attachment, generation }) => attachment === one.id && generation === one.generation,
    )
    const sizeBytes = one.host === host ? plug?.sizeBytes : undefined
    return sizeBytes === undefined || sizeBytes === (one.sizeBytes ?? 0)
      ? one
      : { ...one, sizeBytes }
  })
  const isSame = attachments.every((one, at) => one === volume.attachments[at])
  return isSame ? volume : { ...volume, attachments }
}

function withState(
  volume: VolumeRecord,
  modification: VolumeModificationRecord,
  state: VolumeModificationRecord['state'],
  endedAtMs: number | null,
): VolumeRecord {
  return { ...volume, modification: { ...modification, state, endedAtMs } }
}
