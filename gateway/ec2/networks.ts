// Networks that nobody asks for: every account's default VPC with its default security group, and
// in it one default subnet for every rack.

import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { type Log, silentLog } from '../../common/log.ts'
import { blockCount, type Cidr, formatCidr, mustCidr } from '../../topology/cidr.ts'
import { ipv4Hosts, subnetIpv4, subnetIpv6, vpcIpv4, vpcIpv6 } from '../../topology/plan.ts'
import {
  type Band,
  DEFAULT_SUBNET_LENGTH,
  DEFAULT_VPC_LENGTH,
  PREFIX_QUARANTINE_MS,
  SUBNET_IPV6_LENGTH,
  VLAN_TAGS,
  VNIS,
  VPC_IPV6_LENGTH,
} from '../../topology/ranges.ts'
import type { CloudRecord, SubnetRecord, VpcRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { defaultGroupRules } from './group-rules.ts'
import { newId } from './ids.ts'
import { subnetPool, VLAN_TAG_POOL, VNI_POOL, VPC_IPV4_POOL, VPC_IPV6_POOL } from './pools.ts'

export interface NetworkOptions {
  readonly nowMs: number
  readonly randomHex: RandomHex
  readonly log?: Log
}

/** The default group's name, in every VPC (EC2 user guide, "Default security groups"). */
export const DEFAULT_GROUP = 'default'

/**
 * The account's default VPC and its default security group, when it has none yet. Throws Conflict
 * when the cloud has no block left for it.
 */
export async function ensureDefaultNetworks(
  tx: Transaction,
  account: string,
  { nowMs, randomHex }: NetworkOptions,
): Promise<void> {
  if ((await tx.get('name', 'default-vpc', account)) !== null) return
  const cloud = await cloudOf(tx)
  const id = await newId(tx, randomHex, 'vpc')
  await tx.put('name', ['default-vpc', account], { name: 'default-vpc', holder: id })
  await tx.put('vpc', [id], {
    id,
    account,
    ipv4Cidrs: [await takeIpv4Block(tx, cloud)],
    ipv6Cidrs: [await takeIpv6Block(tx, cloud)],
    isDefault: true,
    dhcpOptions: 'default',
    mainRouteTable: '',
    mainAssociation: '',
    defaultAcl: '',
    enableDnsSupport: true,
    enableDnsHostnames: true,
    createdAtMs: nowMs,
  })
  const group = await newId(tx, randomHex, 'security-group')
  await tx.put('security-group', [group], {
    id: group,
    account,
    vpc: id,
    name: DEFAULT_GROUP,
    description: 'default VPC security group',
    rules: defaultGroupRules(group, randomHex, true),
    createdAtMs: nowMs,
  })
}

/**
 * One default subnet for every default VPC and rack that has none. What cannot be made for want of
 * numbers is logged and left for another time: the others are made all the same.
 */
export async function ensureDefaultSubnets(state: State, options: NetworkOptions): Promise<void> {
  for (const { vpc, rack } of missingSubnets(state.view())) {
    try {
      await state.update((tx) => addDefaultSubnet(tx, vpc, rack, options))
    } catch (error) {
      if (!(error instanceof MalleeError) || error.code !== 'Conflict') throw error
      ;(options.log ?? silentLog).error('no default subnet', { vpc, rack, error })
    }
  }
}

/** Ends a subnet and gives its tag and its place in the VPC back. Its VNI is nobody's for ever. */
export async function removeSubnet(tx: Transaction, subnet: SubnetRecord): Promise<void> {
  const vpc = await tx.get('vpc', subnet.vpc)
  await tx.pool(VLAN_TAG_POOL).give(subnet.vlanTag)
  if (vpc !== null) await tx.pool(subnetPool(vpc.id)).give(subnetNumber(vpc, subnet))
  await tx.delete('name', ...defaultSubnetName(subnet.vpc, subnet.rack))
  await tx.delete('tags', subnet.id)
  await tx.delete('subnet', subnet.id)
}

/** Addresses that no interface has. Those in quarantine count as free, and are not given yet. */
export function freeAddresses(view: View, subnet: SubnetRecord): number {
  if (subnet.ipv4Cidr === '') return 0
  const { first, last } = ipv4Hosts(mustCidr(subnet.ipv4Cidr))
  const used = view
    .interfacesOf('subnet', subnet.id)
    .reduce((sum, one) => sum + (one.ipv4 === '' ? 0 : 1) + one.ipv4More.length, 0)
  return Math.max(0, last - first + 1 - used)
}

function missingSubnets(view: View): { vpc: string; rack: string }[] {
  const there = new Set(
    view
      .all('subnet')
      .filter((subnet) => subnet.isDefault)
      .map((subnet) => `${subnet.vpc} ${subnet.rack}`),
  )
  const racks = view.all('rack')
  return view
    .all('vpc')
    .filter((vpc) => vpc.isDefault)
    .flatMap((vpc) => racks.map((rack) => ({ vpc: vpc.id, rack: rack.name })))
    .filter(({ vpc, rack }) => !there.has(`${vpc} ${rack}`))
}

async function addDefaultSubnet(
  tx: Transaction,
  vpcId: string,
  rack: string,
  { nowMs, randomHex }: NetworkOptions,
): Promise<void> {
  const vpc = await tx.get('vpc', vpcId)
  if (vpc === null || (await tx.get('rack', rack)) === null) return
  // Several gateways do this at once: the name makes them one subnet.
  const name = defaultSubnetName(vpcId, rack)
  const holder = await tx.get('name', ...name)
  if (holder !== null && (await tx.get('subnet', holder.holder)) !== null) return
  const { ipv4, ipv6 } = await takeSubnetBlocks(tx, vpc)
  const id = await newId(tx, randomHex, 'subnet')
  await tx.put('name', name, { name: 'default-subnet', holder: id })
  await tx.put('subnet', [id], {
    id,
    account: vpc.account,
    vpc: vpc.id,
    rack,
    ipv4Cidr: formatCidr(ipv4),
    ipv6Cidr: formatCidr(ipv6),
    vlanTag: await take(tx, VLAN_TAG_POOL, VLAN_TAGS, 'VLAN tag'),
    vni: await take(tx, VNI_POOL, VNIS, 'VNI'),
    rackTags: {},
    routeTable: '',
    routeTableAssociation: '',
    acl: '',
    aclAssociation: '',
    mapPublicIpOnLaunch: false,
    assignIpv6OnCreation: true,
    hostnameType: 'ip-name',
    resourceNameDnsA: false,
    resourceNameDnsAaaa: false,
    enableDns64: false,
    isDefault: true,
    createdAtMs: nowMs,
  })
}

/** The VPC gets another block of either family when the ones that it has are full. */
async function takeSubnetBlocks(
  tx: Transaction,
  vpc: VpcRecord,
): Promise<{ ipv4: Cidr; ipv6: Cidr }> {
  const pool = tx.pool(subnetPool(vpc.id))
  let { ipv4Cidrs, ipv6Cidrs } = vpc
  let n = await pool.take(subnetBand(ipv4Cidrs))
  if (n === null) {
    ipv4Cidrs = [...ipv4Cidrs, await takeIpv4Block(tx, await cloudOf(tx))]
    n = await pool.take(subnetBand(ipv4Cidrs))
  }
  if (n === null) throw exhausted(`subnet of ${vpc.id}`)
  const perIpv6Block = 2 ** (SUBNET_IPV6_LENGTH - VPC_IPV6_LENGTH)
  const block = Math.floor(n / perIpv6Block)
  if (block >= ipv6Cidrs.length) {
    ipv6Cidrs = [...ipv6Cidrs, await takeIpv6Block(tx, await cloudOf(tx))]
  }
  const ipv4 = subnetIpv4(ipv4Cidrs.map(mustCidr), n)
  const ipv6 = subnetIpv6(mustCidr(ipv6Cidrs[block] ?? ''), n % perIpv6Block)
  if (ipv4 === null || ipv6 === null) throw exhausted(`subnet of ${vpc.id}`)
  if (ipv4Cidrs !== vpc.ipv4Cidrs || ipv6Cidrs !== vpc.ipv6Cidrs) {
    await tx.put('vpc', [vpc.id], { ...vpc, ipv4Cidrs, ipv6Cidrs })
  }
  return { ipv4, ipv6 }
}

/** The number of which subnetIpv4 makes the subnet's block. */
function subnetNumber(vpc: VpcRecord, subnet: SubnetRecord): number {
  const { first, last } = subnetBand(vpc.ipv4Cidrs)
  const cidrs = vpc.ipv4Cidrs.map(mustCidr)
  for (let n = first; n <= last; n += 1) {
    const block = subnetIpv4(cidrs, n)
    if (block !== null && formatCidr(block) === subnet.ipv4Cidr) return n
  }
  throw new RangeError(`${subnet.ipv4Cidr} of ${subnet.id} is in no block of ${vpc.id}`)
}

function subnetBand(ipv4Cidrs: readonly string[]): Band {
  return bandOf(ipv4Cidrs.map(mustCidr), DEFAULT_SUBNET_LENGTH)
}

/** The numbers of all blocks of a length in some prefixes. */
function bandOf(cidrs: readonly Cidr[], length: number): Band {
  const count = cidrs.reduce((sum, cidr) => sum + blockCount(cidr, length), 0n)
  return { first: 0, last: Number(count) - 1, quarantineMs: PREFIX_QUARANTINE_MS }
}

async function takeIpv4Block(tx: Transaction, cloud: CloudRecord): Promise<string> {
  const pools = cloud.ipv4Pools.map(mustCidr)
  const n = await take(tx, VPC_IPV4_POOL, bandOf(pools, DEFAULT_VPC_LENGTH), 'IPv4 block')
  const block = vpcIpv4(pools, n)
  if (block === null) throw exhausted('IPv4 block')
  return formatCidr(block)
}

async function takeIpv6Block(tx: Transaction, cloud: CloudRecord): Promise<string> {
  const pool = mustCidr(cloud.ipv6Pool)
  const n = await take(tx, VPC_IPV6_POOL, bandOf([pool], VPC_IPV6_LENGTH), 'IPv6 block')
  const block = vpcIpv6(pool, n)
  if (block === null) throw exhausted('IPv6 block')
  return formatCidr(block)
}

async function take(tx: Transaction, pool: string, band: Band, what: string): Promise<number> {
  const n = await tx.pool(pool).take(band)
  if (n === null) throw exhausted(what)
  return n
}

async function cloudOf(tx: Transaction): Promise<CloudRecord> {
  const cloud = await tx.get('cloud', 'self')
  if (cloud === null) throw new MalleeError('NotFound', 'there is no cloud yet')
  return cloud
}

function exhausted(what: string): MalleeError {
  return new MalleeError('Conflict', `every ${what} of the cloud is taken`)
}

function defaultSubnetName(vpc: string, rack: string): [string, string, string] {
  return ['default-subnet', vpc, rack]
}
