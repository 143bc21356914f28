// Pools of public addresses as operators make and end them.

import type { RandomHex } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import {
  type Cidr,
  contains,
  formatAddress,
  formatCidr,
  mustCidr,
  overlaps,
  parseAddress,
  parseCidr,
} from '../topology/cidr.ts'
import { holdSpace, VPC_IPV4_SPACE } from './ec2/blocks.ts'
import { randomId } from './ec2/ids.ts'
import type { PublicPoolRecord } from './store/network-records.ts'
import type { State, Transaction, View } from './store/state.ts'

export interface NewPublicPool {
  readonly cidr: string
  /** Empty for all. */
  readonly racks: readonly string[]
  readonly exclude: readonly string[]
}

const SHORTEST = 8
/** RFC 6890: what no upstream router sends to anybody. */
const SPECIAL = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'].map(mustCidr)
/** Read and written by everybody who adds a pool, so that no two overlap. */
const FENCE = ['public-pool', 'all'] as const

/** Throws BadArgument, RackNotFound, or Conflict for what overlaps something of the cloud. */
export async function createPublicPool(
  { state, randomHex, nowMs }: { state: State; randomHex: RandomHex; nowMs: number },
  asked: NewPublicPool,
): Promise<PublicPoolRecord> {
  const block = parseBlock(asked.cidr)
  const excluded = [...new Set(asked.exclude.map((text) => parseExcluded(block, text)))]
  return await state.update(async (tx) => {
    await watchPublicPools(tx)
    await holdSpace(tx, VPC_IPV4_SPACE)
    const view = await state.fresh()
    for (const rack of asked.racks) {
      if ((await tx.get('rack', rack)) === null) {
        throw new MalleeError('RackNotFound', `there is no rack ${rack}`)
      }
    }
    checkOverlap(view, block)
    checkHosts(view, block, excluded)
    const id = randomId(randomHex, 'ipv4pool-ec2')
    const racks = [...new Set(asked.racks)]
    const cidr = formatCidr(block)
    const pool = { id, cidr, racks, excluded, closing: false, createdAtMs: nowMs }
    await tx.put('name', [...FENCE], { name: 'public-pool', holder: id })
    await tx.put('public-pool', [id], pool)
    return pool
  })
}

export interface PoolChange {
  readonly racks?: readonly string[]
  readonly exclude?: readonly string[]
}

/**
 * What is not given stays. Throws NotFound, BadArgument, RackNotFound, and Conflict for an address
 * that somebody has and would be excluded, or is associated in a rack that would not announce it.
 */
export async function changePublicPool(
  state: State,
  id: string,
  { racks, exclude }: PoolChange,
): Promise<PublicPoolRecord> {
  const change = async (
    tx: Transaction,
  ): Promise<[old: PublicPoolRecord, now: PublicPoolRecord]> => {
    const old = await poolIn(tx, id)
    const block = mustCidr(old.cidr)
    for (const rack of racks ?? []) {
      if ((await tx.get('rack', rack)) === null) {
        throw new MalleeError('RackNotFound', `there is no rack ${rack}`)
      }
    }
    const excluded = exclude?.map((text) => parseExcluded(block, text)) ?? old.excluded
    checkHosts(await state.fresh(), block, excluded)
    const now = {
      ...old,
      racks: [...new Set(racks ?? old.racks)],
      excluded: [...new Set(excluded)],
    }
    await tx.put('public-pool', [id], now)
    return [old, now]
  }
  // Who takes or associates an address reads the pool: after this the mirror shows all of them.
  const [old, now] = await state.update(change)
  try {
    checkOut(await state.fresh(), now)
    return now
  } catch (error) {
    await state.update(async (tx) => {
      const { closing } = await poolIn(tx, id)
      await tx.put('public-pool', [id], { ...old, closing })
    })
    throw error
  }
}

