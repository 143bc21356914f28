// How EC2 shows a snapshot, whose it may be, and what all actions ask of one first.

import type { Snapshot, SnapshotInfo } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import { oneInStore } from '../ec2/ids.ts'
import { badValue } from '../ec2/input.ts'
import { tagList } from '../ec2/tagging.ts'
import type { Transaction, View } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'

const MAX_DESCRIPTION_CHARS = 255
/** What AWS shows of a copy: "an arbitrary volume ID that you should not use for any purpose". */
const NO_VOLUME = 'vol-ffffffff'

/** As EC2 shows it to `account`. */
export function snapshotShown(view: View, snapshot: SnapshotRecord, account: string): Snapshot {
  const { completedAtMs, stateReason, dataBytes, state } = snapshot
  return {
    ...infoShown(view, snapshot, account),
    StateMessage: stateReason,
    StorageTier: 'standard',
    CompletionTime: completedAtMs === null ? undefined : new Date(completedAtMs),
    FullSnapshotSizeInBytes: state === 'completed' ? dataBytes : undefined,
  }
}

/** The part of that which CreateSnapshots answers. */
export function infoShown(view: View, snapshot: SnapshotRecord, account: string): SnapshotInfo {
  return {
    SnapshotId: snapshot.id,
    VolumeId: volumeShown(snapshot),
    OwnerId: snapshot.account,
    Description: snapshot.description,
    Encrypted: snapshot.encrypted,
    VolumeSize: snapshot.volumeSizeGib,
    StartTime: new Date(snapshot.startedAtMs),
    State: snapshot.state,
    Progress: progressShown(snapshot),
    // Tags are their owner's, also on what others may see.
    Tags: snapshot.account === account ? tagList(view, snapshot.id) : [],
  }
}

export function volumeShown({ volume }: SnapshotRecord): string {
  return volume === '' ? NO_VOLUME : volume
}

function progressShown({ progressPercent }: SnapshotRecord): string {
  return `${progressPercent}%`
}

/** One that is the account's own. Throws NotFound, or AuthFailure for one that others share. */
export async function ownSnapshot(
  tx: Transaction,
  id: string,
  account: string,
): Promise<SnapshotRecord> {
  const snapshot = await oneInStore(tx, 'volume-snapshot', id, account)
  if (snapshot.account === account) return snapshot
  throw notAuthorized(id)
}

export function notAuthorized(id: string): ApiError {
  const text = `The snapshot '${id}' is shared with you, but it is not yours.`
  return new ApiError('AuthFailure', text, 403)
}

/** Throws InvalidParameterValue. */
export function parseDescription(text = ''): string {
  if ([...text].length <= MAX_DESCRIPTION_CHARS) return text
  const shown = [...text].slice(0, MAX_DESCRIPTION_CHARS).join('')
  throw badValue('Description', shown, `At most ${MAX_DESCRIPTION_CHARS} characters are allowed.`)
}

/** Throws IncorrectState for one that has no bytes, yet or ever. */
export function checkCompleted({ id, state }: SnapshotRecord): void {
  if (state === 'completed') return
  throw new ApiError('IncorrectState', `The snapshot '${id}' is ${state}, not completed.`)
}
