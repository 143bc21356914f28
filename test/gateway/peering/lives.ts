// Two clouds whose gateways do everything about peering step by step: each has a store, a CA and
// EC2's calls. What goes between them can be cut at any message, and either killed at a commit.

import assert from 'node:assert/strict'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { codeOf, MalleeError } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import { createCa } from '../../../common/pki.ts'
import { tendPeers } from '../../../gateway/peering/acts.ts'
import { tendConnections } from '../../../gateway/peering/connections.ts'
import {
  comparePosition,
  type DeliveringParts,
  deliverStep,
  forgetOldChains,
} from '../../../gateway/peering/deliver.ts'
import { heard } from '../../../gateway/peering/heard.ts'
import { accepted, inspected } from '../../../gateway/peering/invitations.ts'
import { positionOf } from '../../../gateway/peering/positions.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import type { State } from '../../../gateway/store/state.ts'
import {
  DeliverRequestSchema,
  DeliverResponseSchema,
  PositionResponseSchema,
} from '../../../proto/gen/mallee/v1/peering_pb.js'
import { invitationService } from '../../../proto/invitation-service.ts'
import { startRpcServer } from '../../../proto/server.ts'
import type { Ending } from '../../support/cloud.ts'
import { openCloud } from '../ec2/support.ts'
import { handClock } from '../store/states.ts'
import { gatewayIdentity } from './clouds.ts'
import { Half, type HandClock, hastyClock } from './half.ts'
import { type Fate, type Kept, Killed, mortal } from './memory-store.ts'

/** Where something is cut, counted from the last `restore`. */
export type Cut =
  | { readonly at: 'message'; readonly n: number; readonly lost: 'request' | 'answer' }
  | { readonly at: 'commit'; readonly n: number; readonly fate: Exclude<Fate, 'done'> }

/** A batch that went, and to whom. */
export interface Sent {
  readonly to: Half
  readonly batch: Uint8Array
}

export interface Moment {
  readonly east: Kept
  readonly west: Kept
  readonly nowMs: number
}

/** As often as the loops compare positions. */
const COMPARE_MS = 30_000
const HINT_MS = 3_000
/** Longer than a gateway's turn, and than another waits to go on with the end of a peer. */
const OUTAGE_MS = 61_000
const MAX_ROUNDS = 60
const MAX_LINKS = 100
/** What stands in the way without being a fault: nobody answers, or has ended it. */
const OUTAGES: readonly unknown[] = ['Unavailable', 'NotAllowed']

export class World {
  readonly east: Half
  readonly west: Half
  readonly #clock: HandClock
  /** Called whenever either store has changed. */
  check: () => void = () => undefined
  cut: Cut | null = null
  /** Nothing gets through in either direction. */
  isDown = false
  messages = 0
  /** Whose they were, one after the other. */
  readonly commits: Half[] = []
  /** Since then, too. */
  readonly sent: Sent[] = []

  private constructor(east: Half, west: Half, clock: HandClock) {
    this.east = east
    this.west = west
    this.#clock = clock
  }

  static async open(t: Ending): Promise<World> {
    const clock = handClock()
    clock.set(systemClock.nowMs())
    const halfOf = async (name: string): Promise<Half> => {
      const ca = await createCa({ cloud: 'test', nowMs: clock.nowMs() })
      return new Half(name, await gatewayIdentity(ca, 'test'), clock)
    }
    const world = new World(await halfOf('east'), await halfOf('west'), clock)
    for (const half of world.halves) await world.#begin(t, half)
    return world
  }

  get halves(): readonly [Half, Half] {
    return [this.east, this.west]
  }

  other(half: Half): Half {
    return half === this.east ? this.west : this.east
  }

  keep(): Moment {
    const nowMs = this.#clock.nowMs()
    return { east: this.east.store.keep(), west: this.west.store.keep(), nowMs }
  }

  /** Both as they were then, with this cut to come. */
  async restore(moment: Moment, cut: Cut | null): Promise<void> {
    this.check = () => undefined
    this.#clock.set(moment.nowMs)
    this.cut = null
    this.isDown = false
    for (const half of this.halves) await this.bringBack(half, moment)
    this.cut = cut
    this.messages = 0
    this.commits.length = 0
    this.sent.length = 0
  }

  /** One of them as it was then; what time it is does not change. */
  async bringBack(half: Half, moment: Moment): Promise<void> {
    await half.store.bringBack(half === this.east ? moment.east : moment.west)
    if (half.isDead) await half.cloud.restart()
    half.comparedAtMs = 0
    await half.state.fresh()
    await half.observer.fresh()
  }

  /** What was cut is whole again, and whoever was killed lives. */
  async heal(): Promise<void> {
    this.cut = null
    this.isDown = false
    this.pass(OUTAGE_MS)
    for (const half of this.halves) if (half.isDead) await half.cloud.restart()
  }

  pass(ms: number): void {
    this.#clock.set(this.#clock.nowMs() + ms)
  }

