// AssignPrivateIpAddresses, UnassignPrivateIpAddresses, AssignIpv6Addresses, UnassignIpv6Addresses.

import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { InterfaceRecord, SubnetRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { countOf, ipv6WishOf, textsOf } from './address-wish.ts'
import { checkAddressCount } from './attaching.ts'
import { notFound } from './ids.ts'
import { badValue, refuseUnknown, required } from './input.ts'
import { MAX_ADDRESSES, typeInStore } from './instance-types.ts'
import { type InterfaceParts, ownInterface } from './interfaces.ts'
import { takeIpv6s, takeMore } from './new-interface.ts'
import { releasePrivateAddress } from './private-addresses.ts'
import { releasePublicAddressOf } from './public-addresses.ts'

type AddressHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'AssignPrivateIpAddresses'
    | 'UnassignPrivateIpAddresses'
    | 'AssignIpv6Addresses'
    | 'UnassignIpv6Addresses'
  >
>

const KNOWN = new Set([
  'NetworkInterfaceId',
  'PrivateIpAddresses',
  'SecondaryPrivateIpAddressCount',
  'AllowReassignment',
  'Ipv6Addresses',
  'Ipv6AddressCount',
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['Ipv4PrefixCount', [0]],
  ['Ipv6PrefixCount', [0]],
])

export function interfaceAddressHandlers({ state }: InterfaceParts): AddressHandlers {
  return {
    AssignPrivateIpAddresses: async ({ caller }, input) => {
      const id = required('NetworkInterfaceId', input.NetworkInterfaceId)
      refuseUnknown(input, KNOWN, HARMLESS)
      const named = textsOf('privateIpAddress', input.PrivateIpAddresses ?? [], 4)
      const name = 'secondaryPrivateIpAddressCount'
      const count = countOf(name, input.SecondaryPrivateIpAddressCount ?? 0)
      checkAsked(name, 'privateIpAddress', named, count)
      const taken = await state.update(async (tx) => {
        const one = await ownInterface(tx, id, caller.account)
        const subnet = await subnetOf(tx, one)
        const held = named.filter((address) => one.ipv4More.includes(address))
        const wanted = named.filter((address) => !held.includes(address))
        if (input.AllowReassignment === true) await takeAway(tx, one, wanted)
        const fresh = wanted.filter((address) => address !== one.ipv4)
        if (fresh.length < wanted.length) {
          throw badValue(
            'privateIpAddress',
            one.ipv4,
            'It is the primary address of the interface.',
          )
        }
        const more = await takeMore(tx, subnet, id, fresh, count)
        await keep(tx, { ...one, ipv4More: [...one.ipv4More, ...more] })
        return [...held, ...more]
      })
      const AssignedPrivateIpAddresses = taken.map((PrivateIpAddress) => ({ PrivateIpAddress }))
      return { NetworkInterfaceId: id, AssignedPrivateIpAddresses, AssignedIpv4Prefixes: [] }
    },

    UnassignPrivateIpAddresses: async ({ caller }, input) => {
      const id = required('NetworkInterfaceId', input.NetworkInterfaceId)
      refuseUnknown(input, KNOWN, HARMLESS)
      const named = required('PrivateIpAddress', input.PrivateIpAddresses)
      const addresses = textsOf('privateIpAddress', named, 4)
      await state.update(async (tx) => {
        const one = await ownInterface(tx, id, caller.account)
        checkThere('privateIpAddress', one.id, addresses, one.ipv4More)
        await giveBack(tx, one, addresses)
        const ipv4More = one.ipv4More.filter((address) => !addresses.includes(address))
        await tx.put('interface', [id], { ...one, ipv4More })
      })
      return {}
    },

    AssignIpv6Addresses: async ({ caller }, input) => {
      const id = required('NetworkInterfaceId', input.NetworkInterfaceId)
      refuseUnknown(input, KNOWN, HARMLESS)
      const { ipv6, ipv6Count } = ipv6WishOf(input.Ipv6Addresses ?? [], input.Ipv6AddressCount)
      checkAsked('ipv6AddressCount', 'ipv6Address', ipv6, ipv6Count ?? 0)
      const taken = await state.update(async (tx) => {
        const one = await ownInterface(tx, id, caller.account)
        const subnet = await subnetOf(tx, one)
        if (subnet.ipv6Cidr === '') {
          throw badValue('networkInterfaceId', id, `Its subnet ${subnet.id} has no IPv6 block.`)
        }
        const has = ipv6sOf(one)
        const ipv4 = has.length === 0 ? one.ipv4 : ''
        const fresh = ipv6.filter((address) => !has.includes(address))
        const more =
          fresh.length === 0 && ipv6.length > 0
            ? []
            : await takeIpv6s(tx, subnet, id, { ipv4, ipv6: fresh, ipv6Count })
        await keep(tx, withIpv6s(one, [...has, ...more]))
        return ipv6.length > 0 ? ipv6 : more
      })
      return { NetworkInterfaceId: id, AssignedIpv6Addresses: [...taken] }
    },

    UnassignIpv6Addresses: async ({ caller }, input) => {
      const id = required('NetworkInterfaceId', input.NetworkInterfaceId)
      refuseUnknown(input, KNOWN, HARMLESS)
      const named = required('Ipv6Addresses', input.Ipv6Addresses)
      const addresses = textsOf('ipv6Address', named, 6)
      await state.update(async (tx) => {
        const one = await ownInterface(tx, id, caller.account)
        checkThere('ipv6Address', one.id, addresses, ipv6sOf(one))
        const left = ipv6sOf(one).filter((address) => !addresses.includes(address))
        if (left.length === 0 && one.ipv4 === '') {
          const why = `It is the only address of ${id}, whose subnet is IPv6-native.`
          throw badValue('ipv6Address', addresses[0], why)
        }
        await giveBack(tx, one, addresses)
        await tx.put('interface', [id], withIpv6s(one, left))
      })
      return { NetworkInterfaceId: id, UnassignedIpv6Addresses: addresses }
    },
  }
}

/** Takes secondary addresses away from other interfaces of the account in the same subnet. */
async function takeAway(
  tx: Transaction,
  one: InterfaceRecord,
  addresses: readonly string[],
): Promise<void> {
  for (const address of addresses) {
    const record = await tx.get('private-address', address)
    if (record === null || record.interface === '' || record.interface === one.id) continue
    const other = await tx.get('interface', record.interface)
    const isMovable = other?.ipv4More.includes(address) && other.account === one.account
    if (other === null || !isMovable || other.subnet !== one.subnet) continue
    const ipv4More = other.ipv4More.filter((its) => its !== address)
    await giveBack(tx, other, [address])
    await tx.put('interface', [other.id], { ...other, ipv4More })
    // It moves at its owner's own wish, from one interface to another: nobody has to wait.
    await tx.delete('private-address', address)
  }
}

async function giveBack(
  tx: Transaction,
  one: InterfaceRecord,
  addresses: readonly string[],
): Promise<void> {
  const subnet = await subnetOf(tx, one)
  for (const address of addresses) {
    await releasePublicAddressOf(tx, address)
    await releasePrivateAddress(tx, subnet, address)
  }
}

async function keep(tx: Transaction, one: InterfaceRecord): Promise<void> {
  const instance = one.instance === '' ? null : await tx.get('instance', one.instance)
  const type = instance === null ? null : await typeInStore(tx, instance.type)
  if (type !== null) checkAddressCount(one, type)
  const count = Math.max(one.ipv4More.length, one.ipv6More.length) + 1
  if (count > MAX_ADDRESSES) {
    const text = `'${one.id}' would have ${count} addresses of a family; at most ${MAX_ADDRESSES}.`
    throw new ApiError('PrivateIpAddressLimitExceeded', text)
  }
  await tx.put('interface', [one.id], one)
}

async function subnetOf(tx: Transaction, one: InterfaceRecord): Promise<SubnetRecord> {
  const subnet = await tx.get('subnet', one.subnet)
  if (subnet === null) throw notFound('subnet', [one.subnet])
  return subnet
}

function ipv6sOf({ ipv6, ipv6More }: InterfaceRecord): string[] {
  return [ipv6, ...ipv6More].filter((address) => address !== '')
}

function withIpv6s(one: InterfaceRecord, [ipv6 = '', ...ipv6More]: string[]): InterfaceRecord {
  return { ...one, ipv6, ipv6More }
}

function checkAsked(
  countName: string,
  listName: string,
  named: readonly string[],
  count: number,
): void {
  if (named.length > 0 && count > 0) {
    const text = `The parameter ${countName} cannot be used with ${listName}`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (named.length + count > 0) return
  throw new ApiError('MissingParameter', `The request must contain ${listName} or ${countName}`)
}

function checkThere(
  name: string,
  id: string,
  asked: readonly string[],
  there: readonly string[],
): void {
  const missing = asked.find((address) => !there.includes(address))
  if (missing === undefined) return
  const why = `It is no ${name === 'ipv6Address' ? '' : 'secondary '}address of ${id}.`
  throw badValue(name, missing, why)
}
