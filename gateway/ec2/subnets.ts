// CreateSubnet, CreateDefaultSubnet, DeleteSubnet.

import type { Subnet } from '@aws-sdk/client-ec2'
import { MalleeError } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import type { NetworkParts } from './create-vpc.ts'
import { subnetOf } from './describe-subnets.ts'
import { namedInStore, newId } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required, unsupported } from './input.ts'
import { createDefaultSubnet } from './networks.ts'
import { ipv4Pool, ipv6Pool, MAC_POOL } from './pools.ts'
import { parseSubnetCidrs, takeSubnetCidr } from './subnet-cidrs.ts'
import { createSubnetRecord, removeSubnet } from './subnet-records.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'
import { defaultSubnetName, holdVpc } from './vpc-records.ts'
import { rackOfZone, zoneName } from './zones.ts'

type SubnetHandlers = Required<
  Pick<Ec2Handlers, 'CreateSubnet' | 'CreateDefaultSubnet' | 'DeleteSubnet'>
>

const KNOWN = new Set([
  'VpcId',
  'AvailabilityZone',
  'AvailabilityZoneId',
  'CidrBlock',
  'Ipv6CidrBlock',
  'Ipv6Native',
  'TagSpecifications',
  'DryRun',
])
/** Dependents that a message names. */
const MAX_NAMED = 5
/** Records of one of its pools that go with a subnet in one transaction. */
const MAX_DROPPED = 1_000

export function subnetHandlers({ state, randomHex, region }: NetworkParts): SubnetHandlers {
  return {
    CreateSubnet: async ({ caller, nowMs }, input) => {
      const vpcId = required('VpcId', input.VpcId)
      refuseUnknown(input, KNOWN, new Map())
      const cidrs = parseSubnetCidrs(input)
      const tags = parseTagSpecifications(input.TagSpecifications, ['subnet'])
      const id = await state.update(async (tx) => {
        const [vpc] = await namedInStore(tx, 'vpc', [vpcId], caller.account)
        if (vpc === undefined) throw new RangeError(`${vpcId} was found and is not there`)
        const view = await state.fresh()
        const rack = rackOfZone(view, region, zoneOf(input)) ?? anyRack(view)
        await checkRack(tx, rack, region)
        const subnet = await newId(tx, randomHex, 'subnet')
        const take = (family: 4 | 6): Promise<string> =>
          takeSubnetCidr(tx, state, vpc, subnet, family === 4 ? cidrs.ipv4 : cidrs.ipv6)
        const ipv4Cidr = await take(4)
        const ipv6Cidr = await take(6)
        const made = { id: subnet, vpc, rack, ipv4Cidr, ipv6Cidr, isDefault: false, nowMs }
        const { account } = await createSubnetRecord(tx, { state, randomHex }, made)
        await holdVpc(tx, vpc)
        const owner = { kind: 'subnet', id: subnet, account } as const
        await addTags(tx, owner, tags.get('subnet') ?? new Map())
        endDryRun(input)
        return subnet
      })
      return { Subnet: shown(await state.fresh(), region, id) }
    },

    CreateDefaultSubnet: async ({ caller, nowMs }, input) => {
      if (input.Ipv6Native === true) throw unsupported('An IPv6-native default subnet')
      const { name, id: zoneId } = zoneOf(input)
      if (zoneId === undefined) required('AvailabilityZone', name)
      const id = await state.update(async (tx) => {
        const view = await state.fresh()
        const rack = rackOfZone(view, region, { name, id: zoneId }) ?? ''
        if (rack === EVERY_RACK) {
          const why = 'A default subnet is in one rack.'
          throw badValue('availabilityZone', zoneName(region, rack), why)
        }
        await checkRack(tx, rack, region)
        const vpc = await defaultVpc(tx, caller.account)
        const before = await tx.get('name', ...defaultSubnetName(vpc.id, rack))
        if (before !== null && (await tx.get('subnet', before.holder)) !== null) {
          const text = `${before.holder} is the default subnet in ${zoneName(region, rack)} already`
          throw new ApiError('DefaultSubnetAlreadyExistsInAvailabilityZone', text)
        }
        const options = { nowMs, randomHex }
        const subnet = await createDefaultSubnet(tx, state, vpc, rack, options).catch(asApiError)
        endDryRun(input)
        return subnet.id
      })
      return { Subnet: shown(await state.fresh(), region, id) }
    },

    DeleteSubnet: async ({ caller }, input) => {
      const id = required('SubnetId', input.SubnetId)
      await state.update(async (tx) => {
        const [subnet] = await namedInStore(tx, 'subnet', [id], caller.account)
        if (subnet === undefined) throw new RangeError(`${id} was found and is not there`)
        // Every interface takes a MAC: after this the mirror shows all that are in the subnet.
        await tx.pool(MAC_POOL).watch()
        checkEmpty(await state.fresh(), id)
        endDryRun(input)
        await removeSubnet(tx, subnet)
        for (const pool of [ipv4Pool(id), ipv6Pool(id)]) await tx.pool(pool).drop(MAX_DROPPED)
      })
      return {}
    },
  }
}

function zoneOf(
  input: Pick<Ec2Inputs['CreateSubnet'], 'AvailabilityZone' | 'AvailabilityZoneId'>,
): { name: string | undefined; id: string | undefined } {
  return { name: input.AvailabilityZone, id: input.AvailabilityZoneId }
}

/** EC2 chooses a zone for a request that names none: here the rack with the fewest subnets. */
function anyRack(view: View): string {
  const counted = view
    .all('rack')
    .filter((rack) => rack.state === 'joined')
    .map(({ name }) => ({ name, count: view.subnetsOf('rack', name).length }))
  const [first] = counted.sort((a, b) => a.count - b.count)
  if (first !== undefined) return first.name
  throw new ApiError('InvalidParameterValue', 'The cloud has no rack yet for a subnet')
}

/** The rack stays until the subnet is there. */
async function checkRack(tx: Transaction, rack: string, region: string): Promise<void> {
  if (rack === EVERY_RACK || (await tx.get('rack', rack)) !== null) return
  const why = 'The rack has left the cloud.'
  throw badValue('availabilityZone', zoneName(region, rack), why)
}

async function defaultVpc(tx: Transaction, account: string): Promise<VpcRecord> {
  const name = await tx.get('name', 'default-vpc', account)
  const vpc = name === null ? null : await tx.get('vpc', name.holder)
  if (vpc !== null) return vpc
  throw new ApiError('DefaultVpcDoesNotExist', 'There is no default VPC in this account')
}

/** Throws DependencyViolation that names what is in the subnet. */
function checkEmpty(view: View, id: string): void {
  const nats = view.by('nat-gateway', 'subnet', id).filter(isAlive)
  const inside = [...nats, ...view.by('interface', 'subnet', id)].map((one) => one.id)
  if (inside.length === 0) return
  const more = inside.length - MAX_NAMED
  const names = `${inside.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  const text = `The subnet '${id}' has dependencies and cannot be deleted: ${names}.`
  throw new ApiError('DependencyViolation', text)
}

function isAlive({ state }: { state: string }): boolean {
  return state !== 'deleted' && state !== 'failed'
}

function shown(view: View, region: string, id: string): Subnet | undefined {
  const subnet = view.get('subnet', id)
  return subnet === null ? undefined : subnetOf(view, region, subnet)
}

function asApiError(error: unknown): never {
  if (!(error instanceof MalleeError) || error.code !== 'Conflict') throw error
  throw new ApiError('InsufficientCidrBlocks', error.message)
}
