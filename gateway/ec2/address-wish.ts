// The private addresses that a request wants of an interface: their form. Which of them are free is
// private-addresses.ts's business.

import type { InstanceIpv6Address, PrivateIpAddressSpecification } from '@aws-sdk/client-ec2'
import { type Family, formatAddress, parseAddress } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import { badValue } from './input.ts'
import { MAX_ADDRESSES } from './instance-types.ts'

export interface AddressWish {
  /** '' is the next free one. */
  readonly ipv4: string
  readonly ipv4More: readonly string[]
  /** That many more, the next free ones. */
  readonly ipv4MoreCount: number
  readonly ipv6: readonly string[]
  /** null: what the subnet says. */
  readonly ipv6Count: number | null
}

export interface AddressParameters {
  readonly PrivateIpAddress?: string | undefined
  readonly PrivateIpAddresses?: PrivateIpAddressSpecification[] | undefined
  readonly SecondaryPrivateIpAddressCount?: number | undefined
  readonly Ipv6AddressCount?: number | undefined
  readonly Ipv6Addresses?: InstanceIpv6Address[] | undefined
}

export function parseAddressWish(input: AddressParameters): AddressWish {
  const listed = input.PrivateIpAddresses ?? []
  const primaries = [
    ...(input.PrivateIpAddress === undefined ? [] : [input.PrivateIpAddress]),
    ...listed.filter((one) => one.Primary === true).map((one) => one.PrivateIpAddress ?? ''),
  ]
  if (primaries.length > 1) {
    const text = `The request names ${primaries.length} primary private addresses; one is possible.`
    throw combination(text)
  }
  const more = listed.filter((one) => one.Primary !== true).map((one) => one.PrivateIpAddress ?? '')
  const count = input.SecondaryPrivateIpAddressCount ?? 0
  if (more.length > 0 && count > 0) {
    throw combination(
      'The parameter secondaryPrivateIpAddressCount cannot be used with secondary privateIpAddresses',
    )
  }
  const texts = textsOf('privateIpAddress', [...primaries, ...more], 4)
  return {
    ipv4: primaries.length > 0 ? (texts[0] ?? '') : '',
    ipv4More: texts.slice(primaries.length),
    ipv4MoreCount: countOf('secondaryPrivateIpAddressCount', count),
    ...ipv6WishOf(
      (input.Ipv6Addresses ?? []).map((one) => one.Ipv6Address ?? ''),
      input.Ipv6AddressCount,
    ),
  }
}

export function ipv6WishOf(
  addresses: readonly string[],
  count: number | undefined,
): Pick<AddressWish, 'ipv6' | 'ipv6Count'> {
  if (addresses.length > 0 && (count ?? 0) > 0) {
    throw combination('The parameter ipv6AddressCount cannot be used with ipv6Addresses')
  }
  return {
    ipv6: textsOf('ipv6Address', addresses, 6),
    ipv6Count: count === undefined ? null : countOf('ipv6AddressCount', count),
  }
}

/** Does the request say addresses that only one interface can have? */
export function namesAddresses({ ipv4, ipv4More, ipv6 }: AddressWish): boolean {
  return ipv4 !== '' || ipv4More.length + ipv6.length > 0
}

/** Does it say anything at all? */
export function isWish(wish: AddressWish): boolean {
  return namesAddresses(wish) || wish.ipv4MoreCount > 0 || wish.ipv6Count !== null
}

/** Addresses of a family as they are kept. Throws for others, and when one comes twice. */
export function textsOf(name: string, texts: readonly string[], family: Family): string[] {
  countOf(name, texts.length)
  const parsed = texts.map((text) => {
    const address = parseAddress(text)
    if (address.ok && address.value.family === family) return formatAddress(address.value)
    throw badValue(name, text, `Expecting an IPv${family} address.`)
  })
  const twice = parsed.find((text, i) => parsed.indexOf(text) !== i)
  if (twice !== undefined) throw badValue(name, twice, 'The request names it twice.')
  return parsed
}

export function countOf(name: string, count: number): number {
  if (Number.isInteger(count) && count >= 0 && count <= MAX_ADDRESSES) return count
  throw badValue(name, count, `Expecting a number between 0 and ${MAX_ADDRESSES}.`)
}

function combination(text: string): ApiError {
  return new ApiError('InvalidParameterCombination', text)
}
