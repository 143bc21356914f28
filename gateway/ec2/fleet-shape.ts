// What a fleet is by now: the instances that have its tag, what was launched and what was refused.

import type { CreateFleetError, CreateFleetInstance, FleetData } from '@aws-sdk/client-ec2'
import type { FleetRecord } from '../store/compute-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { capacitiesOf, fleetLaunches } from './fleet-request.ts'
import { tagsOf } from './tagging.ts'
import { zoneIdOf, zoneName } from './zones.ts'

/** Of its instances; users neither set it nor take it away. */
export const FLEET_TAG = 'aws:ec2:fleet-id'

export function fleetShape(view: View, region: string, fleet: FleetRecord): FleetData {
  const { request, clientToken } = fleet
  const { errors, instances } = resultsOf(view, region, fleet)
  const launches = fleetLaunches(request)
  const fulfilled = { 'on-demand': 0, spot: 0 }
  for (const { launch, reservation } of fleet.launched) {
    const one = launches[launch]
    if (one === undefined) continue
    const alive = membersOf(view, fleet).filter(
      (member) => member.reservation === reservation && member.desired !== 'terminated',
    )
    fulfilled[one.lifecycle] += alive.length * (one.overrides.WeightedCapacity ?? 1)
  }
  const capacities = capacitiesOf(request)
  const total = fulfilled['on-demand'] + fulfilled.spot
  const isFulfilled =
    fulfilled['on-demand'] >= capacities['on-demand'] && fulfilled.spot >= capacities.spot
  return {
    FleetId: fleet.id,
    FleetState: fleetState(view, fleet),
    ActivityStatus: isFulfilled ? 'fulfilled' : errors.length > 0 ? 'error' : undefined,
    CreateTime: new Date(fleet.createdAtMs),
    ClientToken: clientToken === '' ? undefined : clientToken,
    Type: 'instant',
    FulfilledCapacity: total,
    FulfilledOnDemandCapacity: fulfilled['on-demand'],
    LaunchTemplateConfigs: request.LaunchTemplateConfigs as FleetData['LaunchTemplateConfigs'],
    TargetCapacitySpecification: {
      TotalTargetCapacity: request.TargetCapacitySpecification?.TotalTargetCapacity,
      OnDemandTargetCapacity: capacities['on-demand'],
      SpotTargetCapacity: capacities.spot,
      DefaultTargetCapacityType:
        request.TargetCapacitySpecification?.DefaultTargetCapacityType ?? 'spot',
    },
    TerminateInstancesWithExpiration: false,
    ReplaceUnhealthyInstances: false,
    Errors: errors,
    // Where they are only the answer of CreateFleet says.
    Instances: instances.map(({ AvailabilityZone, AvailabilityZoneId, SubnetId, ...one }) => one),
    Tags: [],
  }
}

export function membersOf(
  view: View,
  { id, account }: Pick<FleetRecord, 'id' | 'account'>,
): InstanceRecord[] {
  return view
    .instancesOf('account', account)
    .filter((one) => tagsOf(view.get('tags', one.id)).get(FLEET_TAG) === id)
}

export function fleetState(
  view: View,
  fleet: FleetRecord,
): 'active' | 'deleted_terminating' | 'deleted' {
  if (fleet.deletedAtMs === null) return 'active'
  const isOver = membersOf(view, fleet).every((one) => one.state === 'terminated')
  return isOver ? 'deleted' : 'deleted_terminating'
}

export function resultsOf(
  view: View,
  region: string,
  fleet: FleetRecord,
): { errors: CreateFleetError[]; instances: CreateFleetInstance[] } {
  const launches = fleetLaunches(fleet.request)
  const partsOf = (index: number): CreateFleetError => ({
    Lifecycle: launches[index]?.lifecycle,
    LaunchTemplateAndOverrides: {
      LaunchTemplateSpecification: launches[index]?.template,
      Overrides: launches[index]?.overrides,
    },
  })
  const members = membersOf(view, fleet)
  const instances = fleet.launched.flatMap(({ launch, reservation }) => {
    const all = members.filter((one) => one.reservation === reservation)
    const subnets = [...new Set(all.map((one) => one.subnet))]
    return subnets.map((subnet): CreateFleetInstance => {
      const there = all.filter((one) => one.subnet === subnet)
      const rack = there[0]?.rack ?? ''
      return {
        ...partsOf(launch),
        InstanceIds: there.map((one) => one.id),
        InstanceType: there[0]?.type as NonNullable<CreateFleetInstance['InstanceType']>,
        AvailabilityZone: zoneName(region, rack),
        AvailabilityZoneId: zoneIdOf(view, region, rack),
        SubnetId: subnet,
      }
    })
  })
  const errors = fleet.errors.map(({ launch, code, message }) => ({
    ...partsOf(launch),
    ErrorCode: code,
    ErrorMessage: message,
  }))
  return { errors, instances }
}
