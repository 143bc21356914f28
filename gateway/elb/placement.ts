// On which host a node of a load balancer is: one of its subnet's rack that runs instances and has
// the fewest nodes.

import { isRackConnected } from '../ec2/zones.ts'
import type { HostRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'

/**
 * Hosts that take a node, the best one first: the order is the same at every gateway. None while
 * the rack is not connected.
 */
export function hostsForNode(view: View, rack: string): HostRecord[] {
  if (view.get('rack', rack)?.state !== 'joined' || !isRackConnected(view, rack)) return []
  const counts = new Map<string, number>()
  for (const { interface: id } of view.by('balancer-node', 'rack', rack)) {
    const host = view.get('interface', id)?.host ?? ''
    counts.set(host, (counts.get(host) ?? 0) + 1)
  }
  const load = ({ host }: HostRecord): number => counts.get(host) ?? 0
  return view
    .withPrefix('host', `${rack}/`)
    .filter((host) => takesNodes(host) && host.status?.connected === true)
    .toSorted((a, b) => load(a) - load(b) || (a.host < b.host ? -1 : 1))
}

/** Is it meant to have nodes? One that the operator takes out is not, whether connected or not. */
export function takesNodes({ roles, status, cordoned }: HostRecord): boolean {
  return roles.includes('nc') && cordoned !== true && status?.draining !== true
}

/** A host for a node; '' when there is none. It stays as it is until the transaction is done. */
export async function chooseHost(tx: Transaction, view: View, rack: string): Promise<string> {
  for (const { host } of hostsForNode(view, rack)) {
    const now = await tx.get('host', rack, host)
    if (now !== null && takesNodes(now) && now.status?.connected === true) return host
  }
  return ''
}
