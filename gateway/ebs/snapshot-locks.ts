// LockSnapshot, UnlockSnapshot, DescribeLockedSnapshots: snapshots that nobody deletes for a while.

import type { LockedSnapshotsInfo } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { type Filterable, matching } from '../ec2/filters.ts'
import { badValue, endDryRun, required } from '../ec2/input.ts'
import { pageOf } from '../ec2/paging.ts'
import { ownedOrNamed } from '../ec2/vpcs.ts'
import type { State } from '../store/state.ts'
import type { SnapshotLockRecord, SnapshotRecord } from '../store/volume-records.ts'
import { lockStateOf } from './lock-state.ts'
import { ownSnapshot } from './snapshot-shape.ts'

type LockHandlers = Required<
  Pick<Ec2Handlers, 'LockSnapshot' | 'UnlockSnapshot' | 'DescribeLockedSnapshots'>
>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** EC2 API reference, LockSnapshot. */
const MAX_DAYS = 36_500
const MAX_COOL_OFF_HOURS = 72

const FILTERABLE: Filterable<LockedSnapshotsInfo> = {
  fields: { 'lock-state': (one) => one.LockState },
}

export function snapshotLockHandlers({ state }: { readonly state: State }): LockHandlers {
  return {
    LockSnapshot: async ({ caller: { account }, nowMs }, input) => {
      const id = required('SnapshotId', input.SnapshotId)
      const asked = parseLock(input, nowMs)
      const locked = await state.update(async (tx) => {
        const snapshot = await ownSnapshot(tx, id, account)
        if (snapshot.state === 'error') {
          throw new ApiError('IncorrectState', `The snapshot '${id}' is in the state error.`)
        }
        checkChange(snapshot, asked, nowMs)
        endDryRun(input)
        // A lock that is in force goes on: only its end and its mode are other ones.
        const createdAtMs = isInForce(snapshot, nowMs)
          ? (snapshot.lock?.createdAtMs ?? nowMs)
          : nowMs
        const next = { ...snapshot, lock: { ...asked, createdAtMs } }
        await tx.put('volume-snapshot', [id], next)
        return next
      })
      const { OwnerId: _, ...shown } = lockShown(locked, nowMs)
      return shown
    },

    UnlockSnapshot: async ({ caller: { account }, nowMs }, input) => {
      const id = required('SnapshotId', input.SnapshotId)
      await state.update(async (tx) => {
        const { lock, ...snapshot } = await ownSnapshot(tx, id, account)
        const is = lockStateOf(lock, nowMs)
        if (is === null || is === 'expired') {
          throw new ApiError('IncorrectState', `The snapshot '${id}' is not locked.`)
        }
        if (is === 'compliance') {
          const text = `The snapshot '${id}' is locked in compliance mode: nobody can unlock it.`
          throw new ApiError('OperationNotPermitted', text)
        }
        endDryRun(input)
        await tx.put('volume-snapshot', [id], snapshot)
      })
      return { SnapshotId: id }
    },

    DescribeLockedSnapshots: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const named = ownedOrNamed(view, 'volume-snapshot', input.SnapshotIds, account)
      endDryRun(input)
      const shown = named
        .filter((one) => one.account === account && one.deletedAtMs === null)
        .filter(({ lock }) => lock !== undefined)
        .map((one) => lockShown(one, context.nowMs))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (one: LockedSnapshotsInfo): string => one.SnapshotId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeLockedSnapshots', input, found, cursor)
      return { Snapshots: [...items], NextToken: nextToken }
    },
  }
}

function parseLock(input: Ec2Inputs['LockSnapshot'], nowMs: number): SnapshotLockRecord {
  const mode = required('LockMode', input.LockMode)
  if (mode !== 'governance' && mode !== 'compliance') {
    throw badValue('LockMode', mode, 'Expecting governance or compliance.')
  }
  const { CoolOffPeriod: hours, LockDuration: days, ExpirationDate: date } = input
  if ((days === undefined) === (date === undefined)) {
    const text = 'The request must contain either LockDuration or ExpirationDate'
    throw new ApiError(
      days === undefined ? 'MissingParameter' : 'InvalidParameterCombination',
      text,
    )
  }
  if (days !== undefined && !(Number.isInteger(days) && days >= 1 && days <= MAX_DAYS)) {
    throw badValue('LockDuration', days, `Expecting 1 to ${MAX_DAYS} days.`)
  }
  const atMs = date?.getTime() ?? nowMs + (days ?? 0) * DAY_MS
  if (!(atMs >= nowMs + DAY_MS && atMs <= nowMs + MAX_DAYS * DAY_MS)) {
    const why = `Expecting a time of 1 to ${MAX_DAYS} days from now.`
    throw badValue('ExpirationDate', new Date(atMs).toISOString(), why)
  }
  if (hours !== undefined && mode === 'governance') {
    const text = 'CoolOffPeriod goes with the mode compliance only'
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (
    hours !== undefined &&
    !(Number.isInteger(hours) && hours >= 1 && hours <= MAX_COOL_OFF_HOURS)
  ) {
    throw badValue('CoolOffPeriod', hours, `Expecting 1 to ${MAX_COOL_OFF_HOURS} hours.`)
  }
  const coolOffUntilMs = hours === undefined ? null : nowMs + hours * HOUR_MS
  return { mode, createdAtMs: nowMs, coolOffUntilMs, expiresAtMs: atMs }
}

/** In compliance mode, past its time to cool off, a lock can only be made longer. */
function checkChange({ id, lock }: SnapshotRecord, asked: SnapshotLockRecord, nowMs: number): void {
  if (lock === undefined || lockStateOf(lock, nowMs) !== 'compliance') return
  const isLonger = asked.mode === 'compliance' && asked.expiresAtMs >= lock.expiresAtMs
  if (isLonger && asked.coolOffUntilMs === null) return
  const text = `The snapshot '${id}' is locked in compliance mode: its lock can only be extended.`
  throw new ApiError('OperationNotPermitted', text)
}

function isInForce({ lock }: SnapshotRecord, nowMs: number): boolean {
  return lock !== undefined && lockStateOf(lock, nowMs) !== 'expired'
}

function lockShown({ id, account, lock }: SnapshotRecord, nowMs: number): LockedSnapshotsInfo {
  if (lock === undefined) throw new RangeError(`${id} has no lock`)
  const { createdAtMs, coolOffUntilMs, expiresAtMs } = lock
  return {
    SnapshotId: id,
    OwnerId: account,
    LockState: lockStateOf(lock, nowMs) ?? undefined,
    LockDuration: Math.ceil((expiresAtMs - createdAtMs) / DAY_MS),
    CoolOffPeriod:
      coolOffUntilMs === null ? undefined : Math.ceil((coolOffUntilMs - createdAtMs) / HOUR_MS),
    CoolOffPeriodExpiresOn: coolOffUntilMs === null ? undefined : new Date(coolOffUntilMs),
    LockCreatedOn: new Date(createdAtMs),
    LockDurationStartTime: new Date(createdAtMs),
    LockExpiresOn: new Date(expiresAtMs),
  }
}
