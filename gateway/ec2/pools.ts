// The number pools of tenants' networks by name, and how numbers and addresses belong together.

import { type Cidr, contains, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { ipv4Hosts } from '../../topology/plan.ts'
import {
  ADDRESS_QUARANTINE_MS,
  type Band,
  NEVER_AGAIN,
  RESERVED_FIRST,
  SHORTEST_SUBNET_LENGTH,
} from '../../topology/ranges.ts'

export const VLAN_TAG_POOL = 'vlan-tag'
export const VNI_POOL = 'vni'
export const MAC_POOL = 'mac'

/** Offsets of a subnet's IPv4 addresses. */
export function ipv4Pool(subnet: string): string {
  return `ipv4-${subnet}`
}

/** Offsets of those of a subnet's IPv6 addresses that are not an IPv4 address's. */
export function ipv6Pool(subnet: string): string {
  return `ipv6-${subnet}`
}

/** Offsets of a public pool's addresses. */
export function publicPool(pool: string): string {
  return `public-${pool}`
}

export function ipv4Band(subnet: Cidr): Band {
  return { ...ipv4Hosts(subnet), quarantineMs: ADDRESS_QUARANTINE_MS }
}

/**
 * So many that none is given twice: a number that was given back would rest for ever. In a dual
 * stack subnet they begin behind every offset that an IPv4 address can have.
 */
export function ipv6Band({ ipv4Cidr }: { readonly ipv4Cidr: string }): Band {
  const first = ipv4Cidr === '' ? RESERVED_FIRST : 2 ** (32 - SHORTEST_SUBNET_LENGTH)
  return { first, last: 2 ** 48 - 1, quarantineMs: NEVER_AGAIN }
}

/** The offset of an address in its subnet. RangeError when it is outside. */
export function offsetOf(subnetCidr: string, text: string): bigint {
  const subnet = mustCidr(subnetCidr)
  const address = mustAddress(text)
  if (!contains(subnet, address)) throw new RangeError(`${text} is not in ${subnetCidr}`)
  return address.value - subnet.base
}
