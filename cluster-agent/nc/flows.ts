// The switch's whole flow table on a host: what an instance may send at its own port, where it
// holds on every path. A frame that says no lie goes on by MAC learning within its VLAN (NORMAL).

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { linkLocalOf } from '../../topology/plan.ts'
import { flowsInstalled, replaceFlows, type Switch } from '../host/ovs.ts'

/** An instance's port and the only addresses that it may use; empty where it has none. */
export interface GuardedPort {
  readonly ofport: number
  readonly mac: string
  readonly ipv4: string
  readonly ipv6: string
}

/** How Open vSwitch reads a neighbour discovery option that is not there. */
const NO_MAC = '00:00:00:00:00:00'
const SOLICITATION = 'icmp6,icmp_type=135,icmp_code=0'
const ADVERTISEMENT = 'icmp6,icmp_type=136,icmp_code=0'
/** Priorities: what nobody may send, what is checked closely, what is allowed, the rest. */
const NEVER = 95
const CLOSELY = 94
const CLOSELY_REST = 93
const ALLOWED = 90
const REST = 10

/** Flows as ovs-ofctl(8) reads them. Trunk and gateway ports forward everything. */
export function switchFlows(ports: readonly GuardedPort[]): string[] {
  return ['table=0,priority=0,actions=NORMAL', ...ports.flatMap(portFlows)]
}

/** Keeps the table; finds out when vswitchd was restarted and has lost it. */
export function flowsReconciler(
  exec: Exec,
  sw: Switch,
  ports: () => readonly GuardedPort[],
): Reconciler<{ flows: readonly string[]; installed: boolean }, readonly string[]> {
  return {
    name: 'flows',
    observe: async () => {
      const flows = switchFlows(ports())
      return { flows, installed: await flowsInstalled(exec, sw, flows) }
    },
    plan: ({ flows, installed }) => (installed ? [] : [flows]),
    apply: (flows) => replaceFlows(exec, sw, flows),
  }
}

function portFlows({ ofport, mac, ipv4, ipv6 }: GuardedPort): string[] {
  const from = (priority: number, match: string, action: 'NORMAL' | 'drop'): string =>
    `table=0,priority=${priority},in_port=${ofport},${match},actions=${action}`
  const allow = (match: string): string => from(ALLOWED, `dl_src=${mac},${match}`, 'NORMAL')
  const allowClosely = (match: string): string => from(CLOSELY, `dl_src=${mac},${match}`, 'NORMAL')
  const never = (match: string): string => from(NEVER, match, 'drop')
  // An interface may have no address of one family.
  const own4 = ipv4 === '' ? [] : [ipv4]
  const own6 = ipv6 === '' ? [linkLocalOf(mac)] : [ipv6, linkLocalOf(mac)]
  // In neighbour discovery it speaks of its own MAC, or of none.
  const options = [mac, NO_MAC]
  return [
    // A tag would hop into another network (IEEE 802.1Q).
    never('vlan_tci=0x1000/0x1000'),
    // Answers that only the CC gives: DHCP, DHCPv6, router advertisement, redirect.
    never('udp,tp_src=67'),
    never('udp6,tp_src=547'),
    never('icmp6,icmp_type=134'),
    never('icmp6,icmp_type=137'),
    // ARP: its own address, or none yet (RFC 5227 probe).
    ...[...own4, '0.0.0.0'].map((address) => allow(`arp,arp_sha=${mac},arp_spa=${address}`)),
    ...own4.map((address) => allow(`ip,nw_src=${address}`)),
    allow('udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67'),
    // Neighbour discovery (RFC 4861): advertisements of its own addresses, solicitations for any.
    ...own6.flatMap((target) =>
      own6.flatMap((source) =>
        options.map((tll) =>
          allowClosely(`${ADVERTISEMENT},ipv6_src=${source},nd_target=${target},nd_tll=${tll}`),
        ),
      ),
    ),
    ...own6.flatMap((source) =>
      options.map((sll) => allowClosely(`${SOLICITATION},ipv6_src=${source},nd_sll=${sll}`)),
    ),
    // Its own duplicate address detection (RFC 4862, 5.4): for another's it would only disturb.
    ...own6.map((target) =>
      allowClosely(`${SOLICITATION},ipv6_src=::,nd_target=${target},nd_sll=${NO_MAC}`),
    ),
    from(CLOSELY_REST, 'icmp6,icmp_type=135', 'drop'),
    from(CLOSELY_REST, 'icmp6,icmp_type=136', 'drop'),
    // From nowhere: router solicitation and multicast listener reports before there is an address.
    ...[133, 131, 143].map((type) => allow(`icmp6,icmp_type=${type},ipv6_src=::`)),
    ...own6.map((address) => allow(`ipv6,ipv6_src=${address}`)),
    `table=0,priority=${REST},in_port=${ofport},actions=drop`,
  ]
}
