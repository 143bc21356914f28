// Blocks of any size out of pools: what is free, and what is in the way.

import { type Cidr, lastAddress, overlaps, single, size } from './cidr.ts'
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
