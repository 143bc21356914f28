// The attributes of load balancers, target groups and listeners: which there are, what they are if
// nobody says, and what they may be. Those that this cloud does not have keep their defaults.

import type { ListenerRecord, TargetGroupRecord } from '../store/balancer-records.ts'
import { badConfiguration, invalid, type Kind, wordsOf } from './errors.ts'
import type { Tags } from './input.ts'

/** As the SDK has them. */
interface Attribute {
  readonly Key?: string | undefined
  readonly Value?: string | undefined
}

interface Rule {
  readonly usual: string
  /** Why a value is none, as the end of a sentence; null when it is one. */
  readonly trouble: (value: string) => string | null
  /** Only the usual value is had here, and this is why. */
  readonly only?: string
}

type Rules = ReadonlyMap<string, Rule>

const CROSS_ZONE = 'load_balancing.cross_zone.enabled'
const DELAY = 'deregistration_delay.timeout_seconds'
const TERMINATION = 'deregistration_delay.connection_termination.enabled'
const UNHEALTHY = 'target_health_state.unhealthy.connection_termination.enabled'
const NO_LOGS = 'there are no access logs here'
const NO_THRESHOLD = 'nodes use all targets when none is healthy, and this cannot be changed'

const LOAD_BALANCER: Rules = new Map([
  ['deletion_protection.enabled', flag('false')],
  [CROSS_ZONE, flag('false')],
  ['access_logs.s3.enabled', { ...flag('false'), only: NO_LOGS }],
  ['access_logs.s3.bucket', { ...text(), only: NO_LOGS }],
  ['access_logs.s3.prefix', { ...text(), only: NO_LOGS }],
  ['ipv6.deny_all_igw_traffic', { ...flag('false'), only: 'routes and security groups decide it' }],
  [
    'dns_record.client_routing_policy',
    {
      ...oneOf(
        'any_availability_zone',
        'availability_zone_affinity',
        'partial_availability_zone_affinity',
      ),
      only: 'a name has the addresses of all zones',
    },
  ],
  ['zonal_shift.config.enabled', { ...flag('false'), only: 'there are no zonal shifts here' }],
  [
    'secondary_ips.auto_assigned.per_subnet',
    { ...range(0, 7, '0'), only: 'a node has one address of each family' },
  ],
])

const IDLE = 'tcp.idle_timeout.seconds'
const LISTENER: Rules = new Map([[IDLE, range(60, 6_000, '350')]])

/** How attributes of other kinds of load balancers and their target groups begin. */
const ELSEWHERE = new Set([
  ...['access_logs', 'client_keep_alive', 'connection_logs', 'health_check_logs', 'lambda'],
  ...['idle_timeout', 'routing', 'waf', 'slow_start', 'stickiness', 'target_failover'],
  ...['load_balancing', 'tcp'],
])

function targetGroupRules({ protocol }: Pick<TargetGroupRecord, 'protocol'>): Rules {
  const isTcp = protocol === 'TCP'
  return new Map<string, Rule>([
    [DELAY, range(0, 3_600, '300')],
    [TERMINATION, flag(isTcp ? 'false' : 'true')],
    ['stickiness.enabled', flag('false')],
    ['stickiness.type', oneOf('source_ip')],
    [CROSS_ZONE, oneOf('use_load_balancer_configuration', 'true', 'false')],
    [
      'proxy_protocol_v2.enabled',
      isTcp ? flag('false') : { ...flag('false'), only: 'UDP has no PROXY protocol' },
    ],
    [
      'preserve_client_ip.enabled',
      { ...flag('false'), only: "targets see the node's address; use proxy_protocol_v2.enabled" },
    ],
    ...(
      [
        ['target_group_health.dns_failover.minimum_healthy_targets.count', '1'],
        ['target_group_health.dns_failover.minimum_healthy_targets.percentage', 'off'],
        ['target_group_health.unhealthy_state_routing.minimum_healthy_targets.count', '1'],
        ['target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage', 'off'],
      ] as const
    ).map(([key, usual]): [string, Rule] => [key, { ...counted(usual), only: NO_THRESHOLD }]),
    [
      UNHEALTHY,
      isTcp ? flag('true') : { ...flag('false'), only: 'it is for target groups of TCP' },
    ],
    [
      'target_health_state.unhealthy.draining_interval_seconds',
      { ...range(0, 360_000, '0'), only: 'who is unhealthy gets nothing new at once' },
    ],
  ])
}

function rulesOf(kind: Kind, record: object): Rules {
  if (kind === 'load-balancer') return LOAD_BALANCER
  if (kind === 'target-group') return targetGroupRules(record as TargetGroupRecord)
  // UDP knows no connections.
  return (record as ListenerRecord).protocol === 'UDP' ? new Map() : LISTENER
}

