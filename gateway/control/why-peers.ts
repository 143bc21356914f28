// The way of a packet to and from a peer cloud: what both sides agree to, and the border that it
// crosses.

import { contains, formatAddress, mustAddress, mustCidr, nthAddress } from '../../topology/cidr.ts'
import type { Passing } from '../peering/passing.ts'
import { trafficOf } from '../peering/traffic.ts'
import type { InterfaceRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { between } from './why-border.ts'
import { local, type Packet, refused, type Step } from './why-guards.ts'

/** What the other cloud sees as sender, and the steps; null for a peering of this cloud alone. */
export function toPeerCloud(
  view: View,
  peering: string,
  rack: string,
  { from }: Packet,
): { readonly seenAs: string | null; readonly steps: readonly Step[] } | null {
  const passing = trafficOf(view).byPeering.get(peering)
  if (passing === undefined) return null
  const { peer, pair, id } = passing
  const seenAs = seenAsOf(passing, from)
  if (seenAs === null) {
    const text = `the peering is not about the block of ${from}`
    return { seenAs, steps: [refused(id, 'NO_ROUTE_TO_DESTINATION', text)] }
  }
  if (pair === null) {
    const text = `no border of both clouds is known that would carry it to ${peer.terms.name}`
    return { seenAs: null, steps: [refused(id, 'BAD_STATE', text)] }
  }
  const way = `${pair.own.rack}/${pair.own.host} to ${pair.theirs.rack}/${pair.theirs.host}`
  const as = seenAs === from ? 'as it is' : `as ${seenAs}`
  const steps = [
    local(id, `the peering is active here and at ${peer.terms.name}`),
    ...between(view, rack, pair.own.rack),
    local(id, `it goes from ${way} of ${peer.terms.name}, ${as}`),
  ]
  return { seenAs, steps }
}

/** Null when the sender is of no peer of the interface's VPC. */
export function fromPeerCloud(view: View, card: InterfaceRecord, { from }: Packet): Step[] | null {
  const sender = mustAddress(from)
  const passing = (trafficOf(view).byVpc.get(card.vpc) ?? []).find(({ theirs }) =>
    theirs.some((cidr) => contains(mustCidr(cidr), sender)),
  )
  if (passing === undefined) return null
  const { peer, pair, id } = passing
  const { name } = peer.terms
  if (pair === null) {
    const text = `no border of both clouds is known that would bring it from ${name}`
    return [{ ...refused(id, 'BAD_STATE', text), side: 'ingress' }]
  }
  const steps = [
    local(id, `it comes from ${name} to ${pair.own.rack}/${pair.own.host}`),
    ...between(view, pair.own.rack, card.rack),
  ]
  return steps.map((step) => ({ ...step, side: 'ingress' }))
}

/** One to one: the same place in the block's other prefix. */
function seenAsOf({ blocks }: Passing, from: string): string | null {
  const address = mustAddress(from)
  const block = blocks.find(({ own }) => contains(mustCidr(own), address))
  if (block === undefined) return null
  const place = address.value - mustCidr(block.own).base
  return formatAddress(nthAddress(mustCidr(block.seenAs), place))
}
