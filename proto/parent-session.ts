// One session as the parent lives it: admits the agent, keeps its desired state coming, stores its
// reports, asks it things.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import type { Identity } from '../common/identity.ts'
import type { Log } from '../common/log.ts'
import { commandTimeoutMs } from './commands.ts'
import type { Status } from './gen/mallee/v1/observed_pb.js'
import {
  type Command,
  type CommandResult,
  type Hello,
  type SessionRequest,
  type SessionResponse,
  SessionResponseSchema,
} from './gen/mallee/v1/session_pb.js'
import { Outbox } from './outbox.ts'
import { ReportParts, updateParts } from './parts.ts'
import { Pulse } from './pulse.ts'
import { errorToStatus } from './service.ts'
import { negotiateProtocol, type OpenSession, type ParentEnd } from './session.ts'

export interface SessionTiming {
  readonly clock: Clock
  readonly log: Log
  readonly heartbeatMs: number
  readonly leaseMs: number
}

export interface ParentSessionParts extends SessionTiming {
  readonly parent: ParentEnd
  readonly agent: Identity
  /** Of the key of the agent's certificate. */
  readonly keyFingerprint: string
  /**
   * Called once the agent is admitted, before its welcome: ends an older session of the same agent.
   */
  readonly supersede: (session: ParentSession) => void
  readonly ended: (session: ParentSession) => void
}

type ResponseBody = NonNullable<MessageInitShape<typeof SessionResponseSchema>['body']>
type SessionCall = grpc.ServerDuplexStream<SessionRequest, SessionResponse>

/** Before its hello, while it is being admitted, and from its welcome on. */
type Stage = 'new' | 'greeted' | 'open'

interface Asked {
  readonly answer: (result: CommandResult) => void
  readonly fail: (error: MalleeError) => void
}

const HELLO_MS = 10_000
const LEAVE_MS = 3_000
const REDIAL_AFTER_MS = 500
const MAX_ASKED = 64
const MAX_WAITING_REPORTS = 4
const NOTABLE_SKEW_MS = 60_000

export class ParentSession implements OpenSession {
  readonly #parts: ParentSessionParts
  readonly #call: SessionCall
  readonly #outbox: Outbox<SessionResponse>
  readonly #ended = new AbortController()
  readonly #reports = new ReportParts()
  readonly #asked = new Map<string, Asked>()
  readonly #pulse: Pulse
  #stage: Stage = 'new'
  #reporting: Promise<void> = Promise.resolve()
  #waitingReports = 0
  #sequence = 0n
  /** The generation that was sent and not acknowledged yet, and who waits for that. */
  #unacknowledged: { readonly generation: number; readonly done: () => void } | null = null

