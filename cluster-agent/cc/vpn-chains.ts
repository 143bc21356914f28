// The packet filter's chains at the tunnels to customers' own devices. What may pass is in sets
// (vpn-sets.ts), and every packet is asked, also of known connections: these end with the tunnel.
// Nothing here asks connection tracking but errors: a connection may come by one tunnel and go by
// the other, at another CC.

import type { VpnLink } from '../../proto/gen/mallee/v1/border_pb.js'
import { CHARON_DEVICES, TRANSIT_DEVICE, VPN_DEVICES } from './names.ts'
import { VPN_MARK, VPN_MARK_MASK } from './vpn-sets.ts'

/** Subnets of this rack and, as their route tables say, of others. */
const INSIDE = `{ "gw*", "${TRANSIT_DEVICE}" }`
const ERRORS4 = 'icmp type { destination-unreachable, time-exceeded }'
const ERRORS6 = 'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded }'
const ECHOES = 'icmp type { echo-request, echo-reply }'
const IN4 = 'iifname . ip saddr . ip daddr'
const IN6 = 'iifname . ip6 saddr . ip6 daddr'
const OUT4 = 'oifname . ip daddr . ip saddr'
const OUT6 = 'oifname . ip6 daddr . ip6 saddr'
const MARKED = `meta mark & ${hex(VPN_MARK_MASK)} == ${hex(VPN_MARK)}`

/**
 * The devices, as nft has them. strongSwan's own TUN device has a name by the kernel's choice, and
 * must not be there a moment without this filter: with IPsec tunnels all of such names are meant.
 */
export function vpnNames(links: readonly VpnLink[]): string {
  const own = `"${VPN_DEVICES}*"`
  return links.some(({ kind }) => kind.case === 'ipsec') ? `{ ${own}, "${CHARON_DEVICES}*" }` : own
}

/** Whether a filter that stands, as nft shows it, is for all names that the devices may have. */
export function knowsNames(table: string, links: readonly VpnLink[]): boolean {
  const names = vpnNames(links).match(/"[^"]+"/g) ?? []
  return names.every((name) => table.includes(name))
}

/** Of the chain `forward`, before what it does with known connections. */
export function vpnForward(names: string): string {
  return `    iifname ${names} goto from_vpn
    oifname ${names} goto to_vpn`
}

/** Of the chain `input`. */
export function vpnInput(names: string): string {
  return `    iifname ${names} goto at_vpn`
}

/**
 * A device sends errors from its address inside of the tunnel. Subnets of this rack are reached
 * from where their own route tables lead, as those of other racks are there.
 */
export function vpnChains(names: string): string {
  const [fromVpns, toVpns] = [`iifname ${names}`, `oifname ${names}`]
  return `  chain vpn_arrive {
    type filter hook prerouting priority raw; policy accept;
    ${fromVpns} goto off_vpn
  }

  chain off_vpn {
    meta mark set iifname map @vpn_marks
    ${IN4} @vpn4 return
    ${IN6} @vpn6 return
    ${ECHOES} ${IN4} @vpn_ends return
    ${ERRORS4} ${IN4} @vpn_own return
    drop
  }

  chain vpn_leave {
    type filter hook postrouting priority srcnat + 10; policy accept;
    ${toVpns} goto on_vpn
  }

  chain on_vpn {
    ${OUT4} @vpn4 return
    ${OUT6} @vpn6 return
    ${ECHOES} ${OUT4} @vpn_ends return
    drop
  }

  chain from_vpn {
    oifname != ${INSIDE} drop
    oifname "${TRANSIT_DEVICE}" meta mark set 0
    ${ERRORS4} ct state related ${IN4} @vpn_own accept
    oifname "gw*" oifname . ip saddr != @back4 drop
    oifname "gw*" oifname . ip6 saddr != @back6 drop
    ${IN4} @vpn4 accept
    ${IN6} @vpn6 accept
    drop
  }

  chain to_vpn {
    iifname != ${INSIDE} drop
    iifname "gw*" jump own_address
    ${OUT4} @vpn4 accept
    ${OUT6} @vpn6 accept
    drop
  }

  chain at_vpn {
    ${IN4} @vpn_ends icmp type echo-request limit rate 1000/second burst 1000 packets accept
    ${IN4} @vpn_ends ct state established icmp type echo-reply accept
    drop
  }

  # An error comes from whom the packet was sent to, and leaves by where that came in.
  chain vpn_output {
    type filter hook output priority filter; policy accept;
    ${toVpns} goto to_device
    ${MARKED} drop
    oifname "${TRANSIT_DEVICE}" ${ERRORS4} ip saddr set @th,192,32
    oifname "${TRANSIT_DEVICE}" ${ERRORS6} ip6 saddr set @th,256,128
  }

  chain to_device {
    ${ERRORS4} ip saddr set @th,192,32
    ${ERRORS6} ip6 saddr set @th,256,128
    ${ECHOES} ${OUT4} @vpn_ends accept
    ${ERRORS4} ${OUT4} @vpn4 accept
    ${ERRORS6} ${OUT6} @vpn6 accept
    drop
  }
`
}

function hex(mark: number): string {
  return `0x${mark.toString(16)}`
}
