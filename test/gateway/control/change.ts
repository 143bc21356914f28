// One random change: a record of some shape, or its end.

import fc from 'fast-check'
import type { Write } from './records.ts'

/** A record or its end. */
export function record<T extends object>(key: string, of: fc.Arbitrary<T>): fc.Arbitrary<Write> {
  return fc.option(of, { freq: 5 }).map((one) => [key, one] as const)
}

export function each<T extends string>(
  ids: readonly T[],
  of: (id: T, n: number) => fc.Arbitrary<Write>,
): fc.Arbitrary<Write> {
  return fc.oneof(...ids.map((id, i) => of(id, i + 1)))
}
