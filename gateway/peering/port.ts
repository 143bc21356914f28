// The peering port of this gateway: it listens as soon as there is a peer cloud or an invitation,
// trusts the CAs of all peers, and says in the store where it is reached.

import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { Loop } from '../../common/reconcile.ts'
import type { HostAndPort } from '../../common/token.ts'
import { PeeringServer } from '../../proto/peering-server.ts'
import type { PeeringRpc } from '../../proto/peering-service.ts'
import { address } from '../../proto/service.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import type { State, View } from '../store/state.ts'

export interface PeeringPortParts {
  readonly state: State
  readonly service: PeeringRpc
  readonly identity: () => TlsIdentity
  readonly listen: HostAndPort
  /** Where other clouds reach a port of this gateway, the best first. */
  readonly reachedAt: (port: number) => readonly HostAndPort[]
  readonly clock: Clock
  readonly chance: () => number
  readonly log: Log
}

const EVERY_MS = 60_000
const RENEW_MS = 10 * 60_000
/** A gateway that has not said so for as long is gone. */
const GONE_MS = 60 * 60_000

export class PeeringPort {
  readonly #parts: PeeringPortParts
  readonly #server: PeeringServer
  readonly #loop: Loop
  readonly #off: () => void
  /** Changes of the server follow one another. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: PeeringPortParts) {
    const { state, service, listen, clock, chance, log } = parts
    this.#parts = parts
    this.#server = new PeeringServer(address(listen.host, listen.port), service)
    const pass = () => this.#ensure(false)
    this.#loop = new Loop({ name: 'peering port', pass, everyMs: EVERY_MS, clock, chance, log })
    this.#off = state.onChange((changes) => {
      if (changes.some(({ key }) => /^peer(?:-invitation)?\//.test(key))) this.#loop.wake()
    })
    this.#loop.start()
  }

  /** Resolves when it listens and the store says where. Throws Unavailable. */
  async listening(): Promise<void> {
    await this.#ensure(true)
  }

  async stop(): Promise<void> {
    this.#off()
    await this.#loop.stop()
    await this.#turn
    await this.#server.close()
  }

  #ensure(isWanted: boolean): Promise<void> {
    const turn = this.#turn.then(() => this.#show(isWanted))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #show(isWanted: boolean): Promise<void> {
    const { state, identity, clock } = this.#parts
    const view = state.view()
    if (!isWanted && this.#server.port() === 0 && !hasUse(view, clock.nowMs())) return
    const own = identity()
    // With its own CA among them there is always one: with none, Node trusts everybody's.
    const pins = view.all('peer').flatMap(({ ca }) => ca.certificates)
    await this.#server.show(own, [own.caPem, ...new Set(pins)])
    await this.#say()
  }

  async #say(): Promise<void> {
    const { state, clock, reachedAt, log } = this.#parts
    const endpoints = reachedAt(this.#server.port()).map(({ host, port }) => address(host, port))
    const [first] = endpoints
    if (first === undefined) return
    const nowMs = clock.nowMs()
    const view = state.view()
    const before = view.get('peering-endpoint', first)
    const isSaid = before?.endpoints.join() === endpoints.join()
    const gone = view
      .all('peering-endpoint')
      .filter(({ renewedAtMs }) => nowMs - renewedAtMs > GONE_MS)
      .flatMap(({ endpoints: [key] }) => (key === undefined || key === first ? [] : [key]))
    if (isSaid && nowMs - before.renewedAtMs < RENEW_MS && gone.length === 0) return
    if (!isSaid) log.info('peering port', { endpoints })
    await state.update(async (tx) => {
      await tx.put('peering-endpoint', [first], { endpoints, renewedAtMs: nowMs })
      for (const key of gone) await tx.delete('peering-endpoint', key)
    })
  }
}

function hasUse(view: View, nowMs: number): boolean {
  const isOpen = ({ expiresAtMs }: { readonly expiresAtMs: number }) => expiresAtMs > nowMs
  return view.all('peer').length > 0 || view.all('peer-invitation').some(isOpen)
}
