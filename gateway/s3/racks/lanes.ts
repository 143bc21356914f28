// The streams on which racks' hosts let themselves be asked for bytes: those that they offer to
// this gateway, and those of another gateway that are borrowed for one ask each. A rack that is
// slow keeps its own askers waiting, for a while, and nobody else.

import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Identity } from '../../../common/identity.ts'
import type { Log } from '../../../common/log.ts'
import type { StorageTarget } from '../../../proto/gen/mallee/v1/storage_pb.js'
import { connected, dial } from '../../../proto/service.ts'
import { type AskingLane, borrowLane, type Offered } from '../../../proto/storage.ts'
import { clientCredentials, type TlsIdentity } from '../../../proto/tls.ts'
import { leasesOf } from '../../federation/leases.ts'
import type { Sessions } from '../../federation/sessions.ts'
import { speakerFor } from '../../federation/speaks-for.ts'
import type { State } from '../../store/state.ts'

/** Streams of one host, and of those that wait for one. */
const MAX_LANES = 64
const MAX_BORROWED = 32
const MAX_WAITING = 256
const WAIT_MS = 10_000
/** For a connection to another gateway, at each of its addresses. */
const DIAL_MS = 5_000

export interface LanesParts {
  readonly state: Pick<State, 'view'>
  readonly sessions: Pick<Sessions, 'isOpen' | 'onChange'>
  /** This gateway's name, as leases have it. */
  readonly gateway: string
  readonly cloud: string
  readonly identity: () => TlsIdentity
  readonly clock: Clock
  readonly log: Log
}

/** Of one host. */
interface HostLanes {
  readonly idle: AskingLane[]
  /** Whoever waits for a stream, in turn; null: something else has changed. */
  readonly waiting: ((lane: AskingLane | null) => void)[]
  /** Offered here, idle or not. */
  open: number
  borrowed: number
}

export class RackLanes {
  readonly #parts: LanesParts
  readonly #hosts = new Map<string, HostLanes>()
  /** By the CC that brought them. */
  readonly #broughtBy = new Map<string, Set<AskingLane>>()
  readonly #gateways = new Map<string, grpc.Client>()
  readonly #off: () => void
  #arrived: () => void = () => undefined

