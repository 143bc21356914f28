// What racks know of load balancers: nodes with their listeners, target groups, targets, and the
// names under which networks find them.

import { create } from '@bufbuild/protobuf'
import {
  BalancerProtocol,
  BalancerSchema,
  CheckProtocol,
  DnsNameSchema,
  TargetGroupSchema,
  TargetSchema,
} from '../../proto/gen/mallee/v1/balancers_pb.js'
import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import { resource } from '../../proto/resources.ts'
import { idleTimeoutS, targetGroupMeaning } from '../elb/attributes.ts'
import { balancerNamed, dnsNameOf } from '../elb/names.ts'
import { answeringNodes, racksUsing, usageOf } from '../elb/usage.ts'
import { farName, isFarName } from '../peering/far-guests.ts'
import type { LoadBalancerRecord } from '../store/balancer-records.ts'
import type { View } from '../store/state.ts'
import { hasPort } from './desired-routes.ts'
import { hasVpc, reachesVpc } from './presence.ts'

const PROTOCOLS = {
  TCP: BalancerProtocol.TCP,
  UDP: BalancerProtocol.UDP,
  TCP_UDP: BalancerProtocol.TCP_UDP,
} as const
const CHECKS = {
  TCP: CheckProtocol.TCP,
  HTTP: CheckProtocol.HTTP,
  HTTPS: CheckProtocol.HTTPS,
} as const

/** `id` is the interface's. */
export function balancerAt(view: View, rack: string, id: string): Resource | null {
  const node = view.get('balancer-node', id)
  const card = view.get('interface', id)
  if (node?.rack !== rack || card?.rack !== rack || !hasPort(card)) return null
  if (view.get('load-balancer', node.loadBalancer) === null) return null
  const listeners = view.by('listener', 'loadBalancer', node.loadBalancer).map((one) => ({
    id: one.id,
    protocol: PROTOCOLS[one.protocol],
    port: one.port,
    targetGroupId: one.targetGroup,
    idleTimeoutS: idleTimeoutS(one),
  }))
  const value = create(BalancerSchema, {
    ...{ id: node.loadBalancer, interfaceId: id, host: card.host },
    listeners,
  })
  return resource(`balancer/${id}`, { case: 'balancer', value })
}

/** In the racks that have a node with a listener for it. */
export function targetGroupAt(view: View, rack: string, id: string): Resource | null {
  const group = view.get('target-group', id)
  const usage = usageOf(view, id)
  if (group === null || usage?.nodes.some((node) => node.rack === rack) !== true) return null
  const { isSticky, hasProxyProtocol, endsConnections, endsUnhealthy } = targetGroupMeaning(group)
  const { healthCheck: check } = group
  const value = create(TargetGroupSchema, {
    id,
    protocol: PROTOCOLS[group.protocol],
    healthCheck: {
      protocol: CHECKS[check.protocol],
      port: check.port,
      path: check.path,
      codes: check.codes === '' ? [] : check.codes.split(','),
      intervalS: check.intervalS,
      timeoutS: check.timeoutS,
      healthyThreshold: check.healthyThreshold,
      unhealthyThreshold: check.unhealthyThreshold,
    },
    sourceIpStickiness: isSticky,
    proxyProtocolV2: hasProxyProtocol,
    connectionTermination: endsConnections,
    unhealthyTermination: endsUnhealthy,
  })
  return resource(`target-group/${id}`, { case: 'targetGroup', value })
}

/** In the racks whose nodes use it. */
export function targetAt(
  view: View,
  rack: string,
  group: string,
  address: string,
  port: string,
): Resource | null {
  const target = view.get('target', group, address, port)
  const record = view.get('target-group', group)
  const usage = usageOf(view, group)
  if (target === null || record === null || usage === null) return null
  const racks = racksUsing(usage, record, target)
  if (!racks.includes(rack)) return null
  const value = create(TargetSchema, {
    targetGroupId: group,
    address,
    port: target.port,
    draining: target.drainingUntilMs !== null,
    racks: usage.nodes.every((node) => racks.includes(node.rack)) ? [] : racks,
  })
  return resource(`target/${group}/${address}/${port}`, { case: 'target', value })
}

/** Inside of the cloud a load balancer is at its private addresses, whatever its scheme. */
export function nameAt(view: View, rack: string, name: string): Resource | null {
  if (isFarName(name)) return farNameAt(view, rack, name)
  const region = view.get('cloud', 'self')?.region ?? ''
  const balancer = balancerNamed(view, region, name)
  if (balancer === null || !reachesVpc(view, rack, balancer.vpc)) return null
  const addresses = addressesOf(view, balancer)
  const value = create(DnsNameSchema, { name, vpcId: balancer.vpc, addresses })
  return resource(`name/${name}`, { case: 'name', value })
}

/** A guest of a peer cloud: where the VPC is that it is reached from. */
function farNameAt(view: View, rack: string, id: string): Resource | null {
  const far = farName(view, id)
  if (far === null || !hasVpc(view, rack, far.vpc)) return null
  const { name, vpc: vpcId, addresses } = far
  const value = create(DnsNameSchema, { name, vpcId, addresses })
  return resource(`name/${id}`, { case: 'name', value })
}

/** Keys of a VPC's load balancers' names. */
export function nameKeys(view: View, vpc: string): string[] {
  const region = view.get('cloud', 'self')?.region ?? ''
  return view.by('load-balancer', 'vpc', vpc).map((one) => `name/${dnsNameOf(region, one)}`)
}

/** Everything that a rack may have for the sake of its nodes. */
export function balancerKeys(view: View, rack: string): string[] {
  const nodes = view.by('balancer-node', 'rack', rack)
  const groups = new Set(
    nodes
      .flatMap((node) => view.by('listener', 'loadBalancer', node.loadBalancer))
      .map((listener) => listener.targetGroup),
  )
  return [
    ...nodes.map((node) => `balancer/${node.interface}`),
    ...[...groups].flatMap((group) => groupKeys(view, group)),
  ]
}

/** A group and its targets. */
export function groupKeys(view: View, group: string): string[] {
  const targets = view.by('target', 'group', group)
  return [
    `target-group/${group}`,
    ...targets.map(({ address, port }) => `target/${group}/${address}/${port}`),
  ]
}

function addressesOf(view: View, balancer: LoadBalancerRecord): string[] {
  return answeringNodes(view, balancer)
    .map((node) => view.get('interface', node.interface))
    .flatMap((card) => [card?.ipv4 ?? '', card?.ipv6 ?? ''])
    .filter((address) => address !== '')
    .sort()
}
