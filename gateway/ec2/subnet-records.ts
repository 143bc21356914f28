// The record of a subnet, with the numbers and blocks that it takes and gives back.

import type { RandomHex } from '../../common/clock.ts'
import { mustCidr } from '../../topology/cidr.ts'
import { ipv4Hosts } from '../../topology/plan.ts'
import type { SubnetRecord, VpcRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { giveBlock, subnetSpace } from './blocks.ts'
import { randomId } from './ids.ts'
import { isAnnouncedIn } from './public-addresses.ts'
import { giveNumbers, takeNumbers } from './vlan-tags.ts'

export interface NewSubnet {
  readonly id: string
  readonly vpc: VpcRecord
  /** EVERY_RACK for a stretched one. */
  readonly rack: string
  readonly ipv4Cidr: string
  readonly ipv6Cidr: string
  readonly isDefault: boolean
  readonly nowMs: number
}

/** Writes the subnet and takes its tag and VNI; its blocks are taken already. */
export async function createSubnetRecord(
  tx: Transaction,
  { state, randomHex }: { state: State; randomHex: RandomHex },
  { id, vpc, rack, ipv4Cidr, ipv6Cidr, isDefault, nowMs }: NewSubnet,
): Promise<SubnetRecord> {
  const subnet: SubnetRecord = {
    id,
    account: vpc.account,
    vpc: vpc.id,
    rack,
    ipv4Cidr,
    ipv6Cidr,
    ...(await takeNumbers(tx, state, rack)),
    isDefault,
    routeTable: '',
    routeTableAssociation: '',
    acl: vpc.defaultAcl,
    aclAssociation: randomId(randomHex, 'aclassoc'),
    mapPublicIpOnLaunch: isDefault && hasPublicPool(await state.fresh(), rack),
    // EC2 turns it on for subnets that have nothing else.
    assignIpv6OnCreation: isDefault || ipv4Cidr === '',
    hostnameType: ipv4Cidr === '' ? 'resource-name' : 'ip-name',
    resourceNameDnsA: false,
    resourceNameDnsAaaa: ipv4Cidr === '',
    enableDns64: false,
    createdAtMs: nowMs,
  }
  await tx.put('subnet', [id], subnet)
  return subnet
}

/** Ends a subnet and gives its tags and blocks back. Its VNI is nobody's for ever. */
export async function removeSubnet(tx: Transaction, subnet: SubnetRecord): Promise<void> {
  await giveNumbers(tx, subnet)
  for (const cidr of [subnet.ipv4Cidr, subnet.ipv6Cidr]) {
    if (cidr !== '') await giveBlock(tx, subnetSpace(subnet.vpc), cidr)
  }
  await tx.delete('tags', subnet.id)
  await tx.delete('subnet', subnet.id)
}

/** Addresses that no interface has. Those in quarantine count as free, and are not given yet. */
export function freeAddresses(view: View, subnet: SubnetRecord): number {
  if (subnet.ipv4Cidr === '') return 0
  const { first, last } = ipv4Hosts(mustCidr(subnet.ipv4Cidr))
  const held = view
    .interfacesOf('subnet', subnet.id)
    .reduce((sum, one) => sum + (one.ipv4 === '' ? 0 : 1) + one.ipv4More.length, 0)
  return Math.max(0, last - first + 1 - held)
}

function hasPublicPool(view: View, rack: string): boolean {
  return view.all('public-pool').some((pool) => !pool.closing && isAnnouncedIn(pool, rack))
}
