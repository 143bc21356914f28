// The borders that a packet crosses: the cloud's public side, and the tunnel between two racks.

import { mustAddress } from '../../topology/cidr.ts'
import { routeFor } from '../../topology/routes.ts'
import type { InterfaceRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { routesOf } from './desired-routes.ts'
import { gatewaysOf } from './desired-tunnels.ts'
import type { End } from './why-ends.ts'
import { local, type Packet, refused, type Step } from './why-guards.ts'

/** What the sender is seen as, and how. */
export function throughInternetGateway(
  view: View,
  { id: card }: InterfaceRecord,
  { from }: Packet,
  id: string,
): [string | null, Step] {
  if (from.includes(':')) return [from, local(id, 'IPv6 leaves as it is')]
  const address = view.by('address', 'interface', card).find((one) => one.privateIp === from)
  if (address === undefined) {
    const text = `${from} of ${card} has no public address, and nothing else translates it`
    return [null, refused(id, 'IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS', text)]
  }
  return [address.publicIp, local(id, `${from} leaves as its public address ${address.publicIp}`)]
}

/** From outside: to a public address, or to IPv6 that is routed to. */
export function* enter(view: View, to: End, packet: Packet): Generator<Step> {
  if (to.card === null) return
  const { vpc } = to.card
  const [gateway] = view.by('internet-gateway', 'vpc', vpc)
  const at = gateway?.id ?? vpc
  if (packet.to.includes(':')) {
    yield { ...enterIpv6(view, to.card, packet, at), side: 'ingress' }
    return
  }
  const isPublic = to.publicIp !== ''
  const text = isPublic
    ? `${to.publicIp} is the public address of ${to.address} of ${to.card.id}`
    : `${to.address} is a private address: nobody outside can send to it`
  const code = isPublic ? '' : 'IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS'
  yield { ...local(at, text), passes: isPublic, code, side: 'ingress' }
}

/** IPv6 comes in where it would go out, and not past an egress-only gateway. */
function enterIpv6(view: View, card: InterfaceRecord, packet: Packet, at: string): Step {
  const subnet = view.get('subnet', card.subnet)
  const routes = subnet === null ? [] : routesOf(view, subnet)
  const back = routeFor(routes, mustAddress(packet.from))?.to
  if (back?.kind === 'internet') return local(back.id, `${packet.to} is routed, not translated`)
  if (back?.kind !== 'egress-only') {
    const text = `${card.subnet} has no route to ${packet.from} by an internet gateway`
    return refused(at, 'NO_ROUTE_TO_DESTINATION', text)
  }
  return refused(back.id, 'CANNOT_ROUTE', 'it lets out, and only answers in')
}

/** The tunnel between two racks, when they are two. */
export function between(view: View, here: string, there: string): Step[] {
  if (here === there) return []
  const bad = [here, there].find((rack) => gatewaysOf(view, rack).length === 0)
  const text = `racks ${here} and ${there} are joined by a tunnel`
  if (bad === undefined) return [local(there, text)]
  return [refused(bad, 'BAD_STATE', `rack ${bad} has no CC that others could tunnel to`)]
}
