// Who has which public address, and what it is associated with. Every address that is out, or
// rests after it was out, has its record, whose key makes it one allocation's. The record of the
// private address names it, too: an association and the end of an interface meet there.

import type { RandomHex } from '../../common/clock.ts'
import { contains, formatAddress, mustCidr, nthAddress, parseAddress } from '../../topology/cidr.ts'
import { publicHosts } from '../../topology/plan.ts'
import { ADDRESS_QUARANTINE_MS } from '../../topology/ranges.ts'
import { ApiError } from '../aws/api-error.ts'
import {
  type AddressRecord,
  EVERY_RACK,
  type PublicAddressRecord,
  type PublicPoolRecord,
} from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { newId, randomId } from './ids.ts'
import { badValue } from './input.ts'
import { offsetOf, publicPool } from './pools.ts'

export interface PublicAddressParts {
  readonly view: View
  readonly randomHex: RandomHex
  readonly nowMs: number
}

export interface PublicAddressAsk {
  readonly account: string
  /** Where the interface is. */
  readonly rack: string
  readonly interface: string
  readonly privateIp: string
}

export interface Allocation {
  readonly account: string
  readonly auto: boolean
  /** '' for any address. */
  readonly wished: string
  /** Only these pools, in this order. */
  readonly pools: readonly PublicPoolRecord[]
}

/**
 * The public address of a launch: allocated and associated at once. Throws
 * InsufficientAddressCapacity when no pool of the rack has one.
 */
export async function takePublicAddress(
  tx: Transaction,
  parts: PublicAddressParts,
  { account, rack, interface: id, privateIp }: PublicAddressAsk,
): Promise<AddressRecord> {
  const pools = parts.view.all('public-pool').filter((pool) => isAnnouncedIn(pool, rack))
  const address = await allocateAddress(tx, parts, { account, auto: true, wished: '', pools })
  return await associateAddress(tx, parts, address, { interface: id, privateIp })
}

/** Can the rack's CCs announce the pool? A stretched subnet needs one that all of them can. */
export function isAnnouncedIn({ racks }: PublicPoolRecord, rack: string): boolean {
  return racks.length === 0 || (rack !== EVERY_RACK && racks.includes(rack))
}

/**
 * Ends the public addresses of an interface, before its private ones are released: automatic ones
 * are deleted, elastic ones disassociated. With `auto`, as an instance stops, elastic ones stay.
 */
export async function releasePublicAddresses(
  tx: Transaction,
  interfaceId: string,
  which: 'all' | 'auto' = 'all',
): Promise<void> {
  const one = await tx.get('interface', interfaceId)
  if (one === null) return
  for (const privateIp of [one.ipv4, ...one.ipv4More]) {
    if (privateIp !== '') await releasePublicAddressOf(tx, privateIp, which)
  }
}

/** The same for one private address, before the interface loses it. */
export async function releasePublicAddressOf(
  tx: Transaction,
  privateIp: string,
  which: 'all' | 'auto' = 'all',
): Promise<void> {
  const address = await publicAddressOf(tx, privateIp)
  if (address === null) return
  if (address.auto) await releaseAddress(tx, address)
  else if (which === 'all') await disassociateAddress(tx, address)
}

/** What a private address is known as outside. */
export async function publicAddressOf(
  tx: Transaction,
  privateIp: string,
): Promise<AddressRecord | null> {
  const id = (await tx.get('private-address', privateIp))?.publicAddress ?? ''
  return id === '' ? null : await tx.get('address', id)
}

/** An address of the pools that nobody has. Throws InsufficientAddressCapacity. */
export async function allocateAddress(
  tx: Transaction,
  { randomHex, nowMs }: PublicAddressParts,
  { account, auto, wished, pools }: Allocation,
): Promise<AddressRecord> {
  const id = await newId(tx, randomHex, 'address')
  const taken =
    wished === '' ? await takeNext(tx, id, pools) : await takeWished(tx, id, pools, wished)
  const record: AddressRecord = {
    id,
    account,
    publicIp: taken.address,
    pool: taken.pool,
    auto,
    association: '',
    interface: '',
    privateIp: '',
    createdAtMs: nowMs,
  }
  await tx.put('address', [id], record)
  return record
}

/** The private address must be the interface's and have no public one; the public one be free. */
export async function associateAddress(
  tx: Transaction,
  { randomHex }: Pick<PublicAddressParts, 'randomHex'>,
  address: AddressRecord,
  to: Pick<AddressRecord, 'interface' | 'privateIp'>,
): Promise<AddressRecord> {
  const held = await tx.get('private-address', to.privateIp)
  if (held?.interface !== to.interface || held.publicAddress !== '' || address.association !== '') {
    throw new RangeError(`${address.publicIp} and ${to.privateIp} cannot become a pair`)
  }
  const next = { ...address, ...to, association: randomId(randomHex, 'eipassoc') }
  await tx.put('private-address', [to.privateIp], { ...held, publicAddress: address.id })
  await tx.put('address', [address.id], next)
  return next
}

