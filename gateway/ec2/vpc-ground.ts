// What VPCs' prefixes are taken from, and what no VPC may have: it means something else in every
// rack.

import { type Cidr, mustAddress, mustCidr, parseAddress, single } from '../../topology/cidr.ts'
import type { CloudRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { type Ground, VPC_IPV4_SPACE, VPC_IPV6_SPACE } from './blocks.ts'

/** This network, loopback, link-local, multicast and reserved ones (RFC 6890, 2.2.2). */
const SPECIAL_IPV4 = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4']
/** EC2's services in IPv6, and what is not unicast. */
const SPECIAL_IPV6 = ['fd00:ec2::/32', 'fe80::/10', 'ff00::/8', '::/8']
/** Private ranges (RFC 1918), to name a free block from. */
const PRIVATE_IPV4 = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']

export type VpcFamily = 4 | 6

export function vpcSpace(family: VpcFamily): string {
  return family === 4 ? VPC_IPV4_SPACE : VPC_IPV6_SPACE
}

export function vpcGround(view: View, family: VpcFamily): Ground {
  return { pools: poolsOf(cloudIn(view), family), reserved: reservedFor(view, family) }
}

/** Where a message finds an example: the cloud's pools first. */
export function exampleGround(view: View, family: VpcFamily): Ground {
  const { pools, reserved } = vpcGround(view, family)
  return { pools: family === 4 ? [...pools, ...PRIVATE_IPV4.map(mustCidr)] : pools, reserved }
}

export function poolsOf(cloud: CloudRecord, family: VpcFamily): Cidr[] {
  return (family === 4 ? cloud.ipv4Pools : [cloud.ipv6Pool]).map(mustCidr)
}

function cloudIn(view: View): CloudRecord {
  const cloud = view.get('cloud', 'self')
  if (cloud === null) throw new RangeError('there is no cloud in the store')
  return cloud
}

function reservedFor(view: View, family: VpcFamily): Cidr[] {
  const special = (family === 4 ? SPECIAL_IPV4 : SPECIAL_IPV6).map(mustCidr)
  const mine = [
    mustCidr(cloudIn(view).fabricPrefix),
    ...view.all('public-pool').map((pool) => mustCidr(pool.cidr)),
    ...endpoints(view),
  ]
  return [...special, ...mine.filter((one) => one.family === family)]
}

/** A VPC with a host's own address in it would draw the tunnels' packets into themselves. */
function endpoints(view: View): Cidr[] {
  const addresses = view
    .all('host')
    .flatMap((host) => host.status?.wireguardEndpoints ?? [])
    .map((endpoint) => endpoint.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))
    .filter((address) => parseAddress(address).ok)
  return [...new Set(addresses)].map((address) => single(mustAddress(address)))
}
