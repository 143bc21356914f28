// The resources of RunInstances: what it makes and what it names (Service Authorization Reference;
// EC2 user guide, "Launch instances (RunInstances)" under "Example policies").

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Inputs } from '../aws/handlers.ts'
import { deviceKey } from '../ebs/device-names.ts'
import { imageMappings, rootDeviceType } from '../ebs/mapping-shapes.ts'
import { fleetLaunches } from '../ec2/fleet-request.ts'
import { isVisible } from '../ec2/ids.ts'
import { DEFAULT_INSTANCE_TYPE } from '../ec2/instance-types.ts'
import { templateRun } from '../ec2/launch-template-launch.ts'
import { templateInView, type VersionAsked } from '../ec2/launch-template-names.ts'
import { asKeys, ec2Arn, type Keys } from './ec2-keys.ts'
import { subnetKeys, volumeKeys } from './ec2-made.ts'
import { groupsNamed, nameOfId, type Place } from './ec2-named.ts'
import type { Use } from './ec2-requests.ts'
import { profileArn } from './pass-role.ts'

type RunInput = Ec2Inputs['RunInstances']
type Card = NonNullable<RunInput['NetworkInterfaces']>[number]

/** The request as it will be carried out, with its template in it, and what it is about. */
export function runUses(place: Place, asked: object): { input: RunInput; uses: Use[] } {
  const request = asked as RunInput
  const { template, input } = withTemplate(place, request)
  const uses = usesOf(place, input)
  if (template === null) return { input, uses }
  const own = new Set(namedBy(place, request).map(({ type, id }) => `${type} ${id}`))
  const arn = ec2Arn(place, 'launch-template', template)
  const all: Use[] = [...uses, ...named('launch-template', template)]
  const marked = all.map((use) => {
    const isOwn = use.type === 'instance' ? isOverridden(request) : own.has(`${use.type} ${use.id}`)
    const keys = asKeys({ 'ec2:LaunchTemplate': arn, 'ec2:IsLaunchTemplateResource': !isOwn })
    return { ...use, keys: () => new Map([...(use.keys?.() ?? []), ...keys]) }
  })
  return { input, uses: marked }
}

/** Does the request say of the instance what its template could say? */
function isOverridden({ InstanceType, MetadataOptions, IamInstanceProfile }: RunInput): boolean {
  return [InstanceType, MetadataOptions, IamInstanceProfile].some((one) => one !== undefined)
}

/** What the request itself names: not the groups that it gets for naming none. */
function namedBy(place: Place, request: Partial<RunInput>): Use[] {
  const { SecurityGroupIds = [], SecurityGroups = [], NetworkInterfaces: cards = [] } = request
  const groups = [
    ...SecurityGroupIds,
    ...SecurityGroups,
    ...cards.flatMap((card) => card.Groups ?? []),
  ]
  // What is made is named by nobody.
  const uses = usesOf(place, request).filter(({ id }) => id !== '*')
  return groups.length > 0 ? uses : uses.filter(({ type }) => type !== 'security-group')
}

/** A template that is not there is left to the handler to refuse. */
function withTemplate(
  { view, account }: Place,
  request: RunInput,
): { template: string | null; input: RunInput } {
  const { LaunchTemplate: asked } = request
  if (asked === undefined) return { template: null, input: request }
  try {
    const { id } = templateInView(view, account, asked)
    return { template: id, input: templateRun(view, account, request).input }
  } catch (error) {
    if (error instanceof ApiError)
      return { template: asked.LaunchTemplateId ?? '*', input: request }
    throw error
  }
}

function usesOf(place: Place, input: Partial<RunInput>): Use[] {
  const cards = cardsOf(input)
  const subnets = [...new Set(cards.flatMap((card) => card.SubnetId ?? []))]
  return [
    { type: 'image', id: input.ImageId ?? '*' },
    ...named('image', input.KernelId),
    ...named('image', input.RamdiskId),
    { type: 'instance', id: '*', keys: () => instanceKeys(place, input, subnets) },
    ...cards.map((card) => cardUse(place, card)),
    ...groupsOf(place, input, cards).map((id) => ({ type: 'security-group', id })),
    ...(subnets.length === 0 ? ['*'] : subnets).map((id) => ({ type: 'subnet', id })),
    ...named('key-pair', input.KeyName),
    ...named('placement-group', placementGroup(place, input)),
    ...volumesOf(place, input),
  ]
}

/** Without a list of interfaces the request itself describes the only one. */
function cardsOf(input: Partial<RunInput>): Card[] {
  const { NetworkInterfaces: cards = [], SubnetId, SecurityGroupIds } = input
  return cards.length > 0 ? cards : [{ SubnetId, Groups: SecurityGroupIds }]
}

function cardUse(place: Place, card: Card): Use {
  const { NetworkInterfaceId: id, SubnetId: subnet, AssociatePublicIpAddress: isPublic } = card
  if (id !== undefined) return { type: 'network-interface', id }
  const keys = (): Keys =>
    new Map([
      ...(subnet === undefined ? [] : subnetKeys(place, subnet)),
      ...asKeys({ 'ec2:AssociatePublicIpAddress': isPublic ?? null }),
    ])
  return { type: 'network-interface', id: '*', keys }
}

