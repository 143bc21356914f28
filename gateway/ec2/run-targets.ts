// What a RunInstances request names, looked up: image, key pair, subnets by rack, security groups,
// interfaces that are there already. Reads through the transaction, so that nothing goes away
// before the instances are there.

import { ApiError } from '../aws/api-error.ts'
import { SLOTS } from '../ebs/attaching.ts'
import { type HostDisks, hostDisks } from '../ebs/host-disks.ts'
import { devicesFor } from '../ebs/mapped-devices.ts'
import type { ImageDevice } from '../store/image-records.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type {
  ImageRecord,
  InterfaceRecord,
  MetadataOptions,
  SubnetRecord,
} from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { checkAddressCount, checkAttachable, checkInterfaceCount } from './attaching.ts'
import { namedInStore } from './ids.ts'
import { badValue } from './input.ts'
import type { InstanceTypeSpec } from './instance-types.ts'
import { groupsFor } from './interface-groups.ts'
import { interfaceNamed } from './interfaces.ts'
import { imageOfKind, type KernelIds, kernelsFor, withDefaults } from './kernels.ts'
import { keyPairFor } from './key-pairs.ts'
import type { CardRequest } from './run-cards.ts'
import type { RunRequest } from './run-request.ts'
import { zoneId, zoneName } from './zones.ts'

export interface CardTarget {
  readonly request: CardRequest
  readonly existing: InterfaceRecord | null
  /** By rack: where an instance may go, and in which subnet its interface is there. */
  readonly subnets: ReadonlyMap<string, SubnetRecord>
  readonly groups: readonly string[]
}

export interface Targets {
  readonly image: ImageRecord
  readonly kernels: KernelIds
  /** All that an instance gets beside the disk that it boots from on its host. */
  readonly devices: readonly ImageDevice[]
  readonly disks: HostDisks
  /** '' without a key pair. */
  readonly publicKey: string
  readonly vpc: string
  readonly metadataDefaults: Partial<MetadataOptions> | undefined
  readonly cards: readonly CardTarget[]
  /** Racks that have a subnet for every interface. */
  readonly racks: readonly string[]
}

interface Asker {
  readonly tx: Transaction
  readonly view: View
  readonly region: string
  readonly account: string
  /** EVERY_RACK: the zone of stretched subnets. */
  readonly rack: string | null
}

/** Throws what AWS answers when a named thing is not there or does not fit. */
export async function findTargets(
  tx: Transaction,
  view: View,
  { region, account }: { region: string; account: string },
  request: RunRequest,
): Promise<Targets> {
  const image = await imageOfKind(tx, account, request.image, 'machine')
  checkSize(image, request.type)
  const devices = await devicesFor({ tx, account }, image, request.devices)
  const disks = hostDisks(image, devices, request.type)
  const kernels = await kernelsFor(tx, account, withDefaults(request.kernels, image))
  const { keyName } = request
  const publicKey = keyName === '' ? '' : (await keyPairFor(tx, account, keyName)).publicKey
  const asker = { tx, view, region, account, rack: rackAsked(view, region, request) }
  checkInterfaceCount(request.type, request.cards.length)
  checkSlotCount(devices, request.cards.length)
  const cards: CardTarget[] = []
  for (const card of request.cards) cards.push(await cardFor(asker, card, request.type, cards[0]))
  const [first] = cards
  checkNames(first, request)
  const racks = [...(first?.subnets.keys() ?? [])].filter((rack) =>
    cards.every(({ subnets }) => subnets.has(rack)),
  )
  if (racks.length === 0) {
    const text = 'The network interfaces of one instance must be in the same availability zone'
    throw new ApiError('InvalidParameterCombination', text)
  }
  const metadataDefaults = (await tx.get('account', account))?.metadataDefaults
  return {
    ...{ image, kernels, devices, disks, publicKey, metadataDefaults, cards, racks },
    vpc: vpcOf(first),
  }
}

/** Throws AttachmentLimitExceeded for more devices than a guest has slots for. */
function checkSlotCount(devices: readonly ImageDevice[], cards: number): void {
  const used = devices.length + cards - 1
  if (used <= SLOTS) return
  const text =
    `The instance would have ${used} volumes and network interfaces beside its first interface; ` +
    `at most ${SLOTS} are allowed.`
  throw new ApiError('AttachmentLimitExceeded', text)
}

/** An address names an instance only where it has one. */
function checkNames(card: CardTarget | undefined, { settings }: RunRequest): void {
  if (settings.hostnameType !== 'ip-name') return
  for (const { id, ipv4Cidr } of card?.subnets.values() ?? []) {
    if (ipv4Cidr !== '') continue
    const text = `The subnet '${id}' is IPv6-native: no instance there has an IP name`
    throw new ApiError('InvalidParameterCombination', text)
  }
}

