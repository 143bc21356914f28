// Which nodes of a rack have which images, as they said themselves. Who does not say it again is
// forgotten.

import type { Clock } from '../../common/clock.ts'
import type { Neighbour } from '../../proto/neighbours.ts'

interface Holder {
  readonly address: string
  readonly port: number
  readonly saidAtMs: number
  /** By digest: is it whole? */
  readonly images: ReadonlyMap<string, boolean>
}

const KEPT_MS = 60_000
/** Named to one who asks; more would not make it faster. */
const MAX_NAMED = 8

export class Holders {
  readonly #clock: Clock
  readonly #byHost = new Map<string, Holder>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  set(host: string, said: Omit<Holder, 'saidAtMs'>): void {
    this.#byHost.set(host, { ...said, saidAtMs: this.#clock.nowMs() })
  }

  /** Who has an image, or parts of it, besides the one who asks; those with all of it first. */
  of(sha256: string, asking: string): Neighbour[] {
    const beforeMs = this.#clock.nowMs() - KEPT_MS
    const found: Neighbour[] = []
    for (const [host, { address, port, saidAtMs, images }] of this.#byHost) {
      if (saidAtMs < beforeMs) this.#byHost.delete(host)
      const whole = images.get(sha256)
      if (saidAtMs < beforeMs || whole === undefined || host === asking) continue
      found.push({ host, address, port, whole })
    }
    return found.sort((a, b) => Number(b.whole) - Number(a.whole)).slice(0, MAX_NAMED)
  }
}
