// Quotas by their names in Service Quotas: what an account may have when nobody set them, the code
// of AWS for more, and what it has.

import type { View } from '../store/state.ts'
import { instanceType } from './instance-types.ts'
import { isWaiting } from './peering-records.ts'

export interface Quota {
  /** As Service Quotas has it. */
  readonly name: string
  /** What an account may have of it while no record says otherwise. */
  readonly value: number
  /** The code of AWS that a request is refused with. */
  readonly code: string
  /** What is counted, in a sentence. */
  readonly things: string
  /** How many an account has; null where each VPC or load balancer has its own count. */
  readonly used: ((view: View, account: string) => number) | null
  /** What has its own count; VPCs when it is not said. */
  readonly per?: string
}

/** Nobody has as much; the largest that can be set. */
const UNLIMITED = 1_000_000_000

/** Default values are AWS' largest or this cloud's own; its hosts are what ends instances. */
export const TABLE = {
  vpcs: {
    name: 'VPCs per Region',
    value: 5_000,
    code: 'VpcLimitExceeded',
    things: 'VPCs',
    used: (view, account) => view.by('vpc', 'account', account).length,
  },
  vcpus: {
    name: 'Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances',
    value: 100_000,
    code: 'VcpuLimitExceeded',
    things: 'vCPUs',
    used: (view, account) => vcpusOf(view, account, false),
  },
  'spot-vcpus': {
    name: 'All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests',
    value: 100_000,
    code: 'MaxSpotInstanceCountExceeded',
    things: 'vCPUs of spot instances',
    used: (view, account) => vcpusOf(view, account, true),
  },
  'elastic-ips': {
    name: 'EC2-VPC Elastic IPs',
    value: 50,
    code: 'AddressLimitExceeded',
    things: 'elastic IPs',
    used: (view, account) =>
      view.by('address', 'account', account).filter((one) => !one.auto).length,
  },
  'key-pairs': {
    name: 'Key pairs',
    value: 5_000,
    code: 'KeyPairLimitExceeded',
    things: 'key pairs',
    used: (view, account) => view.by('key-pair', 'account', account).length,
  },
  'security-groups': {
    name: 'VPC security groups per Region',
    value: 2_500,
    code: 'SecurityGroupLimitExceeded',
    things: 'security groups',
    used: (view, account) => view.by('security-group', 'account', account).length,
  },
  'internet-gateways': {
    name: 'Internet gateways per Region',
    value: 500,
    code: 'InternetGatewayLimitExceeded',
    things: 'internet gateways',
    used: (view, account) => view.by('internet-gateway', 'account', account).length,
  },
  'customer-gateways': {
    name: 'Customer gateways per Region',
    value: 50,
    code: 'CustomerGatewayLimitExceeded',
    things: 'customer gateways',
    used: (view, account) => view.by('customer-gateway', 'account', account).filter(isLive).length,
  },
  'vpn-gateways': {
    name: 'Virtual private gateways per Region',
    value: 50,
    code: 'VpnGatewayLimitExceeded',
    things: 'VPN gateways',
    used: (view, account) => view.by('vpn-gateway', 'account', account).filter(isLive).length,
  },
  interfaces: {
    name: 'Network interfaces per Region',
    value: 5_000,
    code: 'NetworkInterfaceLimitExceeded',
    things: 'network interfaces',
    used: (view, account) => view.interfacesOf('account', account).length,
  },
  'prefix-lists': {
    name: 'Prefix lists per Region',
    value: 100,
    code: 'PrefixListLimitExceeded',
    things: 'prefix lists',
    used: (view, account) => view.by('prefix-list', 'account', account).length,
  },
  'placement-groups': {
    name: 'Placement groups per Region',
    value: 500,
    code: 'PlacementGroupLimitExceeded',
    things: 'placement groups',
    used: (view, account) => view.by('placement-group', 'account', account).length,
  },
  'launch-templates': {
    name: 'Launch templates per Region',
    value: 5_000,
    code: 'LaunchTemplateLimitExceeded',
    things: 'launch templates',
    used: (view, account) => view.by('launch-template', 'account', account).length,
  },
  'auto-scaling-groups': {
    name: 'Auto Scaling groups per region',
    value: 200,
    code: 'LimitExceeded',
    things: 'Auto Scaling groups',
    used: (view, account) => view.by('scaling-group', 'account', account).length,
  },
  snapshots: {
    name: 'Snapshots per Region',
    value: 100_000,
    code: 'SnapshotLimitExceeded',
    things: 'snapshots',
    used: (view, account) =>
      view.by('volume-snapshot', 'account', account).filter((one) => one.deletedAtMs === null)
        .length,
  },
  images: {
    name: 'AMIs',
    value: 50_000,
    code: 'ResourceLimitExceeded',
    things: 'images',
    used: (view, account) =>
      view.all('image').filter((one) => one.account === account && one.state === 'available')
        .length,
  },
  'outstanding-peerings': {
    name: 'Outstanding VPC peering connection requests',
    value: 25,
    code: 'OutstandingVpcPeeringConnectionLimitExceeded',
    things: 'peerings that wait to be accepted',
    used: (view, account) =>
      view.all('peering').filter((one) => one.requester.account === account && isWaiting(one))
        .length,
  },
  'vpn-connections': {
    name: 'Site-to-Site VPN connections per Region',
    value: 50,
    code: 'VpnConnectionLimitExceeded',
    things: 'VPN connections',
    used: (view, account) => view.by('vpn-connection', 'account', account).filter(isLive).length,
  },
  'vpn-connections-per-gateway': {
    name: 'Site-to-Site VPN connections per virtual private gateway',
    value: 10,
    code: 'VpnConnectionLimitExceeded',
    things: 'VPN connections',
    used: null,
    per: 'VPN gateway',
  },
  'peerings-per-vpc': {
    name: 'Active VPC peering connections per VPC',
    value: 50,
    code: 'VpcPeeringConnectionsPerVpcLimitExceeded',
    things: 'active peerings',
    used: null,
  },
  'route-tables-per-vpc': {
    name: 'Route tables per VPC',
    value: 200,
    code: 'RouteTableLimitExceeded',
    things: 'route tables',
    used: null,
  },
  'network-acls-per-vpc': {
    name: 'Network ACLs per VPC',
    value: 200,
    code: 'NetworkAclLimitExceeded',
    things: 'network ACLs',
    used: null,
  },
  'ipv4-blocks-per-vpc': {
    name: 'IPv4 CIDR blocks per VPC',
    value: 5,
    code: 'CidrLimitExceeded',
    things: 'IPv4 blocks',
    used: null,
  },
  'ipv6-blocks-per-vpc': {
    name: 'IPv6 CIDR blocks per VPC',
    value: 5,
    code: 'CidrLimitExceeded',
    things: 'IPv6 blocks',
    used: null,
  },
  volumes: {
    name: 'Volumes per Region',
    value: 10_000,
    code: 'VolumeLimitExceeded',
    things: 'volumes',
    used: (view, account) => view.by('volume', 'account', account).length,
  },
  'volume-gib': {
    name: 'GiB of volumes of all types',
    value: 307_200,
    code: 'VolumeLimitExceeded',
    things: 'GiB of volumes',
    used: (view, account) =>
      view.by('volume', 'account', account).reduce((sum, { sizeGib }) => sum + sizeGib, 0),
  },
  's3-buckets': {
    name: 'General purpose buckets',
    value: 10_000,
    code: 'TooManyBuckets',
    things: 'buckets',
    used: (view, account) => view.by('bucket', 'account', account).length,
  },
  's3-gib': {
    name: 'GiB in S3, with older versions and uploads',
    value: UNLIMITED,
    code: 'QuotaExceeded',
    things: 'GiB',
    used: null,
  },
  's3-objects': {
    name: 'Objects in S3, with older versions',
    value: UNLIMITED,
    code: 'QuotaExceeded',
    things: 'objects',
    used: null,
  },
  'network-load-balancers': {
    name: 'Network Load Balancers per Region',
    value: 50,
    code: 'TooManyLoadBalancers',
    things: 'network load balancers',
    used: (view, account) => view.by('load-balancer', 'account', account).length,
  },
  'target-groups': {
    name: 'Target Groups per Region',
    value: 3_000,
    code: 'TooManyTargetGroups',
    things: 'target groups',
    used: (view, account) => view.by('target-group', 'account', account).length,
  },
  'listeners-per-network-load-balancer': {
    name: 'Listeners per Network Load Balancer',
    value: 50,
    code: 'TooManyListeners',
    things: 'listeners',
    used: null,
    per: 'load balancer',
  },
  'targets-per-zone-per-network-load-balancer': {
    name: 'Targets per Availability Zone per Network Load Balancer',
    value: 500,
    code: 'TooManyTargets',
    things: 'targets in one zone',
    used: null,
    per: 'load balancer',
  },
} as const satisfies Readonly<Record<string, Quota>>

/** What is deleted can be seen for a while and counts no more. */
function isLive({ state }: { readonly state: string }): boolean {
  return state !== 'deleted'
}

/** Of instances that run or are about to, whatever their type's family. */
export function vcpusOf(view: View, account: string, isSpot: boolean): number {
  return view
    .instancesOf('account', account)
    .filter((one) => one.state === 'pending' || one.state === 'running')
    .filter((one) => (one.spot !== undefined) === isSpot)
    .reduce((sum, one) => sum + (instanceType(view, one.type)?.vcpus ?? 0), 0)
}