export async function disassociateAddress(
  tx: Transaction,
  address: AddressRecord,
): Promise<AddressRecord> {
  if (address.association === '') return address
  const held = await tx.get('private-address', address.privateIp)
  if (held?.publicAddress === address.id) {
    await tx.put('private-address', [address.privateIp], { ...held, publicAddress: '' })
  }
  const next = { ...address, association: '', interface: '', privateIp: '' }
  await tx.put('address', [address.id], next)
  return next
}

/** Gives the address back; it rests before somebody else gets it. */
export async function releaseAddress(tx: Transaction, address: AddressRecord): Promise<void> {
  await disassociateAddress(tx, address)
  await tx.delete('address', address.id)
  await tx.delete('tags', address.id)
  const record = await tx.get('public-address', address.publicIp)
  if (record === null) return
  const pool = await tx.get('public-pool', record.pool)
  if (record.pooled && pool !== null) {
    await tx.pool(publicPool(pool.id)).give(Number(offsetOf(pool.cidr, address.publicIp)))
  }
  const resting = { ...record, allocation: '', pooled: false, freedAtMs: tx.nowMs() }
  await tx.put('public-address', [address.publicIp], resting)
}

/** Has the address rested long enough? Its record may go then. */
export function hasRested({ freedAtMs }: PublicAddressRecord, nowMs: number): boolean {
  return freedAtMs !== null && nowMs - freedAtMs >= ADDRESS_QUARANTINE_MS
}

async function takeNext(
  tx: Transaction,
  allocation: string,
  pools: readonly PublicPoolRecord[],
): Promise<PublicAddressRecord> {
  for (const { id } of pools) {
    const pool = await tx.get('public-pool', id)
    if (pool === null || pool.closing) continue
    const taken = await takeOfPool(tx, allocation, pool)
    if (taken !== null) return taken
  }
  throw new ApiError(
    'InsufficientAddressCapacity',
    `There are not enough free addresses in the public pools: ${
      pools.map(({ id, cidr }) => `${id} (${cidr})`).join(', ') || 'there is no pool for this'
    }`,
  )
}

async function takeOfPool(
  tx: Transaction,
  allocation: string,
  pool: PublicPoolRecord,
): Promise<PublicAddressRecord | null> {
  const cidr = mustCidr(pool.cidr)
  const numbers = tx.pool(publicPool(pool.id))
  for (;;) {
    const band = { ...publicHosts(cidr), quarantineMs: ADDRESS_QUARANTINE_MS }
    const offset = await numbers.take(band)
    if (offset === null) return null
    const address = formatAddress(nthAddress(cidr, offset))
    if (pool.excluded.includes(address)) continue
    const record = await tx.get('public-address', address)
    if (record === null || hasRested(record, tx.nowMs())) {
      return await hold(tx, { address, pool: pool.id, allocation, pooled: true, freedAtMs: null })
    }
    // Somebody wished for it: whoever gives it back gives its number back, too.
    if (record.allocation === '') await numbers.give(offset)
    else await tx.put('public-address', [address], { ...record, pooled: true })
  }
}

async function takeWished(
  tx: Transaction,
  allocation: string,
  pools: readonly PublicPoolRecord[],
  wished: string,
): Promise<PublicAddressRecord> {
  const parsed = parseAddress(wished)
  if (!parsed.ok || parsed.value.family !== 4) {
    throw badValue('Address', wished, 'Expecting an IPv4 address of a public pool.')
  }
  const found = pools.find((pool) => contains(mustCidr(pool.cidr), parsed.value))
  const pool = found === undefined ? null : await tx.get('public-pool', found.id)
  if (pool === null || pool.closing) {
    const ranges = pools.map(({ cidr }) => cidr).join(', ') || 'none'
    throw badValue('Address', wished, `It is in no public pool; there are: ${ranges}.`)
  }
  const address = formatAddress(parsed.value)
  const { first, last } = publicHosts(mustCidr(pool.cidr))
  const offset = Number(offsetOf(pool.cidr, address))
  if (offset < first || offset > last || pool.excluded.includes(address)) {
    throw badValue('Address', wished, `Pool ${pool.id} (${pool.cidr}) keeps this address back.`)
  }
  const record = await tx.get('public-address', address)
  if (record !== null && !hasRested(record, tx.nowMs())) {
    const why = record.allocation === '' ? 'rests, try again in five minutes' : 'is not available'
    throw new ApiError('InvalidAddress.NotFound', `Address ${address} ${why}.`)
  }
  return await hold(tx, { address, pool: pool.id, allocation, pooled: false, freedAtMs: null })
}

async function hold(tx: Transaction, record: PublicAddressRecord): Promise<PublicAddressRecord> {
  await tx.put('public-address', [record.address], record)
  return record
}
