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
