// Carries out one step of an Auto Scaling group: each is one transaction that finds the group in
// the turn that the step was planned for, or does nothing. So of many gateways one makes the step,
// and one that dies leaves all of it or nothing.

import type { Log } from '../../common/log.ts'
import { never } from '../../topology/result.ts'
import { endActivity, putActivity } from '../autoscaling/activities.ts'
import { forgetGroup } from '../autoscaling/forget.ts'
import {
  atTime,
  groupKey,
  isActive,
  putGroup,
  putMember,
  type ScalingParts,
} from '../autoscaling/groups-kept.ts'
import { heldBy } from '../autoscaling/lifecycle-hooks.ts'
import { serve, takeOut } from '../autoscaling/members.ts'
import { ApiError } from '../aws/api-error.ts'
import { terminate } from '../ec2/instance-actions.ts'
import type {
  ScalingGroupRecord,
  ScalingMemberRecord,
  ScalingTrouble,
} from '../store/scaling-records.ts'
import type { Transaction } from '../store/state.ts'
import { launchMembers } from './scaling-launch.ts'
import type { GroupSeen, Reason, Step } from './scaling-plan.ts'

export interface StepParts extends ScalingParts {
  readonly log: Log
}

/** Nothing was done because something else changed; or this rack has no room, which is why. */
type Outcome = 'done' | 'stale' | { readonly rack: string; readonly refused: string }

interface Turn {
  readonly parts: StepParts
  readonly tx: Transaction
  readonly group: ScalingGroupRecord
  readonly seen: GroupSeen
}

/** Waits after failed launches, each twice as long as the one before. */
const RETRY_MS = { first: 15_000, last: 300_000 }
/** After a try to balance zones that found no room. */
const BALANCE_MS = 600_000
const STATUS_CHARS = 255
const REPLACING: ReadonlySet<Reason['kind']> = new Set(['ill', 'aged', 'refresh'])

export async function applyStep(parts: StepParts, seen: GroupSeen, step: Step): Promise<Outcome> {
  if (step.kind === 'launch') {
    const refused = await launchMembers(parts, seen, step)
    if (refused === null || refused === 'stale') return refused ?? 'done'
    if (!step.balances && refused.isOfPlace) return { rack: step.rack, refused: refused.message }
    const { message } = refused
    // What is wrong with the template is wrong everywhere; balance can wait.
    return await inTurn(parts, seen, (turn) =>
      step.balances
        ? putGroup(turn.tx, turn.group, { balanceAtMs: seen.nowMs + BALANCE_MS })
        : wait(turn, message),
    )
  }
  try {
    return await inTurn(parts, seen, (turn) => take(turn, step))
  } catch (error) {
    const [member] = step.kind === 'enter' ? step.members : []
    if (!(error instanceof ApiError) || member === undefined) throw error
    // It cannot become a target: it is ended, and another one launched later.
    return await inTurn(parts, seen, (turn) => fail(turn, member, error.message))
  }
}

async function inTurn(
  parts: StepParts,
  seen: GroupSeen,
  change: (turn: Turn) => Promise<unknown>,
): Promise<'done' | 'stale'> {
  const { account, name, id, turn } = seen.group
  return await parts.state.update(async (tx) => {
    const group = await tx.get('scaling-group', ...groupKey(account, name))
    if (group?.id !== id || group.turn !== turn) return 'stale'
    await change({ parts, tx, group, seen })
    return 'done'
  })
}

async function take(turn: Turn, step: Exclude<Step, { kind: 'launch' }>): Promise<void> {
  const { tx, group, seen } = turn
  switch (step.kind) {
    case 'drop':
      for (const { instance, activity } of step.members) {
        await tx.delete('scaling-member', instance)
        await endActivity(tx, activity, 'Successful', seen.nowMs)
      }
      await putGroup(tx, group)
      return
    case 'fail':
      return await fail(turn, step.member, step.message)
    case 'hold': {
      const hold = heldBy(turn.parts, group, step.transition, seen.nowMs)
      await putMember(tx, { ...step.member, hold })
      await putGroup(tx, group)
      return
    }
    case 'end': {
      const instance = await tx.get('instance', step.member.instance)
      if (instance !== null) await terminate(tx, instance, seen.nowMs)
      await putGroup(tx, group)
      return
    }
    case 'enter': {
      // One that was launched by a new try says that what failed works again.
      const { retryAtMs = 0 } = group.trouble ?? {}
      const isWell = step.members.some((member) => member.joinedAtMs >= retryAtMs)
      await serve(tx, turn.parts, group, instancesOf(step.members), seen.nowMs)
      for (const member of step.members) {
        const since = { inServiceAtMs: seen.nowMs, activity: '', hold: null }
        await putMember(tx, { ...member, ...since, state: 'InService' })
        await endActivity(tx, member.activity, 'Successful', seen.nowMs)
      }
      await putGroup(tx, group, isWell ? { trouble: null } : {})
      return
    }
    case 'sicken':
      for (const member of step.members) await putMember(tx, { ...member, healthy: false })
      await putGroup(tx, group)
      return
    case 'terminate':
      return await takeOne(turn, step.member, step.reason)
    case 'refreshed': {
      const ended = { status: 'Successful', endedAtMs: seen.nowMs, left: 0 } as const
      await tx.put('instance-refresh', [step.refresh.id], { ...step.refresh, ...ended })
      await putGroup(tx, group)
      return
    }
    case 'wait':
      return await wait(turn, step.message)
    case 'forget':
      await forgetGroup(tx, await turn.parts.state.fresh(), group)
      return
    default:
      return never(step)
  }
}

