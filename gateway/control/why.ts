// Why a packet passes from one end to another, or does not: the same records and the same functions
// that the racks' desired state is made of, asked hop by hop. Sends nothing.

import { MalleeError } from '../../common/errors.ts'
import { mustAddress } from '../../topology/cidr.ts'
import { never } from '../../topology/result.ts'
import { type ResolvedRoute, routeFor } from '../../topology/routes.ts'
import type { InterfaceRecord, SubnetRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { routesOf, tableOf } from './desired-routes.ts'
import { between, enter, throughInternetGateway } from './why-border.ts'
import { type End, findEnd, settleEnds } from './why-ends.ts'
import {
  askAcl,
  askGroups,
  describe,
  isUp,
  local,
  type Packet,
  refused,
  replyTo,
  type Step,
} from './why-guards.ts'
import { fromPeerCloud, toPeerCloud } from './why-peers.ts'
import { fromDevice, toDevice } from './why-vpns.ts'

export interface Question {
  readonly from: string
  readonly to: string
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  /** Null for ICMP, or for no certain one. */
  readonly port: number | null
  /** Whose things can be seen; null for an operator, who sees all. */
  readonly account: string | null
}

export interface Finding {
  readonly passes: boolean
  /** The packet, in words. */
  readonly packet: string
  /** In the order in which they are met, up to the first that does not let it pass. */
  readonly steps: readonly Step[]
}

/** How often appliances may pass a packet on before we say that it goes round. */
const MAX_APPLIANCES = 4
const ICMP_ECHO = { ipv4: { protocol: 1, port: 8 }, ipv6: { protocol: 58, port: 128 } } as const
const PROTOCOLS = { tcp: 6, udp: 17 } as const

/** Where a packet came out: what its receiver sees as sender. */
interface Arrival {
  readonly steps: readonly Step[]
  /** Source as seen at the destination; null when it got nowhere. */
  readonly seenAs: string | null
}

/** Throws NotFound, BadArgument for ends that are none. */
export function why(view: View, question: Question): Finding {
  const { account } = question
  const [from, to] = settleEnds(
    findEnd(view, question.from, account),
    findEnd(view, question.to, account),
  )
  if (from.card === null && to.card === null) {
    throw new MalleeError('BadArgument', `neither ${question.from} nor ${question.to} is ours`)
  }
  const family = from.address.includes(':') ? 'ipv6' : 'ipv4'
  const kind =
    question.protocol === 'icmp'
      ? ICMP_ECHO[family]
      : { protocol: PROTOCOLS[question.protocol], port: question.port }
  const target = to.publicIp === '' ? to.address : to.publicIp
  const packet = { ...kind, from: from.address, to: target }
  const steps: Step[] = []
  for (const step of walk(view, from, to, packet)) {
    steps.push(step)
    if (!step.passes) break
  }
  return { passes: steps.every((step) => step.passes), packet: describe(packet), steps }
}

function* walk(view: View, from: End, to: End, packet: Packet): Generator<Step> {
  const arrival: Step[] = []
  let seenAs: string | null = from.address
  if (from.card !== null) {
    const sent = leave(view, from.card, to, packet)
    yield* sent.steps
    seenAs = sent.seenAs
    arrival.push(...sent.steps)
  } else {
    const steps = to.card === null ? [] : arrive(view, to, to.card, packet)
    yield* steps
    if (steps.some((step) => !step.passes)) return
  }
  if (seenAs === null || arrival.some((step) => !step.passes)) return
  if (to.card !== null) yield* receive(view, from, to, { ...packet, from: seenAs, to: to.address })
  yield* reply(view, from, to, { ...packet, from: seenAs })
}

/** Out of an interface and along its routes, up to the other end or the way out of the cloud. */
function leave(view: View, card: InterfaceRecord, to: End, packet: Packet): Arrival {
  const steps: Step[] = [
    { ...isUp(view, card), direction: 'forward', side: 'egress' },
    // Groups name whom they let in by private address; a public one is nobody's.
    askGroups(view, card, packet, 'egress', to.publicIp === '' ? to.card : null),
  ]
  let here: InterfaceRecord = card
  for (let hops = 0; hops <= MAX_APPLIANCES; hops++) {
    const subnet = view.get('subnet', here.subnet)
    if (subnet === null) return { steps, seenAs: null }
    if (isNeighbour(to, packet, subnet)) {
      steps.push(local(subnet.id, `both are in ${subnet.id}, one layer 2`))
      return { steps, seenAs: packet.from }
    }
    steps.push(askAcl(view, subnet, packet, 'egress', 'forward'))
    const route = routeStep(view, subnet, packet.to, 'forward')
    steps.push(route.step)
    if (route.found === null || !route.step.passes) return { steps, seenAs: null }
    const { to: hop } = route.found
    if (hop.kind !== 'interface') return byRoute(view, card, here, to, packet, route.found, steps)
    const appliance = view.get('interface', hop.id)
    if (appliance === null) return { steps, seenAs: null }
    // The route may be there for its own sake: to whom it is sent takes it.
    if (appliance.id === to.card?.id) return { steps, seenAs: packet.from }
    steps.push(...throughAppliance(view, appliance, packet, card))
    here = appliance
  }
  const text = `the packet goes round over more than ${MAX_APPLIANCES} appliances`
  steps.push({ ...local(here.id, text), passes: false, code: 'BAD_STATE_ROUTE' })
  return { steps, seenAs: null }
}

function throughAppliance(
  view: View,
  appliance: InterfaceRecord,
  packet: Packet,
  from: InterfaceRecord,
): Step[] {
  const { id, sourceDestCheck } = appliance
  return [
    { ...isUp(view, appliance), direction: 'forward', side: 'ingress' },
    {
      ...local(id, `source/destination check of ${id} is ${sourceDestCheck ? 'on' : 'off'}`),
      passes: !sourceDestCheck,
      code: sourceDestCheck ? 'ENI_SOURCE_DEST_CHECK_RESTRICTION' : '',
      side: 'ingress',
    },
    askGroups(view, appliance, packet, 'ingress', from),
    local(id, `${appliance.instance} passes it on, if its system does`),
    askGroups(view, appliance, packet, 'egress', null),
  ]
}

/** The last route: to a private address, or out through a gateway. */
function byRoute(
  view: View,
  sender: InterfaceRecord,
  here: InterfaceRecord,
  to: End,
  packet: Packet,
  { to: hop }: ResolvedRoute,
  steps: Step[],
): Arrival {
  const done = (seenAs: string | null, ...more: readonly Step[]): Arrival => ({
    steps: [...steps, ...more],
    seenAs,
  })
  switch (hop.kind) {
    case 'local': {
      const away = to.card === null ? toPeerCloud(view, hop.peering, here.rack, packet) : null
      if (away !== null) return done(away.seenAs, ...away.steps)
      if (to.card === null || to.publicIp !== '') {
        const text = `no interface that can be seen has ${packet.to}`
        return done(null, refused(here.subnet, 'NO_POSSIBLE_DESTINATION', text))
      }
      const peering = hop.peering === '' ? [] : [local(hop.peering, 'the peering is active')]
      return done(packet.from, ...peering, ...between(view, here.rack, to.card.rack))
    }
    case 'nat': {
      const nat = view.get('nat-gateway', hop.id)
      const own = view.get('interface', nat?.interface ?? '')?.ipv4 ?? ''
      const publicIp = view.get('address', nat?.allocation ?? '')?.publicIp
      const seenAs = publicIp ?? own
      const text = `${hop.id} in rack ${hop.rack} sends it on as ${seenAs}`
      return done(seenAs, ...between(view, here.rack, hop.rack), local(hop.id, text))
    }
    case 'internet':
      return done(...throughInternetGateway(view, sender, packet, hop.id))
    case 'egress-only':
      return done(packet.from, local(hop.id, 'out, and only answers come in'))
    case 'vpn':
      return done(packet.from, ...toDevice(view, here.rack, hop, to))
    case 'interface':
    case 'blackhole':
      return done(null)
    default:
      return never(hop)
  }
}

/** From outside: of a peer cloud, from a customer's device, or from anybody. */
function arrive(view: View, to: End, card: InterfaceRecord, packet: Packet): readonly Step[] {
  const comes = fromPeerCloud(view, card, packet)
  if (comes !== null) return comes
  // Who knows the public address comes by that.
  const device = to.publicIp === '' ? fromDevice(view, card, packet) : null
  return device ?? [...enter(view, to, packet)]
}

function* receive(view: View, from: End, to: End, packet: Packet): Generator<Step> {
  const { card } = to
  const subnet = card === null ? null : view.get('subnet', card.subnet)
  if (card === null || subnet === null) return
  if (from.card?.subnet !== card.subnet || packet.from !== from.address) {
    yield askAcl(view, subnet, packet, 'ingress', 'forward')
  }
  yield { ...isUp(view, card), direction: 'forward', side: 'ingress' }
  // Whoever comes from a public address is in no group.
  const peer = packet.from === from.address ? from.card : null
  yield askGroups(view, card, packet, 'ingress', peer)
}

/** Security groups know the connection. Routes and network ACLs do not. */
function* reply(view: View, from: End, to: End, packet: Packet): Generator<Step> {
  const answer = replyTo(packet)
  const home = to.card === null ? null : view.get('subnet', to.card.subnet)
  const away = from.card === null ? null : view.get('subnet', from.card.subnet)
  const isNear = home !== null && home.id === away?.id && packet.from === from.address
  if (isNear && to.publicIp === '') return
  if (home !== null) {
    const sent = { ...answer, from: to.address }
    yield askAcl(view, home, sent, 'egress', 'reply')
    yield routeStep(view, home, sent.to, 'reply').step
  }
  if (away !== null) {
    yield askAcl(view, away, { ...answer, to: from.address }, 'ingress', 'reply')
  }
}

function routeStep(
  view: View,
  subnet: SubnetRecord,
  address: string,
  direction: Step['direction'],
): { readonly step: Step; readonly found: ResolvedRoute | null } {
  const found = routeFor(routesOf(view, subnet), mustAddress(address))
  const at = tableOf(view, subnet)?.id ?? subnet.vpc
  const step = { direction, at, side: 'egress' as const }
  if (found === null) {
    const text = `${subnet.id} has no route to ${address}`
    return { found, step: { ...step, passes: false, code: 'NO_ROUTE_TO_DESTINATION', text } }
  }
  const { destination, to } = found
  if (to.kind === 'blackhole') {
    const text = `the route to ${destination} is a black hole: its target ${to.id}: ${to.why}`
    return { found, step: { ...step, passes: false, code: 'BAD_STATE_ROUTE', text } }
  }
  const target = to.kind === 'local' ? to.peering || 'local' : to.id
  const text = `the route of ${subnet.id} to ${destination} leads to ${target}`
  return { found, step: { ...step, passes: true, code: '', text } }
}

/** Are they in one subnet, and addressed by what they have there? */
function isNeighbour(to: End, packet: Packet, subnet: SubnetRecord): boolean {
  return to.card?.subnet === subnet.id && packet.to === to.address
}
