// Protocols and ports of rules as Open vSwitch matches them: it knows masks and no ranges.

import type { Family } from '../../topology/cidr.ts'

export interface Traffic {
  /** IANA's number; -1 is all. */
  readonly protocol: number
  /** The first port, or the ICMP type; -1 is all. */
  readonly from: number
  /** The last port, or the ICMP code; -1 is all. */
  readonly to: number
}

const LAST_PORT = 0xffff
const ALL = -1
const ICMP = 1
const ICMPV6 = 58
const WITH_PORTS = new Map([
  [6, 'tcp'],
  [17, 'udp'],
  [132, 'sctp'],
])

/** What fits the traffic in a family; nothing when it does not exist there. */
export function trafficMatches(family: Family, { protocol, from, to }: Traffic): string[] {
  const ip = family === 4 ? 'ip' : 'ipv6'
  if (protocol === ALL) return [ip]
  if (protocol === ICMP) return family === 4 ? [icmp('icmp', from, to)] : []
  if (protocol === ICMPV6) return family === 6 ? [icmp('icmp6', from, to)] : []
  const name = WITH_PORTS.get(protocol)
  if (name === undefined) return [`${ip},nw_proto=${protocol}`]
  const match = family === 4 ? name : `${name}6`
  if (from === ALL) return [match]
  return portMasks(from, to).map((ports) => (ports === '' ? match : `${match},tp_dst=${ports}`))
}

/** The fewest masks that make a range of ports: at most 30; one empty text for all ports. */
export function portMasks(from: number, to: number): string[] {
  const masks: string[] = []
  let first = Math.max(0, from)
  const last = Math.min(LAST_PORT, to)
  while (first <= last) {
    let size = 1
    while (first % (size * 2) === 0 && first + size * 2 - 1 <= last) size *= 2
    masks.push(maskText(first, size))
    first += size
  }
  return masks
}

function maskText(first: number, size: number): string {
  if (size > LAST_PORT) return ''
  if (size === 1) return String(first)
  return `0x${first.toString(16)}/0x${(LAST_PORT + 1 - size).toString(16)}`
}

function icmp(name: string, type: number, code: number): string {
  if (type === ALL) return name
  return code === ALL ? `${name},icmp_type=${type}` : `${name},icmp_type=${type},icmp_code=${code}`
}
