// The agent's end of the federation: keeps one session with its parent open, for ever. Dials one
// endpoint after another, waits longer after each failure, and asks for the whole desired state
// when a delta did not fit.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { type Code, MalleeError } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import { AgentSession, type Ending } from './agent-session.ts'
import { Commands } from './commands.ts'
import { HelloSchema, type Welcome } from './gen/mallee/v1/session_pb.js'
import { address, dial, statusToError } from './service.ts'
import { type AgentEnd, PROTOCOL_MAX, PROTOCOL_MIN } from './session.ts'
import { clientCredentials, type Expect, type TlsIdentity } from './tls.ts'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

export interface SessionClientOptions {
  readonly agent: AgentEnd
  /** The parent's addresses, tried in turn. At least one. */
  readonly connect: readonly Endpoint[]
  /** The newest: each dial asks for it. */
  readonly identity: () => TlsIdentity
  /** Is the server that answered the parent? */
  readonly expect: Expect
  readonly clock: Clock
  readonly log: Log
  /** From 0 up to 1; spreads the redialling of many agents. */
  readonly chance: () => number
  /** Changes with every start of the agent. */
  readonly incarnation: string
  readonly agentVersion: string
  readonly simulated: boolean
}

export interface SessionState {
  readonly connected: boolean
  /** Of the session that is open or was tried last, as `host:port`. */
  readonly endpoint: string
  readonly connectedSinceMs: number | null
  /** What the parent said last; null before the first welcome. */
  readonly cloud: string | null
  readonly epoch: string | null
  readonly protocol: number | null
  /** The newest generation that this process accepted; null before the first. */
  readonly generation: number | null
  /** The parent's clock minus ours; null before the first welcome. */
  readonly clockSkewMs: number | null
  /** Why there is no session now; null while there is one, or before the first try. */
  readonly trouble: { readonly code: Code; readonly message: string } | null
  /** Tries that failed since the last session that lasted. */
  readonly failures: number
  /** Sessions that were welcomed. */
  readonly sessions: number
}

const REDIAL_FIRST_MS = 500
const REDIAL_LAST_MS = 30_000

/** Full jitter: anywhere between nothing and a limit that doubles with each failure. */
export function redialDelayMs(failures: number, chance: number): number {
  const limit = REDIAL_FIRST_MS * 2 ** Math.min(failures, 16)
  return Math.floor(chance * Math.min(limit, REDIAL_LAST_MS))
}

export class SessionClient {
  readonly #options: SessionClientOptions
  readonly #commands: Commands
  readonly #stop = new AbortController()
  readonly #waiting = new Set<() => void>()
  #done: Promise<void> = Promise.resolve()
  #session: AgentSession | null = null
  #dials = 0
  /** The last session's parent sent what did not fit: ask for everything. */
  #askForAll = false
  #state: SessionState

