// Availability zones: a rack is one. Their names, and DescribeRegions, DescribeAvailabilityZones.

import type { AvailabilityZone, Region } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { HostRecord, RackRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { absent, type Filterable, matching } from './filters.ts'
import { badValue, endDryRun, isAsked } from './input.ts'

type ZoneHandlers = Required<Pick<Ec2Handlers, 'DescribeRegions' | 'DescribeAvailabilityZones'>>

/** Zones that a message lists. */
const MAX_NAMED_ZONES = 20
const OPT_IN = 'opt-in-not-required'

const ZONE_FILTERS: Filterable<AvailabilityZone> = {
  fields: {
    ...absent('parent-zone-id', 'parent-zone-name'),
    'group-name': (zone) => zone.GroupName,
    message: (zone) => zone.Messages?.map((one) => one.Message),
    'opt-in-status': (zone) => zone.OptInStatus,
    'region-name': (zone) => zone.RegionName,
    state: (zone) => zone.State,
    'zone-id': (zone) => zone.ZoneId,
    'zone-name': (zone) => zone.ZoneName,
    'zone-type': (zone) => zone.ZoneType,
  },
}

const REGION_FILTERS: Filterable<Region> = {
  fields: {
    endpoint: (region) => region.Endpoint,
    'opt-in-status': (region) => region.OptInStatus,
    'region-name': (region) => region.RegionName,
  },
}

export function zoneName(region: string, rack: string): string {
  return `${region}-${rack}`
}

/** AWS's zone ids name a place the same for every account; ours number the rack. */
export function zoneId(region: string, rack: RackRecord): string {
  return `${region}-az${rack.index}`
}

/** The id of the zone of a rack that may be gone by now. */
export function zoneIdOf(view: View, region: string, rack: string): string | undefined {
  if (rack === EVERY_RACK) return everyZoneId(region)
  const record = view.get('rack', rack)
  return record === null ? undefined : zoneId(region, record)
}

/** No rack has the index 0. */
function everyZoneId(region: string): string {
  return `${region}-az0`
}

/**
 * The rack of a zone that a request names by name, id or both; EVERY_RACK for stretched subnets'
 * zone, null when it names none.
 */
export function rackOfZone(
  view: View,
  region: string,
  { name, id }: { name: string | undefined; id: string | undefined },
): string | null {
  const racks = [...view.all('rack').map((rack) => rack.name), EVERY_RACK]
  const byName = racks.find((rack) => zoneName(region, rack) === name)
  const byId = racks.find((rack) => zoneIdOf(view, region, rack) === id)
  if (name !== undefined && byName === undefined) throw badZone(view, region, name)
  if (id !== undefined && byId === undefined) throw badZone(view, region, id)
  if (byName !== undefined && byId !== undefined && byName !== byId) {
    const text = `The availability zone ${name} does not have the ID ${id}`
    throw new ApiError('InvalidParameterCombination', text)
  }
  return byName ?? byId ?? null
}

function badZone(view: View, region: string, given: string): ApiError {
  const zones = view.all('rack').map((rack) => zoneName(region, rack.name))
  const shown = [...zones.slice(0, MAX_NAMED_ZONES), zoneName(region, EVERY_RACK)].join(', ')
  const why = `Subnets can currently only be created in the following availability zones: ${shown}.`
  return badValue('availabilityZone', given, why)
}

/** Does the rack have a CC whose session is open? Without one nothing reaches its hosts. */
export function isRackConnected(view: View, rack: string): boolean {
  return view.withPrefix('host', `${rack}/`).some(isConnectedCc)
}

function isConnectedCc({ roles, status }: HostRecord): boolean {
  return roles.includes('cc') && status?.connected === true
}

export function zoneHandlers({
  state,
  region,
  endpoint,
}: {
  state: State
  region: string
  endpoint: string | undefined
}): ZoneHandlers {
  return {
    DescribeRegions: async (_context, input) => {
      const peers = (await state.fresh()).all('peer').map((peer) => peer.region)
      const known = [region, ...peers]
      const unknown = (input.RegionNames ?? []).filter((name) => !known.includes(name))
      if (unknown.length > 0) {
        const text = `Invalid region names: [${unknown.join(', ')}]`
        throw new ApiError('InvalidParameterValue', text)
      }
      endDryRun(input)
      // A peer cloud's endpoint is its own users' matter: nothing there knows keys of this cloud.
      const regions: Region[] = [
        { RegionName: region, Endpoint: endpoint, OptInStatus: OPT_IN },
        ...peers.map((name) => ({ RegionName: name, OptInStatus: OPT_IN })),
      ]
      const asked = input.RegionNames ?? known
      const named = regions.filter(({ RegionName = '' }) => asked.includes(RegionName))
      return { Regions: matching<Region>(named, input.Filters, REGION_FILTERS) }
    },

    DescribeAvailabilityZones: async (_context, input) => {
      const view = await state.fresh()
      const every = everyZone(region)
      const isNamed =
        input.ZoneNames?.includes(every.ZoneName ?? '') === true ||
        input.ZoneIds?.includes(every.ZoneId ?? '') === true
      const racks = view.all('rack').map((rack) => zoneOf(view, region, rack))
      const zones = isNamed ? [...racks, every] : racks
      checkNamed(
        'zone name',
        input.ZoneNames,
        zones.map((zone) => zone.ZoneName),
      )
      checkNamed(
        'zone ID',
        input.ZoneIds,
        zones.map((zone) => zone.ZoneId),
      )
      endDryRun(input)
      const named = zones.filter(
        ({ ZoneName = '', ZoneId = '' }) =>
          isAsked(input.ZoneNames, ZoneName) && isAsked(input.ZoneIds, ZoneId),
      )
      return { AvailabilityZones: matching(named, input.Filters, ZONE_FILTERS) }
    },
  }
}

function zoneOf(view: View, region: string, rack: RackRecord): AvailabilityZone {
  const name = zoneName(region, rack.name)
  const isConnected = isRackConnected(view, rack.name)
  const messages: string[] = []
  if (!isConnected) {
    messages.push('The rack is not connected: its instances run on, and none can be started.')
  }
  if (rack.state === 'draining') {
    messages.push('The rack is being drained: no instance can be started in it.')
  }
  return {
    State: isConnected ? (rack.state === 'draining' ? 'constrained' : 'available') : 'impaired',
    OptInStatus: OPT_IN,
    Messages: messages.map((Message) => ({ Message })),
    RegionName: region,
    ZoneName: name,
    ZoneId: zoneId(region, rack),
    GroupName: region,
    NetworkBorderGroup: region,
    ZoneType: 'availability-zone',
  }
}

/** Of stretched subnets. Shown by name only: many clients put something into every zone shown. */
function everyZone(region: string): AvailabilityZone {
  return {
    State: 'available',
    OptInStatus: OPT_IN,
    Messages: [{ Message: 'Subnets in this zone span all racks.' }],
    RegionName: region,
    ZoneName: zoneName(region, EVERY_RACK),
    ZoneId: everyZoneId(region),
    GroupName: region,
    NetworkBorderGroup: region,
    ZoneType: 'availability-zone',
  }
}

function checkNamed(
  what: string,
  asked: readonly string[] | undefined,
  there: readonly (string | undefined)[],
): void {
  const unknown = (asked ?? []).find((name) => !there.includes(name))
  if (unknown === undefined) return
  throw new ApiError('InvalidParameterValue', `Invalid availability ${what}: [${unknown}]`)
}
