// The loop that keeps Auto Scaling groups as their users want them. Every gateway runs it: steps of
// a group are taken in turns, and whoever comes second does nothing.

import type { Clock } from '../../common/clock.ts'
import { Loop } from '../../common/reconcile.ts'
import { byStart } from '../autoscaling/activities.ts'
import { currentVersion } from '../autoscaling/group-launch.ts'
import { zonesOf } from '../autoscaling/group-places.ts'
import { groupKey } from '../autoscaling/groups-kept.ts'
import { isDraining } from '../autoscaling/targets.ts'
import { isRackConnected } from '../ec2/zones.ts'
import type { HostRecord } from '../store/records.ts'
import type { ScalingActivityRecord, ScalingGroupRecord } from '../store/scaling-records.ts'
import type { AppliedChange, View } from '../store/state.ts'
import { type HealthParts, illnessOf } from './scaling-health.ts'
import { versionOf } from './scaling-launch.ts'
import { type GroupSeen, planGroup } from './scaling-plan.ts'
import { runScheduled } from './scaling-schedule.ts'
import { applyStep, type StepParts } from './scaling-steps.ts'

export interface LoopParts extends StepParts {
  /** When this gateway started, in milliseconds since 1970. */
  readonly startedAtMs: number
  readonly clock: Clock
  readonly chance: () => number
}

/** Grace periods, hosts that are away and waits after failures end without a change of a record. */
const EVERY_MS = 15_000
/** Steps of one group in one pass: more are left to the next one. */
const MAX_STEPS = 500
/** Auto Scaling keeps activities for six weeks (API reference, DescribeScalingActivities). */
const ACTIVITY_MS = 42 * 86_400_000
const FORGET_EVERY_MS = 300_000
/** Of one group, and of one account with its deleted groups. */
const MAX_ACTIVITIES = 100
const MAX_OF_ACCOUNT = 5_000
/** Records of one transaction. */
const BATCH = 100

/** Starts the loop; resolves its end when the pass under way is done. */
export function startScaling(parts: LoopParts): { stop: () => Promise<void> } {
  const { state, clock, chance, log } = parts
  const due = new Set<string>()
  let wholeAtMs = 0
  let forgotAtMs = 0
  const loop = new Loop({
    name: 'scaling',
    pass: async () => {
      const isWhole = clock.nowMs() - wholeAtMs >= EVERY_MS
      const ids = [...due]
      due.clear()
      if (!isWhole) return await tendGroups(parts, ids)
      wholeAtMs = clock.nowMs()
      await runScheduled(parts, wholeAtMs)
      await tendGroups(parts, null)
      if (wholeAtMs - forgotAtMs < FORGET_EVERY_MS) return
      forgotAtMs = wholeAtMs
      await forgetActivities(parts)
    },
    everyMs: EVERY_MS,
    clock,
    chance,
    log,
  })
  const offChange = state.onChange((changes) => {
    for (const id of touched(state.view(), changes)) due.add(id)
    if (due.size > 0) loop.wake()
  })
  loop.start()
  return {
    stop: async () => {
      offChange()
      await loop.stop()
    },
  }
}

/** Ids of groups for which there may be something to do: they, instances or racks changed. */
function touched(view: View, changes: readonly AppliedChange[]): string[] {
  return changes.flatMap((change) => {
    const [kind = '', id = '', more = ''] = change.key.split('/')
    switch (kind) {
      case 'scaling-group':
        return view.get('scaling-group', id, more)?.id ?? []
      case 'instance':
        return view.get('scaling-member', id)?.group ?? []
      case 'host': {
        const before = change.before as HostRecord | null | undefined
        const isConnected = view.get('host', id, more)?.status?.connected === true
        if ((before?.status?.connected === true) === isConnected) return []
        return view.all('scaling-group').map((group) => group.id)
      }
      case 'rack':
        return view.all('scaling-group').map((group) => group.id)
      default:
        return []
    }
  })
}

/** Those groups, or all of them. Running it twice changes nothing more. */
export async function tendGroups(
  parts: Omit<LoopParts, 'chance'>,
  ids: readonly string[] | null,
): Promise<void> {
  const view = parts.state.view()
  const groups =
    ids === null
      ? view.all('scaling-group')
      : ids.flatMap((id) => view.by('scaling-group', 'id', id))
  const troubles: unknown[] = []
  for (const group of groups) {
    // What is wrong with one group is not to stop the others.
    await tendGroup(parts, group).catch((error: unknown) => troubles.push(error))
  }
  if (troubles.length > 0) throw troubles[0]
}

async function tendGroup(
  parts: Omit<LoopParts, 'chance'>,
  { account, name, id }: ScalingGroupRecord,
): Promise<void> {
  const refused = new Map<string, string>()
  // Most groups are as they shall be: for those nobody asks the store.
  let view = parts.state.view()
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const group = view.get('scaling-group', ...groupKey(account, name))
    if (group?.id !== id) return
    const { region, startedAtMs, clock } = parts
    const now = { view, region, startedAtMs, nowMs: clock.nowMs() }
    const seen = observe(now, group, refused)
    const step = planGroup(seen)
    if (step === null) return
    const outcome = await applyStep(parts, seen, step)
    if (typeof outcome === 'object') refused.set(outcome.rack, outcome.refused)
    view = await parts.state.fresh()
  }
}

function observe(
  parts: HealthParts,
  group: ScalingGroupRecord,
  refused: ReadonlyMap<string, string>,
): GroupSeen {
  const { view, nowMs } = parts
  const members = view.by('scaling-member', 'group', group.id).map((member) => {
    const instance = view.get('instance', member.instance)
    const illness = illnessOf(parts, group, member, instance)
    const version = versionOf(view, group, member.template)
    const draining = isDraining(view, member.instance, nowMs)
    return { member, instance, illness, version, draining }
  })
  const places = zonesOf(view, group)
  const racks = new Set([...places, ...members.map((one) => one.member)].map(({ rack }) => rack))
  const reachable = new Set([...racks].filter((rack) => isRackConnected(view, rack)))
  const zones = places.map((zone) => ({
    ...zone,
    usable: reachable.has(zone.rack) && view.get('rack', zone.rack)?.state === 'joined',
  }))
  const refresh =
    view.by('instance-refresh', 'group', group.id).find((one) => one.status === 'InProgress') ??
    null
  const version = currentVersion(view, group)
  return { group, members, zones, refused, reachable, refresh, currentVersion: version, nowMs }
}

/** What is older than AWS shows, and the oldest of what is too much. */
export async function forgetActivities({
  state,
  clock,
}: Pick<LoopParts, 'state' | 'clock'>): Promise<void> {
  const view = state.view()
  const nowMs = clock.nowMs()
  const gone = new Set<string>()
  for (const [most, of] of [
    [MAX_ACTIVITIES, ({ group }: ScalingActivityRecord) => group],
    [MAX_OF_ACCOUNT, ({ account }: ScalingActivityRecord) => account],
  ] as const) {
    for (const all of Map.groupBy(view.all('scaling-activity'), of).values()) {
      const ended = all.filter((one) => one.endedAtMs !== null).sort(byStart)
      for (const [i, { id, startedAtMs }] of ended.entries()) {
        if (i >= most || nowMs - startedAtMs > ACTIVITY_MS) gone.add(id)
      }
    }
  }
  const ids = [...gone]
  for (let at = 0; at < ids.length; at += BATCH) {
    await state.update(async (tx) => {
      for (const id of ids.slice(at, at + BATCH)) await tx.delete('scaling-activity', id)
    })
  }
}
