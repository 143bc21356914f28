// The guards that a packet meets at an interface: is it up, its security groups, and the network
// ACL of its subnet.

import { mustAddress } from '../../topology/cidr.ts'
import { aclVerdict, DEFAULT_ENTRY, groupVerdict } from '../../topology/firewall.ts'
import type { InterfaceRecord, NetworkAclEntry, SubnetRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { hasPort } from './desired-routes.ts'
import { peersOf } from './presence.ts'

/** One thing that a packet meets. The first that does not let it pass ends its way. */
export interface Step {
  readonly direction: 'forward' | 'reply'
  /** The id of what decides: sg-…, acl-…, rtb-…, eni-…, vpn-… and so on, or a rack's name. */
  readonly at: string
  readonly passes: boolean
  /** '' when it passes; else as AWS's Reachability Analyzer calls it. */
  readonly code: string
  /** Of the interface or subnet where it is asked. */
  readonly side: 'egress' | 'ingress'
  readonly text: string
}

export interface Packet {
  readonly protocol: number
  /** The destination's port, or the ICMP type; null where any would do. */
  readonly port: number | null
  readonly from: string
  readonly to: string
}

/** What Linux takes for the near end of a connection (ip_local_port_range). */
const EPHEMERAL: readonly number[] = [32_768, 60_999]
const PORTS = EPHEMERAL.join('-')
const NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' }
/** Echo request and its reply. */
const ECHO_REPLY: Readonly<Record<number, number>> = { 1: 0, 58: 129 }

/** A step that lets everything pass. */
export function local(at: string, text: string): Step {
  return { direction: 'forward', at, passes: true, code: '', side: 'egress', text }
}

export function refused(at: string, code: string, text: string): Step {
  return { ...local(at, text), passes: false, code }
}

export function describe({ protocol, port, from, to }: Packet, ports = String(port ?? '')): string {
  const what = NAMES[protocol] ?? `protocol ${protocol}`
  const where = ports === '' || what.startsWith('icmp') ? '' : ` ${ports}`
  return `${what}${where} from ${from} to ${to}`
}

export function isUp(view: View, card: InterfaceRecord): Omit<Step, 'direction' | 'side'> {
  if (!hasPort(card)) {
    const text = `${card.id} is not attached to an instance`
    return { at: card.id, passes: false, code: 'BAD_STATE_ATTACHMENT', text }
  }
  if (card.type === 'network-load-balancer') {
    const text = `${card.id} is a node of a load balancer, on the host ${card.host}`
    return { at: card.id, passes: true, code: '', text }
  }
  const state = view.get('instance', card.instance)?.state ?? 'gone'
  const isRunning = state === 'running' || state === 'pending'
  return {
    at: card.instance,
    passes: isRunning,
    code: isRunning ? '' : 'BAD_STATE',
    text: `${card.instance} is ${state}, ${card.id} is attached to it`,
  }
}

/** The groups of `card` for a new connection; `peer` is the interface at the other end. */
export function askGroups(
  view: View,
  card: InterfaceRecord,
  packet: Packet,
  side: Step['side'],
  peer: InterfaceRecord | null,
): Step {
  if (card.type === 'network-load-balancer' && card.securityGroups.length === 0) {
    const text = `${card.id} belongs to a load balancer without groups: ${describe(packet)} passes`
    return { direction: 'forward', at: card.id, passes: true, code: '', side, text }
  }
  const isEgress = side === 'egress'
  // A group of a VPC that is no peer (any more) cannot be named.
  const isNear = peer !== null && [card.vpc, ...peersOf(view, card.vpc)].includes(peer.vpc)
  const traffic = {
    egress: isEgress,
    protocol: packet.protocol,
    port: packet.port,
    code: 0,
    peer: mustAddress(isEgress ? packet.to : packet.from),
    peerGroups: isNear ? peer.securityGroups : [],
    prefixesOf: (list: string) =>
      view.get('prefix-list', list)?.entries.map(({ cidr }) => cidr) ?? [],
  }
  for (const id of card.securityGroups) {
    const rule = groupVerdict(view.get('security-group', id)?.rules ?? [], traffic)
    if (rule === null) continue
    const text = `${side} rule ${rule} lets ${describe(packet)} pass`
    return { direction: 'forward', at: id, passes: true, code: '', side, text }
  }
  const ids = card.securityGroups.join(', ')
  return {
    direction: 'forward',
    at: card.securityGroups[0] ?? card.id,
    passes: false,
    code: 'ENI_SG_RULES_MISMATCH',
    side,
    text: `no ${side} rule of ${ids === '' ? 'any group' : ids} lets ${describe(packet)} pass`,
  }
}

/** The ACL of a subnet; it knows no connections, so replies are asked for as well. */
export function askAcl(
  view: View,
  subnet: SubnetRecord,
  packet: Packet,
  side: Step['side'],
  direction: Step['direction'],
): Step {
  const id = subnet.acl === '' ? (view.get('vpc', subnet.vpc)?.defaultAcl ?? '') : subnet.acl
  const acl = view.get('network-acl', id)
  const step = { direction, at: id === '' ? subnet.id : id, side }
  if (acl === null) {
    return { ...step, passes: true, code: '', text: `${subnet.id} has no network ACL` }
  }
  const asked = packetsOf(packet, direction)
  const verdicts = asked.map((one) => verdictOf(acl.entries, one, side))
  const refused = verdicts.findIndex(({ allowed }) => !allowed)
  const which = Math.max(0, refused)
  const number = verdicts[which]?.number ?? DEFAULT_ENTRY
  const entry = number === DEFAULT_ENTRY ? '* (the last entry)' : `entry ${number}`
  const passes = refused === -1
  const what =
    passes && asked.length > 1 ? describe(packet, PORTS) : describe(asked[which] ?? packet)
  return {
    ...step,
    passes,
    code: passes ? '' : 'SUBNET_ACL_RESTRICTION',
    text: `${side} ${entry} ${passes ? 'allows' : 'denies'} ${what}`,
  }
}

/** The answer to a packet, its port not chosen yet. */
export function replyTo(packet: Packet): Packet {
  const port = ECHO_REPLY[packet.protocol] ?? null
  return { protocol: packet.protocol, port, from: packet.to, to: packet.from }
}

/** A reply goes to any port of the ephemeral ones: what is asked is their first and last. */
function packetsOf(packet: Packet, direction: Step['direction']): Packet[] {
  const isToPort = direction === 'reply' && (packet.protocol === 6 || packet.protocol === 17)
  return isToPort ? EPHEMERAL.map((port) => ({ ...packet, port })) : [packet]
}

function verdictOf(
  entries: readonly NetworkAclEntry[],
  packet: Packet,
  side: Step['side'],
): ReturnType<typeof aclVerdict> {
  const isEgress = side === 'egress'
  return aclVerdict(entries, {
    egress: isEgress,
    protocol: packet.protocol,
    port: packet.port,
    code: 0,
    peer: mustAddress(isEgress ? packet.to : packet.from),
  })
}
