// Tunnels to customers' own devices as a model: each is up at once, at an address of its host's.

import { createHash } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import { type VpnLink, VpnLinkStatusSchema } from '../../proto/gen/mallee/v1/border_pb.js'
import { type Status, StatusSchema } from '../../proto/gen/mallee/v1/observed_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'

export interface SimulatedVpnsOptions {
  readonly host: string
  readonly clock: Pick<Clock, 'nowMs'>
  /** Of the host's own tunnels: keys and address are made of it. */
  readonly publicKey: string
}

export class SimulatedVpns {
  readonly #options: SimulatedVpnsOptions
  readonly #address: string
  #links: readonly VpnLink[] = []
  readonly #upSinceMs = new Map<number, number>()

  constructor(options: SimulatedVpnsOptions) {
    this.#options = options
    // Hosts differ, as the ends of a connection do (RFC 2544: a network for measurements alone).
    const [a, b] = createHash('sha256').update(options.publicKey).digest()
    this.#address = `198.18.${a}.${b}`
  }

  follow(desired: Desired): void {
    const { host, clock } = this.#options
    this.#links = bodies(desired, 'vpnLink').filter((link) => link.host === host)
    const numbers = new Set(this.#links.map(({ number }) => number))
    const nowMs = clock.nowMs()
    for (const number of numbers) {
      if (!this.#upSinceMs.has(number)) this.#upSinceMs.set(number, nowMs)
    }
    for (const number of this.#upSinceMs.keys()) {
      if (!numbers.has(number)) this.#upSinceMs.delete(number)
    }
  }

  statuses(): Status[] {
    return this.#links.map(({ number, kind }) => {
      const port = kind.case === 'wireguard' ? `:${kind.value.listenPort}` : ''
      const value = create(VpnLinkStatusSchema, {
        number,
        host: this.#options.host,
        publicKey: kind.case === 'wireguard' ? this.#keyOf(number) : '',
        endpoints: [`${this.#address}${port}`],
        up: true,
        changedAtMs: BigInt(this.#upSinceMs.get(number) ?? 0),
      })
      return create(StatusSchema, { key: `vpn/${number}`, body: { case: 'vpnLink', value } })
    })
  }

  #keyOf(number: number): string {
    const { publicKey } = this.#options
    return createHash('sha256').update(`${publicKey} vpn ${number}`).digest('base64')
  }
}
