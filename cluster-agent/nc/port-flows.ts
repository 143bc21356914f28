// What an instance may send at its own port, where it holds on every path, and how frames find the
// port: by network and MAC, never by what the switch has learned.

import { linkLocalOf } from '../../topology/plan.ts'
import {
  CLASSIFY,
  DELIVER,
  flow,
  GROUP_OUT,
  MULTICAST,
  NEIGHBOURS,
  SERVICES,
} from './flow-tables.ts'

/** An instance's port and the only addresses that it may use; none where it has none. */
export interface GuardedPort {
  readonly ofport: number
  readonly mac: string
  /** The VLAN tag of its network. */
  readonly tag: number
  readonly ipv4: readonly string[]
  readonly ipv6: readonly string[]
  /** False for an appliance, which sends what is from others. */
  readonly sourceDestCheck: boolean
  readonly groupIds: readonly string[]
  /** Without groups nothing is forbidden, and not everything. */
  readonly openWithoutGroups: boolean
}

/** How Open vSwitch reads a neighbour discovery option that is not there. */
const NO_MAC = '00:00:00:00:00:00'
const SOLICITATION = 'icmp6,icmp_type=135,icmp_code=0'
const ADVERTISEMENT = 'icmp6,icmp_type=136,icmp_code=0'
/** What hosts say to routers: solicitation, and which groups they listen to (RFC 4861, 3810). */
const TO_ROUTERS = [133, 131, 132, 143]
/** Priorities: what nobody may send, what is checked closely, what is allowed, the rest. */
const NEVER = 95
const CLOSELY = 94
const CLOSELY_REST = 93
const ALLOWED = 90
const NOT_TO_SERVICES = 86
const FOR_OTHERS = 85
const REST = 10

export function portFlows(port: GuardedPort): string[] {
  const { ofport, mac, tag } = port
  return [
    ...neverFlows(ofport),
    ...arpFlows(port),
    ...ipFlows(port),
    ...discoveryFlows(port),
    drop(ofport, REST, ''),
    `table=${DELIVER},priority=50,metadata=${tag},dl_dst=${mac},` +
      `actions=set_field:${ofport}->reg1,goto_table:40`,
  ]
}

function neverFlows(ofport: number): string[] {
  return [
    // A tag would hop into another network (IEEE 802.1Q).
    'vlan_tci=0x1000/0x1000',
    // Answers that only the CC gives: DHCP, DHCPv6, router advertisement, redirect.
    'udp,tp_src=67',
    'udp6,tp_src=547',
    'icmp6,icmp_type=134',
    'icmp6,icmp_type=137',
  ].map((match) => drop(ofport, NEVER, `,${match}`))
}

/** Its own address, or none yet (RFC 5227 probe). */
function arpFlows(port: GuardedPort): string[] {
  return [...port.ipv4, '0.0.0.0'].map((address) =>
    allow(port, ALLOWED, `arp,arp_sha=${port.mac},arp_spa=${address}`, DELIVER),
  )
}

function ipFlows(port: GuardedPort): string[] {
  const { ofport, mac, ipv4 } = port
  const linkLocal = linkLocalOf(mac)
  const discover = 'udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67'
  const discover6 = `udp6,ipv6_src=${linkLocal},ipv6_dst=ff02::1:2,tp_src=546,tp_dst=547`
  const own = [
    ...ipv4.map((address) => `ip,nw_src=${address}`),
    ...own6(port).map((address) => `ipv6,ipv6_src=${address}`),
  ]
  return [
    allow(port, ALLOWED, discover, DELIVER),
    allow(port, CLOSELY, discover6, DELIVER),
    ...TO_ROUTERS.flatMap((type) =>
      [linkLocal, '::'].map((source) => {
        const match = `${MULTICAST},icmp6,icmp_type=${type},ipv6_src=${source}`
        return allow(port, CLOSELY, match, DELIVER)
      }),
    ),
    ...own.map((match) => allow(port, ALLOWED, match, GROUP_OUT)),
    ...(port.sourceDestCheck ? [] : forOthers(port, ofport)),
  ]
}

/** Any source, but none of the cloud's own; and what asks the cloud is asked in its own name. */
function forOthers(port: GuardedPort, ofport: number): string[] {
  const { ipv4, ipv6 } = SERVICES
  return [
    ...[`ip,nw_src=${ipv4}`, `ip,nw_dst=${ipv4}`].map((match) => `,${match}`),
    ...[`ipv6,ipv6_src=${ipv6}`, `ipv6,ipv6_dst=${ipv6}`].map((match) => `,${match}`),
    ',ipv6,ipv6_src=fe80::/10',
  ]
    .map((match) => drop(ofport, NOT_TO_SERVICES, match))
    .concat(['ip', 'ipv6'].map((match) => allow(port, FOR_OTHERS, match, GROUP_OUT)))
}

/** RFC 4861: advertisements of its own addresses, solicitations for any, its own MAC or none. */
function discoveryFlows(port: GuardedPort): string[] {
  const { ofport, mac } = port
  const own = own6(port)
  const options = [mac, NO_MAC]
  return [
    ...own.map((source) => allow(port, CLOSELY, `${ADVERTISEMENT},ipv6_src=${source}`, NEIGHBOURS)),
    ...own.flatMap((target) =>
      options.map((tll) => {
        const match = `reg0=${ofport},${ADVERTISEMENT},nd_target=${target},nd_tll=${tll}`
        return flow(NEIGHBOURS, ALLOWED, match, DELIVER)
      }),
    ),
    ...own.flatMap((source) =>
      options.map((sll) =>
        allow(port, CLOSELY, `${SOLICITATION},ipv6_src=${source},nd_sll=${sll}`, DELIVER),
      ),
    ),
    // Its own duplicate address detection (RFC 4862, 5.4): for another's it would only disturb.
    ...own.map((target) => {
      const match = `${SOLICITATION},ipv6_src=::,nd_target=${target},nd_sll=${NO_MAC}`
      return allow(port, CLOSELY, match, DELIVER)
    }),
    drop(ofport, CLOSELY_REST, ',icmp6,icmp_type=135'),
    drop(ofport, CLOSELY_REST, ',icmp6,icmp_type=136'),
  ]
}

function own6({ mac, ipv6 }: GuardedPort): string[] {
  return [...ipv6, linkLocalOf(mac)]
}

function allow({ ofport, mac, tag }: GuardedPort, priority: number, match: string, next: number) {
  const noted = `set_field:${tag}->metadata,set_field:${ofport}->reg0`
  const where = `table=${CLASSIFY},priority=${priority},in_port=${ofport},dl_src=${mac}`
  return `${where},${match},actions=${noted},goto_table:${next}`
}

function drop(ofport: number, priority: number, match: string): string {
  return `table=${CLASSIFY},priority=${priority},in_port=${ofport}${match},actions=drop`
}
