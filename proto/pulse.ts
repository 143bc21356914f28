// The heartbeat of one session, the same on both ends: say something every so often, and notice
// when the other end has said nothing for a lease. Silence is counted in beats and not by the wall
// clock: neither a stepped clock nor a blocked event loop makes a peer look dead.

import type { Clock } from '../common/clock.ts'

export interface PulseOptions {
  readonly clock: Clock
  /** Nothing waits to be sent. What does says as much as a heartbeat would. */
  readonly idle: () => boolean
  readonly beat: (heartbeat: { clockMs: bigint }) => void
  /** Nothing was heard for `leaseMs`; the pulse has stopped. */
  readonly silent: (leaseMs: number) => void
}

export class Pulse {
  readonly #options: PulseOptions
  #stop = new AbortController()
  #quietBeats = 0

  constructor(options: PulseOptions) {
    this.#options = options
  }

  /** Starts it, or starts it anew with other times, in milliseconds. */
  start(heartbeatMs: number, leaseMs: number): void {
    this.stop()
    this.#stop = new AbortController()
    this.#quietBeats = 0
    void this.#run(heartbeatMs, leaseMs, this.#stop.signal)
  }

  /** Something was heard. */
  heard(): void {
    this.#quietBeats = 0
  }

  stop(): void {
    this.#stop.abort()
  }

  async #run(heartbeatMs: number, leaseMs: number, signal: AbortSignal): Promise<void> {
    const { clock, idle, beat, silent } = this.#options
    while (!signal.aborted) {
      await clock.sleep(heartbeatMs, signal)
      if (signal.aborted) return
      this.#quietBeats += 1
      if (this.#quietBeats * heartbeatMs >= leaseMs) return silent(leaseMs)
      if (idle()) beat({ clockMs: BigInt(clock.nowMs()) })
    }
  }
}
