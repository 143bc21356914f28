// From numbers to prefixes and addresses. Every number of a pool is one prefix, address or MAC and
// no two are the same, so that what is unique in the pools is unique in the whole cloud.

import {
  type Address,
  blockCount,
  type Cidr,
  formatAddress,
  formatCidr,
  mustAddress,
  nthAddress,
  nthBlock,
  size,
} from './cidr.ts'
import {
  type Band,
  CLOUD_FABRIC_LENGTH,
  DEFAULT_SUBNET_LENGTH,
  DEFAULT_VPC_LENGTH,
  HOST_INDEXES,
  IPV6_POOL_LENGTH,
  LONGEST_SUBNET_LENGTH,
  MACS,
  RACK_FABRIC_LENGTH,
  RACK_INDEXES,
  RESERVED_FIRST,
  RESERVED_LAST,
  STORAGE_NETWORK,
  STORAGE_NETWORK_LENGTH,
  STORAGE_VLAN_TAG,
  SUBNET_IPV6_LENGTH,
  VLAN_TAGS,
  VPC_IPV6_LENGTH,
} from './ranges.ts'

const GATEWAY_OFFSET = 1

/** 10 hex digits, RFC 4193's 40-bit global id → fdxx:xxxx:xxxx::/48. */
export function fabricPrefix(globalIdHex: string): Cidr {
  return uniqueLocal(globalIdHex, CLOUD_FABRIC_LENGTH)
}

/** 8 random hex digits → fdxx:xxxx:xx00::/40 for the tenants' VPCs. */
export function ipv6Pool(hex: string): Cidr {
  return uniqueLocal(hex, IPV6_POOL_LENGTH)
}

/** A rack's /64 of the cloud's /48. */
export function rackFabric(cloudFabric: Cidr, rackIndex: number): Cidr {
  check('rack index', RACK_INDEXES, rackIndex)
  const block = nthBlock(cloudFabric, RACK_FABRIC_LENGTH, rackIndex)
  if (block === null) throw new RangeError(`${formatCidr(cloudFabric)} has no rack ${rackIndex}`)
  return block
}

/** A host's own address, for tunnels and for the agents' sessions inside of them. */
export function hostFabric(cloudFabric: Cidr, rackIndex: number, hostIndex: number): Address {
  check('host index', HOST_INDEXES, hostIndex)
  return nthAddress(rackFabric(cloudFabric, rackIndex), hostIndex)
}

/** Where a rack's hosts reach each other's volumes; nothing of it leaves the rack. */
export function storageNetwork(cloudFabric: Cidr, rackIndex: number): Cidr {
  const fabric = rackFabric(cloudFabric, rackIndex)
  const block = nthBlock(fabric, STORAGE_NETWORK_LENGTH, STORAGE_NETWORK)
  if (block === null) throw new RangeError(`${formatCidr(fabric)} has no room for storage`)
  return block
}

/** A host's address in its rack's storage network. */
export function storageAddress(cloudFabric: Cidr, rackIndex: number, hostIndex: number): Address {
  check('host index', HOST_INDEXES, hostIndex)
  return nthAddress(storageNetwork(cloudFabric, rackIndex), hostIndex)
}

/** The nth /20 over all pools, one pool after the other; null behind the last. */
export function vpcIpv4(pools: readonly Cidr[], n: number): Cidr | null {
  return nthOver(pools, DEFAULT_VPC_LENGTH, n)
}

/** The nth /56 of the tenants' pool; null behind the last. */
export function vpcIpv6(pool: Cidr, n: number): Cidr | null {
  return nthBlock(pool, VPC_IPV6_LENGTH, n)
}

/** The nth /24 over all blocks of a VPC; null behind the last. */
export function subnetIpv4(vpcCidrs: readonly Cidr[], n: number): Cidr | null {
  return nthOver(vpcCidrs, DEFAULT_SUBNET_LENGTH, n)
}

/** The nth /64 of a VPC's block; null behind the last. */
export function subnetIpv6(vpcCidr: Cidr, n: number): Cidr | null {
  return nthBlock(vpcCidr, SUBNET_IPV6_LENGTH, n)
}

/** An instance's MAC: `02:` and the number's 40 bits. */
export function macOf(n: number): string {
  check('MAC number', MACS, n)
  return macText(0x02, BigInt(n))
}

/**
 * The MAC of a host itself in one network, as its gateway or its storage port: `0a:`, 16 bits of
 * rack, 12 of host, 12 of tag. The other first octet keeps it apart from every instance's.
 */
