// SetSubnets, SetSecurityGroups, SetIpAddressType.

import type { LoadBalancingHandlers, LoadBalancingInputs } from '../aws/handlers.ts'
import { takeIpv6s } from '../ec2/new-interface.ts'
import { releasePrivateAddress } from '../ec2/private-addresses.ts'
import type { LoadBalancerRecord } from '../store/balancer-records.ts'
import type { Transaction } from '../store/state.ts'
import { oneInStore } from './arns.ts'
import { badConfiguration, invalid } from './errors.ts'
import { refuseUnknown } from './input.ts'
import {
  checkSecurityGroups,
  holdNetwork,
  isMapped,
  parseSecurityGroups,
} from './load-balancers.ts'
import { addNode, checkDualstack, parseMappings, removeNode, subnetsOf } from './nodes.ts'
import type { BalancingParts } from './parts.ts'
import { zonesOf } from './shapes.ts'

type Handlers = Required<
  Pick<LoadBalancingHandlers, 'SetSubnets' | 'SetSecurityGroups' | 'SetIpAddressType'>
>

const KIND = 'load-balancer'
const SUBNETS = new Set(['LoadBalancerArn', 'Subnets', 'SubnetMappings', 'IpAddressType'])
const GROUPS = new Set(['LoadBalancerArn', 'SecurityGroups'])
const NO_PREFIX = new Map<string, readonly unknown[]>([['EnablePrefixForIpv6SourceNat', ['off']]])
const ENFORCE = 'EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic'

export function settingHandlers(parts: BalancingParts): Handlers {
  const { state, region } = parts
  return {
    SetSubnets: async ({ caller, nowMs }, input) => {
      refuseUnknown(input, SUBNETS, NO_PREFIX)
      const { LoadBalancerArn: arn = '' } = input
      const id = await state.update(async (tx) => {
        const balancer = await oneInStore(tx, region, caller.account, KIND, arn)
        const type = typeOf(input.IpAddressType ?? balancer.ipAddressType)
        const typed = await withType(tx, balancer, type)
        await tx.put(KIND, [typed.id], await withSubnets(tx, parts, typed, input, nowMs))
        return typed.id
      })
      const view = await state.fresh()
      const balancer = view.get(KIND, id)
      if (balancer === null) return {}
      return {
        AvailabilityZones: zonesOf(view, region, balancer),
        IpAddressType: balancer.ipAddressType,
        EnablePrefixForIpv6SourceNat: 'off',
      }
    },

    SetSecurityGroups: async ({ caller }, input) => {
      refuseUnknown(input, GROUPS, new Map([[ENFORCE, ['on']]]))
      const { LoadBalancerArn: arn = '' } = input
      const ids = parseSecurityGroups(input.SecurityGroups)
      await state.update(async (tx) => {
        const balancer = await oneInStore(tx, region, caller.account, KIND, arn)
        checkGroupsAllowed(balancer, ids)
        await checkSecurityGroups(tx, await state.fresh(), balancer, ids)
        for (const id of balancer.interfaces) {
          const one = await tx.get('interface', id)
          if (one !== null) await tx.put('interface', [id], { ...one, securityGroups: ids })
        }
        await tx.put(KIND, [balancer.id], { ...balancer, securityGroups: ids })
      })
      return { SecurityGroupIds: [...ids], [ENFORCE]: 'on' }
    },

    SetIpAddressType: async ({ caller }, input) => {
      const { LoadBalancerArn: arn = '' } = input
      const type = typeOf(input.IpAddressType)
      await state.update(async (tx) => {
        const balancer = await oneInStore(tx, region, caller.account, KIND, arn)
        await tx.put(KIND, [balancer.id], await withType(tx, balancer, type))
      })
      return { IpAddressType: type }
    },
  }
}

function typeOf(asked: string | undefined): LoadBalancerRecord['ipAddressType'] {
  if (asked === 'ipv4' || asked === 'dualstack') return asked
  throw badConfiguration(`The IP address type '${asked}' is not one of network load balancers`)
}

