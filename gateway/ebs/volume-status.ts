// DescribeVolumeStatus, and what users say of a volume that is in doubt: DescribeVolumeAttribute,
// ModifyVolumeAttribute, EnableVolumeIO. The cloud takes I/O from no volume by itself.

import type { VolumeStatusItem } from '@aws-sdk/client-ec2'
import { storedBytes } from '../../common/volume-sizes.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { absent, type Filterable, matcher } from '../ec2/filters.ts'
import { derivedId, namedInView, notFound, oneInStore } from '../ec2/ids.ts'
import { badValue, endDryRun, required } from '../ec2/input.ts'
import { pageOfShown } from '../ec2/paging.ts'
import { zoneIdOf, zoneName } from '../ec2/zones.ts'
import type { State, View } from '../store/state.ts'
import type { VolumeRecord } from '../store/volume-records.ts'
import { volumesAsked } from './volumes.ts'

type StatusHandlers = Required<
  Pick<
    Ec2Handlers,
    'DescribeVolumeStatus' | 'DescribeVolumeAttribute' | 'ModifyVolumeAttribute' | 'EnableVolumeIO'
  >
>
type Health = 'ok' | 'warning' | 'impaired' | 'insufficient-data'

const IO_ENABLED: Readonly<Record<Health, string>> = {
  ok: 'passed',
  warning: 'passed',
  impaired: 'failed',
  'insufficient-data': 'insufficient-data',
}
const IO_PERFORMANCE: Readonly<Record<Health, string>> = {
  ok: 'normal',
  warning: 'degraded',
  impaired: 'stalled',
  'insufficient-data': 'insufficient-data',
}

const FILTERABLE: Filterable<VolumeStatusItem> = {
  fields: {
    ...absent('event.not-after', 'event.not-before'),
    'action.code': (one) => one.Actions?.map(({ Code }) => Code),
    'action.description': (one) => one.Actions?.map(({ Description }) => Description),
    'action.event-id': (one) => one.Actions?.map(({ EventId }) => EventId),
    'attachment-status.instance-id': (one) =>
      one.AttachmentStatuses?.map(({ InstanceId }) => InstanceId),
    'attachment-status.io-performance': (one) =>
      one.AttachmentStatuses?.map(({ IoPerformance }) => IoPerformance),
    'availability-zone': (one) => one.AvailabilityZone,
    'event.description': (one) => one.Events?.map(({ Description }) => Description),
    'event.event-id': (one) => one.Events?.map(({ EventId }) => EventId),
    'event.event-type': (one) => one.Events?.map(({ EventType }) => EventType),
    'volume-status.details-name': (one) => one.VolumeStatus?.Details?.map(({ Name }) => Name),
    'volume-status.details-status': (one) => one.VolumeStatus?.Details?.map(({ Status }) => Status),
    'volume-status.status': (one) => one.VolumeStatus?.Status,
  },
}

