// The packet filter's chains as nft reads them. They change only with the public device, the
// fabric, hop limits in use, and the first IPsec tunnel; tenants are in the sets (edge-sets.ts).

import { ascending } from '../../topology/order.ts'
import {
  BORDER_ARRIVE,
  BORDER_FORWARD,
  BORDER_INPUT,
  BORDER_LEAVE,
  type BorderLimit,
  borderChains,
} from './border-chains.ts'
import { NAT_PRIVATE, NAT_PUBLIC, WAY } from './edge-sets.ts'
import {
  DNS_IPV4,
  DNS_IPV6,
  METADATA_IPV4,
  METADATA_IPV6,
  METADATA_PORT,
  TRANSIT_DEVICE,
  TUNNEL_DEVICE,
  VXLAN_PORT,
} from './names.ts'
import { AROUND_MARK } from './routing.ts'
import { vpnChains, vpnForward, vpnInput } from './vpn-chains.ts'

const PING = 'limit rate 1000/second burst 1000 packets accept'
const FROM_TENANTS = `iifname { "gw*", "${TRANSIT_DEVICE}" }`
const TO_TENANTS = `oifname { "gw*", "${TUNNEL_DEVICE}", "${TRANSIT_DEVICE}" }`
const OF_TENANTS = `iifname { "gw*", "${TUNNEL_DEVICE}", "${TRANSIT_DEVICE}" }`
const PUBLIC_NAT = `ct mark & ${NAT_PUBLIC} != 0`
const ANY_NAT = `ct mark & ${NAT_PUBLIC + NAT_PRIVATE} != 0`

export interface ChainsOptions {
  /** The cloud's /48. */
  readonly fabric: string
  readonly publicDevice: string | null
  /** The TTLs for which there are sets `hops4_N` and `hops6_N`. */
  readonly hopLimits: readonly number[]
  /** Of peer clouds. */
  readonly limits: readonly BorderLimit[]
  /** The devices of tunnels to customers' own, as nft has them. */
  readonly vpns: string
}

export function edgeChains(options: ChainsOptions): string {
  const { publicDevice } = options
  const toOutside = publicDevice === null ? null : `oifname "${publicDevice}"`
  return [
    steer(),
    translate(publicDevice),
    forward(options, toOutside),
    OWN_ADDRESS,
    ASSOCIATED,
    PERMITTED,
    outward(toOutside),
    input(options),
    services(),
    answers(options.hopLimits),
    borderChains(options.limits),
    vpnChains(options.vpns),
    toOutside === null ? '' : leaks(toOutside),
  ].join('\n')
}

// Before translation: the way of a packet is that of what the instance wrote into it.
function steer(): string {
  return `  chain steer {
    type filter hook prerouting priority mangle; policy accept;
    ${FROM_TENANTS} ct state new ct mark set 0
    iifname "gw*" ct state new ct mark set iifname . ip daddr map @ways4
    iifname "gw*" ct state new ct mark set iifname . ip6 daddr map @ways6
    iifname "${TRANSIT_DEVICE}" ct state new ct mark set ip saddr . ip daddr map @far4
    iifname "${TRANSIT_DEVICE}" ct state new ct mark set ip6 saddr . ip6 daddr map @far6
  }
`
}

// An instance that calls a public address of this rack is led there at once, and seen with its own
// public address, as from outside. Its route table knows only the public address, hence the mark.
function translate(publicDevice: string | null): string {
  const outside =
    publicDevice === null ? '' : `\n    iifname "${publicDevice}" dnat ip to ip daddr map @eip_in`
  return `  chain arrive {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "gw*" ip daddr ${METADATA_IPV4} tcp dport 80 \\
      dnat ip to ${METADATA_IPV4}:${METADATA_PORT}
    iifname "gw*" ip6 daddr ${METADATA_IPV6} tcp dport 80 \\
      dnat ip6 to [${METADATA_IPV6}]:${METADATA_PORT}${outside}
    ${FROM_TENANTS} ct mark ${WAY.internet} dnat ip to ip daddr map @eip_in
    ${FROM_TENANTS} ${PUBLIC_NAT} dnat ip to ip daddr map @eip_in
${BORDER_ARRIVE}
  }

  chain around {
    type filter hook prerouting priority dstnat + 10; policy accept;
    ${FROM_TENANTS} ct status dnat ct mark != 0 meta mark set ${AROUND_MARK}
  }

  chain leave {
    type nat hook postrouting priority srcnat; policy accept;
    ct mark ${WAY.internet} snat ip to ip saddr map @eip_out
    meta nfproto ipv4 snat ip to ct mark map @nat_out
${BORDER_LEAVE}
  }
`
}

