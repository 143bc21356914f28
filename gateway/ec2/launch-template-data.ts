// What is in a launch template: how it is kept and shown, and how a RunInstances request and a
// template make one request. The request's own parameters come first.

import type {
  InstanceNetworkInterfaceSpecification,
  RequestLaunchTemplateData,
  ResponseLaunchTemplateData,
  TagSpecification,
} from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import type { LaunchTemplateVersionRecord } from '../store/compute-records.ts'
import { badValue, unsupported } from './input.ts'
import { parseUserData } from './instance-settings.ts'
import { parseTags } from './tagging.ts'

type RunInput = Ec2Inputs['RunInstances']
type Data = RequestLaunchTemplateData

/** What tags of a template can be for (EC2 API reference, RequestLaunchTemplateData). */
const TAGGED = ['instance', 'volume', 'network-interface', 'spot-instances-request']
/** Parameters whose members a request overrides one by one; all others are overridden whole. */
const BY_MEMBER = [
  'CpuOptions',
  'CreditSpecification',
  'EnclaveOptions',
  'HibernationOptions',
  'MaintenanceOptions',
  'MetadataOptions',
  'Monitoring',
  'NetworkPerformanceOptions',
  'PrivateDnsNameOptions',
] as const

/**
 * Throws for what no launch could ever take. Everything else is kept as it is: whether it fits is
 * known only when an instance is launched (EC2 API reference, CreateLaunchTemplate).
 */
export function checkTemplateData(data: Data): void {
  if (Object.keys(data).length === 0) {
    const text = 'The request must contain at least one parameter in LaunchTemplateData'
    throw new ApiError('MissingParameter', text)
  }
  if (data.UserData !== undefined) parseUserData(data.UserData)
  const types = new Set<string>()
  for (const { ResourceType: type = '', Tags } of data.TagSpecifications ?? []) {
    if (!TAGGED.includes(type) || types.has(type)) {
      const why = `Expecting each of ${TAGGED.join(', ')} once at most.`
      throw badValue('LaunchTemplateData.TagSpecification.ResourceType', type, why)
    }
    types.add(type)
    parseTags(Tags ?? [])
  }
}

/** As DescribeLaunchTemplateVersions shows it. */
export function shownData({ data }: LaunchTemplateVersionRecord): ResponseLaunchTemplateData {
  // Every member of the request is one of the answer.
  return revived(data) as ResponseLaunchTemplateData
}

/** What a launch gets that names the template: its own parameters, else the template's. */
export function mergedRun(input: RunInput, version: LaunchTemplateVersionRecord): RunInput {
  const { RamDiskId, ElasticGpuSpecifications, InstanceRequirements, ...same } = revived(
    version.data,
  )
  if (InstanceRequirements !== undefined) {
    throw unsupported('The parameter LaunchTemplateData.InstanceRequirements of an instance launch')
  }
  const asked = withoutAbsent(input)
  const ofTemplate = { ...same, RamdiskId: RamDiskId } as RunInput
  if (ElasticGpuSpecifications !== undefined) {
    ofTemplate.ElasticGpuSpecification = ElasticGpuSpecifications as []
  }
  if (asked.SecurityGroupIds !== undefined || asked.SecurityGroups !== undefined) {
    delete ofTemplate.SecurityGroupIds
    delete ofTemplate.SecurityGroups
  }
  const merged: RunInput = withoutAbsent({ ...ofTemplate, ...asked })
  for (const name of BY_MEMBER) {
    if (ofTemplate[name] === undefined || asked[name] === undefined) continue
    Object.assign(merged, { [name]: { ...ofTemplate[name], ...asked[name] } })
  }
  return {
    ...merged,
    ...present('Placement', mergedPlacement(ofTemplate.Placement, asked.Placement)),
    ...present('NetworkInterfaces', mergedCards(ofTemplate, asked)),
    ...present('BlockDeviceMappings', mergedDevices(ofTemplate, asked)),
    ...present('TagSpecifications', mergedTags(ofTemplate, asked)),
  }
}

/** A request that names a zone or a group in one way gets none that a template named in another. */
function mergedPlacement(
  ofTemplate: RunInput['Placement'],
  asked: RunInput['Placement'],
): RunInput['Placement'] {
  if (ofTemplate === undefined || asked === undefined) return asked ?? ofTemplate
  const { AvailabilityZone, AvailabilityZoneId, GroupName, GroupId, ...rest } = ofTemplate
  const namesZone = asked.AvailabilityZone !== undefined || asked.AvailabilityZoneId !== undefined
  const namesGroup = asked.GroupName !== undefined || asked.GroupId !== undefined
  return {
    ...rest,
    ...(namesZone ? {} : withoutAbsent({ AvailabilityZone, AvailabilityZoneId })),
    ...(namesGroup ? {} : withoutAbsent({ GroupName, GroupId })),
    ...asked,
  }
}

/** An interface of the request stands in for the template's of the same device index. */
function mergedCards(ofTemplate: RunInput, asked: RunInput): RunInput['NetworkInterfaces'] {
  const indexOf = (one: InstanceNetworkInterfaceSpecification): number => one.DeviceIndex ?? 0
  return overridden(ofTemplate.NetworkInterfaces, asked.NetworkInterfaces, indexOf)
}

/** The same of devices by their name; NoDevice takes away what the image has there, too. */
function mergedDevices(ofTemplate: RunInput, asked: RunInput): RunInput['BlockDeviceMappings'] {
  return overridden(
    ofTemplate.BlockDeviceMappings,
    asked.BlockDeviceMappings,
    (one) => one.DeviceName,
  )
}

/** Tags of both, by type and key. */
function mergedTags(ofTemplate: RunInput, asked: RunInput): RunInput['TagSpecifications'] {
  const before = ofTemplate.TagSpecifications
  const now = asked.TagSpecifications
  if (before === undefined || now === undefined) return now ?? before
  const kept = before.filter((one) => !now.some((two) => two.ResourceType === one.ResourceType))
  const joined = now.map((one): TagSpecification => {
    const base = before.find((two) => two.ResourceType === one.ResourceType)
    return base === undefined
      ? one
      : { ...one, Tags: overridden(base.Tags, one.Tags, (tag) => tag.Key) }
  })
  return [...kept, ...joined]
}

function overridden<T>(
  before: readonly T[] | undefined,
  now: readonly T[] | undefined,
  keyOf: (one: T) => unknown,
): T[] | undefined {
  if (before === undefined || now === undefined) return (now ?? before)?.slice()
  const kept = before.filter((one) => !now.some((two) => keyOf(two) === keyOf(one)))
  return [...kept, ...now]
}

/** The store keeps JSON: the one time that data may have is text there. */
function revived(data: Data): Data {
  const until = data.InstanceMarketOptions?.SpotOptions?.ValidUntil
  if (until === undefined) return data
  const SpotOptions = { ...data.InstanceMarketOptions?.SpotOptions, ValidUntil: new Date(until) }
  return { ...data, InstanceMarketOptions: { ...data.InstanceMarketOptions, SpotOptions } }
}

function present<K extends string, T>(name: K, value: T | undefined): { [P in K]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [P in K]?: T })
}

function withoutAbsent<T extends object>(from: T): T {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined)) as T
}
