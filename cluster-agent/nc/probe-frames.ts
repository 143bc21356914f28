// The frames that ask a guest whether it is there, as hex. They change nothing that it knows: an
// ARP probe has no sender (RFC 5227), a unicast solicitation no link-layer address (RFC 4861, 4.3).
// Who does not know the gateway's MAC asks for that first, which is an answer, too.

import { mustAddress } from '../../topology/cidr.ts'

export interface Asked {
  readonly mac: string
  /** '' without that family. */
  readonly ipv4: string
  readonly ipv6: string
}

/** Nobody's: what goes there ends at the switch. */
const NOBODY = '020000000000'
/** Every gateway's link-local address. */
const GATEWAY = 'fe80::1'
const MIN_FRAME_BYTES = 60

/** By IPv4 where there is one. */
export function probeFrame({ mac, ipv4, ipv6 }: Asked): string {
  return ipv4 === '' ? solicitation(mac, ipv6) : arpProbe(mac, ipv4)
}

function arpProbe(mac: string, ipv4: string): string {
  const request = '0001080006040001'
  const body = `${NOBODY}00000000${'0'.repeat(12)}${addressHex(ipv4)}`
  return `${macHex(mac)}${NOBODY}0806${request}${body}`.padEnd(MIN_FRAME_BYTES * 2, '0')
}

function solicitation(mac: string, ipv6: string): string {
  const [from, to] = [addressHex(GATEWAY), addressHex(ipv6)]
  const length = '0018'
  const sum = checksum(`${from}${to}0000${length}0000003a8700000000000000${to}`)
  const message = `8700${sum}00000000${to}`
  return `${macHex(mac)}${NOBODY}86dd60000000${length}3aff${from}${to}${message}`
}

/** RFC 1071, of hex with a whole number of 16-bit words; as hex. */
function checksum(text: string): string {
  let sum = 0
  for (let at = 0; at < text.length; at += 4) sum += Number.parseInt(text.slice(at, at + 4), 16)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return (~sum & 0xffff).toString(16).padStart(4, '0')
}

function macHex(mac: string): string {
  return mac.replaceAll(':', '')
}

function addressHex(text: string): string {
  const { family, value } = mustAddress(text)
  return value.toString(16).padStart(family === 4 ? 8 : 32, '0')
}
