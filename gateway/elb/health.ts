// How a target is, from what the nodes that use it said of it. Nobody's silence makes it unhealthy.

import { isRackConnected } from '../ec2/zones.ts'
import type {
  BalancerNodeRecord,
  TargetGroupRecord,
  TargetRecord,
  TargetStatusRecord,
} from '../store/balancer-records.ts'
import type { View } from '../store/state.ts'
import { racksUsing, usageOf } from './usage.ts'

/** In the words of the API reference, "TargetHealth". */
export interface Health {
  readonly state: 'initial' | 'healthy' | 'unhealthy' | 'unused' | 'draining' | 'unavailable'
  /** '' of a healthy one, as is the description. */
  readonly reason: string
  readonly description: string
}

export const NOT_REGISTERED: Health = unused(
  'Target.NotRegistered',
  'Target is not registered to the target group',
)

/** Of a target of the group. */
export function healthOf(view: View, group: TargetGroupRecord, target: TargetRecord): Health {
  const usage = usageOf(view, group.id)
  if (target.drainingUntilMs !== null) {
    const description = 'Target deregistration is in progress'
    return { state: 'draining', reason: 'Target.DeregistrationInProgress', description }
  }
  if (usage === null) {
    const why = 'Target group is not configured to receive traffic from the load balancer'
    return unused('Target.NotInUse', why)
  }
  const racks = racksUsing(usage, group, target)
  if (racks.length === 0) {
    const why = 'Target is in an Availability Zone that is not enabled for the load balancer'
    return unused('Target.NotInUse', why)
  }
  return (
    ownTrouble(view, target) ??
    told(
      view,
      target,
      usage.nodes.filter((node) => racks.includes(node.rack)),
    )
  )
}

/** What its own record says against it, whatever nodes see. */
function ownTrouble(view: View, { instance, address }: TargetRecord): Health | null {
  if (instance === '') {
    const card = view.get('private-address', address)?.interface ?? ''
    if (view.get('interface', card)?.type !== 'network-load-balancer') return null
    return unused('Target.IpUnusable', 'Target IP address is reserved for use by a load balancer')
  }
  const state = view.get('instance', instance)?.state ?? 'terminated'
  if (state === 'running' || state === 'pending') return null
  return unused('Target.InvalidState', `Target is in the ${state} state`)
}

/**
 * One node that reaches it is enough: it gets traffic then. A node counts while its host is
 * connected, so that who cannot be asked says nothing.
 */
function told(view: View, target: TargetRecord, nodes: readonly BalancerNodeRecord[]): Health {
  const asked = nodes.filter((node) => isHeard(view, node))
  const seen = asked.flatMap((node) => statusBy(view, target, node) ?? [])
  if (seen.some((one) => one.state === 'healthy')) {
    return { state: 'healthy', reason: '', description: '' }
  }
  if (seen.some((one) => one.state === 'initial')) {
    const description = 'Initial health checks in progress'
    return { state: 'initial', reason: 'Elb.InitialHealthChecking', description }
  }
  const [newest] = seen.toSorted((a, b) => b.sinceMs - a.sinceMs)
  if (newest !== undefined) return unhealthy(newest)
  if (asked.length > 0) {
    const description = 'Target registration is in progress'
    return { state: 'initial', reason: 'Elb.RegistrationInProgress', description }
  }
  const description = 'Target health is unavailable: no node of the load balancer can be asked'
  return { state: 'unavailable', reason: 'Elb.InternalError', description }
}

function isHeard(view: View, { interface: id, rack }: BalancerNodeRecord): boolean {
  const host = view.get('interface', id)?.host ?? ''
  if (host === '' || view.get('host', rack, host)?.status?.connected !== true) return false
  return isRackConnected(view, rack)
}

/** What was said before the node moved means nothing. */
function statusBy(
  view: View,
  { group, address, port }: TargetRecord,
  { interface: id }: BalancerNodeRecord,
): TargetStatusRecord | null {
  const status = view.get('target-status', id, group, address, String(port))
  return status?.host === view.get('interface', id)?.host ? status : null
}

function unhealthy({ timedOut, httpStatus, reason }: TargetStatusRecord): Health {
  if (httpStatus !== 0) {
    const description = `Health checks failed with these codes: [${httpStatus}]`
    return { state: 'unhealthy', reason: 'Target.ResponseCodeMismatch', description }
  }
  if (timedOut) {
    return { state: 'unhealthy', reason: 'Target.Timeout', description: 'Request timed out' }
  }
  const description = reason === '' ? 'Health checks failed' : `Health checks failed: ${reason}`
  return { state: 'unhealthy', reason: 'Target.FailedHealthChecks', description }
}

function unused(reason: string, description: string): Health {
  return { state: 'unused', reason, description }
}
