// A pool of numbers as pure steps, so that a store keeps any number of held ones in O(1) records:
// a head, and one slot for each number that was given back. Numbers in use are not listed at all:
// who holds one has it in the record that it numbers.

import type { Band } from './ranges.ts'
import { no, ok, type Result } from './result.ts'

export interface PoolHead {
  /** Every number from the band's first up to here was taken at least once. */
  readonly next: number
  /** Numbers given back stand in slots freedHead..freedTail-1, the longest resting one first. */
  readonly freedHead: number
  readonly freedTail: number
}

/** One slot. */
export interface Freed {
  readonly n: number
  readonly freedAtMs: number
}

export interface Taken {
  readonly n: number
  readonly head: PoolHead
  /** The slot to delete, null when the number was never used before. */
  readonly consumedSlot: number | null
}

export interface Given {
  readonly head: PoolHead
  /** Where to write `freed`. */
  readonly slot: number
  readonly freed: Freed
}

export const EMPTY_POOL: PoolHead = { next: 0, freedHead: 0, freedTail: 0 }

/**
 * Takes the lowest number of the band that was never used; when there is none left, the one in slot
 * freedHead (`oldestFreed`, null when the slots are empty), if it has rested for the quarantine.
 * A band may grow at its end between two calls; a number outside of it is never handed out.
 */
export function planTake(
  head: PoolHead,
  band: Band,
  oldestFreed: Freed | null,
  nowMs: number,
): Result<Taken, 'Exhausted'> {
  const next = Math.max(head.next, band.first)
  if (next <= band.last) {
    return ok({ n: next, head: { ...head, next: next + 1 }, consumedSlot: null })
  }
  if (oldestFreed === null || head.freedHead === head.freedTail) return no('Exhausted')
  const { n, freedAtMs } = oldestFreed
  const inBand = n >= band.first && n <= band.last
  if (!inBand || nowMs - freedAtMs < band.quarantineMs) return no('Exhausted')
  const { freedHead } = head
  return ok({ n, head: { ...head, freedHead: freedHead + 1 }, consumedSlot: freedHead })
}

/** Gives back a number that the caller holds. RangeError when it was never taken. */
export function planGive(head: PoolHead, n: number, nowMs: number): Given {
  if (!Number.isInteger(n) || n < 0 || n >= head.next) {
    throw new RangeError(`${n} was never taken from this pool`)
  }
  const { freedTail } = head
  const freed = { n, freedAtMs: nowMs }
  return { head: { ...head, freedTail: freedTail + 1 }, slot: freedTail, freed }
}
