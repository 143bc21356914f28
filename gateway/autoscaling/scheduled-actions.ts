// Scheduled actions: what a group is told to be at a time, once or again and again. When they are
// due control/scaling-schedule.ts does it.

import type {
  FailedScheduledUpdateGroupActionRequest,
  ScheduledUpdateGroupAction,
} from '@aws-sdk/client-auto-scaling'
import { ApiError } from '../aws/api-error.ts'
import type { AutoScalingHandlers, AutoScalingInputs, CallContext } from '../aws/handlers.ts'
import type { ScalingGroupRecord, ScheduledActionRecord } from '../store/scaling-records.ts'
import { isTimeZone, nextTime, parseCron } from './cron.ts'
import { invalid, within } from './errors.ts'
import { MAX_SIZE } from './group-request.ts'
import {
  groupArn,
  groupsCalled,
  holdGroup,
  newUuid,
  putGroup,
  refuseDeleted,
  type ScalingParts,
} from './groups-kept.ts'
import { pageOf } from './paging.ts'

type ScheduleHandlers = Required<
  Pick<
    AutoScalingHandlers,
    | 'BatchDeleteScheduledAction'
    | 'BatchPutScheduledUpdateGroupAction'
    | 'DeleteScheduledAction'
    | 'DescribeScheduledActions'
    | 'PutScheduledUpdateGroupAction'
  >
>
type PutInput = Omit<AutoScalingInputs['PutScheduledUpdateGroupAction'], 'AutoScalingGroupName'>

/** Auto Scaling user guide, "Quotas", and the API reference of the batches. */
const MAX_ACTIONS = 125
const MAX_BATCH = 50
const NAME = /^[ -9;-~]{1,255}$/
const UTC = 'UTC'

export function scheduleHandlers(parts: ScalingParts): ScheduleHandlers {
  const { state, region } = parts
  return {
    PutScheduledUpdateGroupAction: async (context, input) => {
      await put(parts, context, input.AutoScalingGroupName, input)
      return {}
    },

    BatchPutScheduledUpdateGroupAction: async (context, input) => {
      const asked = checkBatch(input.ScheduledUpdateGroupActions)
      const failed = await each(asked, (one) =>
        put(parts, context, input.AutoScalingGroupName, one),
      )
      return { FailedScheduledUpdateGroupActions: failed }
    },

    DeleteScheduledAction: async ({ caller: { account } }, input) => {
      const { AutoScalingGroupName: group, ScheduledActionName: name = '' } = input
      await remove(parts, account, group, name)
      return {}
    },

    BatchDeleteScheduledAction: async ({ caller: { account } }, input) => {
      const asked = checkBatch(input.ScheduledActionNames).map((name) => ({
        ScheduledActionName: name,
      }))
      const failed = await each(asked, ({ ScheduledActionName: name }) =>
        remove(parts, account, input.AutoScalingGroupName, name),
      )
      return { FailedScheduledActions: failed }
    },

    DescribeScheduledActions: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const { AutoScalingGroupName: name, ScheduledActionNames: names = [] } = input
      const { StartTime: from, EndTime: to } = input
      const groups = groupsCalled(view, account, name)
      const found = groups.flatMap((group) =>
        view
          .by('scheduled-action', 'group', group.id)
          .filter((one) => names.length === 0 || names.includes(one.name))
          .filter((one) => names.length > 0 || one.nextAtMs >= (from?.getTime() ?? 0))
          .filter((one) => names.length > 0 || one.nextAtMs <= (to?.getTime() ?? Infinity))
          .map((action) => ({ group, action })),
      )
      const cursor = ({ group, action }: (typeof found)[number]): string =>
        `${group.name}:${action.name}`
      const { items, nextToken } = pageOf(input, found, cursor)
      return {
        ScheduledUpdateGroupActions: items.map(({ group, action }) =>
          actionShape(region, group, action),
        ),
        NextToken: nextToken,
      }
    },
  }
}

/** Throws ValidationError, AlreadyExists, LimitExceeded. */
async function put(
  { state, randomHex }: ScalingParts,
  { caller: { account }, nowMs }: CallContext,
  groupName: string | undefined,
  input: PutInput,
): Promise<void> {
  const { ScheduledActionName: name = '' } = input
  const parsed = parseAction(input, nowMs)
  await state.update(async (tx) => {
    const { group, view } = await holdGroup(tx, state, account, groupName ?? '')
    refuseDeleted(group)
    const all = view.by('scheduled-action', 'group', group.id)
    const before = all.find((one) => one.name === name)
    if (before === undefined && all.length >= MAX_ACTIONS) {
      const text = `An AutoScalingGroup has at most ${MAX_ACTIONS} scheduled actions.`
      throw new ApiError('LimitExceeded', text)
    }
    const id = before?.id ?? newUuid(randomHex)
    await tx.put('scheduled-action', [id], { id, account, group: group.id, name, ...parsed })
    // Who deletes the group has seen this action, or finds the group changed.
    await putGroup(tx, group)
  })
}

