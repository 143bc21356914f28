// The nodes of a load balancer: an interface in each of its subnets, with the addresses that the
// request names or the next free ones, on a host of that subnet's rack.

import type { SubnetMapping } from '@aws-sdk/client-elastic-load-balancing-v2'
import { ApiError } from '../aws/api-error.ts'
import { newId, randomId } from '../ec2/ids.ts'
import { newInterface } from '../ec2/new-interface.ts'
import { associateAddress, isAnnouncedIn, takePublicAddress } from '../ec2/public-addresses.ts'
import { removeInterface } from '../ec2/release.ts'
import { zoneName } from '../ec2/zones.ts'
import type { BalancerNodeRecord, LoadBalancerRecord } from '../store/balancer-records.ts'
import { EVERY_RACK, type InterfaceRecord, type SubnetRecord } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { badConfiguration, invalid } from './errors.ts'
import type { BalancingParts } from './parts.ts'
import { chooseHost } from './placement.ts'

/** A subnet of a request, and what its node shall have; '' is whatever there is. */
export interface Mapping {
  readonly subnet: string
  readonly allocation: string
  readonly ipv4: string
  readonly ipv6: string
}

interface SubnetsAsked {
  readonly Subnets?: readonly string[] | undefined
  readonly SubnetMappings?: readonly SubnetMapping[] | undefined
}

/** AWS shows such an attachment at a load balancer's interface. */
const ATTACHMENT = 'ela-attach'
const DEVICE_INDEX = 1

/** At least one. Throws ValidationError. */
export function parseMappings({ Subnets = [], SubnetMappings = [] }: SubnetsAsked): Mapping[] {
  if (Subnets.length > 0 && SubnetMappings.length > 0) {
    throw invalid('You must specify either subnets or subnet mappings, but not both')
  }
  const mappings = [
    ...Subnets.map((SubnetId): SubnetMapping => ({ SubnetId })),
    ...SubnetMappings,
  ].map((one) => {
    if ((one.SourceNatIpv6Prefix ?? '') !== '') {
      throw badConfiguration('This cloud has no IPv6 prefixes for source NAT')
    }
    return {
      subnet: one.SubnetId ?? '',
      allocation: one.AllocationId ?? '',
      ipv4: one.PrivateIPv4Address ?? '',
      ipv6: one.IPv6Address ?? '',
    }
  })
  if (mappings.length === 0) throw invalid('At least one subnet must be specified')
  if (mappings.some(({ subnet }) => subnet === '')) throw invalid('A subnet ID must be specified')
  return mappings
}

/** The subnets of the mappings, in their order: of one VPC, in different zones. */
export async function subnetsOf(
  tx: Transaction,
  account: string,
  mappings: readonly Mapping[],
): Promise<SubnetRecord[]> {
  const subnets: SubnetRecord[] = []
  for (const { subnet: id } of mappings) {
    const subnet = await tx.get('subnet', id)
    if (subnet?.account !== account) {
      throw new ApiError('SubnetNotFound', `The subnet ID '${id.slice(0, 100)}' is not valid`)
    }
    if (subnet.rack === EVERY_RACK) {
      const text = `The subnet ${id} is in all zones: a load balancer has a subnet in each of its zones`
      throw new ApiError('AvailabilityZoneNotSupported', text)
    }
    if (subnet.ipv4Cidr === '') throw badConfiguration(`The subnet ${id} has no IPv4 addresses`)
    subnets.push(subnet)
  }
  const vpcs = new Set(subnets.map(({ vpc }) => vpc))
  if (vpcs.size > 1) {
    throw badConfiguration(`All subnets must belong to the same VPC: '${[...vpcs].join("', '")}'`)
  }
  if (new Set(subnets.map(({ rack }) => rack)).size < subnets.length) {
    const text =
      'A load balancer cannot be attached to multiple subnets in the same Availability Zone'
    throw badConfiguration(text)
  }
  return subnets
}

/** What a mapping may say, of a load balancer of this kind. */
function checkMapping(
  { scheme, ipAddressType }: Pick<LoadBalancerRecord, 'scheme' | 'ipAddressType'>,
  subnet: SubnetRecord,
  { allocation, ipv4, ipv6 }: Mapping,
): void {
  if (scheme === 'internal' && allocation !== '') {
    throw badConfiguration('Elastic IP addresses cannot be specified for internal load balancers')
  }
  if (scheme === 'internet-facing' && ipv4 !== '') {
    throw badConfiguration(
      'A private IPv4 address can be specified for internal load balancers only',
    )
  }
  if (ipAddressType === 'dualstack') checkDualstack(subnet)
  else if (ipv6 !== '') {
    throw badConfiguration(
      "An IPv6 address needs a load balancer of the IP address type 'dualstack'",
    )
  }
}

