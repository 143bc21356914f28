// The life of a snapshot that its volume's SC takes: pending, completed or error, by what the SC
// reports; which snapshot a new one is compared with; and when the SC may let go of what it keeps.
// Pure.

import { SnapshotState, type SnapshotStatus } from '../../proto/gen/mallee/v1/volumes_pb.js'
import type { SnapshotRecord } from '../store/volume-records.ts'

const MAX_REASON_CHARS = 500
const DIGEST = /^[0-9a-f]{64}$/
/** DescribeSnapshots says 100% of what is complete only. */
const MAX_PENDING_PERCENT = 99

/** What of a snapshot's siblings matters: those of the same volume, itself among them or not. */
type Sibling = Pick<
  SnapshotRecord,
  'id' | 'host' | 'state' | 'base' | 'released' | 'deletedAtMs' | 'startedAtMs' | 'manifest'
>

/**
 * The record after a report of its SC; the same one when that is no news. A state that is final
 * stays, and what another host says counts for nothing.
 */
export function nextSnapshot(
  record: SnapshotRecord,
  status: SnapshotStatus,
  nowMs: number,
): SnapshotRecord {
  if (record.host === '' || record.released || status.host !== record.host) return record
  switch (status.state) {
    case SnapshotState.TAKEN:
      return record.state === 'pending' ? taken(record, status, nowMs) : record
    case SnapshotState.COMPLETED:
      return record.state === 'pending' ? completed(record, status, nowMs) : record
    case SnapshotState.ERROR:
      if (record.state !== 'pending') return record
      return { ...record, state: 'error', stateReason: reasonOf(status), completedAtMs: null }
    case SnapshotState.RELEASED:
      return released(record)
    default:
      return record
  }
}

function taken(record: SnapshotRecord, status: SnapshotStatus, nowMs: number): SnapshotRecord {
  const progressPercent = Math.max(
    record.progressPercent,
    Math.min(MAX_PENDING_PERCENT, status.progressPercent),
  )
  const takenAtMs = record.takenAtMs ?? (Number(status.takenAtMs) || nowMs)
  const same = record.progressPercent === progressPercent && record.takenAtMs === takenAtMs
  return same ? record : { ...record, ...bytesOf(status), progressPercent, takenAtMs }
}

function completed(record: SnapshotRecord, status: SnapshotStatus, nowMs: number): SnapshotRecord {
  const { manifestSha256: manifest } = status
  if (!DIGEST.test(manifest)) {
    const stateReason = 'its storage controller named no manifest'
    return { ...record, state: 'error', stateReason }
  }
  return {
    ...{ ...record, ...bytesOf(status), manifest },
    ...{ state: 'completed', progressPercent: 100, completedAtMs: nowMs },
    takenAtMs: record.takenAtMs ?? (Number(status.takenAtMs) || nowMs),
  }
}

/** The SC has nothing of it any more: one that was still on its way never will be. */
function released(record: SnapshotRecord): SnapshotRecord {
  if (record.state !== 'pending') return { ...record, released: true }
  const stateReason = 'its storage controller let go of it before it was complete'
  return { ...record, released: true, state: 'error', stateReason }
}

function bytesOf({ readBytes, sentBytes, dataBytes }: SnapshotStatus) {
  return {
    readBytes: Number(readBytes),
    sentBytes: Number(sentBytes),
    dataBytes: Number(dataBytes),
  }
}

function reasonOf({ reason }: SnapshotStatus): string {
  return reason === ''
    ? 'its storage controller could not take it'
    : reason.slice(0, MAX_REASON_CHARS)
}

/**
 * The newest completed snapshot of the volume of which its SC keeps what a new one is compared
 * with; null when all is to be read.
 */
export function baseAmong<S extends Sibling>(siblings: readonly S[], host: string): S | null {
  const kept = siblings.filter((one) => isKept(one, host))
  return kept.reduce<S | null>(
    (best, one) => (best === null || isNewer(one, best) ? one : best),
    null,
  )
}

/** May the SC let go of what it keeps for the snapshot? */
export function mayRelease(
  snapshot: Sibling,
  siblings: readonly Sibling[],
  isVolumeThere: boolean,
): boolean {
  if (isBaseOfPending(snapshot, siblings)) return false
  if (snapshot.deletedAtMs !== null || snapshot.state === 'error') return true
  if (snapshot.state === 'pending') return false
  if (!isVolumeThere) return true
  return siblings.some((one) => isKept(one, snapshot.host) && isNewer(one, snapshot))
}

/** Is one that is on its way compared with it? Then its bytes and what its SC keeps stay. */
export function isBaseOfPending(
  { id }: Pick<Sibling, 'id'>,
  siblings: readonly Sibling[],
): boolean {
  return siblings.some((one) => one.base === id && one.state === 'pending')
}

function isKept(one: Sibling, host: string): boolean {
  const isThere = one.state === 'completed' && one.deletedAtMs === null && one.manifest !== ''
  return isThere && !one.released && one.host === host
}

function isNewer(one: Sibling, other: Sibling): boolean {
  if (one.startedAtMs !== other.startedAtMs) return one.startedAtMs > other.startedAtMs
  return one.id > other.id
}