/** What Describe…Attributes shows: every attribute, in the order of its keys. */
export function shownAttributes(
  kind: Kind,
  record: { readonly attributes: Tags },
): { Key: string; Value: string }[] {
  return [...rulesOf(kind, record)]
    .map(([Key, { usual }]) => ({ Key, Value: given(record.attributes, Key, usual) }))
    .sort((a, b) => (a.Key < b.Key ? -1 : 1))
}

/** The attributes with a request's changes. Throws for keys and values that there are not. */
export function changedAttributes(
  kind: Kind,
  record: { readonly attributes: Tags },
  list: readonly Attribute[],
): Tags {
  const rules = rulesOf(kind, record)
  const next = new Map(Object.entries(record.attributes))
  const words = wordsOf(kind)
  const subject = `${words.charAt(0).toUpperCase()}${words.slice(1)} attribute`
  const seen = new Set<string>()
  for (const { Key: key = '', Value: value = '' } of list) {
    const rule = rules.get(key)
    if (rule === undefined) {
      const name = `${subject} key '${key.slice(0, 200)}'`
      if (!ELSEWHERE.has(key.split('.')[0] ?? '')) throw invalid(`${name} is not recognized`)
      throw badConfiguration(`${name} is not supported by network load balancers`)
    }
    if (seen.has(key)) throw invalid(`${subject} key '${key}' was specified more than once`)
    seen.add(key)
    const trouble = rule.trouble(value)
    if (trouble !== null) {
      throw invalid(`${subject} value '${value.slice(0, 200)}' of '${key}' ${trouble}`)
    }
    if (rule.only !== undefined && value !== rule.usual) {
      throw badConfiguration(`'${key}' is '${rule.usual}' in this cloud: ${rule.only}`)
    }
    if (value === rule.usual) next.delete(key)
    else next.set(key, value)
  }
  return Object.fromEntries(next)
}

export function isProtected({ attributes }: { readonly attributes: Tags }): boolean {
  return given(attributes, 'deletion_protection.enabled', 'false') === 'true'
}

/** Do a load balancer's nodes use the group's targets in all zones? */
export function isCrossZone(
  group: { readonly attributes: Tags },
  balancer: { readonly attributes: Tags },
): boolean {
  const own = given(group.attributes, CROSS_ZONE, '')
  return (own === '' ? given(balancer.attributes, CROSS_ZONE, 'false') : own) === 'true'
}

/** What a group's attributes mean to the nodes. */
export function targetGroupMeaning(
  group: Pick<TargetGroupRecord, 'attributes' | 'protocol'>,
): Record<'isSticky' | 'hasProxyProtocol' | 'endsConnections' | 'endsUnhealthy', boolean> {
  const is = (key: string): boolean => {
    const usual = targetGroupRules(group).get(key)?.usual ?? ''
    return given(group.attributes, key, usual) === 'true'
  }
  return {
    isSticky: is('stickiness.enabled'),
    hasProxyProtocol: is('proxy_protocol_v2.enabled'),
    endsConnections: is(TERMINATION),
    endsUnhealthy: is(UNHEALTHY),
  }
}

/** After how many seconds a listener's idle connections end; 0 when nobody said. */
export function idleTimeoutS({ attributes }: { readonly attributes: Tags }): number {
  return Number(given(attributes, IDLE, '0'))
}

/** How long a target ends what it has, in milliseconds. */
export function deregistrationDelayMs({ attributes }: { readonly attributes: Tags }): number {
  return Number(given(attributes, DELAY, '300')) * 1_000
}

function given(attributes: Tags, key: string, usual: string): string {
  return attributes[key] ?? usual
}

function flag(usual: 'true' | 'false'): Rule {
  return { ...oneOf('true', 'false'), usual }
}

/** The first one is usual. */
function oneOf(...values: readonly [string, ...string[]]): Rule {
  return {
    usual: values[0],
    trouble: (value) => (values.includes(value) ? null : `is not one of ${values.join(', ')}`),
  }
}

function range(least: number, most: number, usual: string): Rule {
  const isIn = (value: string) =>
    /^\d{1,6}$/.test(value) && Number(value) >= least && Number(value) <= most
  const trouble = (value: string) => (isIn(value) ? null : `is not a number in ${least}-${most}`)
  return { usual, trouble }
}

function counted(usual: string): Rule {
  const trouble = (value: string) =>
    value === 'off' || /^[1-9]\d{0,5}$/.test(value) ? null : 'is neither off nor a number'
  return { usual, trouble }
}

function text(): Rule {
  return { usual: '', trouble: () => null }
}
