// Addresses and prefixes of both families as numbers: parse, format, compare, divide.
// Strict at the door: no zone ids, no octal, no leading zeros, no host bits below a prefix.

import { no, ok, type Result } from './result.ts'

export type Family = 4 | 6

export interface Address {
  readonly family: Family
  /** 0 up to 2^32-1 or 2^128-1. */
  readonly value: bigint
}

/** A prefix: `base` has no bits beyond the first `length` ones. */
export interface Cidr {
  readonly family: Family
  readonly base: bigint
  readonly length: number
}

const BITS: Readonly<Record<Family, number>> = { 4: 32, 6: 128 }
/** The longest text of an IPv6 address (RFC 4291, 2.2: with dotted IPv4 at the end). */
const MAX_ADDRESS_CHARS = 45
const MAPPED_IPV4 = 0xffffn

/** `10.0.0.1` or any text of RFC 4291, 2.2; nothing else. */
export function parseAddress(text: string): Result<Address, 'BadAddress'> {
  if (text.length > MAX_ADDRESS_CHARS) return no('BadAddress')
  const family: Family = text.includes(':') ? 6 : 4
  const value = family === 4 ? readIpv4(text) : readIpv6(text)
  return value === null ? no('BadAddress') : ok({ family, value })
}

/** IPv6 as RFC 5952 wants it: lower case, the longest run of zeros cut, mapped IPv4 dotted. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return dotted(value)
  if (value >> 32n === MAPPED_IPV4) return `::ffff:${dotted(value & 0xffff_ffffn)}`
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  )
  const { start, count } = longestZeros(groups)
  // RFC 5952, 4.2.2: one group of zeros is written out.
  if (count < 2) return groups.join(':')
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + count).join(':')}`
}

/** `address/length`. HostBits: the address is inside the prefix and not its first. */
export function parseCidr(text: string): Result<Cidr, 'BadCidr' | 'HostBits'> {
  const read = readCidr(text)
  if (read === null) return no('BadCidr')
  const { address, length } = read
  if ((address.value & hostMask(address.family, length)) !== 0n) return no('HostBits')
  return ok({ family: address.family, base: address.value, length })
}

/** The same for where AWS takes any address of the prefix: its first is meant. */
export function parseLooseCidr(text: string): Result<Cidr, 'BadCidr'> {
  const read = readCidr(text)
  if (read === null) return no('BadCidr')
  const { family, value } = read.address
  return ok({ family, base: value & ~hostMask(family, read.length), length: read.length })
}

export function formatCidr({ family, base, length }: Cidr): string {
  return `${formatAddress({ family, value: base })}/${length}`
}

/** For texts that we wrote ourselves: RangeError when it is none. */
export function mustAddress(text: string): Address {
  const parsed = parseAddress(text)
  if (!parsed.ok) throw new RangeError(`${JSON.stringify(text)} is no address`)
  return parsed.value
}

/** For texts that we wrote ourselves: RangeError when it is none. */
export function mustCidr(text: string): Cidr {
  const parsed = parseCidr(text)
  if (!parsed.ok) throw new RangeError(`${JSON.stringify(text)} is no prefix: ${parsed.why}`)
  return parsed.value
}

export function contains(c: Cidr, a: Address): boolean {
  return c.family === a.family && a.value >= c.base && a.value <= lastValue(c)
}

/** Is there an address in both? */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.base <= lastValue(b) && b.base <= lastValue(a)
}

/**
 * Whether a block of that family and length overlaps none of `taken`: made for many blocks, each of
 * which costs as many looks as there are lengths. RangeError for a block of another kind.
 */
export function freeAmong(
  taken: readonly Cidr[],
  { family, length }: Pick<Cidr, 'family' | 'length'>,
): (block: Cidr) => boolean {
  // Longer ones are known by the block that they are in, shorter ones by themselves.
  const byLength = new Map<number, Set<bigint>>()
  for (const one of taken) {
    if (one.family !== family) continue
    const at = Math.min(one.length, length)
    const known = byLength.get(at) ?? new Set<bigint>()
    byLength.set(at, known.add(one.base & ~hostMask(family, at)))
  }
  return (block) => {
    if (block.family !== family || block.length !== length) {
      throw new RangeError(`${formatCidr(block)} is no IPv${family} block of /${length}`)
    }
    for (const [at, bases] of byLength) {
      if (bases.has(block.base & ~hostMask(family, at))) return false
    }
    return true
  }
}

