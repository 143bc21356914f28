// Instances as targets, for whoever starts and ends them by itself: the transaction that does so
// registers and deregisters them, too.

import type { State, Transaction, View } from '../store/state.ts'
import { found, oneInStore } from './arns.ts'
import { type Health, healthOf, NOT_REGISTERED } from './health.ts'
import { endTargets, instanceTarget, putTargets } from './target-records.ts'

export interface InstancesInGroup {
  readonly account: string
  readonly targetGroupArn: string
  readonly instances: readonly string[]
  readonly nowMs: number
}

interface Parts {
  readonly state: State
  readonly region: string
}

/**
 * Registers instances of the account at the group's own port; those that are there stay. They may
 * be pending. Throws TargetGroupNotFound; InvalidTarget for one that is not there, on its end, of
 * another VPC or without an address of the group's family; TooManyTargets.
 */
export async function registerInstances(
  tx: Transaction,
  { state, region }: Parts,
  { account, targetGroupArn, instances, nowMs }: InstancesInGroup,
): Promise<void> {
  const group = await oneInStore(tx, region, account, 'target-group', targetGroupArn)
  const targets = []
  for (const id of instances) targets.push(await instanceTarget(tx, group, id, group.port))
  await putTargets(tx, state, group, targets, nowMs)
}

/**
 * Deregisters instances, at whatever ports they are: they drain for as long as the group says. A
 * group or an instance that is not there is no error.
 */
export async function deregisterInstances(
  tx: Transaction,
  { state, region }: Parts,
  { account, targetGroupArn, instances, nowMs }: InstancesInGroup,
): Promise<void> {
  const view = await state.fresh()
  const known = found(view, region, account, 'target-group', targetGroupArn)
  const group = known === null ? null : await tx.get('target-group', known.id)
  if (group === null) return
  const named = new Set(instances)
  const targets = view.by('target', 'group', group.id).filter((one) => named.has(one.instance))
  await endTargets(tx, group, targets, nowMs)
}

/**
 * How an instance is as a target of the group: of several ports the worst. An instance or a group
 * that is not there is `unused` with Target.NotRegistered.
 */
export function instanceHealth(
  view: View,
  region: string,
  {
    account,
    targetGroupArn,
    instance,
  }: Pick<InstancesInGroup, 'account' | 'targetGroupArn'> & { readonly instance: string },
): Health {
  const group = found(view, region, account, 'target-group', targetGroupArn)
  const targets = group === null ? [] : view.by('target', 'group', group.id)
  const healths = targets.flatMap((target) =>
    group === null || target.instance !== instance ? [] : [healthOf(view, group, target)],
  )
  return healths.toSorted((a, b) => rank(a) - rank(b))[0] ?? NOT_REGISTERED
}

const WORST_FIRST: readonly Health['state'][] = [
  ...(['unhealthy', 'unused', 'draining', 'unavailable', 'initial', 'healthy'] as const),
]

function rank({ state }: Health): number {
  return WORST_FIRST.indexOf(state)
}