async function remove(
  { state }: ScalingParts,
  account: string,
  groupName: string | undefined,
  name: string,
): Promise<void> {
  await state.update(async (tx) => {
    const { group, view } = await holdGroup(tx, state, account, groupName ?? '')
    const action = view.by('scheduled-action', 'group', group.id).find((one) => one.name === name)
    if (action === undefined) {
      throw invalid(`Scheduled action name not found: ${name.slice(0, 255)}`)
    }
    await tx.delete('scheduled-action', action.id)
    await putGroup(tx, group)
  })
}

function parseAction(
  input: PutInput,
  nowMs: number,
): Omit<ScheduledActionRecord, 'id' | 'account' | 'group' | 'name'> {
  const { ScheduledActionName: name = '', Recurrence: recurrence = '', TimeZone } = input
  if (!NAME.test(name)) throw invalid('A scheduled action has a name of 1 to 255 characters.')
  const size = (field: string, value: number | undefined): number | null =>
    value === undefined ? null : within(field, value, 0, MAX_SIZE)
  const min = size('minSize', input.MinSize)
  const max = size('maxSize', input.MaxSize)
  const desired = size('desiredCapacity', input.DesiredCapacity)
  if (min === null && max === null && desired === null) {
    throw invalid('At least one of MinSize, MaxSize and DesiredCapacity must be given.')
  }
  if ((min ?? 0) > (max ?? MAX_SIZE)) throw invalid('Max bound must be at least the min bound.')
  const timeZone = TimeZone ?? UTC
  if (!isTimeZone(timeZone)) throw invalid(`Invalid time zone: ${timeZone.slice(0, 50)}`)
  const startMs = (input.StartTime ?? input.Time)?.getTime() ?? null
  const endMs = input.EndTime?.getTime() ?? null
  if (startMs !== null && startMs < nowMs) {
    throw invalid('Given start time is in the past')
  }
  if (endMs !== null && endMs <= Math.max(nowMs, startMs ?? 0)) {
    throw invalid('Given end time is earlier than the start time, or in the past')
  }
  const kept = { min, max, desired, recurrence, timeZone, startMs, endMs }
  if (recurrence === '') {
    if (startMs === null) throw invalid('Either Recurrence or StartTime must be given.')
    return { ...kept, nextAtMs: startMs }
  }
  const cron = parseCron(recurrence)
  if (cron === null)
    throw invalid(`Given recurrence string: ${recurrence.slice(0, 100)} is invalid`)
  // The first time may be the start itself.
  const nextAtMs = nextTime(cron, timeZone, Math.max(nowMs, (startMs ?? 0) - 1))
  if (nextAtMs === null || nextAtMs > (endMs ?? Infinity)) {
    throw invalid(`Given recurrence string: ${recurrence.slice(0, 100)} is never due`)
  }
  return { ...kept, nextAtMs }
}

/** What is refused is told by name; the others are done. */
async function each<T extends { readonly ScheduledActionName: string | undefined }>(
  asked: readonly T[],
  act: (one: T) => Promise<void>,
): Promise<FailedScheduledUpdateGroupActionRequest[]> {
  const failed: FailedScheduledUpdateGroupActionRequest[] = []
  for (const one of asked) {
    try {
      await act(one)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const { code, message } = error
      const name = one.ScheduledActionName ?? ''
      failed.push({ ScheduledActionName: name, ErrorCode: code, ErrorMessage: message })
    }
  }
  return failed
}

function checkBatch<T>(asked: readonly T[] | undefined): readonly T[] {
  if (asked !== undefined && asked.length >= 1 && asked.length <= MAX_BATCH) return asked
  throw invalid(`A batch is of 1 to ${MAX_BATCH} scheduled actions.`)
}

function actionShape(
  region: string,
  group: ScalingGroupRecord,
  { id, name, min, max, desired, recurrence, timeZone, endMs, nextAtMs }: ScheduledActionRecord,
): ScheduledUpdateGroupAction {
  const prefix = groupArn(region, group).replace(/:autoScalingGroup:.*/, '')
  const of = `autoScalingGroupName/${group.name}:scheduledActionName/${name}`
  return {
    AutoScalingGroupName: group.name,
    ScheduledActionName: name,
    ScheduledActionARN: `${prefix}:scheduledUpdateGroupAction:${id}:${of}`,
    Time: new Date(nextAtMs),
    StartTime: new Date(nextAtMs),
    EndTime: endMs === null ? undefined : new Date(endMs),
    Recurrence: recurrence === '' ? undefined : recurrence,
    MinSize: min ?? undefined,
    MaxSize: max ?? undefined,
    DesiredCapacity: desired ?? undefined,
    TimeZone: timeZone === UTC ? undefined : timeZone,
  }
}