  constructor(parts: LanesParts) {
    this.#parts = parts
    this.#off = parts.sessions.onChange(({ rack, host }, isOpen) => {
      if (!isOpen) this.#drop(`${rack}/${host}`, 'the session has ended')
    })
  }

  /** Takes a stream that a CC brings. Throws NotAllowed, TooManyRequests. */
  offered({ peer, keyFingerprint, host, lane }: Offered): Promise<void> {
    const { rack, cc } = this.#admit(peer, keyFingerprint, host)
    const known = this.#of(rack, host)
    if (known.open >= MAX_LANES) {
      throw new MalleeError(
        'TooManyRequests',
        `host ${host} of rack ${rack} offers too many streams`,
      )
    }
    known.open += 1
    const brought = this.#broughtBy.get(cc) ?? new Set()
    this.#broughtBy.set(cc, brought.add(lane))
    lane.gone.addEventListener('abort', () => {
      brought.delete(lane)
      known.open -= 1
      const at = known.idle.indexOf(lane)
      if (at >= 0) known.idle.splice(at, 1)
      if (known.open === 0) for (const wake of known.waiting.splice(0)) wake(null)
    })
    this.#free(known, lane)
    if (known.open === 1) this.#arrived()
    return Promise.resolve()
  }

  /** Called when a host that was away offers a stream. One listener. */
  onArrival(listener: () => void): void {
    this.#arrived = listener
  }

  /**
   * A stream of a host for one ask; `giveBack` must be called after it. Throws RackAway when there
   * is none, here or elsewhere, or none gets free in time.
   */
  async take(
    rack: string,
    host: string,
  ): Promise<{ readonly lane: AskingLane; readonly giveBack: () => void }> {
    const { clock } = this.#parts
    const known = this.#of(rack, host)
    const untilMs = clock.nowMs() + WAIT_MS
    for (let next = known.idle.pop() ?? null; ; ) {
      const lane = next
      if (lane?.gone.aborted === false) return { lane, giveBack: () => this.#free(known, lane) }
      if (known.open === 0 && known.borrowed < MAX_BORROWED) return this.#borrow(known, rack, host)
      next = await this.#turn(known, untilMs - clock.nowMs(), `host ${host} of rack ${rack}`)
    }
  }

  /** For another gateway, which must name this one. Throws NotAllowed, RackAway. */
  async lend(caller: Identity, { gateway, rack, host }: StorageTarget): Promise<AskingLane> {
    if (caller.kind !== 'gateway') throw new MalleeError('NotAllowed', 'only gateways may borrow')
    const isHere = (this.#hosts.get(`${rack}/${host}`)?.open ?? 0) > 0
    if (gateway !== this.#parts.gateway || !isHere) {
      const sentence = `gateway ${this.#parts.gateway} has no stream of host ${host} of rack ${rack}`
      throw new MalleeError('RackAway', sentence)
    }
    return (await this.take(rack, host)).lane
  }

  close(): void {
    this.#off()
    for (const cc of [...this.#broughtBy.keys()]) this.#drop(cc, 'the gateway stops')
    for (const connection of this.#gateways.values()) connection.close()
  }

  /** A rack's CC speaks for hosts of its own rack that may keep bytes, and for nobody else. */
  #admit(peer: Identity, fingerprint: string, host: string): { rack: string; cc: string } {
    const { state, sessions } = this.#parts
    const caller = { peer, keyFingerprint: fingerprint }
    const speaker = speakerFor(state.view(), sessions, caller, host)
    if (speaker !== null) return { rack: speaker.rack, cc: `${speaker.rack}/${speaker.cc}` }
    throw new MalleeError('NotAllowed', `nobody may offer the disks of host ${host} here`)
  }

  #of(rack: string, host: string): HostLanes {
    const name = `${rack}/${host}`
    const known = this.#hosts.get(name) ?? { idle: [], waiting: [], open: 0, borrowed: 0 }
    this.#hosts.set(name, known)
    return known
  }

  #free(known: HostLanes, lane: AskingLane): void {
    if (lane.gone.aborted) return
    const next = known.waiting.shift()
    if (next === undefined) known.idle.push(lane)
    else next(lane)
  }

  #drop(cc: string, why: string): void {
    const brought = this.#broughtBy.get(cc) ?? []
    this.#broughtBy.delete(cc)
    for (const lane of brought) lane.close(new MalleeError('RackAway', why))
  }

  /** A stream, or null when it is to be looked again. Throws RackAway when it takes too long. */
  async #turn(known: HostLanes, ms: number, whose: string): Promise<AskingLane | null> {
    const busy = new MalleeError('RackAway', `${whose} has too much to do`)
    if (known.waiting.length >= MAX_WAITING || ms <= 0) throw busy
    const woken = new AbortController()
    let given: AskingLane | null = null
    const wake = (lane: AskingLane | null): void => {
      given = lane
      woken.abort()
    }
    known.waiting.push(wake)
    await this.#parts.clock.sleep(ms, woken.signal)
    if (woken.signal.aborted) return given
    known.waiting.splice(known.waiting.indexOf(wake), 1)
    throw busy
  }

  async #borrow(known: HostLanes, rack: string, host: string) {
    known.borrowed += 1
    const giveBack = (): void => {
      known.borrowed -= 1
      known.waiting.shift()?.(null)
    }
    try {
      const lane = await this.#borrowElsewhere(rack, host)
      return {
        lane,
        giveBack: () => {
          lane.close()
          giveBack()
        },
      }
    } catch (error) {
      giveBack()
      throw error
    }
  }

  async #borrowElsewhere(rack: string, host: string): Promise<AskingLane> {
    const { state, gateway: own, log } = this.#parts
    const others = leasesOf(state.view(), rack).filter(({ gateway }) => gateway !== own)
    for (const { gateway, reachedAt = [] } of others) {
      for (const { host: address, port } of reachedAt) {
        try {
          return borrowLane(await this.#connect(address, port), { gateway, rack, host })
        } catch (error) {
          log.debug('no way to a gateway', { gateway, host: address, port, error })
        }
      }
    }
    throw new MalleeError('RackAway', `host ${host} of rack ${rack} is away`)
  }

  /** Open already, or dialled. Throws Unavailable. */
  async #connect(host: string, port: number): Promise<grpc.Client> {
    const { cloud, identity, clock } = this.#parts
    const name = `${host} ${port}`
    const known = this.#gateways.get(name)
    const isMeant = (peer: Identity): boolean => peer.kind === 'gateway' && peer.cloud === cloud
    const connection = known ?? dial(host, port, clientCredentials(identity(), isMeant))
    this.#gateways.set(name, connection)
    try {
      await connected(connection, clock.nowMs() + DIAL_MS)
      return connection
    } catch (error) {
      if (this.#gateways.get(name) === connection) this.#gateways.delete(name)
      connection.close()
      throw error
    }
  }
}