function checkSize(image: ImageRecord, type: InstanceTypeSpec): void {
  if (image.rootDevice !== undefined) return
  const bytes = type.diskGib * 2 ** 30
  if (image.virtualSizeBytes <= bytes) return
  const text =
    `The image ${image.id} needs a disk of ${image.virtualSizeBytes} bytes, and ` +
    `the instance type ${type.name} has ${bytes}`
  throw new ApiError('InvalidParameterCombination', text)
}

/** The rack of the zone that the request names, null when it names none. */
function rackAsked(view: View, region: string, { zone, zoneId: id }: RunRequest): string | null {
  if (zone === zoneName(region, EVERY_RACK) && id === null) return EVERY_RACK
  const racks = view.all('rack')
  const byName = racks.find((rack) => zoneName(region, rack.name) === zone)
  if (zone !== null && byName === undefined) throw badZone(zone)
  if (id === null) return byName?.name ?? null
  const byId = racks.find((rack) => zoneId(region, rack) === id)
  if (byId === undefined || (zone !== null && byId !== byName)) throw badZone(id)
  return byId.name
}

function badZone(zone: string): ApiError {
  return new ApiError('InvalidParameterValue', `Invalid availability zone: [${zone}]`)
}

async function cardFor(
  asker: Asker,
  request: CardRequest,
  type: InstanceTypeSpec,
  first: CardTarget | undefined,
): Promise<CardTarget> {
  const { tx, view, account } = asker
  const existing =
    request.existing === null ? null : await interfaceNamed(tx, request.existing, account)
  const subnetId = existing?.subnet ?? request.subnet
  const subnets =
    subnetId === null ? await defaultSubnets(asker) : [await subnetFor(asker, subnetId)]
  const target = { request, existing, subnets: byRack(asker, subnets), groups: [] }
  const vpc = vpcOf(target)
  if (first !== undefined && vpcOf(first) !== vpc) {
    const text =
      'The network interfaces of one instance must be in one VPC, not in both ' +
      `${vpcOf(first)} and ${vpc}`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (existing !== null) {
    checkAttachable(existing, vpc, null)
    checkAddressCount(existing, type)
    return { ...target, groups: existing.securityGroups }
  }
  const asked = { ids: request.groupIds, names: request.groupNames }
  return { ...target, groups: await groupsFor(tx, view, account, vpc, asked) }
}

/** A stretched subnet is in every rack that the request lets it be in. */
function byRack(
  { view, rack }: Asker,
  subnets: readonly SubnetRecord[],
): ReadonlyMap<string, SubnetRecord> {
  const there = new Map<string, SubnetRecord>()
  for (const subnet of subnets) {
    const isStretched = subnet.rack === EVERY_RACK
    const racks = isStretched ? view.all('rack').map(({ name }) => name) : [subnet.rack]
    for (const name of racks) {
      if (rack === null || rack === EVERY_RACK || rack === name) there.set(name, subnet)
    }
  }
  return there
}

function vpcOf(card: CardTarget | undefined): string {
  const [subnet] = card?.subnets.values() ?? []
  return subnet?.vpc ?? ''
}

async function subnetFor({ tx, region, account, rack }: Asker, id: string): Promise<SubnetRecord> {
  const [subnet] = await namedInStore(tx, 'subnet', [id], account)
  if (subnet === undefined) throw new RangeError(`subnet ${id} was found and is not there`)
  if (rack !== null && rack !== subnet.rack && subnet.rack !== EVERY_RACK) {
    const why = `Subnet '${id}' is in the availability zone ${zoneName(region, subnet.rack)}.`
    throw badValue('availabilityZone', zoneName(region, rack), why)
  }
  return subnet
}

async function defaultSubnets({ tx, view, region, account, rack }: Asker): Promise<SubnetRecord[]> {
  const vpc = view.by('vpc', 'account', account).find((one) => one.isDefault)
  if (vpc === undefined) {
    throw new ApiError('VPCIdNotSpecified', 'No default VPC for this user')
  }
  const subnets: SubnetRecord[] = []
  for (const { id } of view.subnetsOf('vpc', vpc.id).filter((one) => one.isDefault)) {
    const subnet = await tx.get('subnet', id)
    if (subnet !== null && (rack === null || subnet.rack === rack)) subnets.push(subnet)
  }
  if (subnets.length > 0) return subnets
  const where = rack === null ? '' : ` in the availability zone ${zoneName(region, rack)}`
  const text = `No subnets found for the default VPC '${vpc.id}'${where}`
  throw new ApiError('MissingInput', text)
}
