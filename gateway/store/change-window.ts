// The latest changes in order of revision, so that an agent that was away for a moment gets what it
// missed instead of everything.

import type { AppliedChange } from './state.ts'

export class ChangeWindow {
  readonly #limit: number
  #changes: AppliedChange[] = []
  #floor = 0

  /** Holds at least `limit` changes once there were so many, at most twice that. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Every change after this revision is here. */
  get floor(): number {
    return this.#floor
  }

  /** Forgets everything: the window begins after `revision`. */
  reset(revision: number): void {
    this.#changes = []
    this.#floor = revision
  }

  push(changes: readonly AppliedChange[]): void {
    for (const change of changes) this.#changes.push(change)
    if (this.#changes.length <= 2 * this.#limit) return
    // A revision is kept whole or not at all.
    this.#floor = this.#changes[this.#changes.length - this.#limit]?.revision ?? this.#floor
    this.#changes = this.#changes.slice(firstAfter(this.#changes, this.#floor))
  }

  /** Puts what happened after `floor` and up to the old floor in front. */
  prepend(changes: readonly AppliedChange[], floor: number): void {
    this.#changes = [...changes, ...this.#changes]
    this.#floor = floor
  }

  /** Changes with a higher revision, or null when the window begins later. */
  since(revision: number): readonly AppliedChange[] | null {
    if (revision < this.#floor) return null
    return this.#changes.slice(firstAfter(this.#changes, revision))
  }
}

function firstAfter(changes: readonly AppliedChange[], revision: number): number {
  let low = 0
  let high = changes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((changes[middle]?.revision ?? 0) <= revision) low = middle + 1
    else high = middle
  }
  return low
}
