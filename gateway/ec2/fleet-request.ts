// What a CreateFleet request may launch: each override of each template, on demand or as spot
// instances. The guard asks about the same launches that the handler then makes.

import type {
  FleetLaunchTemplateOverrides,
  FleetLaunchTemplateSpecification,
} from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import { badValue, refuseUnknown, required, unsupported } from './input.ts'

type FleetInput = Ec2Inputs['CreateFleet']
type RunInput = Ec2Inputs['RunInstances']
type Lifecycle = 'on-demand' | 'spot'

interface FleetLaunch {
  readonly lifecycle: Lifecycle
  readonly template: FleetLaunchTemplateSpecification
  readonly overrides: FleetLaunchTemplateOverrides
  /** The launch but for its counts. */
  readonly run: Omit<RunInput, 'MinCount' | 'MaxCount'>
}

/** Units of capacity, by how they are to be had. */
type Capacities = Readonly<Record<Lifecycle, number>>

/** A fleet of one request: far below EC2's quota, and within what one answer can carry. */
const MAX_CAPACITY = 1_000
/** EC2 user guide, "EC2 Fleet quotas". */
const MAX_LAUNCHES = 300
const KNOWN = new Set([
  'ClientToken',
  'DryRun',
  'LaunchTemplateConfigs',
  'TargetCapacitySpecification',
  'Type',
  'TagSpecifications',
  'OnDemandOptions',
  'SpotOptions',
])
const NOTHING = new Map<string, readonly unknown[]>()
const CAPACITY_KNOWN = new Set([
  'TotalTargetCapacity',
  'OnDemandTargetCapacity',
  'SpotTargetCapacity',
  'DefaultTargetCapacityType',
])
const CAPACITY_HARMLESS = new Map<string, readonly unknown[]>([
  ['TargetCapacityUnitType', ['units']],
])
const CONFIG_KNOWN = new Set(['LaunchTemplateSpecification', 'Overrides'])
// A spot instance costs nothing: it is below every MaxPrice.
const OVERRIDES_KNOWN = new Set([
  'AvailabilityZone',
  'ImageId',
  'InstanceType',
  'MaxPrice',
  'Priority',
  'SubnetId',
  'WeightedCapacity',
])
// Every price is the same, and what has room has it whatever is asked: all strategies are one.
const OPTIONS_KNOWN = new Set(['AllocationStrategy'])
const SPOT_HARMLESS = new Map<string, readonly unknown[]>([
  ['InstanceInterruptionBehavior', ['terminate']],
])

/** Throws what AWS answers to the first parameter that does not fit. */
export function checkFleet(input: FleetInput): void {
  const configs = required('LaunchTemplateConfigs', input.LaunchTemplateConfigs)
  const capacity = required('TargetCapacitySpecification', input.TargetCapacitySpecification)
  const type = input.Type ?? 'maintain'
  if (type === 'maintain' || type === 'request') throw unsupported(`A fleet of the type ${type}`)
  if (type !== 'instant') throw badValue('Type', type, 'Expecting instant, request or maintain.')
  refuseUnknown(input, KNOWN, NOTHING)
  refuseUnknown(input.OnDemandOptions ?? {}, OPTIONS_KNOWN, NOTHING, 'OnDemandOptions.')
  refuseUnknown(input.SpotOptions ?? {}, OPTIONS_KNOWN, SPOT_HARMLESS, 'SpotOptions.')
  refuseUnknown(capacity, CAPACITY_KNOWN, CAPACITY_HARMLESS, 'TargetCapacitySpecification.')
  checkCapacity(input)
  for (const config of configs) {
    refuseUnknown(config, CONFIG_KNOWN, NOTHING, 'LaunchTemplateConfigs.')
    required('LaunchTemplateSpecification', config.LaunchTemplateSpecification)
    for (const one of config.Overrides ?? []) {
      refuseUnknown(one, OVERRIDES_KNOWN, NOTHING, 'LaunchTemplateConfigs.Overrides.')
      const weight = one.WeightedCapacity ?? 1
      // So a fleet never has more instances than units.
      if (!(weight >= 1)) throw badValue('WeightedCapacity', weight, 'Expecting 1 or more.')
    }
  }
  const count = fleetLaunches(input).length
  if (count > 0 && count <= MAX_LAUNCHES) return
  const why = `Expecting 1 to ${MAX_LAUNCHES} launches of templates and overrides.`
  throw badValue('LaunchTemplateConfigs', count, why)
}

