// State: the store's records in memory, kept up by a watch, and transactions through update.ts.

import { type Clock, type RandomHex, randomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { ChangeWindow } from './change-window.ts'
import { loadView, revisionsTo } from './load.ts'
import { isRecord, type MemoryView } from './memory-view.ts'
import type { AppliedChange, State, View } from './state.ts'
import { type Change, Compacted, type Store } from './store.ts'
import { Updater } from './update.ts'

/** A mirror that is so long behind an acknowledged write is taken for cut off from the store. */
const BEHIND_MS = 10_000
const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 5_000
const WINDOW_CHANGES = 20_000

export interface StateOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly randomHex?: RandomHex
  /** How many changes changesSince can go back; 20,000 when not given. */
  readonly windowChanges?: number
}

/**
 * Reads the whole store and follows it. Closing the state leaves the store open. Throws what the
 * store throws, and BadMessage when it holds something that is no record.
 */
export async function openState(options: StateOptions): Promise<State> {
  const { store, clock } = options
  const mirror = await Mirror.open(options)
  const updater = new Updater({
    store,
    clock,
    randomHex: options.randomHex ?? randomHex,
    visible: (epoch, revision) => mirror.mustReach(epoch, revision),
  })
  return {
    view: () => mirror.view,
    fresh: () => mirror.fresh(),
    update: (change) => updater.update(change),
    onChange: (listener) => mirror.onChange(listener),
    changesSince: (revision) => mirror.changesSince(revision),
    epoch: () => mirror.epoch,
    close: () => mirror.close(),
  }
}

type Listener = Parameters<State['onChange']>[0]
type Head = { readonly epoch: string; readonly revision: number }

class Mirror {
  readonly #options: StateOptions
  readonly #window: ChangeWindow
  readonly #listeners = new Set<Listener>()
  readonly #waiters = new Set<{ readonly head: Head; readonly done: () => void }>()
  readonly #stop = new AbortController()
  #view: MemoryView
  #epoch: string
  readonly #pastEpochs = new Set<string>()
  #following: Promise<void> = Promise.resolve()
  /** The question of all callers of this turn, not asked yet. */
  #asking: Promise<Head> | null = null
  #extending: Promise<void> | null = null

  private constructor(options: StateOptions, view: MemoryView, epoch: string) {
    this.#options = options
    this.#window = new ChangeWindow(options.windowChanges ?? WINDOW_CHANGES)
    this.#view = view
    this.#epoch = epoch
    this.#window.reset(view.revision)
  }

  static async open(options: StateOptions): Promise<Mirror> {
    const { view, epoch } = await loadView(options.store)
    const mirror = new Mirror(options, view, epoch)
    mirror.#following = mirror.#follow()
    return mirror
  }

  get view(): View {
    return this.#view
  }

  get epoch(): string {
    return this.#epoch
  }

