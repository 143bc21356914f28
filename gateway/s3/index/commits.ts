// Transactions of the index: a draft remembers what it read and holds back what it writes; a commit
// runs it again until nobody was in its way.

import type { Clock, RandomHex } from '../../../common/clock.ts'
import { codeOf, MalleeError } from '../../../common/errors.ts'
import { Lanes } from '../../store/lanes.ts'
import type { Compare, Entry, Op, Store } from '../../store/store.ts'
import type { Outbox } from './outbox.ts'
import { type Counting, type Delta, putDeltas } from './tally.ts'

const MAX_TRIES = 50
const JITTER_FIRST_MS = 1
const JITTER_LAST_MS = 50

export interface IndexParts {
  readonly store: Store
  readonly clock: Clock
  readonly randomHex: RandomHex
  /** Absent: nobody is told of anything. */
  readonly outbox?: Outbox
  /** Absent: nothing is counted. */
  readonly counting?: Counting
}

export class Draft {
  readonly #store: Store
  readonly #reads = new Map<string, Promise<Entry | null>>()
  /** Null deletes. */
  readonly #writes = new Map<string, string | null>()
  /** Targets for whom it puts something into the outbox. */
  readonly told: string[] = []
  /** What it adds to buckets and takes from them, by their ids. */
  readonly deltas = new Map<string, Delta>()

  constructor(store: Store) {
    this.#store = store
  }

  /** As the store has it; that it stays so until the commit becomes a condition. */
  async read<T>(key: string): Promise<T | null> {
    let entry = this.#reads.get(key)
    if (entry === undefined) {
      entry = this.#store.get(key)
      entry.catch(() => undefined)
      this.#reads.set(key, entry)
    }
    const found = await entry
    return found === null ? null : (JSON.parse(found.value) as T)
  }

  /** No condition comes of it. */
  put(key: string, value: unknown): void {
    this.#writes.set(key, JSON.stringify(value))
  }

  putText(key: string, text: string): void {
    this.#writes.set(key, text)
  }

  delete(key: string): void {
    this.#writes.set(key, null)
  }

  count(bucket: string, bytes: number, objects: number): void {
    const before = this.deltas.get(bucket)
    this.deltas.set(bucket, {
      bytes: (before?.bytes ?? 0) + bytes,
      objects: (before?.objects ?? 0) + objects,
    })
  }

  async conditions(): Promise<Compare[]> {
    const all = [...this.#reads].map(async ([key, entry]) => ({
      key,
      version: (await entry)?.version ?? 0,
    }))
    return await Promise.all(all)
  }

  writes(): Op[] {
    return [...this.#writes].map(([key, value]) =>
      value === null ? { del: key } : { put: key, value },
    )
  }
}

interface Outcome<T> {
  readonly value: T
  readonly told: readonly string[]
  readonly deltas: ReadonlyMap<string, Delta>
}

export class Commits {
  readonly #parts: IndexParts
  readonly #lanes = new Lanes()

  constructor(parts: IndexParts) {
    this.#parts = parts
  }

  /**
   * Runs `change` until its draft is committed; `about` names what its rivals are rivals for.
   * Throws what the change throws when it read a state that was so, and as Store.txn.
   */
  async commit<T>(about: string, change: (draft: Draft) => Promise<T>): Promise<T> {
    const { clock } = this.#parts
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const inLane = tries > 1 || this.#lanes.isBusy(about)
      const leave = inLane ? await this.#lanes.enter(about) : null
      try {
        const outcome = await this.#try(change)
        if (outcome !== null) return this.#told(outcome)
      } finally {
        leave?.()
      }
      // The lane has waited for rivals in this process; this waits for those in others.
      if (tries > 1) await clock.sleep(this.#jitterMs(tries))
    }
    throw new MalleeError('Conflict', `others were faster ${MAX_TRIES} times, try again`)
  }

  /** Null: somebody was faster, and nothing was written. */
  async #try<T>(change: (draft: Draft) => Promise<T>): Promise<Outcome<T> | null> {
    const { store } = this.#parts
    const epoch = await store.epoch()
    const draft = new Draft(store)
    let value: T
    try {
      value = await change(draft)
    } catch (error) {
      // The reads are not of one moment. What a change throws counts when they were.
      if (await holds(store, draft)) throw error
      return null
    }
    const when = await draft.conditions()
    // Versions of two epochs must not be compared.
    if ((await store.epoch()) !== epoch) return null
    try {
      const deltas = putDeltas(draft, this.#parts.counting, this.#parts.randomHex)
      const { ok } = await store.txn(when, draft.writes())
      return ok ? { value, told: draft.told, deltas } : null
    } catch (error) {
      if (codeOf(error) === 'Conflict') return null
      throw error
    }
  }

  /** What is durable, to those who keep account of it. */
  #told<T>({ value, told, deltas }: Outcome<T>): T {
    const { outbox, counting } = this.#parts
    for (const target of told) outbox?.filled(target)
    for (const [bucket, delta] of deltas) counting?.counted(bucket, delta)
    return value
  }

  #jitterMs(tries: number): number {
    const most = Math.min(JITTER_LAST_MS, JITTER_FIRST_MS * 2 ** (tries - 1))
    return (most * Number.parseInt(this.#parts.randomHex(2), 16)) / 0xff_ff
  }
}

/** Is everything that the draft read still so, all at one moment? */
export async function holds(store: Store, draft: Draft): Promise<boolean> {
  try {
    return (await store.txn(await draft.conditions(), [])).ok
  } catch (error) {
    if (codeOf(error) === 'Conflict') return false
    throw error
  }
}