  /** Both turn until neither writes anything any more. */
  async settle(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const before = this.east.store.newest + this.west.store.newest
      for (const half of this.halves) await this.turn(half)
      this.pass(1_000)
      if (before === this.east.store.newest + this.west.store.newest) return
    }
    assert.fail('the two do not come to rest')
  }

  /** One pass of all that a gateway does about peers by itself. */
  async turn(half: Half): Promise<void> {
    if (half.isDead) return
    const { state, clock } = half
    try {
      await tendPeers({ state, clock, log: silentLog })
      await tendConnections({ state, clock, chance: () => 0, log: silentLog })
      for (const { uid } of state.view().all('peer')) await this.#exchange(half, uid)
    } catch (error) {
      if (!isOutage(error)) throw error
    }
  }

  /** True when the other knows all that is stated now. */
  async tell(half: Half, uid: string): Promise<boolean> {
    try {
      return await this.#deliver(half, uid)
    } catch (error) {
      if (error instanceof Killed || !isOutage(error)) throw error
      return false
    }
  }

  /** As exchange.ts does it. */
  async #exchange(half: Half, uid: string): Promise<void> {
    await this.#deliver(half, uid)
    if (this.#clock.nowMs() - half.comparedAtMs >= COMPARE_MS) {
      await comparePosition(this.#parts(half), uid)
      half.comparedAtMs = this.#clock.nowMs()
      await this.#deliver(half, uid)
    }
    await forgetOldChains(half.state, uid)
  }

  async #deliver(half: Half, uid: string): Promise<boolean> {
    for (let links = 0; links < MAX_LINKS; links++) {
      const step = await deliverStep(this.#parts(half), uid)
      if (step !== 'went') return step === 'idle'
    }
    return assert.fail('there is no end of links')
  }

  #parts(half: Half): DeliveringParts {
    const { state, gateway, clock } = half
    const { signal } = new AbortController()
    return { state, gateway, clock, randomHex, connection: this.#connection(half), signal }
  }

  #connection(half: Half): DeliveringParts['connection'] {
    const to = this.other(half)
    return {
      deliver: async (_to, batch) => {
        this.sent.push({ to, batch })
        const clockMs = BigInt(this.#clock.nowMs())
        const request = toBinary(
          DeliverRequestSchema,
          create(DeliverRequestSchema, { batch, clockMs }),
        )
        const answer = await this.#carry(to, async () =>
          toBinary(DeliverResponseSchema, await this.hear(to, request)),
        )
        return fromBinary(DeliverResponseSchema, answer)
      },
      position: async () => {
        const answer = await this.#carry(to, async () => {
          if (this.#clock.nowMs() - to.comparedAtMs >= HINT_MS) to.comparedAtMs = 0
          return toBinary(PositionResponseSchema, await positionOf(to, half.uid))
        })
        return fromBinary(PositionResponseSchema, answer)
      },
    }
  }

  /** As its port takes a request from the other cloud. */
  hear(half: Half, request: Uint8Array) {
    const { state, clock, identity } = half
    const parts = { state, clock, identity: () => identity, log: silentLog }
    return heard(parts, this.other(half).uid, fromBinary(DeliverRequestSchema, request))
  }

  /** One message and its answer. */
  async #carry<T>(to: Half, call: () => Promise<T>): Promise<T> {
    this.messages += 1
    const lost = this.cut?.at === 'message' && this.cut.n === this.messages ? this.cut.lost : null
    if (lost !== null) this.isDown = true
    if (lost === 'answer') await call().catch(() => undefined)
    if (this.isDown || to.isDead) throw new MalleeError('Unavailable', 'nobody answers there')
    try {
      return await call()
    } catch (error) {
      if (error instanceof Killed) throw new MalleeError('Unavailable', 'nobody answers there')
      throw error
    }
  }

  #fate(half: Half): Fate {
    this.commits.push(half)
    return this.cut?.at === 'commit' && this.cut.n === this.commits.length ? this.cut.fate : 'done'
  }

  async #begin(t: Ending, half: Half): Promise<void> {
    const { store, clock } = half
    const openStore = async () => {
      half.isDead = false
      half.comparedAtMs = 0
      half.gateway = `${half.name}-${randomHex(4)}`
      return mortal(
        store,
        () => this.#fate(half),
        () => {
          half.isDead = true
        },
      )
    }
    half.cloud = await openCloud(t, { racks: ['a'], openStore, clock })
    half.observer = await this.#observe(half)
    const service = invitationService(
      {
        inspect: (request) => this.#carry(half, () => inspected(half.inviting, request)),
        accept: (request) => this.#carry(half, () => accepted(half.inviting, request)),
      },
      { clock: hastyClock(), log: silentLog },
    )
    const join = await startRpcServer({
      ...{ sessionAddress: '127.0.0.1:0', joinAddress: '127.0.0.1:0' },
      ...{ sessionServices: [], joinServices: [service] },
      ...{ identity: half.identity, log: silentLog },
    })
    half.join = join
    t.after(async () => {
      await join.close()
      await half.observer.close()
    })
  }

  async #observe({ store, clock }: Half): Promise<State> {
    const state = await openState({ store, clock, log: silentLog })
    state.onChange(() => this.check())
    return state
  }
}

export function isOutage(error: unknown): boolean {
  return error instanceof Killed || OUTAGES.includes(codeOf(error))
}
