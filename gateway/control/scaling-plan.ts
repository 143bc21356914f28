// What an Auto Scaling group does next. Pure: one step at a time, from the group and its instances
// as they are. Null: it is as its user wants it, or as near as it gets for now.

import { isActive } from '../autoscaling/groups-kept.ts'
import type { InstanceRecord } from '../store/records.ts'
import type {
  InstanceRefreshRecord,
  ScalingGroupRecord,
  ScalingHook,
  ScalingMemberRecord,
} from '../store/scaling-records.ts'
import { imbalance, nextLaunch, victims, type ZoneSeen } from './scaling-choice.ts'
import type { Illness } from './scaling-health.ts'
import { planRefresh } from './scaling-refresh.ts'

export interface MemberSeen {
  readonly member: ScalingMemberRecord
  /** Null when it has faded. */
  readonly instance: InstanceRecord | null
  readonly illness: Illness | null
  /** See Candidate. */
  readonly version: number
  /** Connections to it end at the moment. */
  readonly draining: boolean
}

export interface GroupSeen {
  readonly group: ScalingGroupRecord
  readonly members: readonly MemberSeen[]
  readonly zones: readonly ZoneSeen[]
  /** Racks where this pass found no room, and what was said there. */
  readonly refused: ReadonlyMap<string, string>
  /** Racks that can be asked. */
  readonly reachable: ReadonlySet<string>
  /** That goes on; null without one. */
  readonly refresh: InstanceRefreshRecord | null
  /** Of the group's template. */
  readonly currentVersion: number
  readonly nowMs: number
}

/** Why members are taken out of service. */
export type Reason =
  | { readonly kind: 'ill'; readonly text: string }
  | { readonly kind: 'shrink' }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'aged' }
  | { readonly kind: 'balance' }
  | { readonly kind: 'refresh' }

export type Step =
  /** Their instances are gone: of those that were terminated, and of those in standby. */
  | { readonly kind: 'drop'; readonly members: readonly ScalingMemberRecord[] }
  /** Never ran, and will not. */
  | { readonly kind: 'fail'; readonly member: ScalingMemberRecord; readonly message: string }
  /** It waits for the group's hooks from now on. */
  | {
      readonly kind: 'hold'
      readonly member: ScalingMemberRecord
      readonly transition: ScalingHook['transition']
    }
  /** Nobody waits for it any more, and so it shall end. */
  | { readonly kind: 'end'; readonly member: ScalingMemberRecord }
  | { readonly kind: 'enter'; readonly members: readonly ScalingMemberRecord[] }
  | { readonly kind: 'sicken'; readonly members: readonly ScalingMemberRecord[] }
  | {
      readonly kind: 'terminate'
      readonly member: ScalingMemberRecord
      readonly reason: Reason
    }
  | {
      readonly kind: 'launch'
      readonly rack: string
      readonly subnet: string
      readonly count: number
      readonly balances: boolean
    }
  /** All instances are new. */
  | { readonly kind: 'refreshed'; readonly refresh: InstanceRefreshRecord }
  /** Nowhere is room: tried again later. */
  | { readonly kind: 'wait'; readonly message: string }
  /** The group goes. */
  | { readonly kind: 'forget' }

/** Instances of one transaction. */
const MAX_AT_ONCE = 20
/** Of the desired capacity, how much may be on its way while more is taken for a failed check. */
const SLOW_SHARE = 0.1
const SECOND_MS = 1_000
/** EC2's own codes: nobody asked for it. */
const SERVER = /^Server\./

export function planGroup(seen: GroupSeen): Step | null {
  return (
    settle(seen) ??
    (seen.group.deletedAtMs === null
      ? (treat(seen) ?? scale(seen) ?? refresh(seen) ?? renew(seen) ?? balance(seen))
      : wind(seen))
  )
}

