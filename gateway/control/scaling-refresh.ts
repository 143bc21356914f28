// What an instance refresh does next. Pure: as many are replaced at a time as its user lets go, and
// those that come need their warm-up before the next ones go.

import type {
  InstanceRefreshRecord,
  ScalingGroupRecord,
  ScalingMemberRecord,
} from '../store/scaling-records.ts'

const ALL = 100
const SECOND_MS = 1_000

export interface RefreshSeen {
  readonly group: ScalingGroupRecord
  readonly refresh: InstanceRefreshRecord
  readonly members: readonly ScalingMemberRecord[]
  /** Of the group's template. */
  readonly currentVersion: number
  readonly nowMs: number
}

/** Is it from before the refresh, and to be replaced? */
export function isOutdated(
  { template: now, overrides }: Pick<ScalingGroupRecord, 'template' | 'overrides'>,
  { startedAtMs, skipMatching, onProtected, onStandby }: InstanceRefreshRecord,
  member: ScalingMemberRecord,
  currentVersion: number,
): boolean {
  const { joinedAtMs, template, type } = member
  if (joinedAtMs >= startedAtMs) return false
  if (member.protected && onProtected === 'Ignore') return false
  if (member.state === 'Standby' && onStandby === 'Ignore') return false
  if (!skipMatching) return true
  const isType = overrides.length === 0 || overrides.some((one) => one.type === type)
  return !(isType && template?.id === now.id && Number(template.version) === currentVersion)
}

/** The next one to go; `done` when all are new and warm; null: it waits. */
export function planRefresh(seen: RefreshSeen): ScalingMemberRecord | 'done' | null {
  const { group, refresh, members, currentVersion, nowMs } = seen
  const there = members.filter(({ state }) => state !== 'Terminating')
  const old = there.filter((one) => isOutdated(group, refresh, one, currentVersion))
  const warmupMs =
    (refresh.warmupSeconds ?? group.warmupSeconds ?? group.gracePeriodSeconds) * SECOND_MS
  const serving = there.filter(
    (one) =>
      one.state === 'InService' &&
      one.healthy &&
      (one.joinedAtMs < refresh.startedAtMs || nowMs - (one.inServiceAtMs ?? nowMs) >= warmupMs),
  )
  const missing = Math.max(0, group.desired - serving.length)
  if (old.length === 0) return missing === 0 ? 'done' : null
  const most = Math.max(1, group.desired - Math.ceil((group.desired * refresh.minHealthy) / ALL))
  const mayGo = old.find(
    (one) =>
      (one.state === 'InService' ||
        (one.state === 'Standby' && refresh.onStandby === 'Terminate')) &&
      (!one.protected || refresh.onProtected === 'Refresh'),
  )
  return mayGo !== undefined && most - missing >= 1 ? mayGo : null
}