  async fresh(): Promise<View> {
    const { clock } = this.#options
    const deadlineMs = clock.nowMs() + BEHIND_MS
    for (;;) {
      const head = await this.#head()
      // A new epoch while we waited: what was acknowledged in it meanwhile counts too.
      if (await this.#reached(head, deadlineMs)) return this.#view
    }
  }

  async mustReach(epoch: string, revision: number): Promise<void> {
    const deadlineMs = this.#options.clock.nowMs() + BEHIND_MS
    if (await this.#reached({ epoch, revision }, deadlineMs)) return
    const message = 'the store has a new epoch, which may lack what was just written'
    throw new MalleeError('StoreUnavailable', `${message} (outcome unknown)`)
  }

  onChange(listener: Listener): () => void {
    // The same function may be given twice, and each has its own end.
    const own: Listener = (changes, revision) => listener(changes, revision)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  async changesSince(revision: number): Promise<readonly AppliedChange[] | null> {
    if (revision > this.#view.revision) return null
    if (revision < this.#window.floor) {
      while (this.#extending !== null) await this.#extending
      this.#extending = this.#extend(revision).finally(() => {
        this.#extending = null
      })
      await this.#extending
    }
    return this.#window.since(revision)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    for (const { done } of [...this.#waiters]) done()
    await this.#following
  }

  async #follow(): Promise<void> {
    const { clock, log, store } = this.#options
    const { signal } = this.#stop
    let retryMs = RETRY_FIRST_MS
    while (!signal.aborted) {
      try {
        const from = this.#view.revision
        // Made before the epoch is asked, so it cannot be a watch of a later one.
        const watch = store.watch('', from, signal)
        if ((await store.epoch()) !== this.#epoch) throw new Compacted(from)
        for await (const changes of watch) {
          this.#apply(changes)
          retryMs = RETRY_FIRST_MS
        }
        if (!signal.aborted) throw new MalleeError('StoreUnavailable', 'the watch ended')
      } catch (cause) {
        if (signal.aborted) return
        const error = cause instanceof Compacted ? await this.#reload() : cause
        if (error === null) continue
        log.error('mirror does not follow', { error, retryMs })
        await clock.sleep(retryMs, signal)
        retryMs = Math.min(RETRY_LAST_MS, retryMs * 2)
      }
    }
  }

  #apply(changes: readonly Change[]): void {
    const revision = changes[0]?.revision ?? this.#view.revision
    const records = this.#view.apply(changes, revision)
    this.#window.push(records)
    this.#tell(records)
  }

  /** Reads everything anew; the error that prevented it, or null. */
  async #reload(): Promise<unknown> {
    try {
      const { view, epoch } = await loadView(this.#options.store)
      const changes = this.#view.differences(view)
      const fields = { epoch, revision: view.revision, changes: changes.length }
      this.#options.log.warn('mirror read everything anew', fields)
      this.#view = view
      if (epoch !== this.#epoch) this.#pastEpochs.add(this.#epoch)
      this.#epoch = epoch
      this.#window.reset(view.revision)
      this.#tell(changes)
      return null
    } catch (error) {
      return error
    }
  }

  #tell(changes: readonly AppliedChange[]): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(changes, this.#view.revision)
      } catch (error) {
        this.#options.log.error('listener failed', { error })
      }
    }
    for (const { head, done } of [...this.#waiters]) {
      if (head.epoch !== this.#epoch || head.revision <= this.#view.revision) done()
    }
  }

  /**
   * True when the mirror shows `head`; false when it has left the epoch of `head` behind.
   * Throws StoreUnavailable at the deadline.
   */
  async #reached(head: Head, deadlineMs: number): Promise<boolean> {
    const { clock } = this.#options
    const isThere = (): boolean =>
      head.epoch === this.#epoch && head.revision <= this.#view.revision
    while (!isThere()) {
      if (this.#pastEpochs.has(head.epoch)) return false
      const leftMs = deadlineMs - clock.nowMs()
      if (leftMs <= 0 || this.#stop.signal.aborted) {
        const message = `the mirror is at revision ${this.#view.revision}, not at ${head.revision}`
        throw new MalleeError('StoreUnavailable', message)
      }
      await this.#nextTurn(head, leftMs)
    }
    return true
  }

  async #nextTurn(head: Head, mostMs: number): Promise<void> {
    const told = new AbortController()
    const waiter = { head, done: () => told.abort() }
    this.#waiters.add(waiter)
    await this.#options.clock.sleep(mostMs, told.signal)
    this.#waiters.delete(waiter)
  }

  /** The store's newest revision as of now or later: callers of one turn share the question. */
  #head(): Promise<Head> {
    this.#asking ??= Promise.resolve().then(async () => {
      this.#asking = null
      const { store } = this.#options
      const revision = await store.revision()
      return { revision, epoch: await store.epoch() }
    })
    return this.#asking
  }

  /** Fills the window from the store's log back to `from`, as far as limits and log allow. */
  async #extend(from: number): Promise<void> {
    const { clock, log, store, windowChanges = WINDOW_CHANGES } = this.#options
    const { floor } = this.#window
    const epoch = this.#epoch
    if (from >= floor || floor - from > windowChanges) return
    const changes: Change[] = []
    const timeUp = new AbortController()
    void clock.sleep(BEHIND_MS, timeUp.signal).then(() => timeUp.abort())
    try {
      const signal = AbortSignal.any([timeUp.signal, this.#stop.signal])
      for await (const group of revisionsTo({ store, epoch, from, to: floor, signal })) {
        changes.push(...group.filter(isRecord))
        if (changes.length > windowChanges) return
      }
      const unmoved = this.#window.floor === floor && this.#epoch === epoch
      if (unmoved && !signal.aborted) this.#window.prepend(changes, from)
    } catch (error) {
      if (!(error instanceof Compacted)) log.warn('log cannot be read', { from, error })
    } finally {
      timeUp.abort()
    }
  }
}
