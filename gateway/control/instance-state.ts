// The life of an instance: what its record becomes when its host reports. Pure.

import {
  InstanceState,
  type InstanceStatus,
  Reachability,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import { isHeldForImage, stoppedForImage } from '../ebs/imaging.ts'
import { settingsOf } from '../ec2/instance-settings.ts'
import type { InstanceRecord, Observed } from '../store/instance-records.ts'

/** A large image over a slow line may take most of it. */
export const PENDING_LIMIT_MS = 30 * 60_000
/** EC2 user guide, "Automatic instance recovery": so many attempts a day. */
const MAX_RECOVERIES = 3
const RECOVERY_WINDOW_MS = 86_400_000

/** AWS's words for what a status check says. */
const WORDS: Readonly<Record<Reachability, Observed['guest'] | null>> = {
  [Reachability.UNSPECIFIED]: null,
  [Reachability.INITIALIZING]: 'initializing',
  [Reachability.REACHABLE]: 'passed',
  [Reachability.UNREACHABLE]: 'failed',
}

interface Reason {
  readonly code: string
  readonly message: string
  readonly nowMs: number
}

/** The same record when the report is no news. */
export function nextInstance(
  record: InstanceRecord,
  status: InstanceStatus,
  nowMs: number,
): InstanceRecord {
  if (record.state === 'terminated' || status.host !== record.host) return record
  if (status.state === InstanceState.RUNNING && isStale(record, status)) return record
  const seen = nameOf(status.state)
  if (seen === null) return record
  const next = follow(record, status, nowMs)
  const known = record.observed
  const guest = guestOf(record, status)
  if (next === record && known?.state === seen && known.guest === guest?.guest) return record
  return { ...next, observed: { state: seen, sinceMs: Number(status.sinceMs), ...guest } }
}

/** An agent that was restarted has to find out anew: what it had found before holds till then. */
function guestOf(
  { state, observed }: InstanceRecord,
  status: InstanceStatus,
): Pick<Observed, 'guest' | 'guestSinceMs'> | null {
  const guest = WORDS[status.guest] ?? null
  if (guest === 'initializing' && state === 'running' && observed?.guest !== undefined) {
    return { guest: observed.guest, guestSinceMs: observed.guestSinceMs ?? 0 }
  }
  return guest === null ? null : { guest, guestSinceMs: Number(status.guestSinceMs) }
}

function follow(record: InstanceRecord, status: InstanceStatus, nowMs: number): InstanceRecord {
  switch (status.state) {
    case InstanceState.RUNNING:
      if (record.state !== 'pending') return record
      return { ...record, state: 'running', stateReason: null }
    case InstanceState.STOPPED:
      if (record.state === 'stopping') return { ...record, state: 'stopped' }
      if (record.state === 'running' && isHeldForImage(record)) return stoppedForImage(record)
      if (record.desired !== 'running' || isStale(record, status)) return record
      return ended(record, status, nowMs)
    case InstanceState.TERMINATED:
      return { ...ended(record, status, nowMs), state: 'terminated', terminatedAtMs: nowMs }
    default:
      return record
  }
}

/** Is this still about the time before the newest start? Reports arrive in order, wishes do not. */
function isStale(record: InstanceRecord, { startCount }: InstanceStatus): boolean {
  return record.state === 'pending' && startCount < (record.startCount ?? 0)
}

/**
 * A guest that ended by itself, with the host's reason. Its disk is there: it can be started again,
 * unless its user wants it gone then, or it never ran (EC2 user guide, "Instance lifecycle").
 */
function ended(record: InstanceRecord, status: InstanceStatus, nowMs: number): InstanceRecord {
  if (record.desired === 'terminated') return record
  const code = status.reasonCode === '' ? 'Server.InternalError' : status.reasonCode
  const message = status.reasonMessage === '' ? 'the instance ended' : status.reasonMessage
  const reason = { code, message, nowMs }
  const { shutdownBehavior } = settingsOf(record)
  if (code === 'Client.InstanceInitiatedShutdown') {
    return ending(record, shutdownBehavior === 'stop' ? 'stopped' : 'shutting-down', reason)
  }
  if (isToRecover(record, nowMs)) return recovered(record, reason)
  return ending(record, hasRun(record) ? 'stopped' : 'shutting-down', reason)
}

/** One that crashed while it ran, and not too often of late. */
function isToRecover(record: InstanceRecord, nowMs: number): boolean {
  if (record.state !== 'running' || settingsOf(record).autoRecovery === 'disabled') return false
  return lately(record, nowMs).length < MAX_RECOVERIES
}

/** Started once more where its disk is. */
function recovered(record: InstanceRecord, { code, message, nowMs }: Reason): InstanceRecord {
  return {
    ...record,
    state: 'pending',
    stateReason: { code, message: `${code}: ${message}` },
    startCount: (record.startCount ?? 0) + 1,
    startedAtMs: nowMs,
    recoveredAtMs: [...lately(record, nowMs), nowMs],
  }
}

function lately({ recoveredAtMs = [] }: InstanceRecord, nowMs: number): number[] {
  return recoveredAtMs.filter((atMs) => nowMs - atMs < RECOVERY_WINDOW_MS)
}

/** Did it ever reach `running`? EC2 stops no instance that did not. */
export function hasRun({ state, startCount = 0 }: InstanceRecord): boolean {
  return state !== 'pending' || startCount > 0
}

/** Has it been pending for longer than a launch ever takes? */
export function isStuck(record: InstanceRecord, nowMs: number): boolean {
  const sinceMs = record.startedAtMs ?? record.launchedAtMs
  return record.state === 'pending' && nowMs - sinceMs > PENDING_LIMIT_MS
}

/** The record of an instance that its host could not start, with what the host said last. */
export function givenUp(record: InstanceRecord, trouble: string, nowMs: number): InstanceRecord {
  const why = trouble === '' ? 'its host did not say why' : trouble
  const message = `the instance could not be started: ${why}`
  const reason = { code: 'Server.InternalError', message, nowMs }
  return ending(record, hasRun(record) ? 'stopped' : 'shutting-down', reason)
}

function ending(
  record: InstanceRecord,
  state: 'stopped' | 'shutting-down',
  { code, message, nowMs }: Reason,
): InstanceRecord {
  const at = new Date(nowMs).toISOString().replace('T', ' ').slice(0, 19)
  return {
    ...record,
    state,
    desired: state === 'stopped' ? 'stopped' : 'terminated',
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
