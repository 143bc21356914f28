// One session as the agent lives it, from Hello until the stream ends. What outlives a session
// (desired state, statuses, answers to commands) belongs to the AgentEnd and to SessionClient.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import type { Commands } from './commands.ts'
import {
  type Command,
  type Goodbye,
  type Hello,
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionService,
  type Welcome,
} from './gen/mallee/v1/session_pb.js'
import { Outbox } from './outbox.ts'
import { UpdateParts } from './parts.ts'
import { Pulse } from './pulse.ts'
import { Reporter } from './reporter.ts'
import { methodDefinition, statusToError } from './service.ts'
import { type AgentEnd, type DesiredUpdate, PROTOCOL_MAX, PROTOCOL_MIN } from './session.ts'

export interface AgentSessionParts {
  readonly agent: AgentEnd
  readonly commands: Commands
  readonly clock: Clock
  readonly log: Log
  /** The connection, made for this session alone. */
  readonly connection: grpc.Client
  readonly hello: Hello
  readonly onWelcome: (welcome: Welcome) => void
  readonly onAccepted: (generation: number) => void
  readonly onClock: (skewMs: number) => void
}

export type RequestBody = NonNullable<MessageInitShape<typeof SessionRequestSchema>['body']>

/** How a session ended. */
export interface Ending {
  /** Null when one of both sides took leave. */
  readonly error: MalleeError | null
  /** Set when the parent took leave: when it wants to see us again. */
  readonly goodbye: Goodbye | null
}

const WELCOME_MS = 10_000
const MAX_WAITING_UPDATES = 16
const LEAVE_MS = 2_000

export class AgentSession {
  readonly #parts: AgentSessionParts
  readonly #call: grpc.ClientDuplexStream<SessionRequest, SessionResponse>
  readonly #outbox: Outbox<SessionRequest>
  readonly #updates = new UpdateParts()
  readonly #ended = new AbortController()
  #reporter: Reporter | null = null
  #welcome: Welcome | null = null
  #goodbye: Goodbye | null = null
  #error: MalleeError | null = null
  readonly #pulse: Pulse
  #accepting: Promise<void> = Promise.resolve()
  #waitingUpdates = 0
  #sequence = 0n
  #helloAtMs: number

  constructor(parts: AgentSessionParts) {
    this.#parts = parts
    const { path, requestSerialize, responseDeserialize } = methodDefinition(
      SessionService.method.session,
    )
    this.#call = parts.connection.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    this.#outbox = new Outbox(this.#call)
    this.#call.on('data', (frame: SessionResponse) => this.#guard(() => this.#receive(frame)))
    this.#call.on('error', (error) => this.#end(statusToError(error)))
    this.#call.on('end', () => this.#end(null))
    this.#helloAtMs = parts.clock.nowMs()
    this.#pulse = new Pulse({
      clock: parts.clock,
      idle: () => this.#outbox.idle(),
      beat: (value) => this.#send({ case: 'heartbeat', value }),
      silent: (ms) =>
        this.#end(new MalleeError('Unavailable', `the parent was silent for ${ms} ms`)),
    })
    this.#pulse.start(WELCOME_MS, WELCOME_MS)
    this.#send({ case: 'hello', value: parts.hello })
  }

  get connection(): grpc.Client {
    return this.#parts.connection
  }

  /** Resolves when the stream has ended and nothing of it is under way any more. */
  async ending(): Promise<Ending> {
    const { signal } = this.#ended
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    }
    await this.#accepting
    return { error: this.#error, goodbye: this.#goodbye }
  }

  /** Takes leave. */
  async leave(reason: string): Promise<void> {
    if (this.#welcome === null) return this.#end(null)
    this.#guard(() => this.#send({ case: 'goodbye', value: { reason } }))
    this.#call.end()
    await this.#parts.clock.sleep(LEAVE_MS, this.#ended.signal)
    this.#end(null)
  }

  #receive(frame: SessionResponse): void {
    if (this.#ended.signal.aborted) return
    this.#pulse.heard()
    const { body } = frame
    if (this.#welcome === null && body.case !== 'welcome' && body.case !== 'goodbye') {
      throw new MalleeError('BadMessage', `${body.case ?? 'an unknown frame'} before a welcome`)
    }
    switch (body.case) {
      case 'welcome':
        this.#welcomed(body.value)
        break
      case 'snapshot':
      case 'delta': {
        const update = this.#updates.take(body)
        if (update !== null) this.#accept(update)
        break
      }
      case 'command':
        void this.#answer(body.value)
        break
      case 'reportAck':
        this.#reporter?.acknowledged(body.value.id)
        break
      case 'heartbeat':
        this.#parts.onClock(Number(body.value.clockMs) - this.#parts.clock.nowMs())
        break
      case 'goodbye':
        this.#goodbye = body.value
        this.#call.end()
        break
      default:
        // A frame of a newer protocol; it is not for us.
        break
    }
  }

  #welcomed(welcome: Welcome): void {
    const { protocol, clockMs, heartbeatMs, leaseMs } = welcome
    if (this.#welcome !== null) throw new MalleeError('BadMessage', 'a second welcome')
    if (protocol < PROTOCOL_MIN || protocol > PROTOCOL_MAX) {
      throw new MalleeError('ProtocolMismatch', `the parent chose protocol ${protocol}`)
    }
    if (heartbeatMs < 10 || leaseMs < 2 * heartbeatMs || leaseMs > 600_000) {
      throw new MalleeError('BadMessage', `heartbeat ${heartbeatMs} ms and lease ${leaseMs} ms`)
    }
    this.#welcome = welcome
    const { agent, clock, onWelcome, onClock } = this.#parts
    const nowMs = clock.nowMs()
    // The parent read its clock somewhere between our hello and now.
    onClock(Number(clockMs) - Math.round((this.#helloAtMs + nowMs) / 2))
    this.#pulse.start(heartbeatMs, leaseMs)
    onWelcome(welcome)
    this.#reporter = new Reporter({
      agent,
      send: (body) => this.#send(body),
      ready: () => this.#outbox.ready(),
      failed: (error) => this.#end(statusToError(error)),
    })
    this.#reporter.start()
  }

  #accept(update: DesiredUpdate): void {
    this.#waitingUpdates += 1
    if (this.#waitingUpdates > MAX_WAITING_UPDATES) {
      throw new MalleeError('BadMessage', 'the parent sends updates without waiting for their ack')
    }
    const epoch = this.#welcome?.epoch ?? ''
    this.#accepting = this.#accepting.then(async () => {
      if (this.#ended.signal.aborted) return
      try {
        await this.#parts.agent.accept(epoch, update)
        this.#waitingUpdates -= 1
        this.#parts.onAccepted(update.generation)
        this.#send({ case: 'ack', value: { generation: BigInt(update.generation) } })
      } catch (error) {
        this.#end(statusToError(error))
      }
    })
  }

  async #answer(command: Command): Promise<void> {
    const value = await this.#parts.commands.answer(command)
    this.#guard(() => this.#send({ case: 'commandResult', value }))
  }

  #send(body: RequestBody): void {
    this.#sequence += 1n
    this.#outbox.push(create(SessionRequestSchema, { sequence: this.#sequence, body }))
  }

  #guard(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#end(statusToError(error))
    }
  }

  #end(error: MalleeError | null): void {
    if (this.#ended.signal.aborted) return
    // After a goodbye, however the stream ends is fine.
    this.#error = this.#goodbye === null ? error : null
    this.#pulse.stop()
    this.#reporter?.stop()
    this.#outbox.close()
    this.#call.cancel()
    this.#ended.abort()
  }
}
