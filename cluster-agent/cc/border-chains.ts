// The packet filter's chains at the border to peer clouds. The prefixes are in sets
// (border-sets.ts); chains change only with the limits of bandwidth.

import { PEER_DEVICES, peerDevice, TUNNEL_DEVICE } from './names.ts'

const PEERS = `"${PEER_DEVICES}*"`
const TO_PEERS = `oifname ${PEERS}`
const FROM_PEERS = `iifname ${PEERS}`
/** Neither the host nor the public side, nor another peer. */
const INSIDE = `{ "gw*", "${TUNNEL_DEVICE}" }`
const ERRORS4 = 'icmp type { destination-unreachable, time-exceeded }'
const ERRORS6 = 'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded }'
const ECHO = 'ip6 saddr fe80::/10 ip6 daddr fe80::/10 icmpv6 type'
const PING = 'limit rate 1000/second burst 1000 packets accept'

/** In each direction. */
export interface BorderLimit {
  readonly number: number
  readonly bytesPerS: number
}

/** Of the chain `forward`, before what it does with known connections: these end with the terms. */
export const BORDER_FORWARD = `    ${FROM_PEERS} goto from_border
    ${TO_PEERS} goto to_border`
/** Of the chain `input`. */
export const BORDER_INPUT = `    ${FROM_PEERS} goto at_border`
/** Of the chains that translate. Each address has one that it is seen as. */
export const BORDER_ARRIVE = `    dnat ip prefix to iifname . ip daddr map @meant4
    dnat ip6 prefix to iifname . ip6 daddr map @meant6`
export const BORDER_LEAVE = `    snat ip prefix to oifname . ip saddr map @seen_as4
    snat ip6 prefix to oifname . ip6 saddr map @seen_as6`

/**
 * Each packet is asked twice: on the wire by what it says there, and inside, translated, between
 * which devices it goes.
 */
export function borderChains(limits: readonly BorderLimit[]): string {
  const limit = (which: 'iifname' | 'oifname'): string =>
    limits
      .map(({ number, bytesPerS }) => {
        // A tenth of a second, and no less than the largest packets that the kernel makes.
        const burst = Math.min(Math.max(256_000, Math.floor(bytesPerS / 10)), 0xffff_ffff)
        const rate = `limit rate over ${bytesPerS} bytes/second burst ${burst} bytes`
        return `    ${which} "${peerDevice(number)}" ${rate} drop\n`
      })
      .join('')
  return `  chain off_wire {
    type filter hook prerouting priority raw; policy accept;
    ${FROM_PEERS} ${ECHO} { echo-request, echo-reply } return
    ${FROM_PEERS} iifname . ip saddr . ip daddr != @wire4 drop
    ${FROM_PEERS} iifname . ip6 saddr . ip6 daddr != @wire6 drop
  }

  chain on_wire {
    type filter hook postrouting priority srcnat + 10; policy accept;
    ${TO_PEERS} ${ECHO} { echo-request, echo-reply } return
    ${TO_PEERS} oifname . ip daddr . ip saddr != @wire4 drop
    ${TO_PEERS} oifname . ip6 daddr . ip6 saddr != @wire6 drop
  }

  chain from_border {
    oifname != ${INSIDE} drop
    ct state invalid drop
    oifname "gw*" oifname . ip saddr != @reach4 drop
    oifname "gw*" oifname . ip6 saddr != @reach6 drop
${limit('iifname')}    iifname . ip saddr . ip daddr @border4 accept
    iifname . ip6 saddr . ip6 daddr @border6 accept
    drop
  }

  chain to_border {
    iifname != ${INSIDE} drop
    ct state invalid drop
    iifname "gw*" jump own_address
    iifname "gw*" iifname . ip daddr != @reach4 drop
    iifname "gw*" iifname . ip6 daddr != @reach6 drop
${limit('oifname')}    oifname . ip daddr . ip saddr @border4 accept
    oifname . ip6 daddr . ip6 saddr @border6 accept
    drop
  }

  chain at_border {
    ${ECHO} echo-request ${PING}
    ct state established ${ECHO} echo-reply accept
    drop
  }

  # An error comes from whom the packet was sent to: no address of this host is any tunnel's.
  chain own_words {
    type filter hook output priority filter; policy accept;
    oifname { ${PEERS}, "${TUNNEL_DEVICE}" } ${ERRORS4} ip saddr set @th,192,32
    ${TO_PEERS} ${ERRORS6} ip6 saddr set @th,256,128
    ${TO_PEERS} goto to_peers
  }

  chain to_peers {
    ${ECHO} { echo-request, echo-reply } accept
    ${ERRORS4} oifname . ip daddr . ip saddr @border4 accept
    ${ERRORS6} oifname . ip6 daddr . ip6 saddr @border6 accept
    drop
  }
`
}