  /** Throws BadConfig when there is no address to dial. */
  constructor(options: SessionClientOptions) {
    if (options.connect.length === 0) throw new MalleeError('BadConfig', 'no address of the parent')
    this.#options = options
    this.#commands = new Commands((command) => options.agent.command(command), options.clock)
    this.#state = {
      connected: false,
      endpoint: '',
      connectedSinceMs: null,
      cloud: null,
      epoch: null,
      protocol: null,
      generation: null,
      clockSkewMs: null,
      trouble: null,
      failures: 0,
      sessions: 0,
    }
  }

  start(): void {
    this.#done = this.#run()
  }

  /** Takes leave of the parent and dials no more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#session?.leave('the agent stops')
    await this.#done
  }

  connected(): boolean {
    return this.#state.connected
  }

  /** Of the session that is open, for more streams to the same parent; null without one. */
  connection(): grpc.Client | null {
    return this.#state.connected ? (this.#session?.connection ?? null) : null
  }

  state(): SessionState {
    return this.#state
  }

  /** The first state that `fits`. Throws Unavailable with the trouble so far when aborted. */
  async wait(fits: (state: SessionState) => boolean, signal: AbortSignal): Promise<SessionState> {
    while (!fits(this.#state)) {
      if (signal.aborted) {
        const { code, message } = this.#state.trouble ?? { code: 'Unavailable', message: 'waiting' }
        throw new MalleeError(code, message)
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#waiting.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      })
    }
    return this.#state
  }

  async #run(): Promise<void> {
    const { clock, chance, connect } = this.#options
    while (!this.#stop.signal.aborted) {
      const endpoint = connect[this.#dials % connect.length]
      if (endpoint === undefined) return
      this.#dials += 1
      const startedAtMs = clock.nowMs()
      const { error, goodbye } = await this.#oneSession(endpoint)
      const lasted = this.#state.connected && clock.nowMs() - startedAtMs >= REDIAL_LAST_MS
      const failures = lasted || goodbye !== null ? 0 : this.#state.failures + 1
      this.#note(error, failures)
      if (this.#stop.signal.aborted) return
      // A parent that restarts wants its agents back one after another, too.
      const after = Math.min(goodbye?.redialAfterMs ?? 0, REDIAL_LAST_MS)
      // One round over all addresses counts as one failure.
      const rounds = Math.floor(failures / connect.length)
      await clock.sleep(after + redialDelayMs(rounds, chance()), this.#stop.signal)
    }
  }

  async #oneSession(endpoint: Endpoint): Promise<Ending> {
    const { agent, identity, expect, clock, log } = this.#options
    this.#update({ endpoint: address(endpoint.host, endpoint.port) })
    const credentials = clientCredentials(identity(), expect)
    const connection = dial(endpoint.host, endpoint.port, credentials)
    try {
      const session = new AgentSession({
        agent,
        commands: this.#commands,
        clock,
        log,
        connection,
        hello: this.#hello(),
        onWelcome: (welcome) => this.#welcomed(welcome),
        onAccepted: (generation) => {
          this.#askForAll = false
          this.#update({ generation })
        },
        onClock: (clockSkewMs) => this.#update({ clockSkewMs }),
      })
      this.#session = session
      const ending = await session.ending()
      this.#askForAll ||= ending.error?.code === 'StaleGeneration'
      return ending
    } catch (error) {
      return { error: statusToError(error), goodbye: null }
    } finally {
      this.#session = null
      connection.close()
    }
  }

  #hello() {
    const { agent, incarnation, agentVersion, simulated, clock } = this.#options
    const held = this.#askForAll ? null : agent.held()
    return create(HelloSchema, {
      minProtocol: PROTOCOL_MIN,
      maxProtocol: PROTOCOL_MAX,
      agentVersion,
      epoch: held?.epoch ?? '',
      generation: BigInt(held?.generation ?? 0),
      simulated,
      incarnation,
      clockMs: BigInt(clock.nowMs()),
    })
  }

  #welcomed({ cloud, epoch, protocol }: Welcome): void {
    const { clock, log } = this.#options
    const sessions = this.#state.sessions + 1
    log.info('session opened', { endpoint: this.#state.endpoint, cloud, epoch, protocol })
    this.#update({
      connected: true,
      connectedSinceMs: clock.nowMs(),
      cloud,
      epoch,
      protocol,
      sessions,
      trouble: null,
    })
  }

  #note(error: MalleeError | null, failures: number): void {
    const { endpoint, connected, trouble: before } = this.#state
    const { code, message } = error ?? { code: 'Unavailable', message: 'the session was closed' }
    // A parent that is away for hours is one line in the log and not one per try.
    if (connected || before?.message !== message) {
      this.#options.log.warn('session ended', { endpoint, failures, code, message })
    }
    const trouble = { code, message } as const
    this.#update({ connected: false, connectedSinceMs: null, failures, trouble })
  }

  #update(change: Partial<SessionState>): void {
    this.#state = { ...this.#state, ...change }
    for (const wake of [...this.#waiting]) wake()
  }
}
