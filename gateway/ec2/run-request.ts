// The request of RunInstances: every parameter is checked here for its form; one that this cloud
// cannot honour is refused by name. What the named things are is run-targets.ts's business.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import { type DeviceWish, parseMappings } from '../ebs/mappings.ts'
import type { InstanceSettings, MetadataOptions } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { parseClientToken } from './client-tokens.ts'
import type { OwnedKind } from './ids.ts'
import { badValue, refuseUnknown, required } from './input.ts'
import { parseSettings, parseUserData, SETTINGS } from './instance-settings.ts'
import { DEFAULT_INSTANCE_TYPE, type InstanceTypeSpec, instanceType } from './instance-types.ts'
import type { KernelsAsked } from './kernels.ts'
import { parseOptions } from './metadata-options.ts'
import { type GroupWish, parseGroupWish } from './placement-wish.ts'
import { type ProfileWish, parseProfileWish } from './profile-wish.ts'
import { type CardRequest, parseCards } from './run-cards.ts'
import { parseMarket } from './spot.ts'
import { parseTagSpecifications, type Tags } from './tagging.ts'

type RunInput = Ec2Inputs['RunInstances']

export interface RunRequest {
  readonly image: string
  /** Instead of the image's. */
  readonly kernels: KernelsAsked
  readonly type: InstanceTypeSpec
  readonly minCount: number
  readonly maxCount: number
  /** The network interfaces by device index; the first one has index 0. */
  readonly cards: readonly CardRequest[]
  readonly devices: readonly DeviceWish[]
  readonly zone: string | null
  readonly zoneId: string | null
  /** '' for none. */
  readonly keyName: string
  readonly group: GroupWish | null
  readonly profile: ProfileWish | null
  readonly isSpot: boolean
  readonly metadataOptions: Partial<MetadataOptions>
  readonly settings: Partial<InstanceSettings>
  /** Base64, as it came. */
  readonly userData: string
  /** '' when there is none. */
  readonly clientToken: string
  readonly tags: ReadonlyMap<OwnedKind, Tags>
}

/** Instances of one request. */
const MAX_INSTANCES = 100

const KNOWN = new Set([
  'ImageId',
  'InstanceType',
  'InstanceMarketOptions',
  'MinCount',
  'MaxCount',
  'SubnetId',
  'Placement',
  'SecurityGroupIds',
  'SecurityGroups',
  'NetworkInterfaces',
  'BlockDeviceMappings',
  'PrivateIpAddress',
  'Ipv6AddressCount',
  'Ipv6Addresses',
  'KernelId',
  'KeyName',
  'MetadataOptions',
  'RamdiskId',
  'PrivateDnsNameOptions',
  'UserData',
  ...SETTINGS,
  'IamInstanceProfile',
  'ClientToken',
  'TagSpecifications',
  'DryRun',
])
/** Values that ask for what every instance has anyway. */
const HARMLESS = new Map<string, readonly unknown[]>([
  ['EbsOptimized', [false]],
  ['EnablePrimaryIpv6', [false]],
  ['EnclaveOptions', [{ Enabled: false }]],
])
const NAMES_KNOWN = new Set(['HostnameType'])
const NAMES_HARMLESS = new Map<string, readonly unknown[]>([
  ['EnableResourceNameDnsARecord', [false]],
  ['EnableResourceNameDnsAAAARecord', [false]],
])
const PLACEMENT_KNOWN = new Set([
  'AvailabilityZone',
  'AvailabilityZoneId',
  'GroupName',
  'GroupId',
  'PartitionNumber',
  'HostId',
])
const PLACEMENT_HARMLESS = new Map<string, readonly unknown[]>([
  ['Tenancy', ['default']],
  ['Affinity', ['default']],
])

/** Throws what AWS answers to the first parameter that does not fit. */
export function parseRun(input: RunInput, view: View): RunRequest {
  const image = required('ImageId', input.ImageId)
  const { minCount, maxCount } = countsOf(input)
  refuseUnknown(input, KNOWN, HARMLESS)
  const name = input.InstanceType ?? DEFAULT_INSTANCE_TYPE
  const names = input.PrivateDnsNameOptions ?? {}
  refuseUnknown(names, NAMES_KNOWN, NAMES_HARMLESS, 'PrivateDnsNameOptions.')
  refuseUnknown(input.Placement ?? {}, PLACEMENT_KNOWN, PLACEMENT_HARMLESS, 'Placement.')
  const type = typeNamed(instanceType(view, name), name)
  return {
    image,
    kernels: { kernel: input.KernelId, ramdisk: input.RamdiskId },
    type,
    minCount,
    maxCount,
    cards: parseCards(input, maxCount),
    devices: parseMappings(input.BlockDeviceMappings),
    zone: textOrNull(input.Placement?.AvailabilityZone),
    zoneId: textOrNull(input.Placement?.AvailabilityZoneId),
    keyName: input.KeyName ?? '',
    isSpot: parseMarket(input.InstanceMarketOptions, view),
    group: parseGroupWish(input.Placement ?? {}),
    profile: parseProfileWish(input.IamInstanceProfile),
    metadataOptions: parseOptions(input.MetadataOptions ?? {}),
    settings: parseSettings(input, type),
    userData: parseUserData(input.UserData ?? ''),
    clientToken: parseClientToken(input.ClientToken),
    tags: parseTagSpecifications(input.TagSpecifications, ['instance', 'interface', 'volume']),
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

/** Throws for a type that is not there. */
export function typeNamed(type: InstanceTypeSpec | null, name: string): InstanceTypeSpec {
  if (type !== null) return type
  const text = `Invalid value '${name.slice(0, 100)}' for InstanceType.`
  throw new ApiError('InvalidParameterValue', text)
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text
}
