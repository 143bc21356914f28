// The life of load balancers: their nodes are placed, and placed anew where a host goes; they are
// active when every node's host says that it serves; targets that end, go. Every gateway does it.

import type { Log } from '../../common/log.ts'
import { zoneName } from '../ec2/zones.ts'
import { hostsForNode, takesNodes } from '../elb/placement.ts'
import { nodesOf } from '../elb/usage.ts'
import type { Sessions } from '../federation/sessions.ts'
import type {
  BalancerNodeRecord,
  LoadBalancerRecord,
  TargetRecord,
} from '../store/balancer-records.ts'
import type { HostRecord } from '../store/records.ts'
import type { AppliedChange, State, View } from '../store/state.ts'
import { PENDING_LIMIT_MS } from './instance-state.ts'

/** A host that its connected CC has not heard for so long has no nodes any more. */
const AWAY_MS = 120_000
/** Records of one transaction. */
const BATCH = 100

export interface BalancerLifeParts {
  readonly state: State
  /** Those that are open in this process: other gateways look after the CCs of theirs. */
  readonly sessions: Sessions
  /** When this gateway started, in milliseconds since 1970. */
  readonly startedAtMs: number
  readonly leaseMs: number
  readonly log: Log
}

/** Running it twice, or at several gateways at once, changes nothing more. */
export async function tendBalancers(parts: BalancerLifeParts, nowMs: number): Promise<void> {
  const { state } = parts
  for (const { interface: id } of state.view().all('balancer-node'))
    await tendPlace(parts, id, nowMs)
  for (const { id } of state.view().all('load-balancer')) await tendState(parts, id, nowMs)
  await endTargets(state, nowMs)
  await forgetStatuses(state)
}

/** Is it a host that leaves, or takes nodes otherwise than before? What is on it is not to wait. */
export function movesNodes({ key, value, before }: AppliedChange): boolean {
  if (!key.startsWith('host/')) return false
  const was = before as HostRecord | null | undefined
  const is = value === null ? null : (JSON.parse(value) as HostRecord)
  return was ? is === null || takesNodes(was) !== takesNodes(is) : false
}

async function tendPlace({ state, sessions, log }: BalancerLifeParts, id: string, nowMs: number) {
  const where = placeOf(state.view(), sessions, id, nowMs)
  if (where === null) return
  const { rack, from, to, why } = where
  await state.update(async (tx) => {
    const one = await tx.get('interface', id)
    if (one === null || one.host !== from || one.host === to) return
    // Who leaves or is cordoned meanwhile makes this run again, from a view that shows it.
    const host = to === '' ? null : await tx.get('host', rack, to)
    if (to !== '' && (host === null || !takesNodes(host))) return
    log.info('load balancer node placed', { interface: id, rack, from, to, why })
    await tx.put('interface', [id], { ...one, host: to })
  })
}

interface Move {
  readonly rack: string
  readonly from: string
  /** '' where nobody takes it. */
  readonly to: string
  readonly why: string
}

/** Where a node is to go; null when it stays. */
function placeOf(view: View, sessions: Sessions, id: string, nowMs: number): Move | null {
  const one = view.get('interface', id)
  if (one === null) return null
  const { rack, host: from } = one
  const host = view.get('host', rack, from)
  const why = from === '' ? 'it has no host' : whyNot(host, sessions, nowMs)
  if (why === null) return null
  const to = hostsForNode(view, rack)[0]?.host
  if (to !== undefined) return { rack, from, to, why }
  // A host that is there may serve on, until another one takes over.
  return host === null && from !== '' ? { rack, from, to: '', why } : null
}

function whyNot(host: HostRecord | null, sessions: Sessions, nowMs: number): string | null {
  if (host === null) return 'its host left the cloud'
  if (!takesNodes(host)) return 'its host is cordoned, drained, or runs no instances'
  return isAway(host, sessions, nowMs) ? 'its host is away' : null
}

/**
 * Has its CC, whose session is here, not heard it for two minutes? A CC that has just come back may
 * not know yet, and of a host that nobody can ask nothing is said.
 */
function isAway(
  { rack, host, status, awaySinceMs }: HostRecord,
  sessions: Sessions,
  nowMs: number,
): boolean {
  if (status?.connected !== false || nowMs - (awaySinceMs ?? nowMs) <= AWAY_MS) return false
  return sessions
    .list()
    .some((cc) => cc.rack === rack && cc.host !== host && nowMs - cc.openedAtMs > AWAY_MS)
}

