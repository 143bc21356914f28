// DescribeInstanceStatus: what was measured. The system is the instance's host and the way to it;
// the instance is its guest, which its host listens to and asks. Events: instance-events.ts.

import type { InstanceStatus, InstanceStatusSummary } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { HostRecord, InstanceRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { cursorOf, recordsAsked } from './describe-instances.ts'
import { absent, type Filterable, matcher } from './filters.ts'
import { namedInView } from './ids.ts'
import { badValue, endDryRun, required } from './input.ts'
import { eventsOf } from './instance-events.ts'
import { stateOf } from './instance-shape.ts'
import { pageOfShown } from './paging.ts'
import { isRackConnected, zoneIdOf, zoneName } from './zones.ts'

type StatusHandlers = Required<
  Pick<
    Ec2Handlers,
    'DescribeInstanceStatus' | 'ReportInstanceStatus' | 'ModifyInstanceEventStartTime'
  >
>

/** EC2 API reference, ReportInstanceStatus. */
const REASONS: readonly string[] = [
  'instance-stuck-in-state',
  'unresponsive',
  'not-accepting-credentials',
  'password-not-available',
  'performance-network',
  'performance-instance-store',
  'performance-ebs-volume',
  'performance-other',
  'other',
]
const MAX_DESCRIPTION = 2_000

const STATUS_FILTERS: Filterable<InstanceStatus> = {
  fields: {
    ...absent(
      'attached-ebs-status.status',
      'event.not-after',
      'event.not-before-deadline',
      'operator.managed',
      'operator.principal',
    ),
    'availability-zone': (status) => status.AvailabilityZone,
    'availability-zone-id': (status) => status.AvailabilityZoneId,
    'event.code': ({ Events }) => Events?.map((event) => event.Code),
    'event.description': ({ Events }) => Events?.map((event) => event.Description),
    'event.instance-event-id': ({ Events }) => Events?.map((event) => event.InstanceEventId),
    'event.not-before': ({ Events }) => Events?.map((event) => event.NotBefore?.toISOString()),
    'instance-state-code': (status) => status.InstanceState?.Code,
    'instance-state-name': (status) => status.InstanceState?.Name,
    'instance-status.reachability': (status) =>
      status.InstanceStatus?.Details?.map((detail) => detail.Status),
    'instance-status.status': (status) => status.InstanceStatus?.Status,
    'system-status.reachability': (status) =>
      status.SystemStatus?.Details?.map((detail) => detail.Status),
    'system-status.status': (status) => status.SystemStatus?.Status,
  },
}

export function instanceStatusHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): StatusHandlers {
  return {
    DescribeInstanceStatus: async (context, input) => {
      const view = await state.fresh()
      const records = recordsAsked(view, context.caller.account, input)
      endDryRun(input)
      const isAsked = matcher<InstanceStatus>(input.Filters, STATUS_FILTERS)
      const show = (record: InstanceRecord): InstanceStatus | null => {
        if (input.IncludeAllInstances !== true && record.state !== 'running') return null
        const status = statusOf(view, region, record)
        return isAsked(status) ? status : null
      }
      const by = { cursorOf, show }
      const page = pageOfShown(context, 'DescribeInstanceStatus', input, records, by)
      return { InstanceStatuses: [...page.items], NextToken: page.nextToken }
    },

    ReportInstanceStatus: async ({ caller, log }, input) => {
      const ids = required('Instance', input.Instances)
      const status: string = required('Status', input.Status)
      const reasons: readonly string[] = required('ReasonCode', input.ReasonCodes)
      if (status !== 'ok' && status !== 'impaired') {
        throw badValue('status', status, 'Expecting ok or impaired.')
      }
      const odd = reasons.find((reason) => !REASONS.includes(reason))
      if (odd !== undefined) {
        throw badValue('reasonCode', odd, `Expecting one of ${REASONS.join(', ')}.`)
      }
      namedInView(await state.fresh(), 'instance', ids, caller.account)
      endDryRun(input)
      // As on AWS it changes no status; here the operator reads it.
      const description = (input.Description ?? '').slice(0, MAX_DESCRIPTION)
      const { account } = caller
      log.warn('a user reports a status', { account, instances: ids, status, reasons, description })
      return {}
    },

    ModifyInstanceEventStartTime: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      const event = required('InstanceEventId', input.InstanceEventId)
      required('NotBefore', input.NotBefore)
      const view = await state.fresh()
      const [record] = namedInView(view, 'instance', [id], caller.account)
      const known = record === undefined ? [] : eventsOf(view, record)
      if (known.some(({ InstanceEventId }) => InstanceEventId === event)) {
        const text = `The event '${event}' of '${id}' has no deadline up to which it could be moved.`
        throw new ApiError('OperationNotPermitted', text)
      }
      const text = `The event '${event}' of '${id}' does not exist.`
      throw new ApiError('InvalidInstanceEventIDNotFound', text)
    },
  }
}

function statusOf(view: View, region: string, record: InstanceRecord): InstanceStatus {
  return {
    InstanceId: record.id,
    AvailabilityZone: zoneName(region, record.rack),
    AvailabilityZoneId: zoneIdOf(view, region, record.rack),
    InstanceState: stateOf(record.state),
    SystemStatus: systemOf(view, record),
    InstanceStatus: guestOf(view, record),
    Events: eventsOf(view, record),
  }
}

function systemOf(view: View, record: InstanceRecord): InstanceStatusSummary {
  if (record.state === 'pending') return summary('initializing', 'initializing')
  if (record.state !== 'running') return { Status: 'not-applicable' }
  const since = awaySinceMs(view, record)
  return since === null ? summary('ok', 'passed') : impaired(since)
}

function guestOf(view: View, record: InstanceRecord): InstanceStatusSummary {
  if (record.state === 'pending') return summary('initializing', 'initializing')
  if (record.state !== 'running') return { Status: 'not-applicable' }
  if (awaySinceMs(view, record) !== null) return summary('insufficient-data', 'insufficient-data')
  const { guest, guestSinceMs } = record.observed ?? {}
  switch (guest) {
    case 'initializing':
      return summary('initializing', 'initializing')
    case 'failed':
      return impaired(guestSinceMs)
    default:
      // An agent of an earlier version says only that it runs.
      return summary('ok', 'passed')
  }
}

/** Since when its host cannot be asked; 0 when that is not known, null when it can. */
function awaySinceMs(view: View, { rack, host }: InstanceRecord): number | null {
  const record = view.get('host', rack, host)
  if (record?.status?.connected !== true) return record?.awaySinceMs ?? 0
  if (isRackConnected(view, rack)) return null
  const ccs = view.withPrefix('host', `${rack}/`).filter(({ roles }) => roles.includes('cc'))
  return Math.max(0, ...ccs.map((cc: HostRecord) => cc.awaySinceMs ?? 0))
}

function impaired(sinceMs: number | undefined): InstanceStatusSummary {
  const detail = { Name: 'reachability', Status: 'failed' } as const
  const since = sinceMs === undefined || sinceMs === 0 ? {} : { ImpairedSince: new Date(sinceMs) }
  return { Status: 'impaired', Details: [{ ...detail, ...since }] }
}

function summary(
  Status: NonNullable<InstanceStatusSummary['Status']>,
  reachability: 'initializing' | 'insufficient-data' | 'passed',
): InstanceStatusSummary {
  return { Status, Details: [{ Name: 'reachability', Status: reachability }] }
}
