// The two ends of a question: an instance, an interface, or an address, which may be somebody's
// outside of the cloud.

import { MalleeError } from '../../common/errors.ts'
import { formatAddress, parseAddress } from '../../topology/cidr.ts'
import type { InterfaceRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { addressesOf } from './desired-tunnels.ts'

/** Who sends or gets. `card` is null for somebody outside of the cloud. */
export interface End {
  readonly card: InterfaceRecord | null
  /** What packets have: of an interface the private address. */
  readonly address: string
  /** The public address under which it was named; '' when it was not. */
  readonly publicIp: string
}

/** An end before the family is settled. */
export interface NamedEnd {
  readonly card: InterfaceRecord | null
  /** The one that was named; '' for whatever the interface has. */
  readonly address: string
  readonly publicIp: string
}

/** With an account: only what is its own can be seen, the rest is outside. */
export function findEnd(view: View, name: string, account: string | null): NamedEnd {
  if (name.startsWith('i-')) return { card: cardOf(view, name, account), ...NO_ADDRESS }
  if (name.startsWith('eni-')) {
    const card = view.get('interface', name)
    if (card === null || !isSeen(card, account)) throw unknown('network interface', name)
    return { card, ...NO_ADDRESS }
  }
  const parsed = parseAddress(name)
  if (!parsed.ok) {
    const sentence = `${JSON.stringify(name)} is no instance id, interface id or address`
    throw new MalleeError('BadArgument', sentence)
  }
  return endAt(view, formatAddress(parsed.value), account)
}

/** Settles the family: that of a named address, else IPv4 where both have it. */
export function settleEnds(from: NamedEnd, to: NamedEnd): readonly [End, End] {
  const named = [from, to].map((end) => end.address).find((address) => address !== '')
  const families = named === undefined ? ['ipv4', 'ipv6'] : [familyOf(named)]
  for (const family of families as ('ipv4' | 'ipv6')[]) {
    const ends = [from, to].map((end) => inFamily(end, family))
    const [a, b] = ends
    if (a !== null && a !== undefined && b !== null && b !== undefined) return [a, b]
  }
  throw new MalleeError('BadArgument', 'the two ends have no address of the same family')
}

const NO_ADDRESS = { address: '', publicIp: '' }

function inFamily(end: NamedEnd, family: 'ipv4' | 'ipv6'): End | null {
  const address = end.address === '' ? (end.card?.[family] ?? '') : end.address
  return address !== '' && familyOf(address) === family ? { ...end, address } : null
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

function cardOf(view: View, instance: string, account: string | null): InterfaceRecord {
  const record = view.get('instance', instance)
  if (record === null || (account !== null && record.account !== account)) {
    throw unknown('instance', instance)
  }
  const [first] = view
    .by('interface', 'instance', instance)
    .toSorted((a, b) => a.deviceIndex - b.deviceIndex)
  if (first === undefined) {
    throw new MalleeError('NotFound', `${instance} is ${record.state} and has no interface`)
  }
  return first
}

function endAt(view: View, address: string, account: string | null): NamedEnd {
  const [publicOne] = view.by('address', 'publicIp', address)
  if (publicOne !== undefined) {
    const card = view.get('interface', publicOne.interface)
    // One that is associated with nothing answers nobody; it is an address all the same.
    const isOurs = card !== null && isSeen(card, account)
    if (!isOurs) return { card: null, address, publicIp: address }
    return { card, address: publicOne.privateIp, publicIp: address }
  }
  const holder = view.get('private-address', address)
  const card = view.get('interface', holder?.interface ?? '') ?? searched(view, address)
  if (card === null || !isSeen(card, account)) return { card: null, address, publicIp: '' }
  return { card, address, publicIp: '' }
}

/** For addresses that nobody wrote down as taken. */
function searched(view: View, address: string): InterfaceRecord | null {
  return view.all('interface').find((one) => addressesOf(one).includes(address)) ?? null
}

function isSeen(card: InterfaceRecord, account: string | null): boolean {
  return account === null || card.account === account
}

function unknown(what: string, id: string): MalleeError {
  return new MalleeError('NotFound', `there is no ${what} ${id}`)
}
