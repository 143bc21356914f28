// Transactions that run again until nobody was in their way.

import type { Clock, RandomHex } from '../../common/clock.ts'
import { codeOf, MalleeError } from '../../common/errors.ts'
import { Lanes } from './lanes.ts'
import type { Transaction } from './state.ts'
import type { Store } from './store.ts'
import { StoreTransaction } from './transaction.ts'

const MAX_TRIES = 50
const JITTER_FIRST_MS = 1
const JITTER_LAST_MS = 50

export interface UpdaterParts {
  readonly store: Store
  readonly clock: Clock
  readonly randomHex: RandomHex
  /** Resolves when the mirror shows that revision; throws when it cannot. */
  readonly visible: (epoch: string, revision: number) => Promise<void>
}

/** State.update, and the lanes that its callers share. */
export class Updater {
  readonly #parts: UpdaterParts
  readonly #lanes = new Lanes()

  constructor(parts: UpdaterParts) {
    this.#parts = parts
  }

  async update<T>(change: (tx: Transaction) => Promise<T>): Promise<T> {
    const { clock, visible } = this.#parts
    let hotKey: string | null = null
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const outcome: Outcome<T> = await this.#try(change, hotKey)
      if (outcome.done) {
        await visible(outcome.epoch, outcome.revision)
        return outcome.value
      }
      hotKey = outcome.lostAt
      // The lane has waited for rivals in this process; this waits for those in others.
      if (tries > 1) await clock.sleep(this.#jitterMs(tries))
    }
    const where = hotKey === null ? '' : ` at ${hotKey}`
    throw new MalleeError('Conflict', `others were faster ${MAX_TRIES} times${where}, try again`)
  }

  /** Waits in at most one lane at a time, so nobody waits for somebody who waits for them. */
  async #try<T>(
    change: (tx: Transaction) => Promise<T>,
    hotKey: string | null,
  ): Promise<Outcome<T>> {
    const { store, clock } = this.#parts
    let lane = hotKey === null ? null : this.#lanes.enter(hotKey)
    await lane
    const beforeRead = async (key: string): Promise<void> => {
      if (lane !== null || !this.#lanes.isBusy(key)) return
      lane = this.#lanes.enter(key)
      await lane
    }
    try {
      const tx = new StoreTransaction({ store, nowMs: clock.nowMs, beforeRead })
      return await this.#run(tx, change)
    } finally {
      // Also when it failed while it still stood in the queue.
      void lane?.then((leave) => leave())
    }
  }

  async #run<T>(
    tx: StoreTransaction,
    change: (tx: Transaction) => Promise<T>,
  ): Promise<Outcome<T>> {
    const { store } = this.#parts
    const epoch = await store.epoch()
    let value: T
    try {
      value = await change(tx)
    } catch (error) {
      const lostAt = await this.#lostAt(tx)
      if (lostAt === null) throw error
      return { done: false, lostAt }
    }
    const writes = tx.end()
    const conditions = await tx.conditions()
    // Versions of two epochs must not be compared.
    if ((await store.epoch()) !== epoch) return { done: false, lostAt: null }
    try {
      const result = await store.txn(conditions, writes)
      if (!result.ok) return { done: false, lostAt: result.key }
      return { done: true, value, epoch, revision: result.revision }
    } catch (error) {
      if (codeOf(error) !== 'Conflict') throw error
      return { done: false, lostAt: null }
    }
  }

  // The reads of one try are not of one moment. What a change throws counts when they were.
  async #lostAt(tx: StoreTransaction): Promise<string | null> {
    tx.end()
    try {
      const result = await this.#parts.store.txn(await tx.conditions(), [])
      return result.ok ? null : result.key
    } catch {
      return null
    }
  }

  #jitterMs(tries: number): number {
    const most = Math.min(JITTER_LAST_MS, JITTER_FIRST_MS * 2 ** (tries - 1))
    return (most * Number.parseInt(this.#parts.randomHex(2), 16)) / 0xff_ff
  }
}

type Outcome<T> =
  | { readonly done: true; readonly value: T; readonly epoch: string; readonly revision: number }
  | { readonly done: false; readonly lostAt: string | null }
