// Desired against actual, by key.

import { ascending } from './order.ts'

export interface Diff {
  /** Desired and not there. */
  readonly add: readonly string[]
  /** There, and not the same. */
  readonly change: readonly string[]
  /** There and not desired. */
  readonly remove: readonly string[]
}

/** The keys to act on, each list in ascending order of code units. */
export function diffByKey<T, U>(
  desired: ReadonlyMap<string, T>,
  actual: ReadonlyMap<string, U>,
  same: (desired: T, actual: U) => boolean,
): Diff {
  const add: string[] = []
  const change: string[] = []
  for (const [key, want] of desired) {
    const have = actual.get(key)
    if (have === undefined && !actual.has(key)) add.push(key)
    else if (!same(want, have as U)) change.push(key)
  }
  const remove = [...actual.keys()].filter((key) => !desired.has(key))
  return {
    add: add.sort(ascending),
    change: change.sort(ascending),
    remove: remove.sort(ascending),
  }
}
