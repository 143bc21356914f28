// Where a group launches: the zones and subnets that a request names, and what they are now.

import { zoneIdOf, zoneName } from '../ec2/zones.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { SubnetRecord } from '../store/records.ts'
import type { ScalingGroupRecord, ScalingWish } from '../store/scaling-records.ts'
import type { View } from '../store/state.ts'
import { invalid } from './errors.ts'

export type Places = Pick<ScalingWish, 'zones' | 'subnets'>

interface PlacesAsked {
  readonly AvailabilityZones?: readonly string[] | undefined
  readonly AvailabilityZoneIds?: readonly string[] | undefined
  readonly VPCZoneIdentifier?: string | undefined
}

/** A rack that a group may launch in; '' is its default subnet. */
export interface GroupZone {
  readonly rack: string
  readonly subnets: readonly string[]
}

/** Subnets of one group. */
const MAX_SUBNETS = 100

/** Null when the request says nothing of it. Throws ValidationError for what is not there. */
export function placesAsked(
  view: View,
  { region, account }: { readonly region: string; readonly account: string },
  input: PlacesAsked,
): Places | null {
  const subnets = (input.VPCZoneIdentifier ?? '').split(',').map((one) => one.trim())
  const ids = [...new Set(subnets.filter((one) => one !== ''))]
  const zones = zonesAsked(view, region, input)
  if (ids.length === 0) return zones.length === 0 ? null : { zones, subnets: [] }
  if (ids.length > MAX_SUBNETS) throw invalid(`A group has at most ${MAX_SUBNETS} subnets.`)
  const records = ids.map((id) => {
    const record = view.get('subnet', id)
    if (record?.account === account) return record
    throw invalid(`The subnet ID '${id.slice(0, 100)}' does not exist`)
  })
  if (new Set(records.map(({ vpc }) => vpc)).size > 1) {
    throw invalid('The subnets of an AutoScalingGroup must be in one VPC')
  }
  const own = [...new Set(records.map(({ rack }) => rack))]
  const isSame = zones.length === own.length && zones.every((zone) => own.includes(zone))
  if (zones.length > 0 && !isSame) {
    throw invalid(
      'The availability zones of the specified subnets and the AutoScalingGroup do not match',
    )
  }
  return { zones: own, subnets: ids }
}

function zonesAsked(view: View, region: string, input: PlacesAsked): string[] {
  const racks = [...view.all('rack').map(({ name }) => name), EVERY_RACK]
  const byName = (input.AvailabilityZones ?? []).map((zone) => {
    const rack = racks.find((one) => zoneName(region, one) === zone)
    if (rack === undefined) throw invalid(`Invalid availability zones: [${zone.slice(0, 100)}]`)
    return rack
  })
  const byId = (input.AvailabilityZoneIds ?? []).map((id) => {
    const rack = racks.find((one) => zoneIdOf(view, region, one) === id)
    if (rack === undefined) throw invalid(`Invalid availability zone IDs: [${id.slice(0, 100)}]`)
    return rack
  })
  return [...new Set([...byName, ...byId])]
}

/** The racks of a group, and its subnets there that are left; stretched ones are in every rack. */
export function zonesOf(view: View, { zones, subnets }: Places): GroupZone[] {
  const records = subnets.map((id) => view.get('subnet', id)).filter((one) => one !== null)
  const every = view.all('rack').map(({ name }) => name)
  const racks = zones.includes(EVERY_RACK) ? every : zones.filter((rack) => every.includes(rack))
  const all: GroupZone[] = racks.map((rack) => ({
    rack,
    subnets: subnets.length === 0 ? [''] : subnetsIn(records, rack),
  }))
  return all.filter((zone) => zone.subnets.length > 0)
}

function subnetsIn(records: readonly SubnetRecord[], rack: string): string[] {
  return records.filter((one) => one.rack === rack || one.rack === EVERY_RACK).map(({ id }) => id)
}

/** As DescribeAutoScalingGroups shows them. */
export function zonesShown(view: View, region: string, { zones }: ScalingGroupRecord) {
  return {
    AvailabilityZones: zones.map((rack) => zoneName(region, rack)),
    AvailabilityZoneIds: zones.flatMap((rack) => zoneIdOf(view, region, rack) ?? []),
  }
}
