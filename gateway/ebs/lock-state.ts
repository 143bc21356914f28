// The lock of a snapshot at a moment: governance, compliance with its time to cool off, or over
// (EBS user guide, "Amazon EBS snapshot lock concepts"). Pure.

import type { SnapshotLockRecord, SnapshotRecord } from '../store/volume-records.ts'

type LockState = 'compliance' | 'compliance-cooloff' | 'governance' | 'expired'

/** null for one that was never locked, or was unlocked. */
export function lockStateOf(lock: SnapshotLockRecord | undefined, nowMs: number): LockState | null {
  if (lock === undefined) return null
  if (nowMs >= lock.expiresAtMs) return 'expired'
  if (lock.mode === 'governance') return 'governance'
  return lock.coolOffUntilMs !== null && nowMs < lock.coolOffUntilMs
    ? 'compliance-cooloff'
    : 'compliance'
}

/** May it not be deleted now? */
export function isLocked({ lock }: Pick<SnapshotRecord, 'lock'>, nowMs: number): boolean {
  const state = lockStateOf(lock, nowMs)
  return state !== null && state !== 'expired'
}
