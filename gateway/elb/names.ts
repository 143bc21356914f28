// The names of load balancers: made of their own name and id, so that a name leads back to its
// record. The DNS of their VPC and of its peers answers them.

import type { LoadBalancerRecord } from '../store/balancer-records.ts'
import type { View } from '../store/state.ts'

const ID = /-([0-9a-f]{16})\.elb\./

/** `web-0123456789abcdef.elb.au-mallee-1.internal`, in lower case as DNS compares it. */
export function dnsNameOf(
  region: string,
  { name, id }: Pick<LoadBalancerRecord, 'name' | 'id'>,
): string {
  return `${name}-${id}.elb.${region}.internal`.toLowerCase()
}

/** Null when no load balancer has that name. */
export function balancerNamed(view: View, region: string, name: string): LoadBalancerRecord | null {
  const [, id = ''] = ID.exec(name) ?? []
  const balancer = view.get('load-balancer', id)
  return balancer !== null && dnsNameOf(region, balancer) === name ? balancer : null
}
