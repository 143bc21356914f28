// CreateLoadBalancer, DescribeLoadBalancers, DeleteLoadBalancer. An account has a name once: the
// `name` record makes two requests at once meet.

import type { LoadBalancer } from '@aws-sdk/client-elastic-load-balancing-v2'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, LoadBalancingHandlers, LoadBalancingInputs } from '../aws/handlers.ts'
import { groupsFor, parseGroups } from '../ec2/interface-groups.ts'
import { checkQuota } from '../ec2/quotas.ts'
import { holdVpc } from '../ec2/vpc-records.ts'
import type { LoadBalancerRecord } from '../store/balancer-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { idIn, loadBalancerArn, named, newHexId } from './arns.ts'
import { isProtected } from './attributes.ts'
import { badConfiguration, invalid, notFound } from './errors.ts'
import { checkName, parseTags, refuseUnknown } from './input.ts'
import { removeListener } from './listener-records.ts'
import { addNode, type Mapping, parseMappings, removeNode, subnetsOf } from './nodes.ts'
import { pageOf } from './paging.ts'
import type { BalancingParts } from './parts.ts'
import { loadBalancerOf } from './shapes.ts'

type Handlers = Required<
  Pick<LoadBalancingHandlers, 'CreateLoadBalancer' | 'DescribeLoadBalancers' | 'DeleteLoadBalancer'>
>
type Wish = Omit<
  LoadBalancerRecord,
  'id' | 'vpc' | 'interfaces' | 'createdAtMs' | 'provisioningSinceMs'
>

const KIND = 'load-balancer'
const KNOWN = new Set([
  ...['Name', 'Subnets', 'SubnetMappings', 'SecurityGroups', 'Scheme', 'Tags', 'Type'],
  'IpAddressType',
])
const HARMLESS = new Map<string, readonly unknown[]>([['EnablePrefixForIpv6SourceNat', ['off']]])

export function loadBalancerHandlers(parts: BalancingParts): Handlers {
  const { state, region } = parts
  return {
    CreateLoadBalancer: async (context, input) => {
      const wish = wishOf(context.caller.account, input)
      const mappings = parseMappings(input)
      const id = await state.update((tx) => createBalancer(tx, parts, context, wish, mappings))
      return { LoadBalancers: shown(await state.fresh(), region, id) }
    },

    DescribeLoadBalancers: async (context, input) => {
      const view = await state.fresh()
      const balancers = askedFor(view, region, context.caller.account, input)
      const cursor = ({ name }: LoadBalancerRecord): string => name
      const page = pageOf(context, 'DescribeLoadBalancers', input, balancers, cursor)
      return {
        LoadBalancers: page.items.map((one) => loadBalancerOf(view, region, one)),
        NextMarker: page.marker,
      }
    },

    DeleteLoadBalancer: async ({ caller }, { LoadBalancerArn: arn = '' }) => {
      const id = idIn(KIND, arn)
      await state.update(async (tx) => {
        const balancer = await tx.get(KIND, id)
        // Ending what is not there is no error.
        if (balancer?.account !== caller.account) return
        if (loadBalancerArn(region, balancer) !== arn) return
        if (isProtected(balancer)) {
          const text = `Load balancer '${arn}' cannot be deleted because deletion protection is enabled`
          throw new ApiError('OperationNotPermitted', text)
        }
        for (const listener of balancer.listeners) await removeListener(tx, listener)
        for (const node of balancer.interfaces) await removeNode(tx, node)
        await tx.delete('name', ...nameKey(balancer.account, balancer.name))
        await tx.delete(KIND, id)
      })
      return {}
    },
  }
}

function wishOf(account: string, input: LoadBalancingInputs['CreateLoadBalancer']): Wish {
  const { Type: type = 'application', Scheme: scheme = 'internet-facing' } = input
  const { IpAddressType: ipAddressType = 'ipv4' } = input
  if (type !== 'network') {
    const text = `This cloud does not have load balancers of the type '${type}': it has 'network'`
    throw new ApiError('OperationNotPermitted', text)
  }
  const name = checkName('Load balancer name', input.Name ?? '')
  if (name.startsWith('internal-')) {
    throw invalid(`Load balancer name '${name}' cannot begin with 'internal-'`)
  }
  if (ipAddressType !== 'ipv4' && ipAddressType !== 'dualstack') {
    throw badConfiguration(
      `The IP address type '${ipAddressType}' is not one of network load balancers`,
    )
  }
  refuseUnknown(input, KNOWN, HARMLESS)
  return {
    ...{ account, name, scheme, ipAddressType, listeners: [], attributes: {} },
    ...{ securityGroups: parseSecurityGroups(input.SecurityGroups), tags: parseTags(input.Tags) },
    ...{ state: 'provisioning', reason: '' },
  }
}

