// The life of an instance: what its record becomes when its host reports. Pure.

import { InstanceState, type InstanceStatus } from '../../proto/gen/mallee/v1/observed_pb.js'
import type { InstanceRecord } from '../store/records.ts'

/** A large image over a slow line may take most of it. */
const PENDING_LIMIT_MS = 30 * 60_000

/** The same record when the report is no news. */
export function nextInstance(
  record: InstanceRecord,
  status: InstanceStatus,
  nowMs: number,
): InstanceRecord {
  if (record.state === 'terminated' || status.host !== record.host) return record
  const seen = nameOf(status.state)
  if (seen === null) return record
  const next = follow(record, status, nowMs)
  if (next === record && record.observed?.state === seen) return record
  return { ...next, observed: { state: seen, sinceMs: Number(status.sinceMs) } }
}

function follow(record: InstanceRecord, status: InstanceStatus, nowMs: number): InstanceRecord {
  switch (status.state) {
    case InstanceState.RUNNING:
      return record.state === 'pending' ? { ...record, state: 'running' } : record
    case InstanceState.STOPPED:
      return record.desired === 'running' ? ended(record, status, nowMs) : record
    case InstanceState.TERMINATED:
      return { ...ended(record, status, nowMs), state: 'terminated', terminatedAtMs: nowMs }
    default:
      return record
  }
}

/**
 * A guest that ended by itself. Its root is instance store, which EC2 never starts again
 * (AWS EC2 user guide, "Root device type"): so it is terminated, with the host's reason.
 */
function ended(record: InstanceRecord, status: InstanceStatus, nowMs: number): InstanceRecord {
  if (record.desired === 'terminated') return record
  const code = status.reasonCode === '' ? 'Server.InternalError' : status.reasonCode
  const message = status.reasonMessage === '' ? 'the instance ended' : status.reasonMessage
  return ending(record, code, message, nowMs)
}

/** Has it been pending for longer than a launch ever takes? */
export function isStuck(record: InstanceRecord, nowMs: number): boolean {
  return record.state === 'pending' && nowMs - record.launchedAtMs > PENDING_LIMIT_MS
}

/** The record of an instance that its host could not start, with what the host said last. */
export function givenUp(record: InstanceRecord, trouble: string, nowMs: number): InstanceRecord {
  const why = trouble === '' ? 'its host did not say why' : trouble
  return ending(record, 'Server.InternalError', `the instance could not be started: ${why}`, nowMs)
}

function ending(
  record: InstanceRecord,
  code: string,
  message: string,
  nowMs: number,
): InstanceRecord {
  const at = new Date(nowMs).toISOString().replace('T', ' ').slice(0, 19)
  return {
    ...record,
    state: 'shutting-down',
    desired: 'terminated',
    stateReason: { code, message: `${code}: ${message}` },
    stateTransitionReason: `${code} (${at} GMT)`,
  }
}

function nameOf(state: InstanceState): string | null {
  switch (state) {
    case InstanceState.PENDING:
      return 'pending'
    case InstanceState.RUNNING:
      return 'running'
    case InstanceState.STOPPED:
      return 'stopped'
    case InstanceState.TERMINATED:
      return 'terminated'
    default:
      return null
  }
}
