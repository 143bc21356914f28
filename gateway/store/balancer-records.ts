// The records of network load balancers. Ids are the last 16 hex digits of ARNs. What hosts report
// has records of its own, so that a report and a request do not meet. '' is none.

type Tags = Readonly<Record<string, string>>

export interface LoadBalancerRecord {
  readonly id: string
  readonly account: string
  readonly name: string
  readonly vpc: string
  readonly scheme: 'internet-facing' | 'internal'
  readonly ipAddressType: 'ipv4' | 'dualstack'
  readonly securityGroups: readonly string[]
  /** The interfaces of its nodes, in the order in which they were made. */
  readonly interfaces: readonly string[]
  readonly listeners: readonly string[]
  /** Those that are not as they are when nobody says. */
  readonly attributes: Tags
  readonly state: 'provisioning' | 'active' | 'active_impaired' | 'failed'
  /** Why it is impaired or failed. */
  readonly reason: string
  /** When a node came last. */
  readonly provisioningSinceMs: number
  readonly tags: Tags
  readonly createdAtMs: number
}

/** A load balancer in one subnet. Key: its interface, which says on which host it is. */
export interface BalancerNodeRecord {
  readonly interface: string
  readonly account: string
  readonly loadBalancer: string
  readonly vpc: string
  readonly subnet: string
  readonly rack: string
  /** The private addresses that a request named; '' without one. */
  readonly ipv4: string
  readonly ipv6: string
  /** The elastic IP that it was given; '' for an automatic address, or none. */
  readonly allocation: string
  /** What a host said last; of a host where it is not any more it means nothing. */
  readonly report: NodeReport | null
}

export interface NodeReport {
  readonly host: string
  readonly serving: boolean
  readonly trouble: string
}

export type BalancerProtocolName = 'TCP' | 'UDP' | 'TCP_UDP'

export interface ListenerRecord {
  readonly id: string
  readonly account: string
  readonly loadBalancer: string
  readonly protocol: BalancerProtocolName
  readonly port: number
  readonly targetGroup: string
  readonly attributes: Tags
  readonly tags: Tags
  readonly createdAtMs: number
}

export interface HealthCheckRecord {
  readonly protocol: 'TCP' | 'HTTP' | 'HTTPS'
  /** 0: the port at which the target gets its traffic. */
  readonly port: number
  /** '' of TCP, as are the codes. */
  readonly path: string
  /** `200-399`, `200,202`. */
  readonly codes: string
  readonly intervalS: number
  readonly timeoutS: number
  readonly healthyThreshold: number
  readonly unhealthyThreshold: number
}

export interface TargetGroupRecord {
  readonly id: string
  readonly account: string
  readonly name: string
  readonly vpc: string
  readonly protocol: BalancerProtocolName
  readonly port: number
  readonly targetType: 'instance' | 'ip'
  readonly ipAddressType: 'ipv4' | 'ipv6'
  readonly healthCheck: HealthCheckRecord
  readonly attributes: Tags
  /** The load balancer that uses it, and by which listeners: nobody deletes it meanwhile. */
  readonly loadBalancer: string
  readonly listeners: readonly string[]
  readonly tags: Tags
  readonly createdAtMs: number
}

/** Key: group, address, port. */
export interface TargetRecord {
  readonly group: string
  readonly account: string
  readonly address: string
  readonly port: number
  /** The instance that was registered; '' for an address. */
  readonly instance: string
  /** Where it is; '' for an address that all zones use. */
  readonly rack: string
  /** Deregistered: until then it ends what it has. */
  readonly drainingUntilMs: number | null
  readonly registeredAtMs: number
}

/** A target as one node sees it. Key: interface, group, address, port. */
export interface TargetStatusRecord {
  readonly interface: string
  readonly group: string
  readonly address: string
  readonly port: number
  /** Where the node was when this was said. */
  readonly host: string
  readonly state: 'initial' | 'healthy' | 'unhealthy'
  readonly reason: string
  readonly timedOut: boolean
  readonly httpStatus: number
  readonly sinceMs: number
}

export interface BalancerRecords {
  'load-balancer': LoadBalancerRecord
  'balancer-node': BalancerNodeRecord
  listener: ListenerRecord
  'target-group': TargetGroupRecord
  target: TargetRecord
  'target-status': TargetStatusRecord
}
