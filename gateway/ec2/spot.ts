// Spot instances: this cloud has no spare capacity to sell by the hour, so a spot instance is one
// of the usual capacity that nobody ever interrupts, at a price of nothing; or the operator refuses
// them. A request is a part of the instance that it got.

import type { SpotInstanceRequest, SpotPrice } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { badValue, endDryRun, isAsked, refuseUnknown, required, unsupported } from './input.ts'
import { instanceType, instanceTypes } from './instance-types.ts'
import { pageOf } from './paging.ts'
import { zoneId, zoneIdOf, zoneName } from './zones.ts'

type SpotHandlers = Required<
  Pick<
    Ec2Handlers,
    'CancelSpotInstanceRequests' | 'DescribeSpotInstanceRequests' | 'DescribeSpotPriceHistory'
  >
>
type Market = NonNullable<Ec2Inputs['RunInstances']['InstanceMarketOptions']>

const ID = /^sir-(?:[0-9a-f]{8}|[0-9a-f]{17})$/
const PRICE = '0.000000'
const PLATFORM = 'Linux/UNIX'
const OPTIONS_KNOWN = new Set(['MaxPrice'])
const OPTIONS_HARMLESS = new Map<string, readonly unknown[]>([
  ['SpotInstanceType', ['one-time']],
  ['InstanceInterruptionBehavior', ['terminate']],
])

const REQUEST_FILTERS: Filterable<SpotInstanceRequest> = {
  fields: {
    ...absent('availability-zone-group', 'fault-code', 'fault-message', 'launch-group'),
    'create-time': (one) => one.CreateTime?.toISOString(),
    'instance-id': (one) => one.InstanceId,
    'launched-availability-zone': (one) => one.LaunchedAvailabilityZone,
    'launched-availability-zone-id': (one) => one.LaunchedAvailabilityZoneId,
    'product-description': (one) => one.ProductDescription,
    'spot-instance-request-id': (one) => one.SpotInstanceRequestId,
    'spot-price': (one) => one.SpotPrice,
    state: (one) => one.State,
    'status-code': (one) => one.Status?.Code,
    type: (one) => one.Type,
  },
  tags: (one) => one.Tags,
}
const PRICE_FILTERS: Filterable<SpotPrice> = {
  fields: {
    'availability-zone': (one) => one.AvailabilityZone,
    'availability-zone-id': (one) => one.AvailabilityZoneId,
    'instance-type': (one) => one.InstanceType,
    'product-description': (one) => one.ProductDescription,
    'spot-price': (one) => one.SpotPrice,
    timestamp: (one) => one.Timestamp?.toISOString(),
  },
}

/** Does a launch ask for spot instances? Throws for kinds of them that this cloud has not got. */
export function parseMarket(market: Market | undefined, view: View): boolean {
  if (market?.MarketType === undefined) {
    if (market?.SpotOptions === undefined) return false
    throw new ApiError('MissingParameter', 'The request must contain the parameter MarketType')
  }
  if (market.MarketType !== 'spot') throw unsupported(`The market type ${market.MarketType}`)
  const options = market.SpotOptions ?? {}
  refuseUnknown(options, OPTIONS_KNOWN, OPTIONS_HARMLESS, 'InstanceMarketOptions.SpotOptions.')
  const { MaxPrice: price } = options
  if (price !== undefined && !/^\d{1,9}(?:\.\d{1,9})?$/.test(price)) {
    throw badValue('SpotOptions.MaxPrice', price, 'Expecting a price in dollars an hour.')
  }
  if (!hasSpot(view)) throw unsupported('By its policy, a spot instance')
  return true
}

