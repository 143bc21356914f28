// Protocols and ports of rules, as requests write them and as records keep them.

import { protocolNumber } from '../../topology/firewall.ts'
import { badValue } from './input.ts'

export interface Ports {
  readonly fromPort: number
  readonly toPort: number
}

const ALL = '-1'
const MAX_PROTOCOL = 255
const MAX_PORT = 65_535
const MAX_ICMP = 255
const NAMES: Readonly<Record<string, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' }

/** `tcp`, `udp`, `icmp`, `icmpv6`, another number as text, or `-1`. */
export function parseProtocol(parameter: string, text: string): string {
  const lower = text.toLowerCase()
  if (lower === ALL || Object.values(NAMES).includes(lower)) return lower
  const n = /^\d{1,3}$/.test(lower) ? Number(lower) : Number.NaN
  if (n <= MAX_PROTOCOL) return NAMES[n] ?? String(n)
  const why = `Expecting tcp, udp, icmp, icmpv6, a number from 0 to ${MAX_PROTOCOL}, or -1.`
  throw badValue(parameter, text, why)
}

/** The same as an IANA number as text, as network ACLs have it. */
export function parseProtocolNumber(parameter: string, text: string): string {
  return String(protocolNumber(parseProtocol(parameter, text)))
}

export function hasPorts(protocol: string): boolean {
  return protocol === 'tcp' || protocol === 'udp'
}

export function isIcmp(protocol: string): boolean {
  return protocol === 'icmp' || protocol === 'icmpv6'
}

/** Ports, or of ICMP the type and the code; none of other protocols, whatever is asked. */
export function parsePorts(
  protocol: string,
  from: number | undefined,
  to: number | undefined,
): Ports {
  if (isIcmp(protocol)) return icmpOf(protocol, from, to)
  if (!hasPorts(protocol)) return { fromPort: -1, toPort: -1 }
  if (from === undefined || to === undefined) {
    const why = 'Must specify both from and to ports with TCP/UDP.'
    throw badValue('portRange', `${from ?? ''}-${to ?? ''}`, why)
  }
  for (const [name, port] of [
    ['fromPort', from],
    ['toPort', to],
  ] as const) {
    if (isWithin(port, 0, MAX_PORT)) continue
    throw badValue(name, port, `A TCP/UDP port is 0 to ${MAX_PORT}; all of them are 0-${MAX_PORT}.`)
  }
  if (from > to) throw badValue('portRange', `${from}-${to}`, 'The first port is after the last.')
  return { fromPort: from, toPort: to }
}

function icmpOf(protocol: string, from: number | undefined, to: number | undefined): Ports {
  if (from === undefined && to === undefined && protocol === 'icmpv6') {
    return { fromPort: -1, toPort: -1 }
  }
  if (from === undefined || to === undefined) {
    const why = 'Must specify both a type and a code with ICMP; -1 is all.'
    throw badValue('icmpTypeCode', `${from ?? ''}-${to ?? ''}`, why)
  }
  for (const [name, n] of [
    ['icmpType', from],
    ['icmpCode', to],
  ] as const) {
    if (!isWithin(n, -1, MAX_ICMP)) throw badValue(name, n, `Expecting -1 to ${MAX_ICMP}.`)
  }
  if (from === -1 && to !== -1) {
    throw badValue('icmpCode', to, 'With all types (-1) the code is -1, too.')
  }
  return { fromPort: from, toPort: to }
}

function isWithin(n: number, first: number, last: number): boolean {
  return Number.isInteger(n) && n >= first && n <= last
}