export function checkDualstack({ id, ipv6Cidr }: SubnetRecord): void {
  if (ipv6Cidr !== '') return
  throw badConfiguration(`You must specify subnets with an associated IPv6 CIDR block: '${id}'`)
}

/** Makes a node with its interface; the caller writes its id into the load balancer. */
export async function addNode(
  tx: Transaction,
  parts: BalancingParts,
  balancer: LoadBalancerRecord,
  { subnet, mapping, nowMs }: { subnet: SubnetRecord; mapping: Mapping; nowMs: number },
): Promise<BalancerNodeRecord> {
  const { randomHex } = parts
  checkMapping(balancer, subnet, mapping)
  const { account, id: loadBalancer, name } = balancer
  const id = await newId(tx, randomHex, 'interface')
  const made = await asElb(
    newInterface(tx, {
      ...{ id, account, subnet, groups: balancer.securityGroups, nowMs },
      wish: {
        ...{ ipv4: mapping.ipv4, ipv4More: [], ipv4MoreCount: 0 },
        ipv6: mapping.ipv6 === '' ? [] : [mapping.ipv6],
        ipv6Count: balancer.ipAddressType === 'dualstack' ? 1 : 0,
      },
      description: `ELB net/${name}/${loadBalancer}`,
    }),
  )
  const view = await parts.state.fresh()
  const one: InterfaceRecord = {
    ...made,
    ...{ type: 'network-load-balancer', attachment: randomId(randomHex, ATTACHMENT) },
    ...{ deviceIndex: DEVICE_INDEX, attachedAtMs: nowMs },
    host: await chooseHost(tx, view, subnet.rack),
  }
  await tx.put('interface', [id], one)
  if (balancer.scheme === 'internet-facing') {
    const given = { allocation: mapping.allocation, nowMs }
    await asElb(givePublicAddress(tx, parts, view, one, given))
  }
  const node: BalancerNodeRecord = {
    ...{ interface: id, account, loadBalancer, vpc: subnet.vpc, subnet: subnet.id },
    ...{ rack: subnet.rack, allocation: mapping.allocation },
    ...{ ipv4: mapping.ipv4, ipv6: mapping.ipv6, report: null },
  }
  await tx.put('balancer-node', [id], node)
  return node
}

/** Its addresses rest; an elastic IP stays its owner's. */
export async function removeNode(tx: Transaction, id: string): Promise<void> {
  const one = await tx.get('interface', id)
  if (one !== null) await removeInterface(tx, one)
  await tx.delete('balancer-node', id)
}

async function givePublicAddress(
  tx: Transaction,
  { randomHex, region }: BalancingParts,
  view: View,
  { id, ipv4, rack, account }: InterfaceRecord,
  { allocation, nowMs }: { readonly allocation: string; readonly nowMs: number },
): Promise<void> {
  if (allocation === '') {
    const ask = { account, rack, interface: id, privateIp: ipv4 }
    await takePublicAddress(tx, { view, randomHex, nowMs }, ask)
    return
  }
  const address = await tx.get('address', allocation)
  if (address?.account !== account || address.auto) {
    const text = `The allocation IDs '${allocation.slice(0, 100)}' are not available for use`
    throw new ApiError('AllocationIdNotFound', text)
  }
  if (address.association !== '') {
    const text = `The allocation IDs are not available for use: '${allocation}' is associated`
    throw new ApiError('ResourceInUse', text)
  }
  const pool = await tx.get('public-pool', address.pool)
  if (pool === null || !isAnnouncedIn(pool, rack)) {
    const zone = zoneName(region, rack)
    throw badConfiguration(
      `${address.publicIp} is of pool ${address.pool}, not announced in ${zone}`,
    )
  }
  await associateAddress(tx, { randomHex }, address, { interface: id, privateIp: ipv4 })
}

/** EC2's refusals, as this service says them. */
async function asElb<T>(made: Promise<T>): Promise<T> {
  try {
    return await made
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    switch (error.code) {
      case 'InsufficientFreeAddressesInSubnet':
      case 'InsufficientAddressCapacity':
        throw new ApiError('InvalidSubnet', error.message)
      case 'InvalidIPAddress.InUse':
      case 'InvalidParameterValue':
      case 'InvalidParameterCombination':
        throw badConfiguration(error.message)
      default:
        throw error
    }
  }
}