export function gatewayMac(rackIndex: number, hostIndex: number, vlanTag: number): string {
  check('rack index', RACK_INDEXES, rackIndex)
  check('host index', HOST_INDEXES, hostIndex)
  check('VLAN tag', { first: VLAN_TAGS.first, last: STORAGE_VLAN_TAG }, vlanTag)
  return macText(0x0a, (BigInt(rackIndex) << 24n) | BigInt((hostIndex << 12) | vlanTag))
}

/** The gateway MACs of a network in a rack, whichever host has it: a value and its mask. */
export function anyGatewayMac(rackIndex: number, vlanTag: number): string {
  check('rack index', RACK_INDEXES, rackIndex)
  check('VLAN tag', { first: VLAN_TAGS.first, last: STORAGE_VLAN_TAG }, vlanTag)
  return `${macText(0x0a, (BigInt(rackIndex) << 24n) | BigInt(vlanTag))}/ff:ff:ff:00:0f:ff`
}

/** fe80:: with the MAC's modified EUI-64 (RFC 4291, appendix A). RangeError for other texts. */
export function linkLocalOf(mac: string): string {
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(mac)) throw new RangeError(`${mac} is no MAC`)
  const bits = BigInt(`0x${mac.replaceAll(':', '')}`) ^ (0x02n << 40n)
  const eui64 = ((bits >> 24n) << 40n) | (0xfffen << 24n) | (bits & 0xff_ffffn)
  return formatAddress({ family: 6, value: mustAddress('fe80::').value | eui64 })
}

/** Offsets that interfaces may have: all but EC2's five. RangeError beyond /28. */
export function ipv4Hosts(subnet: Cidr): { first: number; last: number } {
  if (subnet.family !== 4 || subnet.length > LONGEST_SUBNET_LENGTH) {
    throw new RangeError(`${formatCidr(subnet)} is no IPv4 subnet of /${LONGEST_SUBNET_LENGTH}`)
  }
  return { first: RESERVED_FIRST, last: Number(size(subnet)) - 1 - RESERVED_LAST }
}

/** Offsets of what a block of public addresses has to give: all but its network and broadcast. */
export function publicHosts(block: Cidr): { first: number; last: number } {
  const last = Number(size(block)) - 1
  // RFC 3021: a /31 has neither; a /32 is one address.
  return block.length >= 31 ? { first: 0, last } : { first: 1, last: last - 1 }
}

/** The interface address at an offset of ipv4Hosts. */
export function ipv4Of(subnet: Cidr, n: number): string {
  check('IPv4 offset', ipv4Hosts(subnet), n)
  return formatAddress(nthAddress(subnet, n))
}

/** The interface address at an offset from 4 on; dual-stack ones have ipv4Of's in both. */
export function ipv6Of(subnet: Cidr, n: number): string {
  if (n < RESERVED_FIRST) throw new RangeError(`IPv6 offset ${n} is reserved`)
  return formatAddress(nthAddress(ipv6Subnet(subnet), n))
}

export function gatewayIpv4(subnet: Cidr): string {
  ipv4Hosts(subnet)
  return formatAddress(nthAddress(subnet, GATEWAY_OFFSET))
}

export function gatewayIpv6(subnet: Cidr): string {
  return formatAddress(nthAddress(ipv6Subnet(subnet), GATEWAY_OFFSET))
}

function ipv6Subnet(subnet: Cidr): Cidr {
  if (subnet.family === 6 && subnet.length === SUBNET_IPV6_LENGTH) return subnet
  throw new RangeError(`${formatCidr(subnet)} is no IPv6 /${SUBNET_IPV6_LENGTH}`)
}

/** fd00::/8 (RFC 4193, 3.1: locally assigned) and `hex` behind it. */
function uniqueLocal(hex: string, length: number): Cidr {
  const digits = (length - 8) / 4
  if (!new RegExp(`^[0-9a-f]{${digits}}$`, 'i').test(hex)) {
    throw new RangeError(`${JSON.stringify(hex)} is not ${digits} hex digits`)
  }
  return { family: 6, base: BigInt(`0xfd${hex}`) << BigInt(128 - length), length }
}

function nthOver(cidrs: readonly Cidr[], length: number, n: number): Cidr | null {
  let rest = BigInt(n)
  for (const cidr of cidrs) {
    const count = blockCount(cidr, length)
    if (rest < count) return nthBlock(cidr, length, rest)
    rest -= count
  }
  return null
}

function macText(first: number, rest: bigint): string {
  const hex = ((BigInt(first) << 40n) | rest).toString(16).padStart(12, '0')
  return (hex.match(/../g) ?? []).join(':')
}

function check(what: string, { first, last }: Omit<Band, 'quarantineMs'>, n: number): void {
  if (!Number.isInteger(n) || n < first || n > last) {
    throw new RangeError(`${what} ${n} is not within ${first}..${last}`)
  }
}
