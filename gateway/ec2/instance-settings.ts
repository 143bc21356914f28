// What can be said of an instance at its launch and later, and what holds when nothing is said.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import type { InstanceRecord, InstanceSettings } from '../store/records.ts'
import { badValue, refuseUnknown, unsupported } from './input.ts'
import type { InstanceTypeSpec } from './instance-types.ts'

type RunInput = Ec2Inputs['RunInstances']
type ReservationInput = NonNullable<RunInput['CapacityReservationSpecification']>

/** As AWS does (EC2 API reference, RunInstances). */
const DEFAULTS: InstanceSettings = {
  shutdownBehavior: 'stop',
  disableApiStop: false,
  disableApiTermination: false,
  monitoring: false,
  autoRecovery: 'default',
  capacityReservations: 'open',
  hostnameType: '',
}
/** Parameters of RunInstances that parseSettings reads. */
export const SETTINGS = [
  'InstanceInitiatedShutdownBehavior',
  'DisableApiStop',
  'DisableApiTermination',
  'Monitoring',
  'MaintenanceOptions',
  'CapacityReservationSpecification',
  'HibernationOptions',
  'CpuOptions',
  'CreditSpecification',
]
const MAX_USER_DATA_BYTES = 16 << 10

export function settingsOf({ settings }: InstanceRecord): InstanceSettings {
  return { ...DEFAULTS, ...settings }
}

/** What a launch says of it. Throws what AWS answers to a value that cannot be. */
export function parseSettings(input: RunInput, type: InstanceTypeSpec): Partial<InstanceSettings> {
  if (input.HibernationOptions?.Configured === true) {
    const text =
      'The instance could not be launched because it does not meet the prerequisites for ' +
      'hibernation, which no instance type here does.'
    throw new ApiError('UnsupportedHibernationConfiguration', text)
  }
  checkCpuOptions(input.CpuOptions ?? {}, type)
  checkCredits(input.CreditSpecification?.CpuCredits, type)
  const behavior = input.InstanceInitiatedShutdownBehavior
  const maintenance = input.MaintenanceOptions ?? {}
  refuseUnknown(maintenance, new Set(['AutoRecovery']), new Map(), 'MaintenanceOptions.')
  return withoutAbsent({
    shutdownBehavior: behavior === undefined ? undefined : parseShutdownBehavior(behavior),
    disableApiStop: input.DisableApiStop,
    disableApiTermination: input.DisableApiTermination,
    monitoring: input.Monitoring?.Enabled,
    autoRecovery: parseAutoRecovery(maintenance.AutoRecovery),
    capacityReservations: parseReservations(input.CapacityReservationSpecification),
    hostnameType: parseHostnameType(input.PrivateDnsNameOptions?.HostnameType),
  })
}

/** Throws InvalidParameterValue. */
export function parseShutdownBehavior(value: string): InstanceSettings['shutdownBehavior'] {
  if (value === 'stop' || value === 'terminate') return value
  throw badValue('instanceInitiatedShutdownBehavior', value, 'Expecting stop or terminate.')
}

/** Throws InvalidParameterValue. */
export function parseAutoRecovery(
  value: string | undefined,
): InstanceSettings['autoRecovery'] | undefined {
  if (value === undefined || value === 'default' || value === 'disabled') return value
  throw badValue('autoRecovery', value, 'Expecting default or disabled.')
}

/** Throws InvalidParameterValue. */
export function parseHostnameType(
  value: string | undefined,
): InstanceSettings['hostnameType'] | undefined {
  if (value === undefined || value === 'ip-name' || value === 'resource-name') return value
  throw badValue('hostnameType', value, 'Expecting ip-name or resource-name.')
}

/** There are no capacity reservations: an instance may say that it would run in one, or not. */
export function parseReservations(
  input: ReservationInput | undefined,
): InstanceSettings['capacityReservations'] | undefined {
  const { CapacityReservationPreference: value, CapacityReservationTarget: target } = input ?? {}
  const id = target?.CapacityReservationId
  if (id !== undefined) {
    const text = `The Capacity Reservation '${id}' does not exist.`
    throw new ApiError('InvalidCapacityReservationId.NotFound', text)
  }
  if (target?.CapacityReservationResourceGroupArn !== undefined) {
    throw unsupported('The parameter CapacityReservationResourceGroupArn')
  }
  if (value === undefined || value === 'open' || value === 'none') return value
  if (value === 'capacity-reservations-only') {
    throw new ApiError('ReservationCapacityExceeded', 'This account has no Capacity Reservation.')
  }
  throw badValue('capacityReservationPreference', value, 'Expecting open or none.')
}

/** User data as kept: base64 without spaces. Throws InvalidUserData.Malformed and the limit's. */
export function parseUserData(base64: string): string {
  const isBase64 = /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(base64)
  if (!isBase64) {
    throw new ApiError('InvalidUserData.Malformed', 'Invalid BASE64 encoding of user data.')
  }
  const bytes = Buffer.from(base64, 'base64').length
  if (bytes > MAX_USER_DATA_BYTES) {
    const text = `User data is limited to ${MAX_USER_DATA_BYTES} bytes; this has ${bytes}.`
    throw new ApiError('InvalidParameterValue', text)
  }
  return base64.replaceAll(/\s/g, '')
}

/** A guest has all processors of its type, one thread each. */
function checkCpuOptions(options: NonNullable<RunInput['CpuOptions']>, type: InstanceTypeSpec) {
  const harmless = new Map<string, readonly unknown[]>([
    ['AmdSevSnp', ['disabled']],
    ['NestedVirtualization', ['disabled']],
  ])
  refuseUnknown(options, new Set(['CoreCount', 'ThreadsPerCore']), harmless, 'CpuOptions.')
  const { CoreCount: cores = type.vcpus, ThreadsPerCore: threads = 1 } = options
  if (cores === type.vcpus && threads === 1) return
  const text =
    `CpuOptions of ${type.name} are ${type.vcpus} cores of one thread here; ${cores} cores of ` +
    `${threads} are not possible.`
  throw new ApiError('InvalidParameterCombination', text)
}

/** No processor is throttled, which is what `unlimited` means. */
function checkCredits(credits: string | undefined, type: InstanceTypeSpec): void {
  if (credits === undefined) return
  if (credits !== 'standard' && credits !== 'unlimited') {
    throw badValue('cpuCredits', credits, 'Expecting standard or unlimited.')
  }
  if (!isBurstable(type.name)) {
    const text = `The instance type ${type.name} has no CPU credits.`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (credits === 'standard') throw unsupported('CreditSpecification.CpuCredits=standard')
}

/** Is it of a family that AWS throttles by credits? */
export function isBurstable(type: string): boolean {
  return /^t(?:2|3|3a|4g)\./.test(type)
}

function withoutAbsent<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): Partial<T> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as Partial<T>
}