/** Is all of `inner` in `outer`? A prefix covers itself. */
export function covers(outer: Cidr, inner: Cidr): boolean {
  return outer.length <= inner.length && overlaps(outer, inner)
}

/** How many addresses: 1 up to 2^128. */
export function size({ family, length }: Cidr): bigint {
  return 1n << BigInt(BITS[family] - length)
}

export function lastAddress(c: Cidr): Address {
  return { family: c.family, value: lastValue(c) }
}

/** The nth address from 0. RangeError when it is not in the prefix. */
export function nthAddress(c: Cidr, n: number | bigint): Address {
  const offset = BigInt(n)
  if (offset < 0n || offset >= size(c)) {
    throw new RangeError(`${formatCidr(c)} has no address number ${n}`)
  }
  return { family: c.family, value: c.base + offset }
}

/** How many blocks of /`length` the prefix divides into; 0 when it is longer itself. */
export function blockCount(c: Cidr, length: number): bigint {
  checkLength(c.family, length)
  return length < c.length ? 0n : 1n << BigInt(length - c.length)
}

/** The nth block of /`length` from 0, null when there are not so many. */
export function nthBlock(c: Cidr, length: number, n: number | bigint): Cidr | null {
  const index = BigInt(n)
  if (index < 0n) throw new RangeError(`there is no block number ${n}`)
  if (index >= blockCount(c, length)) return null
  const base = c.base + (index << BigInt(BITS[c.family] - length))
  return { family: c.family, base, length }
}

/** The /32 or /128 of one address. */
export function single({ family, value }: Address): Cidr {
  return { family, base: value, length: BITS[family] }
}

function checkLength(family: Family, length: number): void {
  hostMask(family, length)
}

function readCidr(text: string): { address: Address; length: number } | null {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text)
  if (match?.[1] === undefined) return null
  const address = parseAddress(match[1])
  const length = Number(match[2])
  if (!address.ok || length > BITS[address.value.family]) return null
  return { address: address.value, length }
}

/** By length: asked for each of many prefixes when one is compared with all. */
const HOST_MASKS: Readonly<Record<Family, readonly bigint[]>> = {
  4: Array.from({ length: BITS[4] + 1 }, (_, n) => (1n << BigInt(BITS[4] - n)) - 1n),
  6: Array.from({ length: BITS[6] + 1 }, (_, n) => (1n << BigInt(BITS[6] - n)) - 1n),
}

function hostMask(family: Family, length: number): bigint {
  const mask = HOST_MASKS[family][length]
  if (mask === undefined) throw new RangeError(`/${length} is no length of an IPv${family} prefix`)
  return mask
}

function lastValue(c: Cidr): bigint {
  return c.base + hostMask(c.family, c.length)
}

function readIpv4(text: string): bigint | null {
  const octets = text.split('.')
  if (octets.length !== 4) return null
  let value = 0n
  for (const octet of octets) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(octet) || Number(octet) > 255) return null
    value = (value << 8n) | BigInt(octet)
  }
  return value
}

function readIpv6(text: string): bigint | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const [head, tail] = halves.map((half, i) => readGroups(half, i === halves.length - 1))
  if (head === null || head === undefined || tail === null) return null
  if (tail === undefined) return head.length === 8 ? joined(head) : null
  const gap = 8 - head.length - tail.length
  return gap < 1 ? null : joined([...head, ...Array<bigint>(gap).fill(0n), ...tail])
}

/** Groups of 16 bits; the very last may be an IPv4 address, which is two of them. */
function readGroups(text: string, isEnd: boolean): bigint[] | null {
  if (text === '') return []
  const parts = text.split(':')
  const groups: bigint[] = []
  for (const [i, part] of parts.entries()) {
    const ipv4 = isEnd && i === parts.length - 1 && part.includes('.') ? readIpv4(part) : null
    if (ipv4 !== null) groups.push(ipv4 >> 16n, ipv4 & 0xffffn)
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(BigInt(`0x${part}`))
    else return null
  }
  return groups
}

function joined(groups: readonly bigint[]): bigint {
  return groups.reduce((value, group) => (value << 16n) | group, 0n)
}

function dotted(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.')
}

/** The longest run of `0`, the first one of equals (RFC 5952, 4.2.3). */
function longestZeros(groups: readonly string[]): { start: number; count: number } {
  let best = { start: 0, count: 0 }
  let count = 0
  for (const [i, group] of groups.entries()) {
    count = group === '0' ? count + 1 : 0
    if (count > best.count) best = { start: i + 1 - count, count }
  }
  return best
}
