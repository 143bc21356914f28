// Blocks of a volume as ranges of their numbers. Pure.

import type { Extent } from '../../host/filefrag.ts'
import type { ByteRange } from '../volumes/backend.ts'

/** From `from` on, up to and without `to`. */
export interface BlockRange {
  readonly from: number
  readonly to: number
}

/** In order, apart from each other, none of them empty. */
export type BlockRanges = readonly BlockRange[]

/** The blocks of which the ranges of bytes have a part. */
export function blocksOf(parts: readonly ByteRange[], blockBytes: number): BlockRanges {
  return joined(
    parts.map(({ offset, length }) => ({
      from: Math.floor(offset / blockBytes),
      to: Math.ceil((offset + length) / blockBytes),
    })),
  )
}

/** In any of the two. */
export function union(a: BlockRanges, b: BlockRanges): BlockRanges {
  return joined([...a, ...b])
}

/** In `a` and not in `b`. */
export function without(a: BlockRanges, b: BlockRanges): BlockRanges {
  const rest: BlockRange[] = []
  let at = 0
  for (const range of a) {
    let { from } = range
    while (at < b.length && (b[at]?.to ?? 0) <= from) at += 1
    for (let next = at; from < range.to; next++) {
      const cut = b[next]
      if (cut === undefined || cut.from >= range.to) {
        rest.push({ from, to: range.to })
        break
      }
      if (cut.from > from) rest.push({ from, to: cut.from })
      from = Math.max(from, cut.to)
    }
  }
  return rest
}

export function isWithin(ranges: BlockRanges, block: number): boolean {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ranges[middle]?.to ?? 0) <= block) low = middle + 1
    else high = middle
  }
  return (ranges[low]?.from ?? Number.POSITIVE_INFINITY) <= block
}

export function countOf(ranges: BlockRanges): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0)
}

/** Their numbers, in order. */
export function* numbersOf(ranges: BlockRanges): Generator<number, undefined> {
  for (const { from, to } of ranges) for (let block = from; block < to; block++) yield block
}

/**
 * The ranges of bytes where two files may differ: those that are not at one and the same place of
 * the disk. Both lists are in order, and of files that nobody writes.
 */
export function differing(a: readonly Extent[], b: readonly Extent[]): ByteRange[] {
  return [...notIn(a, b), ...notIn(b, a)]
}

/** The parts of `a` that `b` has not at the same place. */
function notIn(a: readonly Extent[], b: readonly Extent[]): ByteRange[] {
  const rest: ByteRange[] = []
  let at = 0
  for (const { offset, length, physical } of a) {
    const end = offset + length
    while (at < b.length && endOf(b[at]) <= offset) at += 1
    let from = offset
    for (let next = at; ; next++) {
      const other = b[next]
      if (other === undefined || other.offset >= end) break
      const isSame =
        physical !== null &&
        other.physical !== null &&
        other.physical - other.offset === physical - offset
      if (!isSame) continue
      if (other.offset > from) rest.push({ offset: from, length: other.offset - from })
      from = Math.min(end, endOf(other))
    }
    if (from < end) rest.push({ offset: from, length: end - from })
  }
  return rest
}

function endOf(extent: Extent | undefined): number {
  return extent === undefined ? 0 : extent.offset + extent.length
}

function joined(ranges: readonly BlockRange[]): BlockRanges {
  const sorted = [...ranges].sort((a, b) => a.from - b.from)
  const result: BlockRange[] = []
  for (const range of sorted) {
    const last = result.at(-1)
    if (last !== undefined && range.from <= last.to) {
      result[result.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
    } else if (range.to > range.from) result.push(range)
  }
  return result
}
