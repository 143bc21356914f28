// The heartbeat of one session, the same on both ends: say something every so often, and notice
// when the other end has said nothing for a lease. Silence is counted in beats and not by the wall
// clock: neither a stepped clock nor a blocked event loop makes a peer look dead.

import type { Clock } from '../common/clock.ts'

export interface PulseOptions {
  readonly clock: Clock
  readonly heartbeatMs: number
  readonly leaseMs: number
  /** Says something. */
  readonly beat: () => void
  /** Nothing was heard for `leaseMs`; the pulse has stopped. */
  readonly silent: () => void
  readonly signal: AbortSignal
}

/** Starts a pulse. Call the returned function whenever something was heard. */
export function startPulse(options: PulseOptions): () => void {
  const { clock, heartbeatMs, leaseMs, beat, silent, signal } = options
  let quietBeats = 0
  void run()
  return () => {
    quietBeats = 0
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(heartbeatMs, signal)
      if (signal.aborted) return
      quietBeats += 1
      if (quietBeats * heartbeatMs >= leaseMs) return silent()
      beat()
    }
  }
}