export function volumeStatusHandlers({
  state,
  region,
}: {
  readonly state: State
  readonly region: string
}): StatusHandlers {
  return {
    DescribeVolumeStatus: async (context, input) => {
      const view = await state.fresh()
      const records = volumesAsked(view, context.caller.account, input)
      endDryRun(input)
      const isAsked = matcher(input.Filters, FILTERABLE)
      const show = (volume: VolumeRecord): VolumeStatusItem | null => {
        const shown = volume.state === 'deleting' ? null : statusShown(view, region, volume)
        return shown !== null && isAsked(shown) ? shown : null
      }
      const by = { cursorOf: ({ id }: VolumeRecord) => id, show }
      const page = pageOfShown(context, 'DescribeVolumeStatus', input, records, by)
      return { VolumeStatuses: [...page.items], NextToken: page.nextToken }
    },

    DescribeVolumeAttribute: async ({ caller: { account } }, input) => {
      const id = required('VolumeId', input.VolumeId)
      const attribute: string = required('Attribute', input.Attribute)
      const { autoEnableIo = false } = volumeIn(await state.fresh(), id, account)
      if (attribute !== 'autoEnableIO' && attribute !== 'productCodes') {
        throw badValue('attribute', attribute, 'Expecting autoEnableIO or productCodes.')
      }
      endDryRun(input)
      return attribute === 'productCodes'
        ? { VolumeId: id, ProductCodes: [] }
        : { VolumeId: id, AutoEnableIO: { Value: autoEnableIo } }
    },

    ModifyVolumeAttribute: async ({ caller: { account } }, input) => {
      const id = required('VolumeId', input.VolumeId)
      const autoEnableIo = required('AutoEnableIO', input.AutoEnableIO?.Value)
      await state.update(async (tx) => {
        const volume = await oneInStore(tx, 'volume', id, account)
        endDryRun(input)
        await tx.put('volume', [id], { ...volume, autoEnableIo })
      })
      return {}
    },

    EnableVolumeIO: async ({ caller: { account } }, input) => {
      const id = required('VolumeId', input.VolumeId)
      const volume = volumeIn(await state.fresh(), id, account)
      if (volume.state === 'error') {
        const text = `Volume ${id} is in error: ${volume.stateReason ?? 'its host has no bytes'}`
        throw new ApiError('IncorrectState', text)
      }
      endDryRun(input)
      return {}
    },
  }
}

function volumeIn(view: View, id: string, account: string): VolumeRecord {
  const [volume] = namedInView(view, 'volume', [id], account)
  if (volume === undefined) throw notFound('volume', [id])
  return volume
}

/** What its host says, as far as that one is heard. */
function healthOf(view: View, { rack, host, state, stateReason }: VolumeRecord): Health {
  if (state === 'error') return 'impaired'
  const isHeard = host !== '' && view.get('host', rack, host)?.status?.connected === true
  if (state === 'creating' || !isHeard) return 'insufficient-data'
  return stateReason === undefined ? 'ok' : 'warning'
}

function statusShown(view: View, region: string, volume: VolumeRecord): VolumeStatusItem {
  const { id, rack, stateReason = '' } = volume
  const health = healthOf(view, volume)
  const progress = progressOf(view, volume)
  const event = {
    EventId: derivedId('evol', id),
    EventType: health === 'impaired' ? 'potential-data-inconsistency' : 'io-performance:degraded',
    Description: stateReason,
  }
  return {
    VolumeId: id,
    AvailabilityZone: zoneName(region, rack),
    AvailabilityZoneId: zoneIdOf(view, region, rack),
    VolumeStatus: {
      Status: health,
      Details: [
        { Name: 'io-enabled', Status: IO_ENABLED[health] },
        { Name: 'io-performance', Status: IO_PERFORMANCE[health] },
        ...(progress === null
          ? []
          : [
              {
                Name: 'initialization-state' as const,
                Status: progress === 100 ? 'completed' : 'initializing',
              },
            ]),
      ],
    },
    InitializationStatusDetails:
      progress === null ? undefined : { InitializationType: 'default', Progress: progress },
    Events: stateReason === '' ? [] : [event],
    Actions: [],
    AttachmentStatuses: volume.attachments.map(({ instance }) => ({
      InstanceId: instance,
      IoPerformance: IO_PERFORMANCE[health],
    })),
  }
}

/** Per cent of its snapshot that it has; null of one without. */
function progressOf(view: View, volume: VolumeRecord): number | null {
  const { snapshot, state, missingBytes = 0, sizeGib, encrypted } = volume
  if (snapshot === '') return null
  if (state === 'creating') return 0
  if (missingBytes === 0) return 100
  // What is nothing but zeroes need not come; of a snapshot that is gone nobody knows how much.
  const data = view.get('volume-snapshot', snapshot)?.dataBytes ?? 0
  const whole = Math.max(data, missingBytes) || storedBytes(sizeGib, encrypted)
  return Math.min(99, Math.floor(100 * (1 - missingBytes / whole)))
}
