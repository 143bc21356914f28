// Observe, plan, apply: one pass, and the loop that wakes for it. A pass that fails is run again,
// later each time; zero steps means that everything is as it shall be.

import type { Clock } from './clock.ts'
import { messageOf } from './errors.ts'
import type { Log } from './log.ts'

export interface Reconciler<Seen, Step> {
  readonly name: string
  /** Asks the host, never our memory of it. */
  readonly observe: () => Promise<Seen>
  /** Pure: all the thinking, no choices left. */
  readonly plan: (seen: Seen) => readonly Step[]
  /** One step, without thinking. */
  readonly apply: (step: Step) => Promise<void>
}

/** One pass; how many steps it took. Stops at the first step that fails. */
export async function reconcileOnce<Seen, Step>(
  reconciler: Reconciler<Seen, Step>,
  log: Log,
): Promise<number> {
  const steps = reconciler.plan(await reconciler.observe())
  if (steps.length === 0) return 0
  log.info('reconcile', { name: reconciler.name, steps: steps.length })
  for (const step of steps) await reconciler.apply(step)
  return steps.length
}

const RETRY_MS = { first: 250, last: 15_000 }

export interface LoopOptions {
  readonly name: string
  /** Everything of one wake-up, in order; the first failure ends it. */
  readonly pass: () => Promise<void>
  /** A pass without a wake-up, to find what changed behind our back. */
  readonly everyMs: number
  /** The waits after failures, each twice as long as the one before; 250 ms to 15 s. */
  readonly retryMs?: { readonly first: number; readonly last: number }
  readonly clock: Clock
  readonly log: Log
  /** It needs somebody who may be away: one warning for each outage, whatever is said meanwhile. */
  readonly mayBeOut?: boolean
  /** Between 0 and 1; spreads retries of many hosts. */
  readonly chance: () => number
}

/** Runs passes one at a time: on wake-ups (many during a pass are one), and every so often. */
export class Loop {
  readonly #options: LoopOptions
  readonly #stop = new AbortController()
  #nap = new AbortController()
  #woken = true
  #failures = 0
  #trouble: string | null = null
  #done: Promise<void> = Promise.resolve()

  constructor(options: LoopOptions) {
    this.#options = options
  }

  start(): void {
    this.#done = this.#run()
  }

  wake(): void {
    this.#woken = true
    this.#nap.abort()
  }

  /** The sentence of the last pass's failure, null when it went well. */
  trouble(): string | null {
    return this.#trouble
  }

  /** Resolves when the pass under way has ended. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#nap.abort()
    await this.#done
  }

  async #run(): Promise<void> {
    const { clock, everyMs } = this.#options
    while (!this.#stop.signal.aborted) {
      this.#nap = new AbortController()
      if (!this.#woken) {
        await clock.sleep(this.#failures > 0 ? this.#retryMs() : everyMs, this.#nap.signal)
        if (this.#stop.signal.aborted) return
      }
      this.#woken = false
      await this.#passOnce()
    }
  }

  async #passOnce(): Promise<void> {
    const { log, name, pass, mayBeOut } = this.#options
    try {
      await pass()
      if (this.#trouble !== null) log.info('recovered', { name })
      this.#failures = 0
      this.#trouble = null
    } catch (error) {
      this.#failures += 1
      if (mayBeOut === true) {
        if (this.#trouble === null) log.warn('pass failed', { name, error })
      } else if (this.#trouble !== messageOf(error)) log.error('pass failed', { name, error })
      this.#trouble = messageOf(error)
    }
  }

  #retryMs(): number {
    const { first, last } = this.#options.retryMs ?? RETRY_MS
    const ms = Math.min(last, first * 2 ** (this.#failures - 1))
    return ms * (0.5 + this.#options.chance() / 2)
  }
}