// What came in by the tunnel has been checked already: WireGuard takes from a peer only what its
// allowed-ips say. By the transit device comes what an interface of another rack sends for others:
// it may where answers would go there. Both directions must be ours: without the way out, a packet
// whose tunnel is not there yet would leave by the default route, in clear.
function forward({ publicDevice, vpns }: ChainsOptions, toOutside: string | null): string {
  const outside =
    publicDevice === null || toOutside === null
      ? ''
      : `
    iifname "${publicDevice}" oifname "gw*" meta nfproto ipv4 ct status dnat accept
    iifname "${publicDevice}" oifname "gw*" oifname . ip6 saddr @inbound6 accept`
  return `  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "gw*" iifname . ether saddr != @free jump own_address
${BORDER_FORWARD}
${vpnForward(vpns)}
    ct state established jump associated
    ct state established jump permitted
    ct state established,related accept
    ct state invalid drop
    ip daddr 169.254.0.0/16 drop
    iifname "${TRANSIT_DEVICE}" oifname "gw*" oifname . ip saddr @back4 accept
    iifname "${TRANSIT_DEVICE}" oifname "gw*" oifname . ip6 saddr @back6 accept
    ${FROM_TENANTS} goto outward
    iifname "${TUNNEL_DEVICE}" oifname "gw*" ip saddr . ip daddr @pairs4 accept
    iifname "${TUNNEL_DEVICE}" oifname "gw*" ip6 saddr . ip6 daddr @pairs6 accept${outside}
  }
`
}

const OWN_ADDRESS = `  chain own_address {
    meta nfproto ipv4 iifname . ip saddr != @senders4 drop
    meta nfproto ipv6 iifname . ip6 saddr != @senders6 drop
  }
`

// A connection ends with the association of its public address.
const ASSOCIATED = `  chain associated {
    ct mark ${WAY.internet} ct status snat ct direction original \\
      ct reply ip daddr . ip saddr != @eip_pairs drop
    ct mark ${WAY.internet} ct status snat ct direction reply \\
      ct reply ip daddr . ip daddr != @eip_pairs drop
    ct status dnat ct direction original ct original ip daddr . ip daddr != @eip_pairs drop
    ct status dnat ct direction reply ct original ip daddr . ip saddr != @eip_pairs drop
    ${ANY_NAT} ct status snat ct reply ip daddr . ct mark != @nat_pairs drop
  }
`

// A connection by private addresses ends with the peering that let it begin: each packet is asked
// what the first one was asked, and its answers the same from the other side. A rack that has not
// heard of it, or does not care, is cut off here all the same.
const PERMITTED = `  chain permitted {
    ct status dnat return
    ct mark & ${NAT_PRIVATE} != 0 ct direction original ct mark . ip daddr != @nat_reach4 drop
    ct mark & ${NAT_PRIVATE} != 0 ct direction reply ct mark . ip saddr != @nat_reach4 drop
    ct mark != 0 return
    iifname "gw*" ct direction original iifname . ip daddr != @reach4 ${TO_TENANTS} drop
    iifname "gw*" ct direction original iifname . ip6 daddr != @reach6 ${TO_TENANTS} drop
    oifname "gw*" ct direction reply oifname . ip saddr != @reach4 ${OF_TENANTS} drop
    oifname "gw*" ct direction reply oifname . ip6 saddr != @reach6 ${OF_TENANTS} drop
    iifname "${TUNNEL_DEVICE}" ct direction original ip saddr . ip daddr != @pairs4 drop
    iifname "${TUNNEL_DEVICE}" ct direction original ip6 saddr . ip6 daddr != @pairs6 drop
    oifname "${TUNNEL_DEVICE}" ct direction reply ip saddr . ip daddr != @pairs4 drop
    oifname "${TUNNEL_DEVICE}" ct direction reply ip6 saddr . ip6 daddr != @pairs6 drop
  }
`

function outward(toOutside: string | null): string {
  const outside =
    toOutside === null
      ? ''
      : `
    ${toOutside} ct mark ${WAY.internet} ip saddr @eip_private accept
    ${toOutside} meta nfproto ipv4 ${PUBLIC_NAT} accept
    ${toOutside} meta nfproto ipv6 ct mark { ${WAY.internet}, ${WAY.egressOnly} } accept`
  return `  chain outward {
    oifname "gw*" ct status dnat ct mark ${WAY.internet} ip saddr @eip_private accept
    oifname "gw*" ct status dnat ${PUBLIC_NAT} accept
    oifname "gw*" ct mark ${WAY.interface} accept
    oifname "${TRANSIT_DEVICE}" ct mark ${WAY.rack} accept${outside}
    ct mark ${WAY.internet} drop
    ${TO_TENANTS} ct mark . ip daddr @nat_reach4 accept
    ${TO_TENANTS} iifname . ip daddr @reach4 accept
    ${TO_TENANTS} iifname . ip6 daddr @reach6 accept
    drop
  }
`
}

