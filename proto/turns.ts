// So many things at a time, the others in the order in which they came.

import { MalleeError } from '../common/errors.ts'

export class Turns {
  readonly #waiting: (() => void)[] = []
  readonly #maxWaiting: number
  #free: number

  constructor(most: number, maxWaiting = Number.POSITIVE_INFINITY) {
    this.#free = most
    this.#maxWaiting = maxWaiting
  }

  /** Throws TooManyRequests when too many wait already. */
  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else if (this.#waiting.length < this.#maxWaiting) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else throw new MalleeError('TooManyRequests', `${this.#maxWaiting} requests wait already`)
    try {
      return await run()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
