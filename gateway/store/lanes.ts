// Queues in front of hot keys. When two transactions of this process collide at a key, the one that
// lost waits in the key's lane and others that want the key wait behind it: each then needs one
// more try, where without lanes the last of n would need n.

export class Lanes {
  readonly #tails = new Map<string, Promise<void>>()

  isBusy(key: string): boolean {
    return this.#tails.has(key)
  }

  /** Resolves when everybody who came before has left; the returned function leaves. */
  async enter(key: string): Promise<() => void> {
    const before = this.#tails.get(key)
    let leave: () => void = () => undefined
    const mine = new Promise<void>((resolve) => {
      leave = resolve
    })
    this.#tails.set(key, mine)
    await before
    return () => {
      if (this.#tails.get(key) === mine) this.#tails.delete(key)
      leave()
    }
  }
}
