// The records of targets: an instance or an address in a group, with a port. What is deregistered
// ends its connections first, and goes when its group's delay is over (balancer-life.ts).

import { ApiError } from '../aws/api-error.ts'
import { checkQuotaOf } from '../ec2/quotas.ts'
import type { TargetGroupRecord, TargetRecord } from '../store/balancer-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import { deregistrationDelayMs } from './attributes.ts'

export type NewTarget = Pick<TargetRecord, 'address' | 'port' | 'instance' | 'rack'>

export function invalidTarget(message: string): ApiError {
  return new ApiError('InvalidTarget', message)
}

/**
 * Registers targets; one that is there stays, one that drains is back. Throws TooManyTargets. The
 * group must have been read in this transaction: it stays until the targets are there.
 */
export async function putTargets(
  tx: Transaction,
  state: State,
  group: TargetGroupRecord,
  targets: readonly NewTarget[],
  nowMs: number,
): Promise<void> {
  const added: NewTarget[] = []
  for (const { address, port, instance, rack } of targets) {
    const key = [group.id, address, String(port)]
    const there = await tx.get('target', ...key)
    // Somebody else had the address, who is about to go from here.
    const isSame = there?.instance === instance && there.rack === rack
    if (isSame && there.drainingUntilMs === null) continue
    const own = { group: group.id, account: group.account, address, port, instance, rack }
    const times = { drainingUntilMs: null, registeredAtMs: nowMs }
    await tx.put('target', key, { ...own, ...times })
    if (there === null) added.push({ address, port, instance, rack })
  }
  if (added.length > 0) await checkCounts(tx, state, group, added)
}

/** Deregisters targets. Nobody waits for those of a group that no load balancer uses. */
export async function endTargets(
  tx: Transaction,
  group: TargetGroupRecord,
  targets: readonly Pick<TargetRecord, 'address' | 'port'>[],
  nowMs: number,
): Promise<void> {
  const delayMs = group.listeners.length === 0 ? 0 : deregistrationDelayMs(group)
  for (const { address, port } of targets) {
    const key = [group.id, address, String(port)]
    const there = await tx.get('target', ...key)
    if (there === null || there.drainingUntilMs !== null) continue
    if (delayMs === 0) await tx.delete('target', ...key)
    else await tx.put('target', key, { ...there, drainingUntilMs: nowMs + delayMs })
  }
}

/** The instance as a target of the group. Throws InvalidTarget, of whom the group cannot have. */
export async function instanceTarget(
  tx: Transaction,
  group: TargetGroupRecord,
  id: string,
  port: number,
): Promise<NewTarget & { readonly state: InstanceRecord['state'] }> {
  const instance = await tx.get('instance', id)
  if (instance?.account !== group.account) {
    throw invalidTarget(`The following targets do not exist: '${id.slice(0, 100)}'`)
  }
  if (instance.vpc !== group.vpc) {
    throw invalidTarget(
      `The following targets are not in the target group VPC '${group.vpc}': '${id}'`,
    )
  }
  const cards = []
  for (const card of instance.interfaces) cards.push(await tx.get('interface', card))
  const first = cards.find((card) => card?.deviceIndex === 0)
  const address = (group.ipAddressType === 'ipv6' ? first?.ipv6 : first?.ipv4) ?? ''
  const isOver = instance.state === 'terminated' || instance.desired === 'terminated'
  if (isOver || address === '') {
    const why = isOver ? `is ${instance.state}` : `has no ${group.ipAddressType} address`
    throw invalidTarget(`The following targets cannot be registered: '${id}' ${why}`)
  }
  return { address, port, instance: id, rack: instance.rack, state: instance.state }
}

/** By zone: what AWS counts of a load balancer, or of a group that has none yet. */
async function checkCounts(
  tx: Transaction,
  state: State,
  group: TargetGroupRecord,
  added: readonly NewTarget[],
): Promise<void> {
  const view = await state.fresh()
  const balancer = view.get('load-balancer', group.loadBalancer)
  const groups = balancer === null ? [group] : view.by('target-group', 'loadBalancer', balancer.id)
  const there = groups.flatMap((one) => view.by('target', 'group', one.id))
  const of = { account: group.account, id: (balancer ?? group).name }
  for (const rack of new Set(added.map((one) => one.rack))) {
    const count = [...there, ...added].filter((one) => one.rack === rack).length
    await checkQuotaOf(tx, of, 'targets-per-zone-per-network-load-balancer', count - 1)
  }
}
