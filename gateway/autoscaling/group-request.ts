// The requests that make or change a group: every parameter is checked here for its form; one that
// this cloud cannot honour is refused by name. What the named things are is group-places.ts's and
// group-launch.ts's business.

import type { AutoScalingInputs } from '../aws/handlers.ts'
import { refuseUnknown, unsupported } from '../ec2/input.ts'
import type { ScalingGroupRecord, ScalingWish } from '../store/scaling-records.ts'
import { invalid, within } from './errors.ts'

type CreateInput = AutoScalingInputs['CreateAutoScalingGroup']
type UpdateInput = AutoScalingInputs['UpdateAutoScalingGroup']
/** What both say in the same way; places and templates are looked up elsewhere. */
type Settings = Omit<
  ScalingWish,
  'template' | 'overrides' | 'mixed' | 'spot' | 'zones' | 'subnets' | 'targetGroups'
>

/** Auto Scaling API reference, DefaultCooldown and TerminationPolicies. */
const DEFAULT_COOLDOWN = 300
const DAY_SECONDS = 86_400
const MAX_LIFETIME = 31_536_000
const MAX_SECONDS = 2 ** 31 - 1
/** Auto Scaling user guide, "Quotas": so many instances of one group here. */
export const MAX_SIZE = 1_000
const NAME_CHARS = 255
const NAME = /^[!-9;-~][ -9;-~]*$/

export const TERMINATION_POLICIES = [
  'AllocationStrategy',
  'ClosestToNextInstanceHour',
  'Default',
  'NewestInstance',
  'OldestInstance',
  'OldestLaunchConfiguration',
  'OldestLaunchTemplate',
] as const
const HEALTH_CHECKS: readonly string[] = ['EC2', 'ELB']
const ROLE = 'AWSServiceRoleForAutoScaling'

const KNOWN = new Set([
  ...['AutoScalingGroupName', 'LaunchTemplate', 'MixedInstancesPolicy', 'MinSize', 'MaxSize'],
  ...['DesiredCapacity', 'DefaultCooldown', 'AvailabilityZones', 'AvailabilityZoneIds'],
  ...['VPCZoneIdentifier', 'HealthCheckType', 'HealthCheckGracePeriod', 'PlacementGroup'],
  ...['TerminationPolicies', 'NewInstancesProtectedFromScaleIn', 'ServiceLinkedRoleARN'],
  ...['MaxInstanceLifetime', 'DefaultInstanceWarmup', 'DeletionProtection'],
  // Nothing shifts zones here: there is nothing to validate.
  ...['AvailabilityZoneDistribution', 'SkipZonalShiftValidation'],
])
const CREATE_KNOWN = new Set([
  ...KNOWN,
  ...['Tags', 'TargetGroupARNs', 'TrafficSources', 'LoadBalancerNames'],
  'LifecycleHookSpecificationList',
])
/** Values that ask for what every group has anyway. */
const HARMLESS = new Map<string, readonly unknown[]>([
  ['CapacityRebalance', [false]],
  ['DesiredCapacityType', ['units']],
  ['InstanceMaintenancePolicy', [{ MinHealthyPercentage: -1, MaxHealthyPercentage: -1 }]],
  ['AvailabilityZoneImpairmentPolicy', [{ ZonalShiftEnabled: false }]],
  ['CapacityReservationSpecification', [{ CapacityReservationPreference: 'default' }]],
])

export function serviceRole(account: string): string {
  return `arn:aws:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/${ROLE}`
}

/** Throws what AWS answers to the first parameter that does not fit. */
export function parseCreate(account: string, input: CreateInput): Settings & { name: string } {
  refuseUnknown(input, CREATE_KNOWN, HARMLESS)
  const name = parseName(input.AutoScalingGroupName ?? '')
  const min = within('minSize', input.MinSize ?? 0, 0, MAX_SIZE)
  const max = within('maxSize', input.MaxSize ?? 0, 0, MAX_SIZE)
  const settings: Settings = {
    ...{ min, max, desired: input.DesiredCapacity ?? min },
    ...{ distribution: 'balanced-best-effort', placementGroup: '', healthCheckType: 'EC2' },
    ...{ gracePeriodSeconds: 0, cooldownSeconds: DEFAULT_COOLDOWN, warmupSeconds: null },
    ...{ terminationPolicies: ['Default'], protectsNew: false, deletionProtection: 'none' },
    maxLifetimeSeconds: 0,
    ...sameOf(account, input),
  }
  checkSizes(settings)
  return { name, ...settings }
}

