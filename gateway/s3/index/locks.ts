// What keeps a version from being removed: a retention until a moment, and a legal hold until
// somebody takes it off (S3 user guide, "Locking objects with Object Lock").

import { MalleeError } from '../../../common/errors.ts'
import type { ObjectEntry, ObjectLock, Retention } from './objects.ts'

/** In force at that time, or null. */
export function retentionAt({ retention }: ObjectLock, nowMs: number): Retention | null {
  return retention !== undefined && retention.untilMs > nowMs ? retention : null
}

/** Whether nothing may remove the version at that time; who bypasses governance may so. */
export function isLocked(lock: ObjectLock, nowMs: number, bypassesGovernance = false): boolean {
  if (lock.legalHold === true) return true
  const retention = retentionAt(lock, nowMs)
  return retention !== null && !(bypassesGovernance && retention.mode === 'GOVERNANCE')
}

/** Throws NotAllowed. Asked in the transaction that removes the version, whoever wants it. */
export function mustBeFree(
  version: ObjectEntry,
  nowMs: number,
  bypassesGovernance: boolean | undefined,
): void {
  if (!isLocked(version, nowMs, bypassesGovernance)) return
  const { key, versionId } = version
  throw new MalleeError('NotAllowed', `version ${versionId} of ${key} is locked`)
}
