// The record of a listener, and the group that it names: a group knows its listeners, so nobody
// deletes it meanwhile and no two load balancers use it.

import { ApiError } from '../aws/api-error.ts'
import type {
  ListenerRecord,
  LoadBalancerRecord,
  TargetGroupRecord,
} from '../store/balancer-records.ts'
import type { Transaction } from '../store/state.ts'
import { targetGroupArn } from './arns.ts'
import { badConfiguration } from './errors.ts'

/** Throws when the group does not go with the listener. */
export function checkGroup(
  region: string,
  balancer: LoadBalancerRecord,
  protocol: ListenerRecord['protocol'],
  group: TargetGroupRecord,
): void {
  const arn = targetGroupArn(region, group)
  // A group of TCP_UDP goes with listeners of either.
  if (group.protocol !== protocol && group.protocol !== 'TCP_UDP') {
    const text = `Target group '${arn}' has the protocol ${group.protocol}, and the listener ${protocol}`
    throw new ApiError('IncompatibleProtocols', text)
  }
  if (group.vpc !== balancer.vpc) {
    throw badConfiguration(
      `Target group '${arn}' is in ${group.vpc}, the load balancer in ${balancer.vpc}`,
    )
  }
  if (group.ipAddressType === 'ipv6' && balancer.ipAddressType !== 'dualstack') {
    const text = `Target group '${arn}' has IPv6 targets, which needs a load balancer of the type dualstack`
    throw badConfiguration(text)
  }
  if (group.loadBalancer === '' || group.loadBalancer === balancer.id) return
  const text = `The following target groups cannot be associated with more than one load balancer: ${arn}`
  throw new ApiError('TargetGroupAssociationLimit', text)
}

export async function useGroup(
  tx: Transaction,
  group: TargetGroupRecord,
  { id, loadBalancer }: Pick<ListenerRecord, 'id' | 'loadBalancer'>,
): Promise<void> {
  const listeners = [...group.listeners.filter((one) => one !== id), id]
  await tx.put('target-group', [group.id], { ...group, loadBalancer, listeners })
}

export async function leaveGroup(
  tx: Transaction,
  { id, targetGroup }: Pick<ListenerRecord, 'id' | 'targetGroup'>,
): Promise<void> {
  const group = await tx.get('target-group', targetGroup)
  if (group === null) return
  const listeners = group.listeners.filter((one) => one !== id)
  const loadBalancer = listeners.length === 0 ? '' : group.loadBalancer
  await tx.put('target-group', [group.id], { ...group, loadBalancer, listeners })
}

/** The caller writes the load balancer without it, or deletes that, too. */
export async function removeListener(tx: Transaction, id: string): Promise<void> {
  const listener = await tx.get('listener', id)
  if (listener === null) return
  await leaveGroup(tx, listener)
  await tx.delete('listener', id)
}
