// The real clock, which a test may move forward: who sleeps wakes when the time has come by then.

import { type Clock, systemClock } from '../../common/clock.ts'

export class MovedClock implements Clock {
  #aheadMs = 0
  #moved = new AbortController()

  readonly nowMs = (): number => systemClock.nowMs() + this.#aheadMs

  readonly sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    const untilMs = this.nowMs() + ms
    while (this.nowMs() < untilMs && signal?.aborted !== true) {
      const moved = this.#moved.signal
      const ends = signal === undefined ? moved : AbortSignal.any([signal, moved])
      await systemClock.sleep(untilMs - this.nowMs(), ends)
    }
  }

  /** Deadlines of gRPC are looked at by the real clock: back from it they are over at once. */
  move(ms: number): void {
    this.#aheadMs += ms
    this.#moved.abort()
    this.#moved = new AbortController()
  }
}
