// Connections for image bytes: apart from the session's, so that no heartbeat waits behind them.

import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../../common/clock.ts'
import { codeOf } from '../../common/errors.ts'
import { address, dial } from '../../proto/service.ts'
import type { Endpoint } from '../../proto/session-client.ts'
import { clientCredentials, type Expect, type TlsIdentity } from '../../proto/tls.ts'

interface Link {
  readonly client: grpc.Client
  readonly certificatePem: string
  usedAtMs: number
  busy: number
}

const IDLE_MS = 60_000

export class Links {
  readonly #identity: () => TlsIdentity
  readonly #clock: Clock
  readonly #links = new Map<string, Link>()

  constructor(identity: () => TlsIdentity, clock: Clock) {
    this.#identity = identity
    this.#clock = clock
  }

  /** Runs a call on a connection to somebody; dials anew after a failure of the connection. */
  async use<T>(
    { host, port }: Endpoint,
    expect: Expect,
    call: (client: grpc.Client) => Promise<T>,
  ): Promise<T> {
    const name = address(host, port)
    const link = this.#link(name, { host, port }, expect)
    link.busy += 1
    try {
      return await call(link.client)
    } catch (error) {
      // gRPC waits longer and longer before it dials again by itself.
      if (codeOf(error) === 'Unavailable') this.#drop(name, link)
      throw error
    } finally {
      link.busy -= 1
      link.usedAtMs = this.#clock.nowMs()
      this.#dropIdle()
    }
  }

  close(): void {
    for (const [name, link] of this.#links) this.#drop(name, link)
  }

  #link(name: string, { host, port }: Endpoint, expect: Expect): Link {
    const identity = this.#identity()
    const { certificatePem } = identity
    const known = this.#links.get(name)
    if (known?.certificatePem === certificatePem) return known
    const client = dial(host, port, clientCredentials(identity, expect))
    const link = { client, certificatePem, usedAtMs: this.#clock.nowMs(), busy: 0 }
    this.#links.set(name, link)
    return link
  }

  #drop(name: string, link: Link): void {
    if (this.#links.get(name) === link) this.#links.delete(name)
    link.client.close()
  }

  #dropIdle(): void {
    const beforeMs = this.#clock.nowMs() - IDLE_MS
    for (const [name, link] of this.#links) {
      if (link.busy === 0 && link.usedAtMs < beforeMs) this.#drop(name, link)
    }
  }
}