async function tendState(parts: BalancerLifeParts, id: string, nowMs: number): Promise<void> {
  const { state, startedAtMs, leaseMs, log } = parts
  // While no gateway ran no host could say how it is: they get the time to come back.
  const mayFail = nowMs - startedAtMs > leaseMs
  const view = state.view()
  const balancer = view.get('load-balancer', id)
  if (balancer === null || nextState(view, balancer, nowMs, mayFail) === balancer) return
  await state.update(async (tx) => {
    const record = await tx.get('load-balancer', id)
    const now = await state.fresh()
    const next = record === null ? null : nextState(now, record, nowMs, mayFail)
    if (next === null || next === record) return
    const { state: to, reason } = next
    log.info('load balancer state', { loadBalancer: id, from: record?.state, to, reason })
    await tx.put('load-balancer', [id], next)
  })
}

/** The same record when it stays as it is. */
function nextState(
  view: View,
  balancer: LoadBalancerRecord,
  nowMs: number,
  mayFail: boolean,
): LoadBalancerRecord {
  const nodes = nodesOf(view, balancer.id)
  const idle = nodes.filter((node) => !isServing(view, node))
  if (idle.length === 0) return become(balancer, 'active', '')
  const reason = idle.map((node) => whyIdle(view, node)).join('; ')
  const isNew = balancer.state === 'provisioning'
  const isLate = mayFail && nowMs - balancer.provisioningSinceMs > PENDING_LIMIT_MS
  if (isNew && !isLate) return become(balancer, 'provisioning', '')
  const hasFailed = idle.length === nodes.length && (isNew || balancer.state === 'failed')
  return become(balancer, hasFailed ? 'failed' : 'active_impaired', reason)
}

function become(
  balancer: LoadBalancerRecord,
  state: LoadBalancerRecord['state'],
  reason: string,
): LoadBalancerRecord {
  if (balancer.state === state && balancer.reason === reason) return balancer
  return { ...balancer, state, reason }
}

/** Silence changes nothing: what the node's host said last holds. */
function isServing(view: View, { interface: id, report }: BalancerNodeRecord): boolean {
  const host = view.get('interface', id)?.host ?? ''
  return host !== '' && report?.host === host && report.serving
}

function whyIdle(view: View, { interface: id, rack, report }: BalancerNodeRecord): string {
  const host = view.get('interface', id)?.host ?? ''
  const zone = zoneName(view.get('cloud', 'self')?.region ?? '', rack)
  if (host === '') return `No host in ${zone} takes the node ${id}`
  if (report?.host !== host) return `The node ${id} in ${zone} has not started yet`
  return `The node ${id} in ${zone} does not serve${report.trouble && `: ${report.trouble}`}`
}

/** Those that have drained, whose instance has ended, or whose group is gone. */
async function endTargets(state: State, nowMs: number): Promise<void> {
  const isDue = (view: View, target: TargetRecord): boolean => {
    const { group, instance, drainingUntilMs } = target
    if (drainingUntilMs !== null && drainingUntilMs <= nowMs) return true
    if (view.get('target-group', group) === null) return true
    return (
      instance !== '' && (view.get('instance', instance)?.state ?? 'terminated') === 'terminated'
    )
  }
  const view = state.view()
  const due = view.all('target').filter((target) => isDue(view, target))
  for (const batch of batches(due)) {
    await state.update(async (tx) => {
      for (const { group, address, port } of batch) {
        const key = [group, address, String(port)]
        const target = await tx.get('target', ...key)
        // Somebody may have registered it again meanwhile.
        if (target !== null && isDue(state.view(), target)) await tx.delete('target', ...key)
      }
    })
  }
}

/** Of nodes and targets that are no more. */
async function forgetStatuses(state: State): Promise<void> {
  const view = state.view()
  const stray = view
    .all('target-status')
    .filter(
      ({ interface: id, group, address, port }) =>
        view.get('balancer-node', id) === null ||
        view.get('target', group, address, String(port)) === null,
    )
  for (const batch of batches(stray)) {
    await state.update(async (tx) => {
      for (const { interface: id, group, address, port } of batch) {
        await tx.delete('target-status', id, group, address, String(port))
      }
    })
  }
}

function* batches<T>(things: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < things.length; at += BATCH) yield things.slice(at, at + BATCH)
}