/** By id and by name; those of the subnet's network by default when the request names none. */
function groupsOf(place: Place, input: Partial<RunInput>, cards: readonly Card[]): string[] {
  const ids = [...(input.SecurityGroupIds ?? []), ...cards.flatMap((card) => card.Groups ?? [])]
  const all = new Set([...ids, ...groupsNamed(place, input.SecurityGroups ?? [])])
  if (all.size > 0) return [...all]
  // Interfaces that are there have their groups already.
  if (cards.every((card) => card.NetworkInterfaceId !== undefined)) return []
  return defaultGroups(place, cards)
}

function defaultGroups({ view, account }: Place, cards: readonly Card[]): string[] {
  const vpcs = cards.flatMap(({ SubnetId: id }) => {
    const subnet = id === undefined ? null : view.get('subnet', id)
    return subnet?.account === account ? subnet.vpc : []
  })
  const vpc = vpcs[0] ?? view.by('vpc', 'account', account).find((one) => one.isDefault)?.id
  const groups = vpc === undefined ? [] : view.by('security-group', 'vpc', vpc)
  return [groups.find(({ name }) => name === 'default')?.id ?? '*']
}

function instanceKeys(place: Place, input: Partial<RunInput>, subnets: readonly string[]): Keys {
  const { MetadataOptions: options = {}, Placement: where = {} } = input
  const zone = where.AvailabilityZone ?? null
  const inSubnet = subnets.flatMap((id) => [...subnetKeys(place, id)])
  const market = input.InstanceMarketOptions?.MarketType ?? 'on-demand'
  const profile = input.IamInstanceProfile
  const group = placementGroup(place, input)
  return new Map([
    ...inSubnet.filter(([key]) => key === 'ec2:availabilityzone'),
    ...asKeys({
      'ec2:AvailabilityZone': zone,
      'ec2:InstanceType': input.InstanceType ?? DEFAULT_INSTANCE_TYPE,
      'ec2:InstanceMarketType': market,
      'ec2:InstanceProfile':
        profile === undefined ? null : profileArn(place.view, place.account, profile),
      'ec2:Tenancy': where.Tenancy ?? 'default',
      'ec2:EbsOptimized': input.EbsOptimized ?? false,
      'ec2:RootDeviceType': rootDeviceType(imageOf(place, input) ?? {}),
      'ec2:MetadataHttpEndpoint': options.HttpEndpoint ?? null,
      'ec2:MetadataHttpTokens': options.HttpTokens ?? null,
      'ec2:MetadataHttpPutResponseHopLimit': options.HttpPutResponseHopLimit ?? null,
      'ec2:InstanceMetadataTags': options.InstanceMetadataTags ?? null,
      'ec2:PlacementGroup': group === '' ? null : ec2Arn(place, 'placement-group', group),
    }),
  ])
}

function placementGroup(place: Place, { Placement: where }: Partial<RunInput>): string {
  const { GroupName: name = '', GroupId: id = '' } = where ?? {}
  return name === '' ? nameOfId(place, 'placement-group', id) : name
}

/** The image, when the account may see it. */
function imageOf({ view, account }: Place, { ImageId: id = '' }: Partial<RunInput>) {
  const image = view.get('image', id)
  return image !== null && isVisible(image, account) ? image : null
}

/**
 * One question for each volume that is made, by the image or the request; a snapshot that the
 * request makes one from is one more.
 */
function volumesOf(place: Place, input: Partial<RunInput>): Use[] {
  const { BlockDeviceMappings: asked = [] } = input
  const ofImage = new Map(
    imageMappings(imageOf(place, input) ?? {}).map((one) => [deviceKey(one.DeviceName ?? ''), one]),
  )
  const changed = asked.map((one) => {
    const key = deviceKey(one.DeviceName ?? '')
    const known = ofImage.get(key)?.Ebs
    ofImage.delete(key)
    return { Ebs: one.Ebs === undefined ? undefined : { ...known, ...one.Ebs } }
  })
  const snapshots = asked.flatMap(({ Ebs: ebs }) => named('snapshot', ebs?.SnapshotId))
  const volumes = [...ofImage.values(), ...changed].flatMap(({ Ebs: ebs }): Use[] => {
    if (ebs === undefined) return []
    return [{ type: 'volume', id: '*', keys: () => volumeKeys({ ...ebs, Size: ebs.VolumeSize }) }]
  })
  return [...volumes, ...snapshots]
}

function named(type: string, id: string | undefined): { type: string; id: string }[] {
  return id === undefined || id === '' ? [] : [{ type, id }]
}

/** The launches that a CreateFleet request may lead to. */
export function fleetRuns(asked: object): object[] {
  return fleetLaunches(asked).map(({ run }) => run)
}

/** The versions of launch templates that a request launches from. */
export function templatesNamed(operation: string, input: object): VersionAsked[] {
  const runs =
    operation === 'RunInstances' ? [input] : operation === 'CreateFleet' ? fleetRuns(input) : []
  return runs.flatMap(({ LaunchTemplate: one }: Partial<RunInput>) =>
    one === undefined ? [] : one,
  )
}
