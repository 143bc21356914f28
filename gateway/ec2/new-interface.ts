// Makes a network interface: its addresses, its MAC, its record. Who asks for one, and what becomes
// of it, is others' business.

import { ApiError } from '../aws/api-error.ts'
import type { InterfaceRecord, SubnetRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import type { AddressWish } from './address-wish.ts'
import { badValue } from './input.ts'
import { hostnameOf } from './interface-shape.ts'
import {
  takeIpv6Address,
  takeIpv6Beside,
  takeMac,
  takePrivateAddress,
} from './private-addresses.ts'

export interface NewInterface {
  readonly id: string
  readonly account: string
  readonly subnet: SubnetRecord
  readonly groups: readonly string[]
  readonly wish: AddressWish
  readonly description: string
  readonly nowMs: number
}

/**
 * The record of a new interface that is attached to nothing, with its addresses taken; the caller
 * writes it. Throws what AWS answers when an address cannot be had.
 */
export async function newInterface(tx: Transaction, asked: NewInterface): Promise<InterfaceRecord> {
  const { id, account, subnet, wish } = asked
  checkFamilies(subnet, wish)
  const hasIpv4 = subnet.ipv4Cidr !== ''
  const ipv4 = hasIpv4 ? await takePrivateAddress(tx, subnet, id, wish.ipv4) : ''
  const ipv4More = await takeMore(tx, subnet, id, wish.ipv4More, wish.ipv4MoreCount)
  const [ipv6 = '', ...ipv6More] = await takeIpv6s(tx, subnet, id, { ...wish, ipv4 })
  return {
    id,
    account,
    ...UNATTACHED,
    deleteOnTermination: false,
    vpc: subnet.vpc,
    subnet: subnet.id,
    rack: subnet.rack,
    mac: await takeMac(tx),
    ipv4,
    ipv6,
    ipv4More,
    ipv6More,
    hostname: hostnameIn(subnet, ipv4, ''),
    securityGroups: asked.groups,
    sourceDestCheck: true,
    description: asked.description,
    type: 'interface',
    createdAtMs: asked.nowMs,
  }
}

/** The fields of an interface that is attached to nothing. */
export const UNATTACHED = {
  instance: '',
  attachment: '',
  deviceIndex: 0,
  attachedAtMs: 0,
  host: '',
} as const

/** The name that DNS and DHCP give it; an instance's own id where it has no IPv4 address. */
export function hostnameIn(subnet: SubnetRecord, ipv4: string, instance: string): string {
  return ipv4 === '' || subnet.hostnameType === 'resource-name' ? instance : hostnameOf(ipv4)
}

/** Secondary IPv4 addresses: the named ones, and so many more. */
export async function takeMore(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
  named: readonly string[],
  count: number,
): Promise<string[]> {
  const taken: string[] = []
  for (const address of named) taken.push(await takePrivateAddress(tx, subnet, holder, address))
  for (let n = 0; n < count; n += 1) taken.push(await takePrivateAddress(tx, subnet, holder))
  return taken
}

/** IPv6 addresses; the first one that nobody named has the offset of `ipv4`, '' for none. */
export async function takeIpv6s(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
  { ipv4, ipv6, ipv6Count }: Pick<AddressWish, 'ipv4' | 'ipv6' | 'ipv6Count'>,
): Promise<string[]> {
  const taken: string[] = []
  for (const address of ipv6) taken.push(await takeIpv6Address(tx, subnet, holder, address))
  const count = ipv6.length > 0 ? 0 : (ipv6Count ?? ownIpv6Count(subnet))
  for (let n = 0; n < count; n += 1) {
    const isFirst = taken.length === 0 && ipv4 !== ''
    taken.push(
      isFirst
        ? await takeIpv6Beside(tx, subnet, holder, ipv4)
        : await takeIpv6Address(tx, subnet, holder),
    )
  }
  return taken
}

function ownIpv6Count({ ipv4Cidr, ipv6Cidr, assignIpv6OnCreation }: SubnetRecord): number {
  return ipv6Cidr !== '' && (assignIpv6OnCreation || ipv4Cidr === '') ? 1 : 0
}

function checkFamilies(subnet: SubnetRecord, wish: AddressWish): void {
  const { id, ipv4Cidr, ipv6Cidr } = subnet
  const wantsIpv4 = wish.ipv4 !== '' || wish.ipv4More.length + wish.ipv4MoreCount > 0
  if (ipv4Cidr === '' && wantsIpv4) {
    throw new ApiError(
      'InvalidParameterCombination',
      `The subnet '${id}' is IPv6-native: an interface in it has no IPv4 address`,
    )
  }
  if (ipv4Cidr === '' && wish.ipv6.length === 0 && wish.ipv6Count === 0) {
    throw badValue('ipv6AddressCount', 0, `In the IPv6-native subnet ${id} it is 1 or more.`)
  }
  if (ipv6Cidr === '' && wish.ipv6.length + (wish.ipv6Count ?? 0) > 0) {
    throw badValue('subnetId', id, 'The subnet has no IPv6 block.')
  }
}
