// A loop for each peer cloud: whenever what this side states may have changed, and every so often,
// it tells the difference. What fails is tried again, later each time; weeks of silence are fine.

import type { Clock, RandomHex } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { Loop } from '../../common/reconcile.ts'
import type { Receipt } from '../../proto/gen/mallee/v1/peering_pb.js'
import { PeerConnection } from '../../proto/peering-client.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import type { AppliedChange, State } from '../store/state.ts'
import { concerned } from './concerned.ts'
import {
  addressOf,
  comparePosition,
  type DeliveringParts,
  deliverStep,
  forgetOldChains,
} from './deliver.ts'

export interface ExchangeParts {
  readonly state: State
  readonly gateway: string
  readonly identity: () => TlsIdentity
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly chance: () => number
  readonly log: Log
  /** A link went, or was refused or not answered. */
  readonly delivered: (outcome: 'went' | 'failed') => void
}

/** Without a change: to find a side that came back from a backup, and what time alone changes. */
const EVERY_MS = 30_000
const RETRY_MS = { first: 250, last: 60_000 }
const HINT_MS = 3_000
const RECEIPTS_MS = 20_000
/** Until it is looked at again whether another gateway has sent it. */
const BUSY_MS = 200
/** Links that one pass sends; the next one goes on. */
const MAX_STEPS = 100
/** After a pass: the other side takes a few links a second, and many changes make one. */
const PAUSE_MS = 250
interface Line {
  readonly loop: Loop
  /** When it was last asked where the chain stands there. */
  comparedAtMs: number
  readonly end: AbortController
  readonly connection: PeerConnection
}

export class Exchange {
  readonly #parts: ExchangeParts
  readonly #lines = new Map<string, Line>()
  readonly #off: () => void

  constructor(parts: ExchangeParts) {
    this.#parts = parts
    this.#off = parts.state.onChange((changes) => this.#changed(changes))
    this.#follow()
  }

  /** Why the other was not told all; null when it was, or nothing was tried yet. */
  trouble(uid: string): string | null {
    return this.#lines.get(uid)?.loop.trouble() ?? null
  }

  /** The other has just asked where its chain stands: it may have come back from somewhere. */
  hint(uid: string): void {
    const line = this.#lines.get(uid)
    // Not in answer to each other for ever.
    if (line === undefined || this.#parts.clock.nowMs() - line.comparedAtMs < HINT_MS) return
    line.comparedAtMs = 0
    line.loop.wake()
  }

  /** Of one chain; throws what the other refuses with, or Unavailable. */
  async receipts(uid: string, epoch: string, after: number): Promise<readonly Receipt[]> {
    const { state, identity, clock } = this.#parts
    const peer = (await state.fresh()).get('peer', uid)
    if (peer === null) return []
    const connection = new PeerConnection(identity, clock)
    const signal = AbortSignal.timeout(RECEIPTS_MS)
    try {
      const of = Buffer.from(epoch, 'hex')
      return (await connection.receipts(addressOf(peer), of, after, signal)).receipts
    } finally {
      connection.close()
    }
  }

  /** Whether the other has given a receipt for all that is stated now, within so long. */
  async tell(uid: string, withinMs: number): Promise<boolean> {
    const { identity, clock, log } = this.#parts
    const connection = new PeerConnection(identity, clock)
    const parts = { ...this.#parts, connection, signal: AbortSignal.timeout(withinMs) }
    try {
      while (!parts.signal.aborted) {
        const step = await deliverStep(parts, uid)
        if (step === 'idle') return true
        // The loop of this peer, or another gateway, is sending the same.
        if (step === 'busy') await clock.sleep(BUSY_MS, parts.signal)
      }
    } catch (error) {
      log.info('peer not told', { uid, error })
    } finally {
      connection.close()
    }
    return false
  }

  async stop(): Promise<void> {
    this.#off()
    await Promise.all([...this.#lines.keys()].map((uid) => this.#end(uid)))
  }

  #changed(changes: readonly AppliedChange[]): void {
    if (changes.some(({ key }) => /^peer\//.test(key))) this.#follow()
    if (this.#lines.size === 0) return
    const view = this.#parts.state.view()
    const uids = new Set(changes.flatMap((change) => concerned(view, change)))
    for (const uid of uids) this.#lines.get(uid)?.loop.wake()
  }

  /** A line for each peer there is. */
  #follow(): void {
    const peers = new Set(
      this.#parts.state
        .view()
        .all('peer')
        .map(({ uid }) => uid),
    )
    for (const uid of this.#lines.keys()) if (!peers.has(uid)) void this.#end(uid)
    for (const uid of peers) if (!this.#lines.has(uid)) this.#begin(uid)
  }

  #begin(uid: string): void {
    const { state, identity, clock, chance, log } = this.#parts
    const end = new AbortController()
    const connection = new PeerConnection(identity, clock)
    const parts = { ...this.#parts, connection, signal: end.signal }
    const pass = async (): Promise<void> => {
      await this.#deliver(parts, uid)
      if (clock.nowMs() - line.comparedAtMs >= EVERY_MS) {
        await comparePosition(parts, uid)
        line.comparedAtMs = clock.nowMs()
        await this.#deliver(parts, uid)
      }
      await forgetOldChains(state, uid)
      await clock.sleep(PAUSE_MS, end.signal)
    }
    const options = { everyMs: EVERY_MS, retryMs: RETRY_MS, mayBeOut: true, clock, chance, log }
    const loop = new Loop({ ...options, name: `peer ${uid}`, pass })
    const line: Line = { loop, end, connection, comparedAtMs: 0 }
    this.#lines.set(uid, line)
    loop.start()
  }

  async #deliver(parts: DeliveringParts, uid: string): Promise<void> {
    const { delivered } = this.#parts
    try {
      for (let i = 0; i < MAX_STEPS && !parts.signal.aborted; i++) {
        const step = await deliverStep(parts, uid)
        if (step === 'idle') return
        if (step === 'went') delivered('went')
        else await this.#parts.clock.sleep(BUSY_MS, parts.signal)
      }
    } catch (error) {
      if (parts.signal.aborted) return
      delivered('failed')
      throw error
    }
  }

  async #end(uid: string): Promise<void> {
    const line = this.#lines.get(uid)
    this.#lines.delete(uid)
    line?.end.abort()
    await line?.loop.stop()
    line?.connection.close()
  }
}
