// How often somebody may ask: a token bucket for each source. For ports that strangers can reach.

import type { Clock } from '../common/clock.ts'

/** Requests that one source may send at once, and how many more each second. */
export interface Rate {
  readonly burst: number
  readonly perSecond: number
}

/** Of the join port, where anybody may knock. */
export const JOIN_RATE: Rate = { burst: 60, perSecond: 5 }

const MAX_SOURCES = 10_000

/** A token bucket per source. */
export class RateLimit {
  readonly #clock: Clock
  readonly #rate: Rate
  /** The source that was heard longest ago first. */
  readonly #buckets = new Map<string, { left: number; atMs: number }>()

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock
    this.#rate = rate
  }

  take(source: string): boolean {
    const nowMs = this.#clock.nowMs()
    const { burst, perSecond } = this.#rate
    const { left, atMs } = this.#buckets.get(source) ?? { left: burst, atMs: nowMs }
    const gained = (Math.max(0, nowMs - atMs) / 1000) * perSecond
    const full = Math.min(burst, left + gained)
    const allowed = full >= 1
    this.#buckets.delete(source)
    this.#buckets.set(source, { left: allowed ? full - 1 : full, atMs: nowMs })
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MAX_SOURCES) break
      this.#buckets.delete(oldest)
    }
    return allowed
  }
}

/** `1.2.3.4:5` is 1.2.3.4; of an IPv6 address the /64, which one customer has. */
export function sourceOf(peer: string): string {
  const host = peer
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .replace(/^::ffff:/, '')
  if (!host.includes(':')) return host
  const [head = '', tail] = host.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) while (groups.length < 4) groups.push('0')
  return `${groups.slice(0, 4).join(':')}::/64`
}
