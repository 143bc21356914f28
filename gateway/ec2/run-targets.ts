// What a RunInstances request names, looked up: image, subnets by rack, security groups. Reads
// through the transaction, so that nothing goes away before the instances are there.

import { ApiError } from '../aws/api-error.ts'
import type { ImageRecord, SecurityGroupRecord, SubnetRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { namedInStore } from './ids.ts'
import { unavailable } from './images.ts'
import { badValue } from './input.ts'
import type { InstanceTypeSpec } from './instance-types.ts'
import type { RunRequest } from './run-request.ts'
import { zoneId, zoneName } from './zones.ts'

export interface Targets {
  readonly image: ImageRecord
  /** By rack: where an instance may go, and in which subnet it is there. */
  readonly subnets: ReadonlyMap<string, SubnetRecord>
  readonly groups: readonly SecurityGroupRecord[]
}

/** Throws what AWS answers when a named thing is not there or does not fit. */
export async function findTargets(
  tx: Transaction,
  view: View,
  { region, account }: { region: string; account: string },
  request: RunRequest,
): Promise<Targets> {
  const image = await imageFor(tx, request, account)
  const rack = rackAsked(view, region, request)
  const subnets =
    request.subnet === null
      ? await defaultSubnets(tx, view, region, account, rack)
      : [await subnetFor(tx, region, account, request.subnet, rack)]
  const vpc = subnets[0]?.vpc ?? ''
  return {
    image,
    subnets: new Map(subnets.map((subnet) => [subnet.rack, subnet])),
    groups: await groupsFor(tx, view, account, vpc, request),
  }
}

async function imageFor(
  tx: Transaction,
  request: RunRequest,
  account: string,
): Promise<ImageRecord> {
  const [image] = await namedInStore(tx, 'image', [request.image], account)
  if (image === undefined || image.state !== 'available') throw unavailable(request.image)
  checkSize(image, request.type)
  return image
}

function checkSize(image: ImageRecord, type: InstanceTypeSpec): void {
  const bytes = type.diskGib * 2 ** 30
  if (image.virtualSizeBytes <= bytes) return
  const text =
    `The image ${image.id} needs a disk of ${image.virtualSizeBytes} bytes, and ` +
    `the instance type ${type.name} has ${bytes}`
  throw new ApiError('InvalidParameterCombination', text)
}

/** The rack of the zone that the request names, null when it names none. */
function rackAsked(view: View, region: string, { zone, zoneId: id }: RunRequest): string | null {
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

async function subnetFor(
  tx: Transaction,
  region: string,
  account: string,
  id: string,
  rack: string | null,
): Promise<SubnetRecord> {
  const [subnet] = await namedInStore(tx, 'subnet', [id], account)
  if (subnet === undefined) throw new RangeError(`subnet ${id} was found and is not there`)
  if (rack !== null && rack !== subnet.rack) {
    const why = `Subnet '${id}' is in the availability zone ${zoneName(region, subnet.rack)}.`
    throw badValue('availabilityZone', zoneName(region, rack), why)
  }
  return subnet
}

async function defaultSubnets(
  tx: Transaction,
  view: View,
  region: string,
  account: string,
  rack: string | null,
): Promise<SubnetRecord[]> {
  const vpc = view.all('vpc').find((one) => one.account === account && one.isDefault)
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

async function groupsFor(
  tx: Transaction,
  view: View,
  account: string,
  vpc: string,
  { groupIds, groupNames }: RunRequest,
): Promise<SecurityGroupRecord[]> {
  const there = view.all('security-group').filter((group) => group.vpc === vpc)
  const names = groupIds.length + groupNames.length === 0 ? ['default'] : groupNames
  const named = names.map((name) => {
    const group = there.find((one) => one.name === name && one.account === account)
    if (group !== undefined) return group.id
    const text = `The security group '${name}' does not exist in VPC '${vpc}'`
    throw new ApiError('InvalidGroup.NotFound', text)
  })
  const groups = await namedInStore(tx, 'security-group', [...groupIds, ...named], account)
  const foreign = groups.find((group) => group.vpc !== vpc)
  if (foreign !== undefined) {
    const text = `Security group ${foreign.id} and the subnet belong to different networks.`
    throw new ApiError('InvalidParameter', text)
  }
  return groups
}
