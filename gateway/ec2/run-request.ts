// The request of RunInstances: every parameter is checked here for its form; one that this cloud
// cannot honour is refused by name. What the named things are is run-targets.ts's business.

import type { InstanceNetworkInterfaceSpecification } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import type { OwnedKind } from './ids.ts'
import { badValue, refuseUnknown, required, unsupported } from './input.ts'
import { DEFAULT_INSTANCE_TYPE, type InstanceTypeSpec, instanceType } from './instance-types.ts'
import { parseTagSpecifications, type Tags } from './tagging.ts'

type RunInput = Ec2Inputs['RunInstances']

export interface RunRequest {
  readonly image: string
  readonly type: InstanceTypeSpec
  readonly minCount: number
  readonly maxCount: number
  /** null: a default subnet of a rack with room. */
  readonly subnet: string | null
  readonly zone: string | null
  readonly zoneId: string | null
  readonly groupIds: readonly string[]
  readonly groupNames: readonly string[]
  /** Base64, as it came. */
  readonly userData: string
  /** '' when there is none. */
  readonly clientToken: string
  readonly tags: ReadonlyMap<OwnedKind, Tags>
}

/** Instances of one request. */
const MAX_INSTANCES = 100
const MAX_USER_DATA_BYTES = 16 << 10
/** Security groups of one interface (AWS, "Amazon VPC quotas"). */
export const MAX_GROUPS = 5
/** EC2 API reference, "Ensuring idempotency": up to 64 ASCII characters. */
const CLIENT_TOKEN = /^[\x21-\x7e]{1,64}$/

const KNOWN = new Set([
  'ImageId',
  'InstanceType',
  'MinCount',
  'MaxCount',
  'SubnetId',
  'Placement',
  'SecurityGroupIds',
  'SecurityGroups',
  'NetworkInterfaces',
  'KeyName',
  'UserData',
  'ClientToken',
  'TagSpecifications',
  'DryRun',
])
/** Values that ask for what every instance has anyway. */
const HARMLESS = new Map<string, readonly unknown[]>([
  ['Monitoring', [{ Enabled: false }]],
  ['EbsOptimized', [false]],
  ['DisableApiStop', [false]],
  ['DisableApiTermination', [false]],
  ['EnablePrimaryIpv6', [false]],
  ['Ipv6AddressCount', [1]],
  ['InstanceInitiatedShutdownBehavior', ['terminate']],
  ['HibernationOptions', [{ Configured: false }]],
  ['EnclaveOptions', [{ Enabled: false }]],
  ['CapacityReservationSpecification', [{ CapacityReservationPreference: 'none' }]],
  ['MaintenanceOptions', [{ AutoRecovery: 'disabled' }]],
  ['PrivateDnsNameOptions', [{ HostnameType: 'ip-name' }]],
  ['MetadataOptions', [{ HttpEndpoint: 'disabled' }]],
])
const PLACEMENT_KNOWN = new Set(['AvailabilityZone', 'AvailabilityZoneId'])
const PLACEMENT_HARMLESS = new Map<string, readonly unknown[]>([['Tenancy', ['default']]])
const INTERFACE_KNOWN = new Set(['DeviceIndex', 'SubnetId', 'Groups'])
const INTERFACE_HARMLESS = new Map<string, readonly unknown[]>([
  ['AssociatePublicIpAddress', [false]],
  ['DeleteOnTermination', [true]],
  ['Ipv6AddressCount', [1]],
  ['InterfaceType', ['interface']],
  ['NetworkCardIndex', [0]],
  ['PrimaryIpv6', [false]],
])

