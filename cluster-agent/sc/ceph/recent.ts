// What a cluster says, kept for a moment: each question is a program that has to find its monitors.

import type { Clock } from '../../../common/clock.ts'

export class Recent<T> {
  readonly #clock: Clock
  readonly #ms: number
  readonly #load: () => Promise<T>
  #value: Promise<T> | null = null
  #atMs = 0

  constructor(clock: Clock, ms: number, load: () => Promise<T>) {
    this.#clock = clock
    this.#ms = ms
    this.#load = load
  }

  /** Not older than `ms`, and not from before the last `forget`. What fails is asked anew. */
  get(): Promise<T> {
    const nowMs = this.#clock.nowMs()
    if (this.#value !== null && nowMs - this.#atMs <= this.#ms) return this.#value
    const value = this.#load()
    this.#value = value
    this.#atMs = nowMs
    value.catch(() => {
      if (this.#value === value) this.#value = null
    })
    return value
  }

  forget(): void {
    this.#value = null
  }
}
