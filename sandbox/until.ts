// The sandbox and its tests wait for conditions, never for time.

import { systemClock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'

export interface UntilOptions {
  /** Milliseconds; 45,000 when not given: longer than an agent waits before it dials again. */
  readonly timeoutMs?: number
  /** Milliseconds between two looks; 20 when not given. */
  readonly everyMs?: number
  readonly signal?: AbortSignal
}

/** Polls until `holds` is true. Throws CommandTimeout with `what`, or the signal's reason. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  { timeoutMs = 45_000, everyMs = 20, signal }: UntilOptions = {},
): Promise<void> {
  const deadline = systemClock.nowMs() + timeoutMs
  while (!(await holds())) {
    signal?.throwIfAborted()
    if (systemClock.nowMs() > deadline) {
      throw new MalleeError('CommandTimeout', `not within ${timeoutMs / 1000} seconds: ${what}`)
    }
    await systemClock.sleep(everyMs, signal)
  }
}
