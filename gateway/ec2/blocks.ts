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
/** Blocks at rest that new ones take the place of in one transaction, with what else it writes. */
export const MAX_REPLACED = 3_000

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
  const view = await new HeldSpaces(tx, state).seen(taker.space)
  const records = blocksOf(view, taker.space)
  const { pools, reserved } = ground(view)
  const since = restedSince(tx)
  const found = chooseBlock(pools, records.map(knownOf), reserved, length, since)
  if (found !== null) await take(tx, taker, found, records, overlapping(records, found))
  return found
}

/**
 * Takes that very block. False when it overlaps a reserved or held one, one that rests and was
 * somebody else's, or more of those that rest than a transaction can write.
 */
export async function takeNamedBlock(
  tx: Transaction,
  state: State,
  taker: Taker,
  reserved: (view: View) => readonly Cidr[],
  cidr: Cidr,
): Promise<boolean> {
  return await new HeldSpaces(tx, state).take(taker, reserved, cidr)
}

/** Spaces of which one transaction takes and gives several blocks, and sees what it did before. */
export class HeldSpaces {
  readonly #tx: Transaction
  readonly #state: State
  readonly #held = new Map<string, { readonly view: View; records: readonly BlockRecord[] }>()
  #replaced = 0

  constructor(tx: Transaction, state: State) {
    this.#tx = tx
    this.#state = state
  }

  /** The mirror with every block of the space that others have, once the transaction commits. */
  async seen(space: string): Promise<View> {
    return (await this.#hold(space)).view
  }

  /** As `takeNamedBlock`. */
  async take(
    taker: Taker,
    reserved: (view: View) => readonly Cidr[],
    cidr: Cidr,
  ): Promise<boolean> {
    const held = await this.#hold(taker.space)
    const since = restedSince(this.#tx)
    const there = overlapping(held.records, cidr)
    const isInTheWay = there.some((one) => {
      const isOwn = one.freedAtMs !== null && one.account === taker.account
      return !isOwn && !isRested(knownOf(one), since)
    })
    const isTooMuch = this.#replaced + there.length > MAX_REPLACED
    if (isInTheWay || isTooMuch || conflicts(cidr, reserved(held.view)).length > 0) return false
    this.#replaced += there.length
    held.records = await take(this.#tx, taker, cidr, held.records, there)
    return true
  }

  /** As `giveBlock`. */
  async give(space: string, cidr: string): Promise<void> {
    const held = await this.#hold(space)
    const freed = await giveBlock(this.#tx, space, cidr)
    if (freed === null) return
    held.records = held.records.map((one) => (one.cidr === cidr ? freed : one))
  }

  async #hold(space: string) {
    const known = this.#held.get(space)
    if (known !== undefined) return known
    await holdSpace(this.#tx, space)
    const view = await this.#state.fresh()
    const held = { view, records: blocksOf(view, space) }
    this.#held.set(space, held)
    return held
  }
}

/** Gives a block back: it rests. Null, and nothing happens, when nobody has it. */
export async function giveBlock(
  tx: Transaction,
  space: string,
  cidr: string,
): Promise<BlockRecord | null> {
  const record = await tx.get('block', ...blockKey(space, cidr))
  if (record === null || record.freedAtMs !== null) return null
  const freed = { ...record, holder: '', freedAtMs: tx.nowMs() }
  await tx.put('block', blockKey(space, cidr), freed)
  return freed
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

function overlapping(records: readonly BlockRecord[], cidr: Cidr): BlockRecord[] {
  return records.filter((one) => overlaps(knownOf(one).cidr, cidr))
}

/** `gone` is what it takes the place of. Returns the blocks of the space after it. */
async function take(
  tx: Transaction,
  { space, holder, account }: Taker,
  cidr: Cidr,
  records: readonly BlockRecord[],
  gone: readonly BlockRecord[],
): Promise<readonly BlockRecord[]> {
  const come: BlockRecord[] = [{ space, cidr: formatCidr(cidr), account, holder, freedAtMs: null }]
  for (const one of gone) {
    const old = knownOf(one).cidr
    await tx.delete('block', ...blockKey(space, one.cidr))
    // The other parts of a block at rest rest on.
    const rest = covers(old, cidr) ? remainder(old, cidr) : []
    come.push(...rest.map((left) => ({ ...one, cidr: formatCidr(left) })))
  }
  for (const one of come) await tx.put('block', blockKey(space, one.cidr), one)
  await forgetRested(tx, space, records)
  return [...(gone.length === 0 ? records : records.filter((one) => !gone.includes(one))), ...come]
}

async function forgetRested(
  tx: Transaction,
  space: string,
  records: readonly BlockRecord[],
): Promise<void> {
  if (records.length <= MAX_RESTED) return
  const since = restedSince(tx)
  const rested = records.filter((one) => isRested(knownOf(one), since))
  if (rested.length <= MAX_RESTED) return
  const longest = [...rested].sort((a, b) => (a.freedAtMs ?? 0) - (b.freedAtMs ?? 0))
  for (const { cidr } of longest.slice(0, FORGOTTEN_AT_ONCE)) {
    const now = await tx.get('block', ...blockKey(space, cidr))
    if (now?.freedAtMs != null) await tx.delete('block', ...blockKey(space, cidr))
  }
}

export function cidrOfBlock(record: BlockRecord): Cidr {
  return knownOf(record).cidr
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
