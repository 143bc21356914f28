// What an account may have: quotas by their names in Service Quotas, what they are when nobody set
// them, and how a request is held to them.

import { ApiError } from '../aws/api-error.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { type InstanceTypeSpec, instanceType } from './instance-types.ts'

interface Quota {
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

/** Default values are AWS' largest or this cloud's own; its hosts are what ends instances. */
const TABLE = {
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
  'outstanding-peerings': {
    name: 'Outstanding VPC peering connection requests',
    value: 25,
    code: 'OutstandingVpcPeeringConnectionLimitExceeded',
    things: 'peerings that wait to be accepted',
    used: (view, account) =>
      view
        .all('peering')
        .filter((one) => one.requester.account === account && one.state === 'pending-acceptance')
        .length,
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

export type QuotaId = keyof typeof TABLE
export const QUOTAS: Readonly<Record<QuotaId, Quota>> = TABLE
export const QUOTA_IDS = Object.keys(TABLE) as QuotaId[]
type AccountQuota = {
  [K in QuotaId]: (typeof TABLE)[K]['used'] extends null ? never : K
}[QuotaId]

/** How much of it the account may have, as the mirror shows it. */
export function quotaOf(view: View, account: string, id: QuotaId): number {
  return view.get('quota', account, id)?.value ?? QUOTAS[id].value
}

/**
 * Throws the quota's own code when the account has as many as it may. Of what the operator set two
 * requests at once cannot both take the last one.
 */
export async function checkQuota(
  tx: Transaction,
  state: State,
  account: string,
  id: AccountQuota,
): Promise<void> {
  const most = await quotaIn(tx, account, id)
  const have = TABLE[id].used(await state.fresh(), account)
  refusePast(id, 'The account', have, most)
}

/** The same of what each VPC has its own count of; who adds to that VPC holds it (holdVpc). */
export async function checkQuotaOf(
  tx: Transaction,
  { account, id: of }: { readonly account: string; readonly id: string },
  id: Exclude<QuotaId, AccountQuota>,
  have: number,
): Promise<void> {
  const { per = 'VPC' } = QUOTAS[id]
  refusePast(id, `The ${per} ${of}`, have, await quotaIn(tx, account, id))
}

/**
 * How many of `wanted` instances of a type the account may still start, at least `least`. Throws
 * VcpuLimitExceeded, of spot instances MaxSpotInstanceCountExceeded.
 */
export async function instancesAllowed(
  tx: Transaction,
  state: State,
  account: string,
  { type, isSpot, least, wanted }: InstancesAsked,
): Promise<number> {
  const id = isSpot ? 'spot-vcpus' : 'vcpus'
  const most = await quotaIn(tx, account, id)
  const used = vcpusOf(await state.fresh(), account, isSpot)
  const room = Math.max(0, Math.floor((most - used) / type.vcpus))
  if (room >= least) return Math.min(wanted, room)
  throw noVcpus(id, most, used, least * type.vcpus)
}

interface InstancesAsked {
  readonly type: Pick<InstanceTypeSpec, 'vcpus'>
  readonly isSpot: boolean
  readonly least: number
  readonly wanted: number
}

/** May instances that are stopped start, which take that many vCPUs? Throws like the above. */
export async function checkVcpus(
  tx: Transaction,
  state: State,
  account: string,
  { needed, isSpot }: { readonly needed: number; readonly isSpot: boolean },
): Promise<void> {
  if (needed === 0) return
  const id = isSpot ? 'spot-vcpus' : 'vcpus'
  const most = await quotaIn(tx, account, id)
  const used = vcpusOf(await state.fresh(), account, isSpot)
  if (used + needed > most) throw noVcpus(id, most, used, needed)
}

/**
 * What the store says. A quota that the operator set is written again: of two who take of it at
 * once, one is run again and sees what the other took. The mirror is to be asked after this.
 */
async function quotaIn(tx: Transaction, account: string, id: QuotaId): Promise<number> {
  const set = await tx.get('quota', account, id)
  if (set === null) return QUOTAS[id].value
  await tx.put('quota', [account, id], set)
  return set.value
}

function refusePast(id: QuotaId, whose: string, have: number, most: number): void {
  if (have < most) return
  const { code, things } = QUOTAS[id]
  throw new ApiError(code, `${whose} has ${have} ${things}; at most ${most} are allowed.`)
}

function noVcpus(id: QuotaId, most: number, used: number, needed: number): ApiError {
  const { code, name } = QUOTAS[id]
  const text =
    `You have requested more vCPU capacity than your current limit of ${most} allows: ` +
    `${used} are in use, and this request needs ${needed} (${name}).`
  return new ApiError(code, text)
}

/** Of instances that run or are about to, whatever their type's family. */
function vcpusOf(view: View, account: string, isSpot: boolean): number {
  return view
    .instancesOf('account', account)
    .filter((one) => one.state === 'pending' || one.state === 'running')
    .filter((one) => (one.spot !== undefined) === isSpot)
    .reduce((sum, one) => sum + (instanceType(view, one.type)?.vcpus ?? 0), 0)
}
