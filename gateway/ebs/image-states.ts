// Whether an image can be launched: one of snapshots can when they are complete, and never when one
// of them failed. It follows from their records, so that nobody has to be told.

import type { Image } from '@aws-sdk/client-ec2'
import type { ImageRecord } from '../store/image-records.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'

export interface ImageState {
  readonly state: 'pending' | 'available' | 'failed'
  /** Of one that failed. */
  readonly reason: string
}

type OfImage = Pick<ImageRecord, 'devices' | 'making' | 'failure'>

/** `snapshotOf` says the record, null when there is none. */
export function imageState(
  image: OfImage,
  snapshotOf: (id: string) => SnapshotRecord | null,
): ImageState {
  if (image.failure !== undefined) return { state: 'failed', reason: image.failure }
  if (image.making !== undefined) return { state: 'pending', reason: '' }
  let isPending = false
  for (const id of snapshotsOf(image)) {
    const snapshot = snapshotOf(id)
    if (snapshot === null || snapshot.deletedAtMs !== null) {
      return { state: 'failed', reason: `the snapshot ${id} is not there any more` }
    }
    if (snapshot.state === 'error') {
      const { stateReason = 'its host did not say why' } = snapshot
      return { state: 'failed', reason: `the snapshot ${id} failed: ${stateReason}` }
    }
    isPending ||= snapshot.state === 'pending'
  }
  return { state: isPending ? 'pending' : 'available', reason: '' }
}

/** What volumes of its instances are made of, once each. */
export function snapshotsOf({ devices = [] }: Pick<ImageRecord, 'devices'>): string[] {
  const all = devices.flatMap(({ volume }) => volume?.snapshot ?? [])
  return [...new Set(all.filter((id) => id !== ''))]
}

export function stateShown({ state, reason }: ImageState): Pick<Image, 'State' | 'StateReason'> {
  if (state !== 'failed') return { State: state }
  const code = 'Server.InternalError'
  return { State: state, StateReason: { Code: code, Message: `${code}: ${reason}` } }
}
