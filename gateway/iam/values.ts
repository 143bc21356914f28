// Texts of conditions as what their operators compare: numbers, instants, prefixes of addresses,
// bytes, ARNs.

import {
  type Address,
  type Cidr,
  contains,
  parseAddress,
  parseLooseCidr,
  single,
} from '../../topology/cidr.ts'

const NUMBER = /^[+-]?\d{1,30}(?:\.\d{1,30})?$/
/** W3C's profile of ISO 8601; a time without a zone is UTC. */
const DAY = /(\d{4})-(\d\d)/.source
const TIME = /(?:[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?([Zz]|[+-]\d\d:\d\d)?)?/.source
const DATE = new RegExp(`^${DAY}(?:-(\\d\\d)${TIME})?$`)
const EPOCH_SECONDS = /^\d{1,15}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const MAPPED_IPV4 = 0xffffn

/** Null when the text is no decimal number. */
export function numberOf(text: string): number | null {
  return NUMBER.test(text) ? Number(text) : null
}

/** Milliseconds since 1970 of a date, or of seconds since 1970; null when the text is neither. */
export function instantOf(text: string): number | null {
  if (EPOCH_SECONDS.test(text)) return Number(text) * 1000
  const found = DATE.exec(text)
  if (found === null) return null
  const [, year = '', month = '', day = '01', hour = '00', minute = '00', second = '00'] = found
  const fraction = Number(`0.${found[7] ?? '0'}`)
  const zone = (found[8] ?? 'Z').toUpperCase()
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`)
  // Date.parse takes the 31st of every month for a day.
  const isDay = new Date(Date.UTC(+year, +month - 1, +day)).getUTCDate() === +day
  return Number.isNaN(ms) || !isDay ? null : ms + Math.floor(fraction * 1000)
}

/** An address is a prefix of its own. Bits after a prefix are ignored, as AWS does. */
export function prefixOf(text: string): Cidr | null {
  const cidr = parseLooseCidr(text)
  if (cidr.ok) return cidr.value
  const address = parseAddress(text)
  return address.ok ? single(plain(address.value)) : null
}

export function isWithin(cidr: Cidr, text: string): boolean {
  const address = parseAddress(text)
  return address.ok && contains(cidr, plain(address.value))
}

/** Null when the text is no base64. */
export function bytesOf(text: string): string | null {
  return BASE64.test(text) ? Buffer.from(text, 'base64').toString('hex') : null
}

/** Its six parts; the last may have colons. Null when there are fewer or it is no ARN. */
export function arnParts(text: string): string[] | null {
  const parts = text.split(':')
  if (parts.length < 6 || parts[0] !== 'arn') return null
  return [...parts.slice(0, 5), parts.slice(5).join(':')]
}

/** Listeners for both families see IPv4 callers as `::ffff:a.b.c.d`. */
function plain(address: Address): Address {
  const isMapped = address.family === 6 && address.value >> 32n === MAPPED_IPV4
  return isMapped ? { family: 4, value: address.value & 0xffff_ffffn } : address
}