/** AWS: security groups are a matter of a load balancer's making; from then on it has some. */
function checkGroupsAllowed({ securityGroups }: LoadBalancerRecord, ids: readonly string[]): void {
  if (securityGroups.length === 0) {
    const text =
      'Security groups cannot be set on a network load balancer that was created without any'
    throw badConfiguration(text)
  }
  if (ids.length === 0) throw invalid('At least one security group must be specified')
}

/** The load balancer with its addresses of this type: nodes gain or lose IPv6. */
async function withType(
  tx: Transaction,
  balancer: LoadBalancerRecord,
  type: LoadBalancerRecord['ipAddressType'],
): Promise<LoadBalancerRecord> {
  if (type === balancer.ipAddressType) return balancer
  if (type === 'ipv4') await checkNoIpv6Groups(tx, balancer)
  for (const id of balancer.interfaces) {
    const one = await tx.get('interface', id)
    const subnet = one === null ? null : await tx.get('subnet', one.subnet)
    if (one === null || subnet === null) throw new RangeError(`the node ${id} has no subnet`)
    if (type === 'ipv4') {
      if (one.ipv6 !== '') await releasePrivateAddress(tx, subnet, one.ipv6)
      await tx.put('interface', [id], { ...one, ipv6: '' })
      continue
    }
    checkDualstack(subnet)
    const [ipv6 = ''] = await takeIpv6s(tx, subnet, id, { ipv4: one.ipv4, ipv6: [], ipv6Count: 1 })
    await tx.put('interface', [id], { ...one, ipv6 })
  }
  return { ...balancer, ipAddressType: type }
}

async function checkNoIpv6Groups(
  tx: Transaction,
  { listeners }: LoadBalancerRecord,
): Promise<void> {
  for (const id of listeners) {
    const listener = await tx.get('listener', id)
    const group = listener === null ? null : await tx.get('target-group', listener.targetGroup)
    if (group?.ipAddressType !== 'ipv6') continue
    throw badConfiguration(`A listener forwards to '${group.name}', which has IPv6 targets`)
  }
}

/** Nodes of subnets that are named again stay as they are. */
async function withSubnets(
  tx: Transaction,
  parts: BalancingParts,
  balancer: LoadBalancerRecord,
  input: LoadBalancingInputs['SetSubnets'],
  nowMs: number,
): Promise<LoadBalancerRecord> {
  const mappings = parseMappings(input)
  const subnets = await subnetsOf(tx, balancer.account, mappings)
  const foreign = subnets.find(({ vpc }) => vpc !== balancer.vpc)
  if (foreign !== undefined) {
    throw badConfiguration(
      `The subnet ${foreign.id} is not in the load balancer's VPC ${balancer.vpc}`,
    )
  }
  await holdNetwork(tx, parts.state, balancer.vpc, balancer.scheme)
  const interfaces: string[] = []
  const kept = new Set<string>()
  for (const id of balancer.interfaces) {
    const node = await tx.get('balancer-node', id)
    const mapping = mappings.find(({ subnet }) => subnet === node?.subnet)
    if (node === null || mapping === undefined) {
      await removeNode(tx, id)
      continue
    }
    const isSaid = [mapping.allocation, mapping.ipv4, mapping.ipv6].some((one) => one !== '')
    if (isSaid && !isMapped(node, mapping)) {
      const text = `The addresses in the subnet ${node.subnet} cannot be changed while it is enabled`
      throw badConfiguration(text)
    }
    interfaces.push(id)
    kept.add(node.subnet)
  }
  const added = mappings.filter(({ subnet }) => !kept.has(subnet))
  for (const mapping of added) {
    const subnet = subnets.find(({ id }) => id === mapping.subnet)
    if (subnet === undefined) throw new RangeError(`${mapping.subnet} was found and is not there`)
    interfaces.push((await addNode(tx, parts, balancer, { subnet, mapping, nowMs })).interface)
  }
  if (added.length === 0) return { ...balancer, interfaces }
  const begins = { state: 'provisioning', reason: '', provisioningSinceMs: nowMs } as const
  return { ...balancer, interfaces, ...begins }
}
