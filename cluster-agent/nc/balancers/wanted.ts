// What the desired state means for this host's load balancers' nodes: listeners, groups and targets
// put together, nothing else.

import {
  type Balancer,
  BalancerProtocol,
  CheckProtocol,
  type Listener,
  type Target,
  type TargetGroup,
} from '../../../proto/gen/mallee/v1/balancers_pb.js'
import { bodies, bodyAt, type Desired } from '../../../proto/resources.ts'

export interface ListenerWanted {
  readonly id: string
  readonly tcp: boolean
  readonly udp: boolean
  readonly port: number
  readonly groupId: string
  /** Of TCP; absent: as an NLB's. */
  readonly idleS?: number
}

export interface TargetWanted {
  readonly address: string
  readonly port: number
  readonly draining: boolean
}

export interface CheckWanted {
  readonly protocol: 'tcp' | 'http' | 'https'
  /** 0: the target's own. */
  readonly port: number
  readonly path: string
  readonly codes: readonly string[]
  readonly intervalS: number
  readonly timeoutS: number
  readonly rise: number
  readonly fall: number
}

export interface GroupWanted {
  readonly id: string
  readonly check: CheckWanted
  readonly sticky: boolean
  readonly proxyProtocol: boolean
  /** Connections to a target that goes end with it. */
  readonly terminates: boolean
  /** Those to one that falls ill end; absent: they stay. */
  readonly endsUnwell?: boolean
  /** Those that this rack's nodes use, in the order of their keys. */
  readonly targets: readonly TargetWanted[]
}

export interface NodeWanted {
  readonly id: string
  readonly interfaceId: string
  readonly listeners: readonly ListenerWanted[]
  /** Of the listeners, each once. */
  readonly groups: readonly GroupWanted[]
  /** Keys of resources that it needs and that are not there. */
  readonly missing: readonly string[]
}

/** The nodes of a host, in the order of their interfaces. */
export function wantedNodes(desired: Desired, host: string): NodeWanted[] {
  const mine = bodies(desired, 'balancer').filter((balancer) => balancer.host === host)
  if (mine.length === 0) return []
  const rack = bodyAt(desired, 'rack', 'rack')?.rack ?? ''
  const targets = new Map<string, TargetWanted[]>()
  for (const target of bodies(desired, 'target')) {
    if (target.racks.length > 0 && !target.racks.includes(rack)) continue
    const known = targets.get(target.targetGroupId) ?? []
    targets.set(target.targetGroupId, [...known, targetWanted(target)])
  }
  return mine.map((balancer) => wantedNode(desired, balancer, targets))
}

/** The key of what a node says of a target. */
export function targetKey(
  interfaceId: string,
  groupId: string,
  { address, port }: Pick<TargetWanted, 'address' | 'port'>,
): string {
  return `target/${interfaceId}/${groupId}/${address}/${port}`
}

function wantedNode(
  desired: Desired,
  { id, interfaceId, listeners }: Balancer,
  targets: ReadonlyMap<string, readonly TargetWanted[]>,
): NodeWanted {
  const missing: string[] = []
  const groups = new Map<string, GroupWanted>()
  for (const { targetGroupId } of listeners) {
    const key = `target-group/${targetGroupId}`
    const group = bodyAt(desired, key, 'targetGroup')
    if (group === null) missing.push(key)
    else groups.set(targetGroupId, groupWanted(group, targets.get(targetGroupId) ?? []))
  }
  const known = listeners.filter(({ targetGroupId }) => groups.has(targetGroupId))
  return {
    ...{ id, interfaceId, missing },
    listeners: known.map(listenerWanted),
    groups: [...groups.values()],
  }
}

function listenerWanted({
  id,
  protocol,
  port,
  targetGroupId: groupId,
  idleTimeoutS: idleS,
}: Listener): ListenerWanted {
  const both = protocol === BalancerProtocol.TCP_UDP
  const tcp = both || protocol === BalancerProtocol.TCP
  const udp = both || protocol === BalancerProtocol.UDP
  return { id, tcp, udp, port, groupId, ...(idleS > 0 && { idleS }) }
}

function groupWanted(group: TargetGroup, targets: readonly TargetWanted[]): GroupWanted {
  const { id, healthCheck, sourceIpStickiness, proxyProtocolV2, connectionTermination } = group
  return {
    ...{ id, targets, sticky: sourceIpStickiness, proxyProtocol: proxyProtocolV2 },
    terminates: connectionTermination,
    ...(group.unhealthyTermination && { endsUnwell: true }),
    check: {
      protocol: checkProtocol(healthCheck?.protocol),
      port: healthCheck?.port ?? 0,
      path: healthCheck?.path ?? '',
      codes: healthCheck?.codes ?? [],
      intervalS: Math.max(1, healthCheck?.intervalS ?? 0),
      timeoutS: Math.max(1, healthCheck?.timeoutS ?? 0),
      rise: Math.max(1, healthCheck?.healthyThreshold ?? 0),
      fall: Math.max(1, healthCheck?.unhealthyThreshold ?? 0),
    },
  }
}

function checkProtocol(protocol: CheckProtocol | undefined): CheckWanted['protocol'] {
  if (protocol === CheckProtocol.HTTP) return 'http'
  return protocol === CheckProtocol.HTTPS ? 'https' : 'tcp'
}

function targetWanted({ address, port, draining }: Target): TargetWanted {
  return { address, port, draining }
}
