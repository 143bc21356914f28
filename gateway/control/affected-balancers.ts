// Which resources the records of load balancers touch. A target's change is one resource in each
// rack whose nodes may use it; what nodes report of targets touches the name and nothing else.

import { dnsNameOf } from '../elb/names.ts'
import { nodesOf, usageOf } from '../elb/usage.ts'
import type {
  BalancerNodeRecord,
  ListenerRecord,
  LoadBalancerRecord,
  TargetGroupRecord,
} from '../store/balancer-records.ts'
import type { View } from '../store/state.ts'
import { groupKeys } from './desired-balancers.ts'
import {
  type Batch,
  differs,
  inRacks,
  racksReaching,
  type Seen,
  type Touched,
  versions,
} from './touched.ts'

export function touchedByBalancer(batch: Batch, change: Seen<LoadBalancerRecord>): Touched[] {
  const { view } = batch
  const touched: Touched[] = []
  if (differs(change, ['name', 'vpc'])) {
    for (const one of versions(change)) touched.push(...touchedName(batch, one))
    touched.push(...touchedNodes(view, change.id))
  }
  if (!differs(change, ['attributes'])) return touched
  // Cross-zone load balancing, of the groups that do not say it themselves.
  const groups = view.by('listener', 'loadBalancer', change.id).map((one) => one.targetGroup)
  return [...touched, ...groups.flatMap((group) => touchedGroup(batch, group))]
}

/** It comes or goes: others of its load balancer may use other targets then. */
export function touchedByNode(batch: Batch, change: Seen<BalancerNodeRecord>): Touched[] {
  if (!differs(change, ['loadBalancer', 'rack'])) return []
  const { view } = batch
  return versions(change).flatMap(({ loadBalancer, rack }) => {
    const listeners = view.by('listener', 'loadBalancer', loadBalancer)
    return [
      ...inRacks([rack], `balancer/${change.id}`),
      ...touchedNameOf(batch, loadBalancer),
      ...listeners.flatMap((one) => touchedGroup(batch, one.targetGroup)),
    ]
  })
}

export function touchedByListener(batch: Batch, change: Seen<ListenerRecord>): Touched[] {
  const fields = ['loadBalancer', 'protocol', 'port', 'targetGroup', 'attributes'] as const
  if (!differs(change, fields)) return []
  const { view } = batch
  return versions(change).flatMap(({ loadBalancer, targetGroup }) => [
    ...touchedNodes(view, loadBalancer),
    ...touchedNameOf(batch, loadBalancer),
    ...(differs(change, ['loadBalancer', 'targetGroup']) ? touchedGroup(batch, targetGroup) : []),
  ])
}

export function touchedByTargetGroup(batch: Batch, change: Seen<TargetGroupRecord>): Touched[] {
  if (differs(change, ['attributes'])) return touchedGroup(batch, change.id)
  if (!differs(change, ['protocol', 'healthCheck'])) return []
  return inRacks(racksOf(batch, change.id), `target-group/${change.id}`)
}

export function touchedByTarget(batch: Batch, group: string, key: string): Touched[] {
  const balancer = usageOf(batch.view, group)?.balancer.id ?? ''
  return [...inRacks(racksOf(batch, group), key), ...touchedNameOf(batch, balancer)]
}

/** Of a target at a node: the name has the addresses of zones with targets that are well. */
export function touchedByStatus(batch: Batch, node: string): Touched[] {
  return touchedNameOf(batch, batch.view.get('balancer-node', node)?.loadBalancer ?? '')
}

/** An interface that is a node's: its host, its addresses. */
export function touchedByCard(batch: Batch, id: string): Touched[] {
  const node = batch.view.get('balancer-node', id)
  if (node === null) return []
  return [...inRacks([node.rack], `balancer/${id}`), ...touchedNameOf(batch, node.loadBalancer)]
}

function touchedNameOf(batch: Batch, id: string): Touched[] {
  const balancer = batch.view.get('load-balancer', id)
  return balancer === null ? [] : touchedName(batch, balancer)
}

function touchedName(batch: Batch, balancer: LoadBalancerRecord): Touched[] {
  const region = batch.view.get('cloud', 'self')?.region ?? ''
  return inRacks(racksReaching(batch, balancer.vpc), `name/${dnsNameOf(region, balancer)}`)
}

function touchedNodes(view: View, balancer: string): Touched[] {
  return nodesOf(view, balancer).flatMap((node) =>
    inRacks([node.rack], `balancer/${node.interface}`),
  )
}

function touchedGroup(batch: Batch, group: string): Touched[] {
  return inRacks(racksOf(batch, group), ...groupKeys(batch.view, group))
}

/** Null where nodes or listeners went in the same batch: nobody knows any more where they were. */
function racksOf({ view, movesNodes }: Batch, group: string): string[] | null {
  if (movesNodes) return null
  return usageOf(view, group)?.nodes.map((node) => node.rack) ?? []
}
