// Who has which private address. Every address in use has its record, whose key makes it one
// interface's; a pool for each subnet says which address nobody named comes next, and skips what a
// record holds. An address that was given back rests: neighbours may still know its old place.

import {
  type Cidr,
  contains,
  formatAddress,
  formatCidr,
  lastAddress,
  mustCidr,
  parseAddress,
} from '../../topology/cidr.ts'
import { ipv4Of, ipv6Of, macOf } from '../../topology/plan.ts'
import {
  ADDRESS_QUARANTINE_MS,
  MACS,
  RESERVED_FIRST,
  RESERVED_LAST,
} from '../../topology/ranges.ts'
import { ApiError } from '../aws/api-error.ts'
import type { PrivateAddressRecord, SubnetRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'
import { badValue } from './input.ts'
import { ipv4Band, ipv4Pool, ipv6Band, ipv6Pool, MAC_POOL, offsetOf } from './pools.ts'

/**
 * An IPv4 address of the subnet for the interface: the wished one, else the next. Throws
 * InsufficientFreeAddressesInSubnet, InvalidIPAddress.InUse, InvalidParameterValue.
 */
export async function takePrivateAddress(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
  wished = '',
): Promise<string> {
  if (subnet.ipv4Cidr === '') {
    throw badValue('subnetId', subnet.id, 'The subnet is IPv6-native and has no IPv4 addresses.')
  }
  const cidr = mustCidr(subnet.ipv4Cidr)
  if (wished !== '') return await takeWished(tx, subnet, holder, cidr, wished)
  const pool = tx.pool(ipv4Pool(subnet.id))
  for (;;) {
    const offset = await pool.take(ipv4Band(cidr))
    if (offset === null) {
      const text = `There are not enough free addresses in subnet '${subnet.id}' (${subnet.ipv4Cidr})`
      throw new ApiError('InsufficientFreeAddressesInSubnet', text)
    }
    const address = ipv4Of(cidr, offset)
    const record = await tx.get('private-address', address)
    if (record === null || isFree(record, tx.nowMs())) {
      await hold(tx, subnet, holder, address, true)
      return address
    }
    // Somebody wished for it: whoever gives it back gives its number back, too.
    if (record.interface === '') await pool.give(offset)
    else await tx.put('private-address', [address], { ...record, pooled: true })
  }
}

/** The same of IPv6; `wished` may be in any form of RFC 4291. */
export async function takeIpv6Address(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
  wished = '',
): Promise<string> {
  const cidr = ipv6CidrOf(subnet)
  if (wished !== '') return await takeWished(tx, subnet, holder, cidr, wished)
  for (;;) {
    const offset = await tx.pool(ipv6Pool(subnet.id)).take(ipv6Band(subnet))
    if (offset === null) {
      const text = `There are not enough free IPv6 addresses in subnet '${subnet.id}'`
      throw new ApiError('InsufficientFreeAddressesInSubnet', text)
    }
    const address = ipv6Of(cidr, offset)
    if (await tryHold(tx, subnet, holder, address)) return address
  }
}

/** An IPv6 address with the offset of the interface's IPv4 address, when that is free. */
export async function takeIpv6Beside(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
  ipv4: string,
): Promise<string> {
  const offset = Number(offsetOf(subnet.ipv4Cidr, ipv4))
  const address = ipv6Of(ipv6CidrOf(subnet), offset)
  if (await tryHold(tx, subnet, holder, address)) return address
  return await takeIpv6Address(tx, subnet, holder)
}

/** Gives an address of either family back; it rests before somebody else gets it. */
export async function releasePrivateAddress(
  tx: Transaction,
  subnet: SubnetRecord,
  address: string,
): Promise<void> {
  const record = await tx.get('private-address', address)
  if (record === null || record.interface === '') return
  if (record.pooled) {
    await tx.pool(ipv4Pool(subnet.id)).give(Number(offsetOf(subnet.ipv4Cidr, address)))
  }
  await tx.put('private-address', [address], {
    ...record,
    interface: '',
    publicAddress: '',
    pooled: false,
    freedAtMs: tx.nowMs(),
  })
}

/** A MAC address that no interface ever had. */
export async function takeMac(tx: Transaction): Promise<string> {
  const mac = await tx.pool(MAC_POOL).take(MACS)
  if (mac === null) throw new ApiError('InternalError', 'The cloud has no MAC address left', 500)
  return macOf(mac)
}

/** Has the address rested long enough? Its record may go then. */
export function isFree({ freedAtMs }: PrivateAddressRecord, nowMs: number): boolean {
  return freedAtMs !== null && nowMs - freedAtMs >= ADDRESS_QUARANTINE_MS
}

async function takeWished(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
  cidr: Cidr,
  wished: string,
): Promise<string> {
  const parsed = parseAddress(wished)
  if (!parsed.ok) throw badValue('address', wished, `Expecting an address of ${formatCidr(cidr)}.`)
  if (!contains(cidr, parsed.value)) {
    const why = `Address does not fall within the subnet's address range ${formatCidr(cidr)}.`
    throw badValue('address', wished, why)
  }
  const address = formatAddress(parsed.value)
  const offset = parsed.value.value - cidr.base
  const fromEnd = lastAddress(cidr).value - parsed.value.value
  if (offset < RESERVED_FIRST || fromEnd < RESERVED_LAST) {
    throw badValue('address', wished, "Address is in subnet's reserved address range.")
  }
  if (await tryHold(tx, subnet, holder, address)) return address
  throw new ApiError('InvalidIPAddress.InUse', `Address ${address} is in use.`)
}

/** False when somebody has the address, or it rests. */
async function tryHold(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
  address: string,
): Promise<boolean> {
  const record = await tx.get('private-address', address)
  if (record !== null && !isFree(record, tx.nowMs())) return false
  await hold(tx, subnet, holder, address, false)
  return true
}

async function hold(
  tx: Transaction,
  subnet: SubnetRecord,
  holder: string,
  address: string,
  pooled: boolean,
): Promise<void> {
  await tx.put('private-address', [address], {
    address,
    subnet: subnet.id,
    interface: holder,
    publicAddress: '',
    pooled,
    freedAtMs: null,
  })
}

function ipv6CidrOf(subnet: SubnetRecord): Cidr {
  if (subnet.ipv6Cidr !== '') return mustCidr(subnet.ipv6Cidr)
  throw badValue('subnetId', subnet.id, 'The subnet has no IPv6 block.')
}
