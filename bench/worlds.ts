// Worlds for benchmarks: brought up as for `npm start`, told about on standard error, and removed
// whatever happens, also at Ctrl-C.

import { silentLog } from '../common/log.ts'
import type { RackPlan, WorldPlan } from '../sandbox/plan.ts'
import { startWorld, type World } from '../sandbox/world.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Progress is for people: standard output has measurements only. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** A plan with free ports for a benchmark's own world, so that it runs beside `npm start`. */
export function planOf(world: string, racks: readonly RackPlan[]): WorldPlan {
  return { world, region: 'bench-1', apiPort: 0, adminPort: 0, mtu: 1500, racks }
}

/**
 * Runs `body` in a new world and removes the world. A signal aborts the signal that `body` gets,
 * and ends this process once all is removed. Throws what startWorld and `body` throw.
 */
export async function withWorld(
  plan: WorldPlan,
  body: (world: World, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const end = new AbortController()
  let stoppedBy: NodeJS.Signals | null = null
  const stop = (signal: NodeJS.Signals): void => {
    stoppedBy ??= signal
    end.abort(new Error(`stopped by ${signal}`))
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  try {
    const options = { log: silentLog, progress: say, signal: end.signal }
    const world = await startWorld(plan, options)
    try {
      await body(world, end.signal)
    } finally {
      await world.stop()
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop)
    // Now with its usual effect: whoever started us sees what ended us.
    if (stoppedBy !== null) process.kill(process.pid, stoppedBy)
  }
}