/** Throws what AWS answers to the first parameter that does not fit. */
export function parseRun(input: RunInput): RunRequest {
  const image = required('ImageId', input.ImageId)
  const { minCount, maxCount } = countsOf(input)
  refuseUnknown(input, KNOWN, HARMLESS)
  refuseUnknown(input.Placement ?? {}, PLACEMENT_KNOWN, PLACEMENT_HARMLESS, 'Placement.')
  const { subnet, groupIds, groupNames } = networkOf(input)
  const clientToken = input.ClientToken ?? ''
  if (clientToken !== '' && !CLIENT_TOKEN.test(clientToken)) {
    throw new ApiError('InvalidClientToken', 'A client token is 1 to 64 ASCII characters')
  }
  if (input.KeyName !== undefined && input.KeyName !== '') {
    const text = `The key pair '${input.KeyName}' does not exist`
    throw new ApiError('InvalidKeyPair.NotFound', text)
  }
  return {
    image,
    type: typeOf(input.InstanceType ?? DEFAULT_INSTANCE_TYPE),
    minCount,
    maxCount,
    subnet,
    zone: textOrNull(input.Placement?.AvailabilityZone),
    zoneId: textOrNull(input.Placement?.AvailabilityZoneId),
    groupIds,
    groupNames,
    userData: userDataOf(input.UserData ?? ''),
    clientToken,
    tags: parseTagSpecifications(input.TagSpecifications, ['instance', 'interface']),
  }
}

function countsOf(input: RunInput): { minCount: number; maxCount: number } {
  const minCount = required('MinCount', input.MinCount)
  const maxCount = required('MaxCount', input.MaxCount)
  for (const [name, count] of [
    ['minCount', minCount],
    ['maxCount', maxCount],
  ] as const) {
    if (!(Number.isInteger(count) && count >= 1))
      throw badValue(name, count, 'Expecting 1 or more.')
  }
  if (minCount > maxCount) {
    throw badValue('minCount', minCount, `It is more than maxCount, which is ${maxCount}.`)
  }
  if (minCount > MAX_INSTANCES) {
    const text = `One request can start ${MAX_INSTANCES} instances; this one asks for ${minCount}.`
    throw new ApiError('InstanceLimitExceeded', text)
  }
  return { minCount, maxCount: Math.min(maxCount, MAX_INSTANCES) }
}

type Network = Pick<RunRequest, 'subnet' | 'groupIds' | 'groupNames'>

/** Subnet and groups stand at the top or in the one network interface, never at both. */
function networkOf(input: RunInput): Network {
  const groupIds = input.SecurityGroupIds ?? []
  const groupNames = input.SecurityGroups ?? []
  const [first, ...others] = input.NetworkInterfaces ?? []
  if (first === undefined) {
    const subnet = textOrNull(input.SubnetId)
    if (subnet !== null && groupNames.length > 0) {
      throw combination('The parameter groupName cannot be used with the parameter subnet')
    }
    return { subnet, groupIds: limited(groupIds), groupNames: limited(groupNames) }
  }
  if (others.length > 0) throw unsupported('More than one network interface')
  if (input.SubnetId !== undefined || groupIds.length + groupNames.length > 0) {
    const text =
      'Network interfaces and an instance-level subnet ID or security groups may not be ' +
      'specified on the same request'
    throw combination(text)
  }
  return interfaceOf(first)
}

function interfaceOf(first: InstanceNetworkInterfaceSpecification): Network {
  if (first.NetworkInterfaceId !== undefined) {
    throw unsupported('Attaching an existing network interface')
  }
  if ((first.DeviceIndex ?? 0) !== 0) {
    throw badValue('networkInterface.deviceIndex', first.DeviceIndex, 'Expecting 0.')
  }
  refuseUnknown(first, INTERFACE_KNOWN, INTERFACE_HARMLESS, 'NetworkInterface.1.')
  const groupIds = limited(first.Groups ?? [])
  return { subnet: textOrNull(first.SubnetId), groupIds, groupNames: [] }
}

function limited(groups: readonly string[]): readonly string[] {
  const unique = [...new Set(groups)]
  if (unique.length <= MAX_GROUPS) return unique
  const text = `An interface can have ${MAX_GROUPS} security groups; this request names ${unique.length}.`
  throw new ApiError('SecurityGroupsPerInterfaceLimitExceeded', text)
}

function typeOf(name: string): InstanceTypeSpec {
  const type = instanceType(name)
  if (type === null) {
    throw new ApiError('InvalidParameterValue', `Invalid value '${name}' for InstanceType.`)
  }
  return type
}

function userDataOf(base64: string): string {
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

function textOrNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text
}

function combination(text: string): ApiError {
  return new ApiError('InvalidParameterCombination', text)
}
