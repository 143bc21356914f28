// Time and chance. The real ones are made here and nowhere else; everybody else takes them as
// arguments, so that a test can hold them still.

import { randomBytes } from 'node:crypto'

/** How far a host's clock may be from its gateway's when it joins, in milliseconds. */
export const MAX_JOIN_SKEW_MS = 5 * 60_000

export interface Clock {
  /** Milliseconds since 1970, UTC. */
  readonly nowMs: () => number
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
}

/** `bytes` random bytes as lower-case hex. */
export type RandomHex = (bytes: number) => string

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const timer = setTimeout(done, ms)
      function done(): void {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      signal?.addEventListener('abort', done, { once: true })
    }),
}

/** From 0 up to 1, to spread what many would do at once. Not for secrets. */
export const chance = (): number => Math.random()

export const randomHex: RandomHex = (bytes) => randomBytes(bytes).toString('hex')
