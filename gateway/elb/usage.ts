// Who uses a target group: the load balancer of its listeners, that one's nodes, and which racks'
// nodes use which target.

import type {
  BalancerNodeRecord,
  LoadBalancerRecord,
  TargetGroupRecord,
  TargetRecord,
} from '../store/balancer-records.ts'
import type { View } from '../store/state.ts'
import { isCrossZone } from './attributes.ts'

export interface Usage {
  readonly balancer: LoadBalancerRecord
  readonly nodes: readonly BalancerNodeRecord[]
}

/** Null while no listener names the group. */
export function usageOf(view: View, group: string): Usage | null {
  const [listener] = view.by('listener', 'targetGroup', group)
  const balancer = view.get('load-balancer', listener?.loadBalancer ?? '')
  if (balancer === null) return null
  return { balancer, nodes: nodesOf(view, balancer.id) }
}

export function nodesOf(view: View, balancer: string): readonly BalancerNodeRecord[] {
  return view.by('balancer-node', 'loadBalancer', balancer)
}

/**
 * The racks whose nodes use the target. As with AWS a target gets nothing when its zone is not one
 * of the load balancer's; without cross-zone load balancing only its own zone's node uses it.
 */
export function racksUsing(
  { balancer, nodes }: Usage,
  group: TargetGroupRecord,
  { rack }: Pick<TargetRecord, 'rack'>,
): string[] {
  const racks = [...new Set(nodes.map((node) => node.rack))]
  if (rack === '') return racks
  if (!racks.includes(rack)) return []
  return isCrossZone(group, balancer) ? racks : [rack]
}

/**
 * The nodes whose addresses the name has: those in whose zone each listener has a target that is
 * well, as its own node sees it; all of them when no zone is so. Nodes without a host come last.
 */
export function answeringNodes(
  view: View,
  { id }: Pick<LoadBalancerRecord, 'id'>,
): readonly BalancerNodeRecord[] {
  const nodes = nodesOf(view, id)
  const placed = nodes.filter((node) => (view.get('interface', node.interface)?.host ?? '') !== '')
  const groups = new Set(view.by('listener', 'loadBalancer', id).map((one) => one.targetGroup))
  const well = placed.filter((node) => [...groups].every((group) => hasWell(view, node, group)))
  return [well, placed].find((some) => some.length > 0) ?? nodes
}

/** Does the node see a target of the group that is well and stays? */
function hasWell(view: View, { interface: id }: BalancerNodeRecord, group: string): boolean {
  const host = view.get('interface', id)?.host
  return view.withPrefix('target-status', `${id}/${group}/`).some((status) => {
    if (status.state !== 'healthy' || status.host !== host) return false
    return view.get('target', group, status.address, String(status.port))?.drainingUntilMs === null
  })
}
