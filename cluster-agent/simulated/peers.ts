// Tunnels to peer clouds as a model: each link has a key at once, and hears each border at once.

import { createHash } from 'node:crypto'
import type { Clock } from '../../common/clock.ts'
import type { PeerLink } from '../../proto/gen/mallee/v1/border_pb.js'
import type { Status } from '../../proto/gen/mallee/v1/observed_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'
import { peerLinkStatus } from '../cc/statuses.ts'

/** What a real one rounds to. */
const MINUTE_MS = 60_000

export interface SimulatedPeersOptions {
  readonly host: string
  readonly clock: Pick<Clock, 'nowMs'>
  /** Of the host's own tunnels: those to peers are made of it. */
  readonly publicKey: string
}

export class SimulatedPeers {
  readonly #options: SimulatedPeersOptions
  #links: readonly PeerLink[] = []
  /** By key of the border's. */
  readonly #heardSinceMs = new Map<string, number>()

  constructor(options: SimulatedPeersOptions) {
    this.#options = options
  }

  follow(desired: Desired): void {
    this.#links = bodies(desired, 'peerLink')
    const keys = new Set(
      this.#links.flatMap(({ borders }) => borders.map(({ publicKey }) => publicKey)),
    )
    const nowMs = Math.floor(this.#options.clock.nowMs() / MINUTE_MS) * MINUTE_MS
    for (const key of keys) if (!this.#heardSinceMs.has(key)) this.#heardSinceMs.set(key, nowMs)
    for (const key of this.#heardSinceMs.keys()) {
      if (!keys.has(key)) this.#heardSinceMs.delete(key)
    }
  }

  statuses(): Status[] {
    return this.#links.map((desired) => {
      const { number, listenPort, mtu } = desired
      const borders = new Map(
        [...this.#heardSinceMs].map(([key, upSinceMs]) => {
          const path = { kind: 'mtu', bytes: mtu } as const
          return [key, { upSinceMs, path }] as const
        }),
      )
      return peerLinkStatus(this.#options.host, {
        ...{ desired, borders, publicKey: this.#keyOf(number), trouble: '' },
        endpoints: [`192.0.2.1:${listenPort}`],
      })
    })
  }

  #keyOf(number: number): string {
    const { publicKey } = this.#options
    return createHash('sha256').update(`${publicKey} ${number}`).digest('base64')
  }
}
