// The way of a packet to and from a customer's device: the tunnel that carries it, the CC that
// holds that, and what is the matter with it.

import { contains, covers, mustAddress, mustCidr } from '../../topology/cidr.ts'
import type { Hop } from '../../topology/routes.ts'
import type { InterfaceRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { farPrefixes, whyDown } from '../vpn/active.ts'
import { isAttached } from '../vpn/propagation.ts'
import { type ConnectionTunnel, tunnelOf } from '../vpn/tunnels.ts'
import { between } from './why-border.ts'
import type { End } from './why-ends.ts'
import { local, type Packet, refused, type Step } from './why-guards.ts'

type VpnHop = Extract<Hop, { kind: 'vpn' }>

/** From a rack over the tunnel that its routes lead to. */
export function toDevice(view: View, rack: string, hop: VpnHop, to: End): Step[] {
  const found = tunnelOf(view, hop.number)
  if (found === null) return [refused(hop.id, 'BAD_STATE_VPN', 'its tunnel is gone')]
  const { id } = found.connection
  if (to.card !== null) {
    const text = `this leads to the device of ${id}, and not to ${to.card.id}`
    return [refused(hop.id, 'NO_POSSIBLE_DESTINATION', text)]
  }
  return [...between(view, rack, hop.rack), tunnelStep(view, found, 'it goes to')]
}

/** Null when the sender is behind no VPN gateway of the interface's VPC. */
export function fromDevice(view: View, card: InterfaceRecord, { from }: Packet): Step[] | null {
  const hop = hopFrom(view, card.vpc, from)
  const found = hop === null ? null : tunnelOf(view, hop.number)
  if (hop === null || found === null) return null
  const steps = [tunnelStep(view, found, 'it comes from'), ...between(view, hop.rack, card.rack)]
  return steps.map((step) => ({ ...step, side: 'ingress' }))
}

function hopFrom(view: View, vpcId: string, from: string): VpnHop | null {
  const sender = mustAddress(from)
  const vpc = view.get('vpc', vpcId)
  const own = [...(vpc?.ipv4Cidrs ?? []), ...(vpc?.ipv6Cidrs ?? [])].map(mustCidr)
  const [nearest] = view
    .by('vpn-gateway', 'vpc', vpcId)
    .filter(({ id }) => isAttached(view, id, vpcId))
    .flatMap(({ id }) => farPrefixes(view, id))
    .map(({ cidr, to }) => ({ cidr: mustCidr(cidr), to }))
    .filter(({ cidr }) => contains(cidr, sender) && !own.some((block) => covers(block, cidr)))
    .sort((a, b) => b.cidr.length - a.cidr.length)
  return nearest?.to.kind === 'vpn' ? nearest.to : null
}

function tunnelStep(view: View, { connection, tunnel }: ConnectionTunnel, how: string): Step {
  const { number, rack, host } = tunnel
  const { customerGateway, id } = connection
  const where = `tunnel ${number} of ${id} at ${rack}/${host}`
  const trouble = whyDown(view, tunnel)
  if (trouble === null) return local(id, `${how} ${customerGateway} by ${where}, which is up`)
  return refused(id, 'BAD_STATE_VPN', `${where} is down: ${trouble}`)
}