/** Do the pool's rules allow all that is out already? */
function checkOut(view: View, { id, racks, excluded }: PublicPoolRecord): void {
  for (const { publicIp, interface: card } of view.by('address', 'pool', id)) {
    if (excluded.includes(publicIp)) {
      throw new MalleeError('Conflict', `somebody has ${publicIp}, it cannot be excluded`)
    }
    const rack = card === '' ? undefined : view.get('interface', card)?.rack
    if (rack === undefined || racks.length === 0 || racks.includes(rack)) continue
    const sentence = `${publicIp} is associated with ${card} in rack ${rack}`
    throw new MalleeError('Conflict', `${sentence}, which would not announce it any more`)
  }
}

async function poolIn(tx: Transaction, id: string): Promise<PublicPoolRecord> {
  const pool = await tx.get('public-pool', id)
  if (pool === null) throw new MalleeError('NotFound', `there is no public pool ${id}`)
  return pool
}

/** Throws NotFound, or Conflict while somebody has an address of it. */
export async function deletePublicPool(state: State, id: string): Promise<void> {
  // Closed first: after this nobody takes an address, and the mirror shows all that were taken.
  await setClosing(state, id, true)
  const out = (await state.fresh()).by('address', 'pool', id)
  const [first] = out
  if (first !== undefined) {
    await setClosing(state, id, false)
    const sentence = `${out.length} addresses of pool ${id} are out, ${first.publicIp} for one`
    throw new MalleeError('Conflict', sentence)
  }
  await state.update((tx) => tx.delete('public-pool', id))
}

/** After this a fresh view shows all public pools: nobody adds one before the commit. */
export async function watchPublicPools(tx: Transaction): Promise<void> {
  await tx.get('name', ...FENCE)
}

async function setClosing(state: State, id: string, closing: boolean): Promise<void> {
  await state.update(async (tx) => {
    await tx.put('public-pool', [id], { ...(await poolIn(tx, id)), closing })
  })
}

function parseBlock(text: string): Cidr {
  const parsed = parseCidr(text)
  const isBlock = parsed.ok && parsed.value.family === 4 && parsed.value.length >= SHORTEST
  if (parsed.ok && isBlock) {
    const special = SPECIAL.find((one) => overlaps(one, parsed.value))
    if (special === undefined) return parsed.value
    throw new MalleeError('BadArgument', `${text} overlaps ${formatCidr(special)}: never routed`)
  }
  const why = !parsed.ok && parsed.why === 'HostBits' ? ' (it has bits beyond its length)' : ''
  const sentence = `pool ${JSON.stringify(text)} is no IPv4 prefix of /${SHORTEST} to /32${why}`
  throw new MalleeError('BadArgument', sentence)
}

function parseExcluded(block: Cidr, text: string): string {
  const parsed = parseAddress(text)
  if (parsed.ok && contains(block, parsed.value)) return formatAddress(parsed.value)
  const sentence = `excluded ${JSON.stringify(text)} is no address of ${formatCidr(block)}`
  throw new MalleeError('BadArgument', sentence)
}

function checkOverlap(view: View, block: Cidr): void {
  const cloud = view.get('cloud', 'self')
  const held = [
    ...view.all('public-pool').map(({ id, cidr }) => ({ what: `public pool ${id}`, cidr })),
    ...(cloud?.ipv4Pools ?? []).map((cidr) => ({ what: "the tenants' pool", cidr })),
    ...view.all('vpc').flatMap((vpc) => vpc.ipv4Cidrs.map((cidr) => ({ what: vpc.id, cidr }))),
  ]
  const other = held.find(({ cidr }) => overlaps(mustCidr(cidr), block))
  if (other === undefined) return
  const sentence = `${formatCidr(block)} overlaps ${other.what} (${other.cidr})`
  throw new MalleeError('Conflict', sentence)
}

/** A host that lost its own address to an instance would be lost itself. */
function checkHosts(view: View, block: Cidr, excluded: readonly string[]): void {
  for (const { host, status } of view.all('host')) {
    for (const endpoint of status?.wireguardEndpoints ?? []) {
      const parsed = parseAddress(endpoint.replace(/:\d+$/, ''))
      if (!parsed.ok || !contains(block, parsed.value)) continue
      const address = formatAddress(parsed.value)
      if (excluded.includes(address)) continue
      const sentence = `${address} of ${formatCidr(block)} is the address of host ${host}, exclude it`
      throw new MalleeError('Conflict', sentence)
    }
  }
}
