// The number pools of tenants' networks by name, and how numbers and addresses belong together.

import { type Cidr, contains, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { ipv4Hosts } from '../../topology/plan.ts'
import { ADDRESS_QUARANTINE_MS, type Band } from '../../topology/ranges.ts'

export const VLAN_TAG_POOL = 'vlan-tag'
export const VNI_POOL = 'vni'
export const MAC_POOL = 'mac'
export const VPC_IPV4_POOL = 'vpc-block'
export const VPC_IPV6_POOL = 'vpc-ipv6'

/** Numbers of a VPC's subnets. */
export function subnetPool(vpc: string): string {
  return `subnet-${vpc}`
}

/** Offsets of a subnet's IPv4 addresses; an interface's IPv6 address has the same one. */
export function ipv4Pool(subnet: string): string {
  return `ipv4-${subnet}`
}

export function ipv4Band(subnet: Cidr): Band {
  return { ...ipv4Hosts(subnet), quarantineMs: ADDRESS_QUARANTINE_MS }
}

/** The offset of an address in its subnet. RangeError when it is outside. */
export function ipv4Offset(subnetCidr: string, ipv4: string): number {
  const subnet = mustCidr(subnetCidr)
  const address = mustAddress(ipv4)
  if (!contains(subnet, address)) throw new RangeError(`${ipv4} is not in ${subnetCidr}`)
  return Number(address.value - subnet.base)
}
