// The other CCs as the ends of VXLAN devices: their addresses in the fabric, and the MACs of those
// devices, known without asking.

import type { RackConfig, Tunnel } from '../../proto/gen/mallee/v1/desired_pb.js'
import {
  covers,
  formatAddress,
  formatCidr,
  mustAddress,
  mustCidr,
  single,
} from '../../topology/cidr.ts'
import { hostFabric, linkLocalOf } from '../../topology/plan.ts'
import { TRANSIT_DEVICE } from './names.ts'

/** Below every network's own (RFC 7348: 24 bits). */
export const TRANSIT_VNI = 1

/** A CC here, with length. */
export function fabricAddress(
  { cloudFabric, rackIndex }: Pick<RackConfig, 'cloudFabric' | 'rackIndex'>,
  hostIndex: number,
): string {
  return formatCidr(single(hostFabric(mustCidr(cloudFabric), rackIndex, hostIndex)))
}

/** A CC elsewhere by what its tunnel may carry: its own address in the fabric. */
export function fabricOf(fabric: string, tunnel: Tunnel): string | null {
  const cloud = mustCidr(fabric)
  const own = tunnel.allowedIps
    .map((one) => mustCidr(one))
    .find((cidr) => cidr.family === 6 && cidr.length === 128 && covers(cloud, cidr))
  return own === undefined ? null : formatAddress({ family: 6, value: own.base })
}

/** `06:`, 12 bits of VNI, the rack's 16 and the host's 12: no instance's and no gateway's. */
export function vxlanMac(fabricAddress: string, vni: number): string {
  const { value } = mustAddress(fabricAddress)
  const rackAndHost = (((value >> 64n) & 0xffffn) << 12n) | (value & 0xfffn)
  const bits = (0x06n << 40n) | (BigInt(vni & 0xfff) << 28n) | rackAndHost
  return (bits.toString(16).padStart(12, '0').match(/../g) ?? []).join(':')
}

/**
 * The next hop to a CC on the transit device. Link-local: the kernel takes no other one whose
 * address it knows a route to by another device.
 */
export function transitHop(fabricAddress: string): string {
  return linkLocalOf(vxlanMac(fabricAddress, TRANSIT_VNI))
}

/** The end of a route to such a CC. */
export function overTransit(family: 4 | 6, fabricAddress: string): string {
  const hop = transitHop(fabricAddress)
  return `via ${family === 4 ? 'inet6 ' : ''}${hop} dev ${TRANSIT_DEVICE} onlink`
}