/** What changes of the group. A desired capacity that no longer fits follows its bounds. */
export function parseUpdate(
  account: string,
  group: ScalingGroupRecord,
  input: UpdateInput,
): Partial<Settings> {
  refuseUnknown(input, KNOWN, HARMLESS)
  const min = within('minSize', input.MinSize ?? group.min, 0, MAX_SIZE)
  const max = within('maxSize', input.MaxSize ?? group.max, 0, MAX_SIZE)
  if (max < min) throw badBounds(min, max)
  const desired = input.DesiredCapacity ?? Math.min(max, Math.max(min, group.desired))
  checkSizes({ min, max, desired })
  return { min, max, desired, ...sameOf(account, input) }
}

function parseName(name: string): string {
  if (name.length <= NAME_CHARS && NAME.test(name)) return name
  throw invalid(
    `1 validation error detected: Value '${name.slice(0, 300)}' at 'autoScalingGroupName' failed ` +
      'to satisfy constraint: Member must be 1 to 255 printable ASCII characters without a colon',
  )
}

function checkSizes({ min, max, desired }: Pick<ScalingWish, 'min' | 'max' | 'desired'>): void {
  if (max < min) throw badBounds(min, max)
  if (desired >= min && desired <= max) return
  throw invalid(
    `Desired capacity:${desired} must be between the specified min size:${min} and max size:${max}`,
  )
}

function badBounds(min: number, max: number): Error {
  return invalid(`Max bound, ${max}, must be greater than or equal to min bound, ${min}`)
}

/** Only what the request says. */
function sameOf(account: string, input: UpdateInput): Partial<Settings> {
  const { DefaultCooldown, HealthCheckGracePeriod, DefaultInstanceWarmup, MaxInstanceLifetime } =
    input
  const { PlacementGroup, HealthCheckType, TerminationPolicies, DeletionProtection } = input
  const protectsNew = input.NewInstancesProtectedFromScaleIn
  const distribution = input.AvailabilityZoneDistribution?.CapacityDistributionStrategy
  if (distribution === 'reservations-then-balanced') {
    throw unsupported(`The distribution ${distribution}`)
  }
  const role = input.ServiceLinkedRoleARN
  if (role !== undefined && role !== serviceRole(account)) {
    throw unsupported(`The service-linked role ${role.slice(0, 200)}`)
  }
  return {
    ...(DefaultCooldown === undefined
      ? {}
      : { cooldownSeconds: seconds('defaultCooldown', DefaultCooldown) }),
    ...(HealthCheckGracePeriod === undefined
      ? {}
      : { gracePeriodSeconds: seconds('healthCheckGracePeriod', HealthCheckGracePeriod) }),
    ...(DefaultInstanceWarmup === undefined
      ? {}
      : { warmupSeconds: warmup(DefaultInstanceWarmup) }),
    ...(MaxInstanceLifetime === undefined
      ? {}
      : { maxLifetimeSeconds: lifetime(MaxInstanceLifetime) }),
    ...(PlacementGroup === undefined ? {} : { placementGroup: PlacementGroup }),
    ...(HealthCheckType === undefined ? {} : { healthCheckType: healthChecks(HealthCheckType) }),
    ...(TerminationPolicies === undefined || TerminationPolicies.length === 0
      ? {}
      : { terminationPolicies: policies(TerminationPolicies) }),
    ...(protectsNew === undefined ? {} : { protectsNew }),
    ...(DeletionProtection === undefined ? {} : { deletionProtection: DeletionProtection }),
    ...(distribution === undefined ? {} : { distribution }),
  }
}

function seconds(name: string, value: number): number {
  return within(name, value, 0, MAX_SECONDS)
}

/** -1 takes it away again. */
function warmup(value: number): number | null {
  return value === -1 ? null : seconds('defaultInstanceWarmup', value)
}

function lifetime(value: number): number {
  return value === 0 ? 0 : within('maxInstanceLifetime', value, DAY_SECONDS, MAX_LIFETIME)
}

function healthChecks(text: string): string {
  const types = text.split(',').map((one) => one.trim())
  const other = types.find((type) => !HEALTH_CHECKS.includes(type))
  if (other === 'EBS' || other === 'VPC_LATTICE') throw unsupported(`The health check ${other}`)
  if (other !== undefined) throw invalid(`Unsupported health check type ${other.slice(0, 50)}`)
  return [...new Set(types)].join(',')
}

function policies(names: readonly string[]): readonly string[] {
  const known: readonly string[] = TERMINATION_POLICIES
  const other = names.find((name) => !known.includes(name))
  if (other === undefined) return names
  if (other.startsWith('arn:')) throw unsupported('A termination policy of a function')
  const all = `[${TERMINATION_POLICIES.join(', ')}]`
  throw invalid(
    `The following termination policies are invalid: [${other.slice(0, 100)}]. Valid: ${all}`,
  )
}
