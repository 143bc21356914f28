// Prefixes without overlaps: what remains of each after longer ones have taken their part. A set of
// nft has no longest match.

import { type Cidr, covers, formatCidr, mustCidr, nthBlock, overlaps } from '../../topology/cidr.ts'

export interface Choice<T> {
  readonly prefix: string
  readonly value: T
}

/** The longest prefix wins; each address is in one prefix at most. Null values only take away. */
export function disjoint<T>(choices: readonly Choice<T | null>[]): Choice<T>[] {
  const parsed = choices.map(({ prefix, value }) => ({ cidr: mustCidr(prefix), value }))
  return parsed.flatMap(({ cidr, value }) => {
    if (value === null) return []
    const longer = parsed.filter((one) => one.cidr.length > cidr.length).map((one) => one.cidr)
    return without(cidr, longer).map((part) => ({ prefix: bare(part), value }))
  })
}

/** As nft writes it: without the length where it says nothing. */
export function bare(cidr: Cidr): string {
  return formatCidr(cidr).replace(cidr.family === 4 ? /\/32$/ : /\/128$/, '')
}

/** The parts of a prefix that are in no hole. */
export function without(cidr: Cidr, holes: readonly Cidr[]): Cidr[] {
  const inside = holes.filter((hole) => overlaps(cidr, hole))
  if (inside.length === 0) return [cidr]
  if (inside.some((hole) => covers(hole, cidr))) return []
  return [0, 1].flatMap((half) => {
    const block = nthBlock(cidr, cidr.length + 1, half)
    return block === null ? [] : without(block, inside)
  })
}
