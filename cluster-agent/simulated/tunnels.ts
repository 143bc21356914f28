// Tunnels to other CCs as a model: each is heard at once.

import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import {
  type Status,
  StatusSchema,
  TunnelStatusSchema,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'

export class SimulatedTunnels {
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #held = new Map<string, { rack: string; host: string; atMs: number }>()

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  follow(desired: Desired): void {
    const wanted = bodies(desired, 'tunnel')
    const keys = new Set(wanted.map((one) => `tunnel/${one.rack}/${one.host}`))
    for (const { rack, host } of wanted) {
      const key = `tunnel/${rack}/${host}`
      if (!this.#held.has(key)) this.#held.set(key, { rack, host, atMs: this.#clock.nowMs() })
    }
    for (const key of this.#held.keys()) if (!keys.has(key)) this.#held.delete(key)
  }

  statuses(): Status[] {
    return [...this.#held].map(([key, { rack, host, atMs }]) => {
      const latestHandshakeMs = BigInt(atMs)
      const fields = { rack, host, latestHandshakeMs, receivedBytes: 1n, sentBytes: 1n }
      const value = create(TunnelStatusSchema, fields)
      return create(StatusSchema, { key, body: { case: 'tunnel', value } })
    })
  }
}
