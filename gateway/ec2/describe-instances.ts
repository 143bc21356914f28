// DescribeInstances and DescribeInstanceStatus.

import type { InstanceStatus, InstanceStatusSummary } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { namedInView } from './ids.ts'
import { endDryRun } from './input.ts'
import { INSTANCE_FILTERS, type ShownInstance } from './instance-filters.ts'
import { reservationsOf, shownOf, stateOf } from './instance-shape.ts'
import { type PageRequest, pageOf } from './paging.ts'
import { isRackConnected, zoneIdOf, zoneName } from './zones.ts'

type DescribeHandlers = Required<Pick<Ec2Handlers, 'DescribeInstances' | 'DescribeInstanceStatus'>>

interface ShownStatus {
  readonly record: InstanceRecord
  readonly status: InstanceStatus
}

const STATUS_FILTERS: Filterable<ShownStatus> = {
  fields: {
    ...absent(
      'attached-ebs-status.status',
      'event.code',
      'event.description',
      'event.instance-event-id',
      'event.not-after',
      'event.not-before',
      'event.not-before-deadline',
      'operator.managed',
      'operator.principal',
    ),
    'availability-zone': ({ status }) => status.AvailabilityZone,
    'availability-zone-id': ({ status }) => status.AvailabilityZoneId,
    'instance-state-code': ({ status }) => status.InstanceState?.Code,
    'instance-state-name': ({ status }) => status.InstanceState?.Name,
    'instance-status.reachability': ({ status }) =>
      status.InstanceStatus?.Details?.map((detail) => detail.Status),
    'instance-status.status': ({ status }) => status.InstanceStatus?.Status,
    'system-status.reachability': ({ status }) =>
      status.SystemStatus?.Details?.map((detail) => detail.Status),
    'system-status.status': ({ status }) => status.SystemStatus?.Status,
  },
}

export function describeInstanceHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): DescribeHandlers {
  return {
    DescribeInstances: async (context, input) => {
      const view = await state.fresh()
      const records = recordsAsked(view, context.caller.account, input)
      endDryRun(input)
      const shown = records.map((record) => shownOf(view, region, record))
      const found = matching<ShownInstance>(shown, input.Filters, INSTANCE_FILTERS)
      const { items, nextToken } = pageOf(context, 'DescribeInstances', input, found, cursorOf)
      return { Reservations: reservationsOf(items), NextToken: nextToken }
    },

    DescribeInstanceStatus: async (context, input) => {
      const view = await state.fresh()
      const records = recordsAsked(view, context.caller.account, input)
      endDryRun(input)
      const shown = records
        .filter((record) => input.IncludeAllInstances === true || record.state === 'running')
        .map((record) => ({ record, status: statusOf(view, region, record) }))
      const found = matching<ShownStatus>(shown, input.Filters, STATUS_FILTERS)
      const { items, nextToken } = pageOf(context, 'DescribeInstanceStatus', input, found, cursorOf)
      return { InstanceStatuses: items.map(({ status }) => status), NextToken: nextToken }
    },
  }
}

function recordsAsked(
  view: View,
  account: string,
  input: PageRequest & { readonly InstanceIds?: string[] | undefined },
): readonly InstanceRecord[] {
  if (input.InstanceIds === undefined || input.InstanceIds.length === 0) {
    return view.instancesOf('account', account)
  }
  if (input.MaxResults !== undefined) {
    const text = 'The parameter instancesSet cannot be used with the parameter maxResults'
    throw new ApiError('InvalidParameterCombination', text)
  }
  return namedInView(view, 'instance', input.InstanceIds, account)
}

/** Oldest first; the instances of a reservation stand together. */
function cursorOf({ record }: { readonly record: InstanceRecord }): string {
  const launchedAt = String(record.launchedAtMs).padStart(15, '0')
  const index = String(record.launchIndex).padStart(5, '0')
  return [launchedAt, record.reservation, index, record.id].join(' ')
}

/**
 * The system's status is whether the host can be asked; the instance's is what the host says of its
 * guest: that it runs. Nobody looks into the guest.
 */
function statusOf(view: View, region: string, record: InstanceRecord): InstanceStatus {
  const host = view.get('host', record.rack, record.host)
  const isReachable = host?.status?.connected === true && isRackConnected(view, record.rack)
  return {
    InstanceId: record.id,
    AvailabilityZone: zoneName(region, record.rack),
    AvailabilityZoneId: zoneIdOf(view, region, record.rack),
    InstanceState: stateOf(record.state),
    SystemStatus: summaryOf(record, isReachable),
    InstanceStatus: summaryOf(record, isReachable && record.observed?.state === 'running'),
    Events: [],
  }
}

function summaryOf({ state }: InstanceRecord, isWell: boolean): InstanceStatusSummary {
  if (state === 'pending') return summary('initializing', 'initializing')
  if (state !== 'running') return { Status: 'not-applicable' }
  return isWell ? summary('ok', 'passed') : summary('insufficient-data', 'insufficient-data')
}

function summary(
  Status: NonNullable<InstanceStatusSummary['Status']>,
  reachability: 'initializing' | 'insufficient-data' | 'passed',
): InstanceStatusSummary {
  return { Status, Details: [{ Name: 'reachability', Status: reachability }] }
}
