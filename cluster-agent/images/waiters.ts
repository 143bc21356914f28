// Those who wait for something by number: each until it comes, fails, or their own signal aborts.

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Waiters {
  readonly #byNumber = new Map<number, Set<Waiter>>()

  get size(): number {
    return this.#byNumber.size
  }

  has(number: number): boolean {
    return this.#byNumber.has(number)
  }

  /** What is waited for, the longest first. */
  numbers(): Iterable<number> {
    return this.#byNumber.keys()
  }

  /** Throws `late()` when the signal aborts first. */
  wait(number: number, signal: AbortSignal, late: () => Error): Promise<void> {
    if (signal.aborted) return Promise.reject(late())
    return new Promise<void>((resolve, reject) => {
      const set = this.#byNumber.get(number) ?? new Set()
      const over = (settle: () => void): void => {
        signal.removeEventListener('abort', abort)
        set.delete(waiter)
        if (set.size === 0) this.#byNumber.delete(number)
        settle()
      }
      const waiter = {
        resolve: () => over(resolve),
        reject: (error: unknown) => over(() => reject(error)),
      }
      const abort = (): void => waiter.reject(late())
      this.#byNumber.set(number, set.add(waiter))
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  resolve(number: number): void {
    for (const one of [...(this.#byNumber.get(number) ?? [])]) one.resolve()
  }

  reject(number: number, error: unknown): void {
    for (const one of [...(this.#byNumber.get(number) ?? [])]) one.reject(error)
  }

  rejectAll(error: unknown): void {
    for (const number of [...this.#byNumber.keys()]) this.reject(number, error)
  }
}
