// Making the record of a snapshot that its volume's SC is to take: alone, or with others of one
// moment.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import { newId } from '../ec2/ids.ts'
import { unsupported } from '../ec2/input.ts'
import { addTags, type Tags } from '../ec2/tagging.ts'
import type { Sealer } from '../secrets.ts'
import type { Transaction, View } from '../store/state.ts'
import type { SnapshotRecord, VolumeRecord, VolumeType } from '../store/volume-records.ts'
import { volumeKeyFor } from './names.ts'
import { baseAmong } from './snapshot-life.ts'

/** Pending ones of a volume ("Quotas for Amazon EBS", concurrent snapshots per volume). */
const MOST_PENDING: Readonly<Record<VolumeType, number>> = {
  ...{ gp2: 5, gp3: 5, io1: 5, io2: 5, standard: 5 },
  ...{ st1: 1, sc1: 1 },
}

export interface SnapshotWish {
  readonly volume: VolumeRecord
  readonly description: string
  readonly tags: Tags
  /** '' alone. */
  readonly group: string
  /** How many of the group are on the volume's host. */
  readonly groupSize: number
}

interface Parts {
  readonly randomHex: RandomHex
  readonly sealer: Sealer
}

/** Throws IncorrectState, ConcurrentSnapshotLimitExceeded, UnsupportedOperation. */
export function checkVolume(view: View, volume: VolumeRecord): void {
  const { id, state, type, rack, host, attachments } = volume
  if (state !== 'ready') {
    throw new ApiError('IncorrectState', `The volume '${id}' is in the state ${state}.`)
  }
  const store = view.get('host', rack, host)?.status?.volumes
  if (store !== undefined && !store.snapshots && attachments.length > 0) {
    const why = 'whose host shares no blocks between files'
    throw unsupported(`A snapshot of '${id}' while it is attached, ${why},`)
  }
  const pending = view
    .by('volume-snapshot', 'volume', id)
    .filter((one) => one.state === 'pending' && one.deletedAtMs === null)
  if (pending.length < MOST_PENDING[type]) return
  const text = `The volume '${id}' has ${pending.length} snapshots that are pending; at most ${MOST_PENDING[type]} are allowed.`
  throw new ApiError('ConcurrentSnapshotLimitExceeded', text)
}

/**
 * Writes the record and its tags. What is found in `view` is read again: a base that goes meanwhile
 * makes the transaction run once more.
 */
export async function insertSnapshot(
  tx: Transaction,
  view: View,
  { randomHex, sealer }: Parts,
  { volume, description, tags, group, groupSize }: SnapshotWish,
  nowMs: number,
): Promise<SnapshotRecord> {
  const id = await newId(tx, randomHex, 'volume-snapshot')
  const base = baseAmong(view.by('volume-snapshot', 'volume', volume.id), volume.host)
  const there = base === null ? null : await tx.get('volume-snapshot', base.id)
  const snapshot: SnapshotRecord = {
    ...{ id, account: volume.account, volume: volume.id, volumeSizeGib: volume.sizeGib },
    ...{ description, encrypted: volume.encrypted, rack: volume.rack, host: volume.host },
    ...(volume.encrypted && { sealedKey: volumeKeyFor(sealer, volume, id) }),
    ...{ state: 'pending', progressPercent: 0, manifest: '' },
    base: there?.deletedAtMs === null ? there.id : '',
    ...{ group, groupSize: group === '' ? 0 : groupSize },
    ...{ dataBytes: 0, readBytes: 0, sentBytes: 0 },
    ...{ isPublic: false, sharedWith: [], clientToken: '' },
    ...{ startedAtMs: nowMs, completedAtMs: null, deletedAtMs: null, released: false },
  }
  await tx.put('volume-snapshot', [id], snapshot)
  await addTags(tx, { kind: 'volume-snapshot', id, account: volume.account }, tags)
  return snapshot
}
