// Blocks of the spaces of prefixes: who takes one of a space must have seen all that others took.
// One record of the space makes takers wait for each other; the mirror then shows every block.

import {
  chooseBlock,
  conflicts,
  freeBlock,
  isRested,
  type KnownBlock,
  remainder,
} from '../../topology/blocks.ts'
import { type Cidr, covers, formatCidr, mustCidr, overlaps } from '../../topology/cidr.ts'
import { PREFIX_QUARANTINE_MS } from '../../topology/ranges.ts'
import type { BlockRecord } from '../store/number-records.ts'
import type { State, Transaction, View } from '../store/state.ts'

export const VPC_IPV4_SPACE = 'vpc-ipv4'
export const VPC_IPV6_SPACE = 'vpc-ipv6'

/** Blocks of a VPC's subnets, of both families. */
export function subnetSpace(vpc: string): string {
  return `${SUBNET_SPACE}${vpc}`
}

const SUBNET_SPACE = 'subnet-'

export interface Taker {
  readonly space: string
  /** The id of the VPC or subnet that gets the block. */
  readonly holder: string
  readonly account: string
}

/** Where a space's blocks come from, and what is in there and nobody's. */
export interface Ground {
  readonly pools: readonly Cidr[]
  readonly reserved: readonly Cidr[]
}

/** Blocks that are remembered after their rest, so that what was never used comes first. */
const MAX_RESTED = 4_096
/** Of those beyond it, how many one take forgets. */
const FORGOTTEN_AT_ONCE = 16
const FORGOTTEN_BATCH = 500

/**
 * Takes a free block of /`length`; null when there is none. A transaction takes one block of a
 * space and family at most, as it does not see its own.
 */
export async function takeFreeBlock(
  tx: Transaction,
  state: State,
  taker: Taker,
  ground: (view: View) => Ground,
  length: number,
): Promise<Cidr | null> {
  const view = await seen(tx, state, taker.space)
  const records = blocksOf(view, taker.space)
  const { pools, reserved } = ground(view)
  const since = restedSince(tx)
  const found = chooseBlock(pools, records.map(knownOf), reserved, length, since)
  if (found !== null) await take(tx, taker, found, records)
  return found
}

/**
 * Takes that very block. False when it overlaps a reserved or held one, or one that rests and was
 * somebody else's.
 */
export async function takeNamedBlock(
  tx: Transaction,
  state: State,
  taker: Taker,
  reserved: (view: View) => readonly Cidr[],
  cidr: Cidr,
): Promise<boolean> {
  const view = await seen(tx, state, taker.space)
  const records = blocksOf(view, taker.space)
  const since = restedSince(tx)
  const inTheWay = records.filter((one) => {
    const isOwn = one.freedAtMs !== null && one.account === taker.account
    return !isOwn && !isRested(knownOf(one), since) && overlaps(knownOf(one).cidr, cidr)
  })
  if (inTheWay.length + conflicts(cidr, reserved(view)).length > 0) return false
  await take(tx, taker, cidr, records)
  return true
}

/** Gives a block back: it rests. Nothing happens when nobody has it. */
export async function giveBlock(tx: Transaction, space: string, cidr: string): Promise<void> {
  const record = await tx.get('block', ...blockKey(space, cidr))
  if (record === null || record.freedAtMs !== null) return
  const freed = { ...record, holder: '', freedAtMs: tx.nowMs() }
  await tx.put('block', blockKey(space, cidr), freed)
}

/** After this a fresh view shows all blocks of the space: nobody takes one before the commit. */
export async function holdSpace(tx: Transaction, space: string): Promise<void> {
  const takes = (await tx.get('block-space', space))?.takes ?? 0
  await tx.put('block-space', [space], { space, takes: takes + 1 })
}

/** Deletes the spaces of VPCs that are gone. */
export async function forgetSpaces(state: State): Promise<void> {
  const view = state.view()
  const isGone = ({ space }: { space: string }): boolean =>
    space.startsWith(SUBNET_SPACE) && view.get('vpc', space.slice(SUBNET_SPACE.length)) === null
  const blocks = view.all('block').filter(isGone).slice(0, FORGOTTEN_BATCH)
  const spaces = view.all('block-space').filter(isGone).slice(0, FORGOTTEN_BATCH)
  if (blocks.length + spaces.length === 0) return
  await state.update(async (tx) => {
    for (const { space, cidr } of blocks) await tx.delete('block', ...blockKey(space, cidr))
    for (const { space } of spaces) await tx.delete('block-space', space)
  })
}

/** A block of /`length` that nobody has or had, for a message; null when there is none. */
export function freeExample(
  view: View,
  space: string,
  { pools, reserved }: Ground,
  length: number,
): string | null {
  const known = blocksOf(view, space).map((one) => knownOf(one).cidr)
  const free = freeBlock(pools, [...reserved, ...known], length)
  return free === null ? null : formatCidr(free)
}

export function blocksOf(view: View, space: string): readonly BlockRecord[] {
  return view.under('block', space)
}

export function blockKey(space: string, cidr: string): [string, string] {
  return [space, cidr.replace('/', '_')]
}

/** The mirror with every block of the space, once the transaction commits. */
async function seen(tx: Transaction, state: State, space: string): Promise<View> {
  await holdSpace(tx, space)
  return await state.fresh()
}

async function take(
  tx: Transaction,
  { space, holder, account }: Taker,
  cidr: Cidr,
  records: readonly BlockRecord[],
): Promise<void> {
  for (const one of records) {
    const old = knownOf(one).cidr
    if (!overlaps(old, cidr)) continue
    await tx.delete('block', ...blockKey(space, one.cidr))
    // The other parts of a block at rest rest on.
    for (const left of covers(old, cidr) ? remainder(old, cidr) : []) {
      const part = formatCidr(left)
      await tx.put('block', blockKey(space, part), { ...one, cidr: part })
    }
  }
  const text = formatCidr(cidr)
  const record = { space, cidr: text, account, holder, freedAtMs: null }
  await tx.put('block', blockKey(space, text), record)
  await forgetRested(tx, space, records)
}

async function forgetRested(
  tx: Transaction,
  space: string,
  records: readonly BlockRecord[],
): Promise<void> {
  const since = restedSince(tx)
  const rested = records.filter((one) => isRested(knownOf(one), since))
  if (rested.length <= MAX_RESTED) return
  const longest = [...rested].sort((a, b) => (a.freedAtMs ?? 0) - (b.freedAtMs ?? 0))
  for (const { cidr } of longest.slice(0, FORGOTTEN_AT_ONCE)) {
    const now = await tx.get('block', ...blockKey(space, cidr))
    if (now?.freedAtMs != null) await tx.delete('block', ...blockKey(space, cidr))
  }
}

/** A record stays the same object until it changes: each is read once. */
const read = new WeakMap<BlockRecord, KnownBlock>()

function knownOf(record: BlockRecord): KnownBlock {
  const known = read.get(record) ?? {
    cidr: mustCidr(record.cidr),
    freedAtMs: record.freedAtMs,
  }
  read.set(record, known)
  return known
}

function restedSince(tx: Transaction): number {
  return tx.nowMs() - PREFIX_QUARANTINE_MS
}
