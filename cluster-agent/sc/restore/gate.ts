// Many at a time, or one alone: whoever is to be alone waits for those who are in, and new ones
// wait for that one.

export class Gate {
  #inside = 0
  #isClosed = false
  readonly #waiting: (() => void)[] = []
  #emptied: (() => void) | null = null

  async among<T>(run: () => Promise<T>): Promise<T> {
    while (this.#isClosed) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#inside += 1
    try {
      return await run()
    } finally {
      this.#inside -= 1
      if (this.#inside === 0) this.#emptied?.()
    }
  }

  async alone<T>(run: () => Promise<T>): Promise<T> {
    while (this.#isClosed) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#isClosed = true
    try {
      if (this.#inside > 0) await new Promise<void>((resolve) => (this.#emptied = resolve))
      return await run()
    } finally {
      this.#emptied = null
      this.#isClosed = false
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }
}