  constructor(call: SessionCall, parts: ParentSessionParts) {
    this.#parts = parts
    this.#call = call
    this.#outbox = new Outbox(call)
    call.on('data', (frame: SessionRequest) => this.#guard(() => this.#receive(frame)))
    call.on('end', () => this.end(null))
    call.on('cancelled', () => this.end(null))
    call.on('error', () => this.end(null))
    this.#pulse = new Pulse({
      clock: parts.clock,
      idle: () => this.#outbox.idle(),
      beat: (value) => this.#send({ case: 'heartbeat', value }),
      silent: () => this.#fail('agent silent', this.#gone()),
    })
    this.#pulse.start(HELLO_MS, HELLO_MS)
  }

  get agent(): Identity {
    return this.#parts.agent
  }

  async command(command: Command): Promise<CommandResult> {
    if (this.#ended.signal.aborted) throw this.#gone()
    if (this.#asked.has(command.id) || this.#asked.size >= MAX_ASKED) {
      throw new MalleeError('TooManyRequests', `command ${command.id}: ${this.#asked.size} wait`)
    }
    const done = new AbortController()
    try {
      const answer = new Promise<CommandResult>((resolve, reject) => {
        this.#asked.set(command.id, { answer: resolve, fail: reject })
      })
      this.#send({ case: 'command', value: command })
      return await Promise.race([answer, this.#expiry(command, done.signal)])
    } finally {
      done.abort()
      this.#asked.delete(command.id)
    }
  }

  async close(reason: string): Promise<void> {
    const { clock } = this.#parts
    this.#guard(() =>
      this.#send({ case: 'goodbye', value: { reason, redialAfterMs: REDIAL_AFTER_MS } }),
    )
    await clock.sleep(LEAVE_MS, this.#ended.signal)
    this.end(null)
  }

  /** Ends the stream at once, with the error's status or well. */
  end(error: unknown): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort()
    this.#pulse.stop()
    this.#outbox.close()
    this.#unacknowledged?.done()
    for (const { fail } of this.#asked.values()) fail(this.#gone())
    if (this.#stage === 'open') this.#parts.parent.closed(this.agent, this)
    this.#parts.ended(this)
    if (error === null) this.#call.end()
    else this.#call.emit('error', errorToStatus(error))
  }

  #receive({ body }: SessionRequest): void {
    if (this.#ended.signal.aborted) return
    this.#pulse.heard()
    if (!inPlace(this.#stage, body.case)) {
      throw new MalleeError('BadMessage', `${body.case ?? 'an unknown frame'} out of place`)
    }
    switch (body.case) {
      case 'hello':
        this.#stage = 'greeted'
        this.#open(body.value).catch((error: unknown) => this.#fail('session refused', error))
        break
      case 'ack':
        this.#acknowledged(Number(body.value.generation))
        break
      case 'report': {
        const statuses = this.#reports.take(body.value)
        if (statuses !== null) this.#report(body.value.id, body.value.full, statuses)
        break
      }
      case 'commandResult':
        this.#asked.get(body.value.id)?.answer(body.value)
        break
      case 'goodbye':
        this.end(null)
        break
      default:
        // A heartbeat was heard already; a frame of a newer protocol is not for us.
        break
    }
  }

  async #open(hello: Hello): Promise<void> {
    const { parent, agent, clock, log, heartbeatMs, leaseMs, supersede } = this.#parts
    const protocol = negotiateProtocol(hello)
    if (agent.cloud !== parent.cloud) {
      throw new MalleeError(
        'NotAllowed',
        `the host is of cloud ${agent.cloud}, not ${parent.cloud}`,
      )
    }
    await parent.admit(agent, hello, this.#parts.keyFingerprint)
    if (this.#ended.signal.aborted) return
    supersede(this)
    const skewMs = Number(hello.clockMs) - clock.nowMs()
    if (Math.abs(skewMs) > NOTABLE_SKEW_MS) log.warn('agent clock is off', { agent, skewMs })
    const epoch = parent.epoch()
    const { cloud } = parent
    const clockMs = BigInt(clock.nowMs())
    this.#send({
      case: 'welcome',
      value: { protocol, cloud, epoch, heartbeatMs, leaseMs, clockMs },
    })
    this.#stage = 'open'
    this.#pulse.start(heartbeatMs, leaseMs)
    parent.opened(agent, hello, this)
    const held =
      hello.epoch === '' ? null : { epoch: hello.epoch, generation: Number(hello.generation) }
    await this.#keepDesired(epoch, held)
  }

  // The next update is asked for when the last one is on the agent's disk: what changes meanwhile
  // is folded into one by the parent, and a slow agent costs no memory here.
  async #keepDesired(
    epoch: string,
    held: { epoch: string; generation: number } | null,
  ): Promise<void> {
    const { parent, agent } = this.#parts
    const { signal } = this.#ended
    for await (const update of parent.desired(agent, held, signal)) {
      if (signal.aborted) return
      // Generations of another epoch mean nothing in this session; the agent is to say hello anew.
      if (parent.epoch() !== epoch) return this.close('the epoch changed')
      const acknowledged = new Promise<void>((done) => {
        this.#unacknowledged = { generation: update.generation, done }
      })
      for (const part of updateParts(update)) {
        await this.#outbox.ready()
        if (signal.aborted) return
        this.#send(part)
      }
      await acknowledged
      if (signal.aborted) return
    }
    if (!signal.aborted) throw new MalleeError('Unavailable', 'the desired state has ended')
  }

  #acknowledged(generation: number): void {
    if (this.#unacknowledged?.generation !== generation) return
    const { done } = this.#unacknowledged
    this.#unacknowledged = null
    this.#parts.parent.acknowledged(this.agent, generation)
    done()
  }

  #report(id: bigint, full: boolean, statuses: readonly Status[]): void {
    this.#waitingReports += 1
    if (this.#waitingReports > MAX_WAITING_REPORTS) {
      throw new MalleeError('BadMessage', 'the agent sends reports without waiting for their ack')
    }
    this.#reporting = this.#reporting.then(async () => {
      if (this.#ended.signal.aborted) return
      try {
        await this.#parts.parent.report(this.agent, full, statuses)
        this.#waitingReports -= 1
        this.#send({ case: 'reportAck', value: { id } })
      } catch (error) {
        this.#fail('report not stored', error)
      }
    })
  }

  async #expiry(command: Command, done: AbortSignal): Promise<never> {
    const ms = commandTimeoutMs(command)
    await this.#parts.clock.sleep(ms, done)
    throw new MalleeError('CommandTimeout', `no answer to command ${command.id} in ${ms} ms`)
  }

  #send(body: ResponseBody): void {
    this.#sequence += 1n
    this.#outbox.push(create(SessionResponseSchema, { sequence: this.#sequence, body }))
  }

  #guard(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#fail('session broken', error)
    }
  }

  #fail(event: string, error: unknown): void {
    if (this.#ended.signal.aborted) return
    this.#parts.log.warn(event, { agent: this.agent, error })
    this.end(error)
  }

  #gone(): MalleeError {
    const who = this.agent.kind === 'host' ? this.agent.host : 'the gateway'
    return new MalleeError('Unavailable', `the session with ${who} has ended`)
  }
}

/** Nothing that an agent says counts before it is admitted. */
function inPlace(stage: Stage, frame: SessionRequest['body']['case']): boolean {
  if (stage === 'new') return frame === 'hello'
  if (frame === 'hello') return false
  return stage === 'open' || frame === 'goodbye' || frame === 'heartbeat'
}