/** What happened to instances becomes true of members. */
function settle({ group, members, nowMs }: GroupSeen): Step | null {
  const gone = members.filter(({ member, instance }) => !isActive(member) && isGone(instance))
  if (gone.length > 0) return { kind: 'drop', members: recordsOf(gone) }
  const ending = members.find((one) => one.member.state === 'Terminating' && mayEnd(one, nowMs))
  if (ending !== undefined) return held(group, ending.member, 'terminating') ?? end(ending.member)
  const pending = members.filter(({ member }) => member.state === 'Pending')
  const failed = pending.find(({ instance }) => isFailed(instance))
  if (failed !== undefined) {
    const message = failed.instance?.stateReason?.message ?? 'the instance is not there any more'
    return { kind: 'fail', member: failed.member, message }
  }
  const up = pending.filter(({ instance }) => instance?.state === 'running')
  const waiting = up.find(({ member }) => held(group, member, 'launching') !== null)
  if (waiting !== undefined) return held(group, waiting.member, 'launching')
  const said = up.filter(({ member }) => isSaid(member, nowMs))
  const given = said.find(({ member }) => isAbandoned(member, nowMs))
  if (given !== undefined) {
    const message = 'Lifecycle Action was completed with ABANDON Result'
    return { kind: 'fail', member: given.member, message }
  }
  // One that cannot become a target is to fail alone.
  const most = group.targetGroups.length > 0 ? 1 : MAX_AT_ONCE
  return said.length > 0 ? { kind: 'enter', members: recordsOf(said.slice(0, most)) } : null
}

/** Its connections are over, and so is what it waits for. */
function mayEnd({ member, instance, draining }: MemberSeen, nowMs: number): boolean {
  return instance?.desired !== 'terminated' && !draining && isSaid(member, nowMs)
}

function end(member: ScalingMemberRecord): Step {
  return { kind: 'end', member }
}

/** The step after which it waits for hooks; null when there are none, or it has waited. */
function held(
  { hooks }: ScalingGroupRecord,
  member: ScalingMemberRecord,
  transition: ScalingHook['transition'],
): Step | null {
  const isDue = member.hold === null && hooks.some((one) => one.transition === transition)
  return isDue ? { kind: 'hold', member, transition } : null
}

function isSaid({ hold }: ScalingMemberRecord, nowMs: number): boolean {
  return (hold ?? []).every((one) => one.result !== null || nowMs >= one.untilMs)
}

function isAbandoned({ hold }: ScalingMemberRecord, nowMs: number): boolean {
  return (hold ?? []).some(
    (one) => (one.result ?? (nowMs >= one.untilMs ? one.fallback : null)) === 'ABANDON',
  )
}

/** The end of a group: all instances go, also protected ones and those in standby; then itself. */
function wind({ members }: GroupSeen): Step | null {
  if (members.length === 0) return { kind: 'forget' }
  const next = members.find(({ member }) => member.state !== 'Terminating')
  if (next === undefined) return null
  return { kind: 'terminate', member: next.member, reason: { kind: 'deleted' } }
}

/** Whoever is ill is marked, and those that are marked are taken out. */
function treat(seen: GroupSeen): Step | null {
  const { group, members } = seen
  const isOn = processes(group)
  const active = members.filter(({ member }) => isActive(member))
  const well = active.filter(({ member }) => member.healthy)
  const ill = isOn('HealthCheck') ? well.filter(({ illness }) => illness !== null) : []
  const ended = ill.filter(({ illness }) => illness?.kind === 'ended')
  if (ended.length > 0) return { kind: 'sicken', members: recordsOf(ended.slice(0, MAX_AT_ONCE)) }
  // A check may be wrong about all at once: few are taken, and more when those are replaced.
  const isSlow = isOn('ReplaceUnhealthy') && isOn('Terminate')
  const room = isSlow ? slowRoom(seen) : ill.length
  if (ill.length > 0 && room > 0) {
    return { kind: 'sicken', members: recordsOf(ill.slice(0, Math.min(room, MAX_AT_ONCE))) }
  }
  const marked = active.find(({ member }) => !member.healthy)
  if (marked === undefined || !isSlow) return null
  const text = marked.illness?.text ?? 'a user health-check'
  return { kind: 'terminate', member: marked.member, reason: { kind: 'ill', text } }
}

/** How many more may be taken out at once although they run. */
function slowRoom({ group, members }: GroupSeen): number {
  const most = Math.max(1, Math.floor(group.desired * SLOW_SHARE))
  const active = members.filter(({ member }) => isActive(member))
  const serving = active.filter(({ member }) => member.healthy && member.state === 'InService')
  return most - Math.max(0, group.desired - serving.length)
}

