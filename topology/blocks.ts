// Blocks of any size out of pools: what is free, and what is in the way.

import { type Cidr, covers, lastAddress, overlaps, single, size } from './cidr.ts'
import { ascending } from './order.ts'

/**
 * The lowest block of /`length` that overlaps nothing in `used`, from the first pool that has one;
 * null when no pool has.
 */
export function freeBlock(
  pools: readonly Cidr[],
  used: readonly Cidr[],
  length: number,
): Cidr | null {
  for (const pool of pools) {
    const found = freeIn(pool, used, length)
    if (found !== null) return found
  }
  return null
}

/** A block that somebody has, or had until a time. */
export interface KnownBlock {
  readonly cidr: Cidr
  /** Milliseconds since 1970; null while somebody has it. */
  readonly freedAtMs: number | null
}

/**
 * The lowest block that was never used; when there is none, the one that has rested longest, if
 * that was since before `restedBeforeMs`. Nothing in `reserved` is ever chosen.
 */
export function chooseBlock(
  pools: readonly Cidr[],
  known: readonly KnownBlock[],
  reserved: readonly Cidr[],
  length: number,
  restedBeforeMs: number,
): Cidr | null {
  const neverUsed = freeBlock(pools, [...reserved, ...known.map((one) => one.cidr)], length)
  if (neverUsed !== null) return neverUsed
  const rested = known.filter((one) => isRested(one, restedBeforeMs))
  const kept = [
    ...reserved,
    ...known.filter((one) => !isRested(one, restedBeforeMs)).map((one) => one.cidr),
  ]
  const whole = rested
    .filter(({ cidr }) => pools.some((pool) => covers(pool, cidr)))
    .sort((a, b) => ascending(a.freedAtMs ?? 0, b.freedAtMs ?? 0))
  for (const { cidr } of whole) {
    const found = freeBlock([cidr], kept, length)
    if (found !== null) return found
  }
  // Several small ones side by side.
  return rested.length === 0 ? null : freeBlock(pools, kept, length)
}

export function isRested({ freedAtMs }: KnownBlock, restedBeforeMs: number): boolean {
  return freedAtMs !== null && freedAtMs <= restedBeforeMs
}

/** What is left of a block without a part of it, in the largest blocks that there are. */
export function remainder(block: Cidr, part: Cidr): Cidr[] {
  if (!covers(block, part)) throw new RangeError('a part that is not in its block')
  const left: Cidr[] = []
  let rest = block
  while (rest.length < part.length) {
    const length = rest.length + 1
    const low = { ...rest, length }
    const high = { ...low, base: rest.base + size(low) }
    const [inside, outside] = overlaps(low, part) ? [low, high] : [high, low]
    left.push(outside)
    rest = inside
  }
  return left
}

/** Those of `used` that share an address with `cidr`, as they stand. */
export function conflicts(cidr: Cidr, used: readonly Cidr[]): Cidr[] {
  return used.filter((one) => overlaps(cidr, one))
}

function freeIn(pool: Cidr, used: readonly Cidr[], length: number): Cidr | null {
  const wanted = single({ family: pool.family, value: pool.base })
  if (length < pool.length || length > wanted.length) return null
  const step = size({ ...pool, length })
  const end = pool.base + size(pool)
  let base = pool.base
  // In order of their bases: behind the last one that was in the way only later ones can be.
  const inTheWay = conflicts(pool, used).sort((a, b) => ascending(a.base, b.base))
  for (const one of inTheWay) {
    if (one.base >= base + step) break
    const behind = lastAddress(one).value + 1n
    if (behind > base) base = pool.base + ((behind - pool.base + step - 1n) / step) * step
  }
  return base + step <= end ? { family: pool.family, base, length } : null
}
