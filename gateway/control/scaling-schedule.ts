// Does what groups were told to be at a time that has come: once each, in the order of their times,
// also when no gateway ran then.

import { nextTime, parseCron } from '../autoscaling/cron.ts'
import { atTime, groupKey, putGroup } from '../autoscaling/groups-kept.ts'
import type { ScalingGroupRecord, ScheduledActionRecord } from '../store/scaling-records.ts'
import type { Transaction, View } from '../store/state.ts'
import type { StepParts } from './scaling-steps.ts'

/** Running it twice, or at several gateways at once, changes nothing more. */
export async function runScheduled(parts: StepParts, nowMs: number): Promise<void> {
  const { state } = parts
  const due = state
    .view()
    .all('scheduled-action')
    .filter((one) => one.nextAtMs <= nowMs)
    .sort((a, b) => a.nextAtMs - b.nextAtMs)
  for (const { id, nextAtMs } of due) {
    await state.update(async (tx) => {
      const action = await tx.get('scheduled-action', id)
      if (action?.nextAtMs !== nextAtMs) return
      const group = await groupOf(tx, state.view(), action)
      // A group on its way out takes its actions with it.
      if (group === null || group.deletedAtMs !== null) return
      await putNext(tx, action, nowMs)
      if (group.suspended.includes('ScheduledActions')) return
      await obey(parts, tx, group, action, nowMs)
    })
  }
}

async function groupOf(
  tx: Transaction,
  view: View,
  { group: id }: ScheduledActionRecord,
): Promise<ScalingGroupRecord | null> {
  const [found] = view.by('scaling-group', 'id', id)
  const group =
    found === undefined
      ? null
      : await tx.get('scaling-group', ...groupKey(found.account, found.name))
  return group?.id === id ? group : null
}

/** What was missed is not made up for: a recurrence goes on from now. */
async function putNext(
  tx: Transaction,
  action: ScheduledActionRecord,
  nowMs: number,
): Promise<void> {
  const { id, recurrence, timeZone, endMs } = action
  const cron = parseCron(recurrence)
  const nextAtMs = cron === null ? null : nextTime(cron, timeZone, nowMs)
  if (nextAtMs === null || (endMs !== null && nextAtMs > endMs)) {
    await tx.delete('scheduled-action', id)
    return
  }
  await tx.put('scheduled-action', [id], { ...action, nextAtMs })
}

/** A bound that it says moves the other one and the desired capacity when they would not fit. */
async function obey(
  { log }: StepParts,
  tx: Transaction,
  group: ScalingGroupRecord,
  action: ScheduledActionRecord,
  nowMs: number,
): Promise<void> {
  const min = action.min ?? Math.min(group.min, action.max ?? group.max)
  const max = Math.max(min, action.max ?? group.max)
  const desired = Math.min(max, Math.max(min, action.desired ?? group.desired))
  const change =
    desired === group.desired
      ? ''
      : ` changing the desired capacity from ${group.desired} to ${desired}`
  const cause =
    `${atTime(nowMs)} a scheduled action update of AutoScalingGroup constraints to min: ${min}, ` +
    `max: ${max}, desired: ${desired}${change}.`
  log.info('scheduled action of a group', {
    ...{ account: group.account, group: group.name, scheduled: action.name, min, max, desired },
  })
  await putGroup(tx, group, { min, max, desired, cause, trouble: null })
}
