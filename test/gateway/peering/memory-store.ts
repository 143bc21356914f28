// A store in memory whose content can be kept and brought back, and a gateway's hold on it that
// ends at any commit, as when the gateway is killed there.

import { checkTransaction } from '../../../gateway/store/limits.ts'
import type {
  Change,
  Compare,
  Entry,
  Op,
  Page,
  Store,
  TxnResult,
} from '../../../gateway/store/store.ts'
import { storeWith } from '../store/store-with.ts'

/** Values by key. */
export type Kept = ReadonlyMap<string, string>

export class MemoryStore implements Store {
  #entries = new Map<string, Entry>()
  #revision = 0
  readonly #log: (readonly Change[])[] = []
  readonly #waiting = new Set<() => void>()

  keep(): Kept {
    return new Map([...this.#entries].map(([key, { value }]) => [key, value]))
  }

  /** In one revision, so that whoever has it open sees it. */
  async bringBack(kept: Kept): Promise<void> {
    const gone = [...this.#entries.keys()].filter((key) => !kept.has(key))
    const other = [...kept].filter(([key, value]) => this.#entries.get(key)?.value !== value)
    await this.txn(
      [],
      [...gone.map((del) => ({ del })), ...other.map(([put, value]) => ({ put, value }))],
    )
  }

  get newest(): number {
    return this.#revision
  }

  async get(key: string): Promise<Entry | null> {
    return this.#entries.get(key) ?? null
  }

  async list(prefix: string, { after = '', limit = 1_000 } = {}): Promise<Page> {
    const keys = [...this.#entries.keys()].filter((one) => one.startsWith(prefix) && one > after)
    const entries = keys.sort().flatMap((one) => this.#entries.get(one) ?? [])
    const more = entries.length > limit
    return { entries: entries.slice(0, limit), revision: this.#revision, more }
  }

  async txn(when: readonly Compare[], then: readonly Op[]): Promise<TxnResult> {
    checkTransaction(when, then)
    for (const { key, version } of when) {
      const is = this.#entries.get(key)?.version ?? 0
      if (is !== version) return { ok: false, key, version: is }
    }
    if (then.length === 0) return { ok: true, revision: this.#revision }
    this.#revision += 1
    this.#log.push(then.map((op) => this.#apply(op)))
    for (const wake of [...this.#waiting]) wake()
    return { ok: true, revision: this.#revision }
  }

  async revision(): Promise<number> {
    return this.#revision
  }

  async *watch(
    prefix: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Change[]> {
    for (let next = from + 1; !signal.aborted; ) {
      const changes = this.#log[next - 1]
      if (changes === undefined) {
        await this.#more(signal)
        continue
      }
      next += 1
      const wanted = changes.filter(({ key }) => key.startsWith(prefix))
      if (wanted.length > 0) yield wanted
    }
  }

  async epoch(): Promise<string> {
    return 'memory'
  }

  async close(): Promise<void> {}

  #apply(op: Op): Change {
    const revision = this.#revision
    if ('del' in op) {
      this.#entries.delete(op.del)
      return { revision, key: op.del, value: null }
    }
    const { put: key, value } = op
    const created = this.#entries.get(key)?.created ?? revision
    this.#entries.set(key, { key, value, version: revision, created })
    return { revision, key, value }
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
  }
}

/** What a gateway that was killed meets in whatever it was doing. */
export class Killed extends Error {
  constructor() {
    super('this gateway was killed')
    this.name = 'Killed'
  }
}

/** What becomes of a commit; after either kill nothing of this gateway goes on. */
export type Fate = 'done' | 'killed before' | 'killed after'

/** `store` for one life of a gateway; commits that write nothing cannot end it. */
export function mortal(
  store: Store,
  fateOf: (then: readonly Op[]) => Fate,
  died: () => void,
): Store {
  let isDead = false
  const alive = <A extends unknown[], T>(act: (...args: A) => Promise<T>) => {
    return async (...args: A): Promise<T> => {
      if (isDead) throw new Killed()
      return await act(...args)
    }
  }
  const die = (): never => {
    isDead = true
    died()
    throw new Killed()
  }
  return storeWith(store, {
    get: alive((key) => store.get(key)),
    list: alive((prefix, options) => store.list(prefix, options)),
    revision: alive(() => store.revision()),
    epoch: alive(() => store.epoch()),
    txn: alive(async (when, then) => {
      const fate = then.length === 0 ? 'done' : fateOf(then)
      if (fate === 'killed before') return die()
      const result = await store.txn(when, then)
      return fate === 'killed after' ? die() : result
    }),
  })
}
