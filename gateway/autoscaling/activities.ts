// Activities of Auto Scaling groups: how they are kept, shown and listed.

import type { Activity, Filter } from '@aws-sdk/client-auto-scaling'
import type { RandomHex } from '../../common/clock.ts'
import type { AutoScalingHandlers } from '../aws/handlers.ts'
import { compareText } from '../ec2/paging.ts'
import { zoneName } from '../ec2/zones.ts'
import type { ScalingActivityRecord, ScalingGroupRecord } from '../store/scaling-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { invalid } from './errors.ts'
import { groupArn, groupKey, newUuid, type ScalingParts } from './groups-kept.ts'
import { pageOf } from './paging.ts'

/** Auto Scaling API reference, DescribeScalingActivities, MaxRecords. */
const MAX_RECORDS = 100
const DONE = 100
const BEGUN = 50

interface NewActivity {
  readonly description: string
  readonly cause: string
  /** '' while it is not known. */
  readonly subnet: string
  readonly rack: string
  readonly nowMs: number
  /** Absent: it goes on. */
  readonly ended?: 'Successful' | 'Failed'
  readonly message?: string
}

/** Writes down what the group begins, or did at once. */
export async function putActivity(
  tx: Transaction,
  { randomHex, region }: { readonly randomHex: RandomHex; readonly region: string },
  { id: group, account, name: groupName }: ScalingGroupRecord,
  about: NewActivity,
): Promise<ScalingActivityRecord> {
  const { description, cause, subnet, rack, nowMs, ended, message = '' } = about
  const details = JSON.stringify({
    ...(subnet === '' ? {} : { 'Subnet ID': subnet }),
    ...(rack === '' ? {} : { 'Availability Zone': zoneName(region, rack) }),
  })
  const record: ScalingActivityRecord = {
    ...{ id: newUuid(randomHex), account, group, groupName, description, cause, message, details },
    status: ended ?? 'InProgress',
    startedAtMs: nowMs,
    endedAtMs: ended === undefined ? null : nowMs,
  }
  await tx.put('scaling-activity', [record.id], record)
  return record
}

/** Says how an activity ended; one that faded meanwhile, or is no more, is left alone. */
export async function endActivity(
  tx: Transaction,
  id: string,
  status: 'Successful' | 'Failed' | 'Cancelled',
  nowMs: number,
  message = '',
): Promise<void> {
  const record = id === '' ? null : await tx.get('scaling-activity', id)
  if (record?.status !== 'InProgress') return
  await tx.put('scaling-activity', [id], { ...record, status, message, endedAtMs: nowMs })
}

/** `state`: whether its group is there no more. */
export function activityShape(view: View, region: string, record: ScalingActivityRecord): Activity {
  const group = groupOf(view, record)
  const isThere = group !== null
  return {
    ActivityId: record.id,
    AutoScalingGroupName: record.groupName,
    Description: record.description,
    Cause: record.cause,
    StartTime: new Date(record.startedAtMs),
    EndTime: record.endedAtMs === null ? undefined : new Date(record.endedAtMs),
    StatusCode: record.status,
    StatusMessage: record.message === '' ? undefined : record.message,
    Progress: record.endedAtMs === null ? BEGUN : DONE,
    Details: record.details,
    AutoScalingGroupState: isThere ? undefined : 'Deleted',
    AutoScalingGroupARN: isThere ? groupArn(region, group) : undefined,
  }
}

function groupOf(view: View, { account, group, groupName }: ScalingActivityRecord) {
  const found = view.get('scaling-group', ...groupKey(account, groupName))
  return found?.id === group ? found : null
}

export function activityHandlers({
  state,
  region,
}: ScalingParts): Required<Pick<AutoScalingHandlers, 'DescribeScalingActivities'>> {
  return {
    DescribeScalingActivities: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const { AutoScalingGroupName: name, ActivityIds: ids } = input
      const hasGone = input.IncludeDeletedGroups === true
      const found = view
        .by('scaling-activity', 'account', account)
        .filter((one) => name === undefined || one.groupName === name)
        .filter((one) => hasGone || groupOf(view, one) !== null)
      const there = name !== undefined && view.get('scaling-group', ...groupKey(account, name))
      if (there === null && found.length === 0) {
        throw invalid(`AutoScalingGroup name not found - AutoScalingGroup '${name}' not found`)
      }
      const named = found.filter((one) => ids === undefined || ids.includes(one.id))
      const tests = (input.Filters ?? []).map(testOf)
      const matching = named.filter((one) => tests.every((test) => test(one)))
      // The newest first: pages go by how long before the end of time something began.
      const cursor = ({ startedAtMs, id }: ScalingActivityRecord): string =>
        `${String(Number.MAX_SAFE_INTEGER - startedAtMs).padStart(16, '0')} ${id}`
      const { items, nextToken } = pageOf(input, matching, cursor, MAX_RECORDS)
      return {
        Activities: items.map((one) => activityShape(view, region, one)),
        NextToken: nextToken,
      }
    },
  }
}

function testOf({ Name, Values = [] }: Filter): (one: ScalingActivityRecord) => boolean {
  const times = Values.map((value) => Date.parse(value))
  switch (Name) {
    case 'StartTimeLowerBound':
      return (one) => times.every((at) => one.startedAtMs >= at)
    case 'StartTimeUpperBound':
      return (one) => times.every((at) => one.startedAtMs <= at)
    case 'Status':
      return (one) => Values.includes(one.status)
    default:
      throw invalid(
        `Invalid filter name: ${Name}. The valid filter names are: StartTimeLowerBound, StartTimeUpperBound, Status`,
      )
  }
}

/** The newest first. */
export function byStart(a: ScalingActivityRecord, b: ScalingActivityRecord): number {
  return b.startedAtMs - a.startedAtMs || compareText(a.id, b.id)
}