/** As many as desired. One that balances zones comes on top until it runs. */
function scale(seen: GroupSeen): Step | null {
  const { group, members, zones, refused, nowMs } = seen
  const isOn = processes(group)
  const active = members.filter(({ member }) => isActive(member))
  const onTop = active.filter(({ member }) => member.balances && member.state === 'Pending').length
  const surplus = active.length - onTop - group.desired
  if (surplus > 0) {
    if (!isOn('Terminate')) return null
    // What balances runs by now: the others make place for it.
    const [member] = victims(group, zones, candidates(active), 1, nowMs)
    if (member === undefined) return null
    const isBalance = active.some((one) => one.member.balances)
    return { kind: 'terminate', member, reason: { kind: isBalance ? 'balance' : 'shrink' } }
  }
  const missing = group.desired - active.length
  if (missing <= 0 || !isOn('Launch') || nowMs < (group.trouble?.retryAtMs ?? 0)) return null
  const records = recordsOf(active)
  const where = nextLaunch(group, zones, records, new Set(refused.keys()), missing)
  if (where === null) return { kind: 'wait', message: whyNowhere(seen) }
  const count = Math.min(where.count, MAX_AT_ONCE)
  return { ...where, kind: 'launch', count, balances: false }
}

function refresh(seen: GroupSeen): Step | null {
  const { refresh: active, group, members } = seen
  const isOn = processes(group)
  if (active === null || !['InstanceRefresh', 'Launch', 'Terminate'].every(isOn)) return null
  const next = planRefresh({ ...seen, refresh: active, members: recordsOf(members) })
  if (next === null) return null
  if (next === 'done') return { kind: 'refreshed', refresh: active }
  return { kind: 'terminate', member: next, reason: { kind: 'refresh' } }
}

/** Those that served for as long as the group lets them. */
function renew(seen: GroupSeen): Step | null {
  const { group, members, nowMs } = seen
  const isOn = processes(group)
  const limitMs = group.maxLifetimeSeconds * SECOND_MS
  if (limitMs === 0 || !isOn('Terminate') || !isOn('Launch') || slowRoom(seen) < 1) return null
  const aged = members.find(
    ({ member }) => member.state === 'InService' && nowMs - member.joinedAtMs >= limitMs,
  )
  return aged === undefined
    ? null
    : { kind: 'terminate', member: aged.member, reason: { kind: 'aged' } }
}

/** One at a time, and only in a group that is as it shall be otherwise. */
function balance({ group, members, zones, reachable, nowMs }: GroupSeen): Step | null {
  const isOn = processes(group)
  if (!['AZRebalance', 'Launch', 'Terminate'].every(isOn)) return null
  const active = members.filter(({ member }) => isActive(member))
  const isCalm = active.every(({ member }) => member.state === 'InService' && member.healthy)
  if (!isCalm || active.length !== group.desired) return null
  if (nowMs < Math.max(group.trouble?.retryAtMs ?? 0, group.balanceAtMs)) return null
  const where = imbalance(zones, recordsOf(active), (rack) => reachable.has(rack))
  return where === null ? null : { ...where, kind: 'launch', count: 1, balances: true }
}

function whyNowhere({ zones, refused }: GroupSeen): string {
  const [said] = [...refused.values()].reverse()
  if (said !== undefined) return said
  const racks = zones.map(({ rack }) => rack).join(', ')
  return racks === ''
    ? 'None of the subnets and zones of the group is there any more'
    : `No rack of the group takes instances now: ${racks}`
}

function processes({ suspended }: ScalingGroupRecord): (name: string) => boolean {
  return (name) => !suspended.includes(name)
}

function candidates(seen: readonly MemberSeen[]) {
  return seen.map(({ member, instance, version }) => ({
    member,
    version,
    launchedAtMs: instance?.launchedAtMs ?? 0,
  }))
}

function isGone(instance: InstanceRecord | null): boolean {
  return instance === null || instance.state === 'terminated'
}

/** Ended by the cloud before it ever ran. */
function isFailed(instance: InstanceRecord | null): boolean {
  if (instance === null) return true
  return instance.desired !== 'running' && SERVER.test(instance.stateReason?.code ?? '')
}

function recordsOf(seen: readonly MemberSeen[]): ScalingMemberRecord[] {
  return seen.map(({ member }) => member)
}
