// One try of a transaction: remembers what it read, holds back what it writes, and says at the end
// under which conditions the writes are to be made.

import { EMPTY_POOL, type Freed, type PoolHead, planGive, planTake } from '../../topology/pool.ts'
import { joinId, parseRecord } from './memory-view.ts'
import { type Kind, key, type Records } from './records.ts'
import type { Pool, Transaction } from './state.ts'
import type { Compare, Entry, Op, Store } from './store.ts'

export interface Parts {
  readonly store: Store
  readonly nowMs: () => number
  /** Called once for each key, before the store is asked. */
  readonly beforeRead: (key: string) => Promise<void>
}

export class StoreTransaction implements Transaction {
  readonly #parts: Parts
  readonly #reads = new Map<string, Promise<Entry | null>>()
  /** Null deletes. */
  readonly #writes = new Map<string, string | null>()
  /** Pool steps go one after the other, also when the caller does not wait between them. */
  #poolTurn: Promise<unknown> = Promise.resolve()
  #ended = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async get<K extends Kind>(kind: K, ...id: readonly string[]): Promise<Records[K] | null> {
    if (joinId(id) === null) return null
    const at = key(kind, ...id)
    const value = await this.#read(at)
    return value === null ? null : (parseRecord(at, value) as Records[K])
  }

  async put<K extends Kind>(kind: K, id: readonly string[], record: Records[K]): Promise<void> {
    await this.#write(key(kind, ...id), JSON.stringify(record))
  }

  async delete(kind: Kind, ...id: readonly string[]): Promise<void> {
    await this.#write(key(kind, ...id), null)
  }

  pool(name: string): Pool {
    const parts = name.split('/')
    if (parts.includes('') || parts.includes('freed')) {
      throw new RangeError(`bad pool name ${JSON.stringify(name)}`)
    }
    const at = `pool/${name}`
    return {
      take: (band) => this.#inTurn(() => this.#take(at, band)),
      give: (n) => this.#inTurn(() => this.#give(at, n)),
      watch: () => this.#inTurn(async () => void (await this.#read(at))),
      drop: (most) => this.#inTurn(() => this.#drop(at, most)),
      freed: (most) => this.#inTurn(() => this.#freed(at, most)),
    }
  }

  nowMs(): number {
    return this.#parts.nowMs()
  }

  /** Everything that was read, as it was read. */
  async conditions(): Promise<readonly Compare[]> {
    const entries = [...this.#reads].map(async ([at, entry]) => ({
      key: at,
      version: (await entry)?.version ?? 0,
    }))
    return await Promise.all(entries)
  }

  /** The writes, in the order in which their keys were first written; nothing may follow. */
  end(): readonly Op[] {
    this.#ended = true
    return [...this.#writes].map(([at, value]) =>
      value === null ? { del: at } : { put: at, value },
    )
  }

  async #read(at: string): Promise<string | null> {
    this.#mustRun()
    const written = this.#writes.get(at)
    if (written !== undefined) return written
    let entry = this.#reads.get(at)
    if (entry === undefined) {
      const { store, beforeRead } = this.#parts
      entry = beforeRead(at).then(() => store.get(at))
      // Whoever awaits it hears of a failure; nobody may be there when the change failed first.
      entry.catch(() => undefined)
      this.#reads.set(at, entry)
    }
    return (await entry)?.value ?? null
  }

  async #write(at: string, value: string | null): Promise<void> {
    await this.#read(at)
    this.#mustRun()
    this.#writes.set(at, value)
  }

  #mustRun(): void {
    if (this.#ended) throw new RangeError('the transaction has ended: await every step in it')
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#poolTurn.then(step)
    this.#poolTurn = turn.catch(() => undefined)
    return turn
  }

  async #take(at: string, band: Parameters<typeof planTake>[1]): Promise<number | null> {
    const head = await this.#head(at)
    const isFreed = head.freedHead < head.freedTail
    const slot = isFreed ? await this.#read(`${at}/freed/${head.freedHead}`) : null
    const oldest = slot === null ? null : (parseRecord(at, slot) as Freed)
    const taken = planTake(head, band, oldest, this.#parts.nowMs())
    if (!taken.ok) return null
    const { n, consumedSlot } = taken.value
    await this.#write(at, JSON.stringify(taken.value.head))
    if (consumedSlot !== null) await this.#write(`${at}/freed/${consumedSlot}`, null)
    return n
  }

  async #give(at: string, n: number): Promise<void> {
    const { head, slot, freed } = planGive(await this.#head(at), n, this.#parts.nowMs())
    await this.#write(at, JSON.stringify(head))
    await this.#write(`${at}/freed/${slot}`, JSON.stringify(freed))
  }

  async #freed(at: string, most: number): Promise<Freed[]> {
    const { freedHead, freedTail } = await this.#head(at)
    const freed: Freed[] = []
    for (let slot = Math.max(freedHead, freedTail - most); slot < freedTail; slot++) {
      const value = await this.#read(`${at}/freed/${slot}`)
      if (value !== null) freed.push(parseRecord(at, value) as Freed)
    }
    return freed
  }

  async #drop(at: string, most: number): Promise<void> {
    const { freedHead, freedTail } = await this.#head(at)
    for (let slot = Math.max(freedHead, freedTail - most); slot < freedTail; slot++) {
      await this.#write(`${at}/freed/${slot}`, null)
    }
    await this.#write(at, null)
  }

  async #head(at: string): Promise<PoolHead> {
    const value = await this.#read(at)
    return value === null ? EMPTY_POOL : (parseRecord(at, value) as PoolHead)
  }
}