async function createBalancer(
  tx: Transaction,
  parts: BalancingParts,
  { nowMs }: CallContext,
  wish: Wish,
  mappings: readonly Mapping[],
): Promise<string> {
  const { state, randomHex } = parts
  const { account, name } = wish
  const holder = (await tx.get('name', ...nameKey(account, name)))?.holder
  const there = holder === undefined ? null : await tx.get(KIND, holder)
  if (there !== null) {
    if (await isSame(tx, there, wish, mappings)) return there.id
    const text = `A load balancer with the same name '${name}' exists, but with different settings`
    throw new ApiError('DuplicateLoadBalancerName', text)
  }
  const subnets = await subnetsOf(tx, account, mappings)
  const vpc = subnets[0]?.vpc ?? ''
  await holdNetwork(tx, state, vpc, wish.scheme)
  await checkQuota(tx, state, account, 'network-load-balancers')
  await checkSecurityGroups(tx, await state.fresh(), { account, vpc }, wish.securityGroups)
  const id = await newHexId(tx, randomHex, KIND)
  const times = { createdAtMs: nowMs, provisioningSinceMs: nowMs }
  const balancer: LoadBalancerRecord = { id, ...wish, vpc, interfaces: [], ...times }
  const interfaces: string[] = []
  for (const [i, subnet] of subnets.entries()) {
    const mapping = mappings[i] ?? { subnet: subnet.id, allocation: '', ipv4: '', ipv6: '' }
    interfaces.push((await addNode(tx, parts, balancer, { subnet, mapping, nowMs })).interface)
  }
  await tx.put('name', nameKey(account, name), { name, holder: id })
  await tx.put(KIND, [id], { ...balancer, interfaces })
  return id
}

/** After this neither the VPC nor its internet gateway goes without seeing the nodes. */
export async function holdNetwork(
  tx: Transaction,
  state: State,
  id: string,
  scheme: LoadBalancerRecord['scheme'],
): Promise<void> {
  const vpc = await tx.get('vpc', id)
  if (vpc === null) throw new RangeError(`${id} is gone and its subnet is not`)
  await holdVpc(tx, vpc)
  if (scheme === 'internal') return
  if ((await state.fresh()).by('internet-gateway', 'vpc', id).length > 0) return
  throw new ApiError('InvalidSubnet', `VPC ${id} has no internet gateway`)
}

export function parseSecurityGroups(ids: readonly string[] | undefined): readonly string[] {
  try {
    return parseGroups(ids)
  } catch (error) {
    if (error instanceof ApiError) throw badConfiguration(error.message)
    throw error
  }
}

/** Throws InvalidSecurityGroup for one that is not there or is another VPC's. They stay. */
export async function checkSecurityGroups(
  tx: Transaction,
  view: View,
  { account, vpc }: { readonly account: string; readonly vpc: string },
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return
  try {
    await groupsFor(tx, view, account, vpc, { ids, names: [] })
  } catch (error) {
    if (error instanceof ApiError) throw new ApiError('InvalidSecurityGroup', error.message)
    throw error
  }
}

async function isSame(
  tx: Transaction,
  there: LoadBalancerRecord,
  wish: Wish,
  mappings: readonly Mapping[],
): Promise<boolean> {
  const settings = ({ scheme, ipAddressType, securityGroups }: Wish): string =>
    JSON.stringify([scheme, ipAddressType, [...securityGroups].sort()])
  if (settings(there) !== settings(wish) || there.interfaces.length !== mappings.length)
    return false
  for (const id of there.interfaces) {
    const node = await tx.get('balancer-node', id)
    const asked = mappings.find(({ subnet }) => subnet === node?.subnet)
    if (node === null || asked === undefined || !isMapped(node, asked)) return false
  }
  return true
}

/** Was the node made of this mapping? */
export function isMapped(
  node: Omit<Mapping, 'subnet'>,
  { allocation, ipv4, ipv6 }: Mapping,
): boolean {
  return node.allocation === allocation && node.ipv4 === ipv4 && node.ipv6 === ipv6
}

function nameKey(account: string, name: string): [string, string, string] {
  return ['load-balancer', account, name]
}

function askedFor(
  view: View,
  region: string,
  account: string,
  { LoadBalancerArns: arns = [], Names: names = [] }: LoadBalancingInputs['DescribeLoadBalancers'],
): readonly LoadBalancerRecord[] {
  if (arns.length > 0 && names.length > 0) {
    throw invalid('Load balancer ARNs and names cannot be specified at the same time')
  }
  if (arns.length > 0) return named(view, region, account, KIND, arns)
  const own = view.by(KIND, 'account', account)
  if (names.length === 0) return own
  const missing = names.filter((name) => own.every((one) => one.name !== name))
  if (missing.length > 0) throw notFound(KIND, missing)
  return own.filter(({ name }) => names.includes(name))
}

function shown(view: View, region: string, id: string): LoadBalancer[] {
  const balancer = view.get(KIND, id)
  return balancer === null ? [] : [loadBalancerOf(view, region, balancer)]
}