export function spotHandlers({ state, region }: { state: State; region: string }): SpotHandlers {
  return {
    DescribeSpotInstanceRequests: async (context, input) => {
      const view = await state.fresh()
      const named = requestsNamed(view, context.caller.account, input.SpotInstanceRequestIds)
      endDryRun(input)
      const shown = named.map((record) => requestOf(view, region, record))
      const found = matching(shown, input.Filters, REQUEST_FILTERS)
      const cursor = (one: SpotInstanceRequest): string => one.SpotInstanceRequestId ?? ''
      const action = 'DescribeSpotInstanceRequests'
      const { items, nextToken } = pageOf(context, action, input, found, cursor)
      return { SpotInstanceRequests: [...items], NextToken: nextToken }
    },

    CancelSpotInstanceRequests: async ({ caller, nowMs }, input) => {
      const ids = required('SpotInstanceRequestId', input.SpotInstanceRequestIds)
      const named = requestsNamed(await state.fresh(), caller.account, ids)
      const cancelled = await state.update(async (tx) => {
        const records: InstanceRecord[] = []
        for (const { id } of named) {
          const record = await tx.get('instance', id)
          if (record?.spot === undefined) throw unknownRequest(id)
          records.push(record)
        }
        endDryRun(input)
        const next = records.map((record) => cancelledAt(record, nowMs))
        for (const record of next) await tx.put('instance', [record.id], record)
        return next
      })
      return {
        CancelledSpotInstanceRequests: cancelled.map((record) => ({
          SpotInstanceRequestId: record.spot?.request,
          State: stateOfRequest(record)[0],
        })),
      }
    },

    DescribeSpotPriceHistory: async (context, input) => {
      const view = await state.fresh()
      const unknown = input.InstanceTypes?.find((name) => instanceType(view, name) === null)
      if (unknown !== undefined) {
        throw badValue('instanceType', unknown, 'There is no such instance type.')
      }
      endDryRun(input)
      const asked = pricesOf(view, region).filter(
        (price) =>
          isAsked(input.InstanceTypes, price.InstanceType ?? '') &&
          isAsked(input.ProductDescriptions, PLATFORM) &&
          (input.AvailabilityZone ?? price.AvailabilityZone) === price.AvailabilityZone &&
          (input.AvailabilityZoneId ?? price.AvailabilityZoneId) === price.AvailabilityZoneId &&
          (input.EndTime ?? context.nowMs) >= (price.Timestamp ?? 0),
      )
      const found = matching(asked, input.Filters, PRICE_FILTERS)
      const cursor = (one: SpotPrice): string => `${one.InstanceType} ${one.AvailabilityZone}`
      const action = 'DescribeSpotPriceHistory'
      const { items, nextToken } = pageOf(context, action, input, found, cursor, 1_000, 1)
      // An empty token, not an absent one, ends the list (EC2 API reference).
      return { SpotPriceHistory: [...items], NextToken: nextToken ?? '' }
    },
  }
}

function hasSpot(view: View): boolean {
  return view.get('cloud', 'self')?.spot !== 'refused'
}

/** It was never anything else: one entry for each type and zone, as old as the cloud. */
function pricesOf(view: View, region: string): SpotPrice[] {
  if (!hasSpot(view)) return []
  const Timestamp = new Date(view.get('cloud', 'self')?.createdAtMs ?? 0)
  return instanceTypes(view).flatMap(({ name }) =>
    view.all('rack').map((rack) => ({
      InstanceType: name as NonNullable<SpotPrice['InstanceType']>,
      ProductDescription: PLATFORM,
      SpotPrice: PRICE,
      Timestamp,
      AvailabilityZone: zoneName(region, rack.name),
      AvailabilityZoneId: zoneId(region, rack),
    })),
  )
}

function requestsNamed(
  view: View,
  account: string,
  ids: readonly string[] | undefined,
): InstanceRecord[] {
  const all = view.instancesOf('account', account).filter((one) => one.spot !== undefined)
  if (ids === undefined || ids.length === 0) return all
  return [...new Set(ids)].map((id) => {
    if (!ID.test(id)) {
      const text = `Invalid id: "${id.slice(0, 100)}" (expecting "sir-...")`
      throw new ApiError('InvalidSpotInstanceRequestID.Malformed', text)
    }
    const found = all.find((one) => one.spot?.request === id)
    if (found === undefined) throw unknownRequest(id)
    return found
  })
}

function unknownRequest(id: string): ApiError {
  const text = `The spot instance request ID '${id}' does not exist`
  return new ApiError('InvalidSpotInstanceRequestID.NotFound', text)
}

/** Once more is no error; the instance runs on. */
function cancelledAt(record: InstanceRecord, nowMs: number): InstanceRecord {
  const { spot } = record
  if (spot === undefined || record.state === 'terminated') return record
  return { ...record, spot: { ...spot, cancelledAtMs: spot.cancelledAtMs ?? nowMs } }
}

/** State and status code (EC2 user guide, "Spot request status"). */
function stateOfRequest({
  spot,
  desired,
}: InstanceRecord): ['active' | 'cancelled' | 'closed', string] {
  const isCancelled = typeof spot?.cancelledAtMs === 'number'
  if (desired === 'terminated') {
    return [isCancelled ? 'cancelled' : 'closed', 'instance-terminated-by-user']
  }
  if (isCancelled) return ['cancelled', 'request-canceled-and-instance-running']
  return ['active', 'fulfilled']
}

function requestOf(view: View, region: string, record: InstanceRecord): SpotInstanceRequest {
  const [state, code] = stateOfRequest(record)
  return {
    SpotInstanceRequestId: record.spot?.request,
    InstanceId: record.id,
    State: state,
    Status: { Code: code, UpdateTime: new Date(record.spot?.cancelledAtMs ?? record.launchedAtMs) },
    Type: 'one-time',
    InstanceInterruptionBehavior: 'terminate',
    SpotPrice: PRICE,
    ProductDescription: PLATFORM,
    CreateTime: new Date(record.launchedAtMs),
    LaunchedAvailabilityZone: zoneName(region, record.rack),
    LaunchedAvailabilityZoneId: zoneIdOf(view, region, record.rack),
    LaunchSpecification: {
      ImageId: record.image,
      InstanceType: record.type as NonNullable<SpotPrice['InstanceType']>,
      SubnetId: record.subnet,
      KeyName: record.keyName === '' ? undefined : record.keyName,
    },
    Tags: [],
  }
}