/** A launch that came to nothing. What is left of its instance is waited for like any other. */
async function fail(turn: Turn, member: ScalingMemberRecord, why: string): Promise<void> {
  const { tx, group, seen, parts } = turn
  const message = failed(why)
  parts.log.warn('launch of a group failed', { ...nameOf(group), instance: member.instance, why })
  await endActivity(tx, member.activity, 'Failed', seen.nowMs, message)
  await putMember(tx, { ...member, state: 'Terminating', hold: [], activity: '' })
  await putGroup(tx, group, { trouble: troubleOf(group, message, seen.nowMs) })
}

async function takeOne(turn: Turn, member: ScalingMemberRecord, reason: Reason): Promise<void> {
  const { tx, group, seen, parts } = turn
  const { nowMs } = seen
  await takeOut(tx, parts, { group, member, cause: causeOf(turn, member, reason), nowMs })
  if (reason.kind === 'balance') await balanced(turn, member)
  // Whoever takes its place comes for no wish of a user.
  const cause = REPLACING.has(reason.kind) ? { cause: '' } : {}
  await putGroup(tx, group, cause)
  parts.log.info('instance taken out of a group', {
    ...nameOf(group),
    instance: member.instance,
    why: reason.kind === 'ill' ? reason.text : reason.kind,
  })
}

/** The one that came on top is like all others from now on. */
async function balanced({ tx, seen }: Turn, { instance }: ScalingMemberRecord): Promise<void> {
  for (const { member } of seen.members) {
    if (!member.balances || member.instance === instance) continue
    await putMember(tx, { ...member, balances: false })
  }
}

function causeOf({ group, seen }: Turn, { instance }: ScalingMemberRecord, reason: Reason): string {
  const at = atTime(seen.nowMs)
  const out = `${at} an instance was taken out of service`
  const chosen = `${at} instance ${instance} was selected for termination.`
  const have = seen.members.filter(({ member }) => isActive(member)).length
  switch (reason.kind) {
    case 'ill':
      return `${out} in response to ${reason.text}.`
    case 'shrink': {
      const why = 'a difference between desired and actual capacity, shrinking the capacity from'
      const first = group.cause === '' ? '' : `${group.cause}  `
      return `${first}${out} in response to ${why} ${have} to ${have - 1}.  ${chosen}`
    }
    case 'deleted':
      return `${group.cause}  ${chosen}`
    case 'aged':
      return `${out} in response to its age, which is the maximum instance lifetime.`
    case 'refresh':
      return `${out} in response to an instance refresh.`
    case 'balance':
      return `${out} to balance the zones of the group.  ${chosen}`
    default:
      return never(reason)
  }
}

/** No launch for a while, and an activity that says why. */
async function wait(turn: Turn, why: string): Promise<void> {
  const { tx, group, seen, parts } = turn
  const message = failed(why)
  parts.log.warn('launch of a group failed', { ...nameOf(group), why })
  const first = group.cause === '' ? '' : `${group.cause}  `
  const started = `${first}${atTime(seen.nowMs)} an instance was to be started in response to`
  await putActivity(tx, parts, group, {
    description: 'Launching a new EC2 instance',
    cause: `${started} a difference between desired and actual capacity.`,
    ...{ subnet: '', rack: '', nowMs: seen.nowMs, ended: 'Failed', message },
  })
  await putGroup(tx, group, { trouble: troubleOf(group, message, seen.nowMs) })
}

function troubleOf(
  { trouble }: ScalingGroupRecord,
  message: string,
  nowMs: number,
): ScalingTrouble {
  const failures = (trouble?.failures ?? 0) + 1
  const waitMs = Math.min(RETRY_MS.last, RETRY_MS.first * 2 ** Math.min(failures - 1, 10))
  return { failures, message, retryAtMs: nowMs + waitMs }
}

function failed(why: string): string {
  const end = '. Launching EC2 instance failed.'
  return `${why.replace(/\.$/, '').slice(0, STATUS_CHARS - end.length)}${end}`
}

function instancesOf(members: readonly ScalingMemberRecord[]): string[] {
  return members.map(({ instance }) => instance)
}

function nameOf({ account, name }: ScalingGroupRecord): { account: string; group: string } {
  return { account, group: name }
}
