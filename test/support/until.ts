// Tests wait for conditions, never for time.

import { systemClock } from '../../common/clock.ts'

/** Polls until `holds` is true; fails with `what` after `timeoutMs`. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = systemClock.nowMs() + timeoutMs
  while (!(await holds())) {
    if (systemClock.nowMs() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await systemClock.sleep(20)
  }
}