/** The part that neither kind is asked for is of the default kind, which is spot (CreateFleet). */
export function capacitiesOf({
  TargetCapacitySpecification: asked,
}: Partial<FleetInput>): Capacities {
  const { TotalTargetCapacity: total = 0, DefaultTargetCapacityType: kind = 'spot' } = asked ?? {}
  const { OnDemandTargetCapacity: onDemand = 0, SpotTargetCapacity: spot = 0 } = asked ?? {}
  const rest = Math.max(0, total - onDemand - spot)
  return kind === 'on-demand'
    ? { 'on-demand': onDemand + rest, spot }
    : { 'on-demand': onDemand, spot: spot + rest }
}

/** In the order in which they are tried; of a request that nobody checked yet as well. */
export function fleetLaunches(input: Partial<FleetInput>): FleetLaunch[] {
  const capacities = capacitiesOf(input)
  const kinds = (['on-demand', 'spot'] as const).filter((kind) => capacities[kind] > 0)
  return kinds.flatMap((lifecycle) => {
    const options = lifecycle === 'spot' ? input.SpotOptions : input.OnDemandOptions
    const launches = (input.LaunchTemplateConfigs ?? []).flatMap((config) => {
      const { LaunchTemplateSpecification: template = {}, Overrides: overrides = [] } = config
      const all = overrides.length > 0 ? overrides : [{}]
      return all.map((one): FleetLaunch => {
        const shown = one as FleetLaunchTemplateOverrides
        return {
          lifecycle,
          template,
          overrides: shown,
          run: runOf(input, lifecycle, template, one),
        }
      })
    })
    if (!/prioritized/.test(options?.AllocationStrategy ?? '')) return launches
    // The lowest number is first, none is last (EC2 API reference, Priority).
    const rank = ({ overrides }: FleetLaunch): number => overrides.Priority ?? Number.MAX_VALUE
    return launches.sort((a, b) => rank(a) - rank(b))
  })
}

function runOf(
  { TagSpecifications: tags = [] }: Partial<FleetInput>,
  lifecycle: Lifecycle,
  template: FleetLaunchTemplateSpecification,
  { InstanceType, SubnetId, AvailabilityZone, ImageId }: FleetLaunchTemplateOverrides,
): FleetLaunch['run'] {
  const ofInstances = tags.filter((one) => one.ResourceType === 'instance')
  return {
    LaunchTemplate: template,
    ...(lifecycle === 'spot' ? { InstanceMarketOptions: { MarketType: 'spot' } } : {}),
    ...(ofInstances.length === 0 ? {} : { TagSpecifications: ofInstances }),
    ...(InstanceType === undefined ? {} : { InstanceType }),
    ...(SubnetId === undefined ? {} : { SubnetId }),
    ...(ImageId === undefined ? {} : { ImageId }),
    ...(AvailabilityZone === undefined ? {} : { Placement: { AvailabilityZone } }),
  }
}

function checkCapacity({ TargetCapacitySpecification: asked }: FleetInput): void {
  const total = required('TotalTargetCapacity', asked?.TotalTargetCapacity)
  if (!(total >= 1 && total <= MAX_CAPACITY)) {
    throw badValue('TotalTargetCapacity', total, `Expecting 1 to ${MAX_CAPACITY}.`)
  }
  const { OnDemandTargetCapacity: onDemand = 0, SpotTargetCapacity: spot = 0 } = asked ?? {}
  const kind = asked?.DefaultTargetCapacityType
  if (kind !== undefined && kind !== 'spot' && kind !== 'on-demand') {
    throw badValue('DefaultTargetCapacityType', kind, 'Expecting spot or on-demand.')
  }
  if (onDemand >= 0 && spot >= 0 && onDemand + spot <= total) return
  const text =
    `OnDemandTargetCapacity (${onDemand}) and SpotTargetCapacity (${spot}) are parts of ` +
    `TotalTargetCapacity (${total})`
  throw new ApiError('InvalidParameterCombination', text)
}