// The limits of pings are for all senders together. The services' addresses are on the host, and a
// host answers for all of its addresses on every link: on the underlay they are nobody's.
function input({ fabric, vpns }: ChainsOptions): string {
  return `  chain input {
    type filter hook input priority filter; policy accept;
    iifname "gw*" goto from_tenant
    iifname "${TUNNEL_DEVICE}" goto from_tunnel
${BORDER_INPUT}
${vpnInput(vpns)}
    iifname "${TRANSIT_DEVICE}" drop
    udp dport ${VXLAN_PORT} drop
    ip daddr @announced drop
    iifname != "lo" ip daddr { ${METADATA_IPV4}, ${DNS_IPV4} } drop
    iifname != "lo" ip6 daddr { ${METADATA_IPV6}, ${DNS_IPV6} } drop
  }

  chain from_tenant {
    udp sport 68 udp dport 67 accept
    ip6 saddr fe80::/10 udp sport 546 udp dport 547 accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } \\
      ip6 hoplimit 255 accept
    ip6 saddr fe80::/10 ip6 daddr fe80::/10 icmpv6 type echo-request ${PING}
    ip6 saddr fe80::/10 ip6 daddr fe80::/10 icmpv6 type echo-reply accept
    jump own_address
    ip daddr { ${METADATA_IPV4}, ${DNS_IPV4} } goto services4
    ip6 daddr { ${METADATA_IPV6}, ${DNS_IPV6} } goto services6
    goto ping
  }

  chain from_tunnel {
    ip6 saddr ${fabric} ip6 daddr ${fabric} udp dport ${VXLAN_PORT} accept
    ip6 saddr ${fabric} ip6 daddr ${fabric} icmpv6 type echo-request ${PING}
    goto ping
  }

  chain ping {
    ct state established,related ct direction reply accept
    ip saddr . ip daddr @pairs4 icmp type echo-request ${PING}
    ip6 saddr . ip6 daddr @pairs6 icmpv6 type echo-request ${PING}
    drop
  }
`
}

/** One guest's calls must not keep the services from the others: each has a rate of its own. */
function services(): string {
  const chain = (family: 4 | 6, ip: string, metadata: string, dns: string): string => {
    const over = (meter: string, rate: string): string =>
      `update @${meter}${family} { ${ip} saddr limit rate over ${rate} packets } drop`
    const toMetadata = `${ip} daddr ${metadata} tcp dport ${METADATA_PORT} ct status dnat`
    const toDns = `${ip} daddr ${dns} meta l4proto { tcp, udp } th dport 53`
    return `  set calls${family} {
    type ipv${family}_addr
    size 65535
    flags dynamic,timeout
    timeout 1m
  }

  set questions${family} {
    type ipv${family}_addr
    size 65535
    flags dynamic,timeout
    timeout 1m
  }

  chain services${family} {
    ct state invalid drop
    ${toMetadata} ct state established accept
    ${toMetadata} ct state new ${over('calls', '100/second burst 200')}
    ${toMetadata} accept
    ${toDns} ct state new ${over('questions', '1024/second burst 2048')}
    ${toDns} accept
    drop
  }
`
  }
  return [chain(4, 'ip', METADATA_IPV4, DNS_IPV4), chain(6, 'ip6', METADATA_IPV6, DNS_IPV6)].join(
    '\n',
  )
}

// The agent's own answers: a TTL that ends them at the instance keeps them from those behind it.
function answers(hopLimits: readonly number[]): string {
  const lines = hopLimits
    .toSorted(ascending)
    .flatMap((limit) => [
      `ip saddr ${METADATA_IPV4} ip daddr @hops4_${limit} ip ttl set ${limit}`,
      `ip6 saddr ${METADATA_IPV6} ip6 daddr @hops6_${limit} ip6 hoplimit set ${limit}`,
    ])
  return `  chain answers {
    type filter hook output priority filter; policy accept;
${lines.map((line) => `    oifname "gw*" ${line}\n`).join('')}  }
`
}

function leaks(toOutside: string): string {
  return `  chain leaks {
    type filter hook postrouting priority srcnat + 10; policy accept;
    ${toOutside} ip saddr @tenants4 drop
  }
`
}
