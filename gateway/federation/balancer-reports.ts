// What hosts report of load balancers' nodes and of their targets, into the store. A rack speaks
// for its own nodes, and of each only the host where it is.

import {
  type BalancerStatus,
  TargetState,
  type TargetStatus,
} from '../../proto/gen/mallee/v1/balancers_pb.js'
import type { Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import type {
  BalancerNodeRecord,
  NodeReport,
  TargetStatusRecord,
} from '../store/balancer-records.ts'
import type { State, Transaction, View } from '../store/state.ts'

/** Of one transaction: each needs some records. */
const BATCH = 400
const MAX_TEXT = 500

const STATES: Readonly<Record<TargetState, TargetStatusRecord['state'] | null>> = {
  [TargetState.UNSPECIFIED]: null,
  [TargetState.INITIAL]: 'initial',
  [TargetState.HEALTHY]: 'healthy',
  [TargetState.UNHEALTHY]: 'unhealthy',
}

/** Cheap look at the mirror, so that a report that says the same again writes nothing. */
export function isBalancerNews(view: View, rack: string, { body }: Status): boolean {
  if (body.case === 'balancer') {
    const { interfaceId: id } = body.value
    const node = view.get('balancer-node', id)
    const host = view.get('interface', id)?.host
    return isHere(node, rack) && nextReport(node, host, body.value) !== node.report
  }
  if (body.case !== 'target') return false
  const { interfaceId: id, targetGroupId: group, address, port } = body.value
  if (!isHere(view.get('balancer-node', id), rack)) return false
  if (view.get('target', group, address, String(port)) === null) return false
  const known = view.get('target-status', id, group, address, String(port))
  return nextStatus(known, view.get('interface', id)?.host, body.value) !== known
}

/** Of statuses that are news: they may be more than one transaction takes. */
export async function recordBalancers(
  state: State,
  rack: string,
  statuses: readonly Status[],
): Promise<void> {
  for (let at = 0; at < statuses.length; at += BATCH) {
    await state.update(async (tx) => {
      for (const { body } of statuses.slice(at, at + BATCH)) {
        if (body.case === 'balancer') await recordNode(tx, rack, body.value)
        if (body.case === 'target') await recordTarget(tx, rack, body.value)
      }
    })
  }
}

async function recordNode(tx: Transaction, rack: string, status: BalancerStatus): Promise<void> {
  const node = await tx.get('balancer-node', status.interfaceId)
  if (!isHere(node, rack)) return
  const host = (await tx.get('interface', node.interface))?.host
  const report = nextReport(node, host, status)
  if (report === node.report) return
  await tx.put('balancer-node', [node.interface], { ...node, report })
}

async function recordTarget(tx: Transaction, rack: string, status: TargetStatus): Promise<void> {
  const { interfaceId: id, targetGroupId: group, address, port } = status
  if (!isHere(await tx.get('balancer-node', id), rack)) return
  const key = [group, address, String(port)]
  if ((await tx.get('target', ...key)) === null) return
  const known = await tx.get('target-status', id, ...key)
  const host = (await tx.get('interface', id))?.host
  const next = nextStatus(known, host, status)
  if (next !== null && next !== known) await tx.put('target-status', [id, ...key], next)
}

function isHere(node: BalancerNodeRecord | null, rack: string): node is BalancerNodeRecord {
  return node?.rack === rack
}

/** The same report when it is no news, or of a host where the node is not (any more). */
function nextReport(
  { report }: BalancerNodeRecord,
  host: string | undefined,
  status: BalancerStatus,
): NodeReport | null {
  if (host === undefined || host === '' || status.host !== host) return report
  const { serving } = status
  const trouble = status.trouble.slice(0, MAX_TEXT)
  const isSame = report?.host === host && report.serving === serving && report.trouble === trouble
  return isSame ? report : { host, serving, trouble }
}

/** The same record when it is no news. */
function nextStatus(
  known: TargetStatusRecord | null,
  host: string | undefined,
  status: TargetStatus,
): TargetStatusRecord | null {
  const state = STATES[status.state] ?? null
  if (host === undefined || host === '' || state === null) return known
  const next: TargetStatusRecord = {
    interface: status.interfaceId,
    group: status.targetGroupId,
    address: status.address,
    port: status.port,
    host,
    state,
    reason: status.reason.slice(0, MAX_TEXT),
    timedOut: status.timedOut,
    httpStatus: status.httpStatus,
    sinceMs: Number(status.sinceMs),
  }
  return JSON.stringify(known) === JSON.stringify(next) ? known : next
}
