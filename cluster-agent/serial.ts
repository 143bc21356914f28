// Sessions on serial consoles at an agent: it has the port of a guest of its own, or passes on what
// a node of its rack brings. One session a guest; the guest goes on whatever becomes of it.

import type { Duplex } from 'node:stream'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { type Code, MalleeError, messageOf } from '../common/errors.ts'
import type { Identity } from '../common/identity.ts'
import type { Log } from '../common/log.ts'
import type { Command, CommandResult, OpenSerial } from '../proto/gen/mallee/v1/session_pb.js'
import { attachSerial, type SerialDesk } from '../proto/serial.ts'
import { type Frames, joinFrames } from '../proto/serial-frames.ts'
import { SerialStream } from '../proto/serial-stream.ts'

/** Sessions that an agent has at a time, its nodes' with its own. */
const MAX_SESSIONS = 32
const NODE_MS = 10_000
/** So long a guest's port waits for a user who does not read; then its session ends. */
const STUCK_MS = 10_000
const LOOK_MS = 1_000
const LEAVE_MS = 1_000
const SESSION = /^[0-9a-f]{32}$/

export interface SerialParts {
  readonly rack: string
  readonly host: string
  /** The guest's port. Throws NotFound, or Conflict when somebody has it. Null without role nc. */
  readonly port: ((instance: string) => Promise<Duplex>) | null
  /** Null without the role cc. */
  readonly nodes: {
    readonly desk: SerialDesk
    readonly command: (command: Command) => Promise<CommandResult>
  } | null
  /** Of the session with the parent; null when there is none. */
  readonly connection: () => grpc.Client | null
  readonly clock: Clock
  readonly log: Log
}

export interface AgentSerial {
  /** Resolves when the host of the command has the port. Throws MalleeError. */
  readonly open: (command: Command, wish: OpenSerial) => Promise<void>
  /** Ends all sessions, with a word to their users. */
  readonly close: () => Promise<void>
}

export function agentSerial(parts: SerialParts): AgentSerial {
  const { host, nodes, clock, log } = parts
  /** Guests of this host whose port is taken. */
  const taken = new Set<string>()
  const own = new Set<SerialStream>()
  /** Towards the parent, of sessions with nodes. */
  const relayed = new Set<Frames>()
  let sessions = 0

  return {
    open: async (command, wish) => {
      if (!SESSION.test(wish.session)) throw new MalleeError('BadMessage', 'no serial session')
      if (sessions >= MAX_SESSIONS) {
        throw new MalleeError(
          'TooManyRequests',
          `host ${host} has ${sessions} serial consoles open`,
        )
      }
      if (command.host === host) return openOwn(wish)
      if (nodes === null) {
        throw new MalleeError('HostNotFound', `this is ${host}, not ${command.host}`)
      }
      return relay(nodes, command, wish)
    },
    close: async () => {
      const why = `the agent of host ${host} stops`
      for (const frames of relayed) frames.end(why)
      for (const stream of own) {
        stream.why = why
        stream.destroy()
      }
      // What they were told is on its way; the connection closes next.
      if (own.size > 0) await clock.sleep(LEAVE_MS, allGone())
    },
  }

  async function openOwn({ instanceId, session }: OpenSerial): Promise<void> {
    if (parts.port === null) throw new MalleeError('NotFound', `${instanceId} is not on ${host}`)
    if (taken.has(instanceId)) {
      throw new MalleeError('Conflict', `the serial console of ${instanceId} is in use`)
    }
    taken.add(instanceId)
    sessions += 1
    const free = (): void => {
      taken.delete(instanceId)
      sessions -= 1
    }
    try {
      const port = await parts.port(instanceId)
      try {
        carry(instanceId, port, new SerialStream(attachSerial(up(), session)), free)
      } catch (error) {
        port.destroy()
        throw error
      }
    } catch (error) {
      free()
      throw error
    }
  }

  function carry(instance: string, port: Duplex, stream: SerialStream, free: () => void): void {
    log.info('serial console opened', { instance })
    own.add(stream)
    const closed = new AbortController()
    void watchReader(stream, closed.signal)
    stream.why = 'the serial port was closed'
    port.on('error', (error) => {
      stream.why = `the serial port was closed: ${messageOf(error)}`
    })
    stream.on('error', (error) => log.warn('serial console broke', { instance, error }))
    port.on('close', () => stream.end())
    stream.on('close', () => {
      closed.abort()
      own.delete(stream)
      port.destroy()
      free()
      log.info('serial console closed', { instance, ...stream.carried, reason: stream.endedBy })
    })
    port.pipe(stream).pipe(port)
  }

  async function relay(
    { desk, command: ask }: NonNullable<SerialParts['nodes']>,
    command: Command,
    { session }: OpenSerial,
  ): Promise<void> {
    sessions += 1
    const refused = new AbortController()
    const brought = desk.expect(
      session,
      (peer) => isNode(peer, command.host),
      NODE_MS,
      refused.signal,
    )
    brought
      .then((frames) => (frames === null ? undefined : passOn(frames, session)))
      .catch((error: unknown) => log.warn('serial console not passed on', { error }))
      .finally(() => {
        sessions -= 1
      })
    try {
      const { errorCode, errorMessage } = await ask(command)
      if (errorCode !== '') throw new MalleeError(errorCode as Code, errorMessage)
    } catch (error) {
      refused.abort()
      throw error
    }
  }

  async function passOn(node: Frames, session: string): Promise<void> {
    const parent = attachSerial(up(), session)
    relayed.add(parent)
    await joinFrames(node, parent)
    relayed.delete(parent)
  }

  function isNode(peer: Identity, name: string): boolean {
    return peer.kind === 'host' && peer.rack === parts.rack && peer.host === name
  }

  function up(): grpc.Client {
    const connection = parts.connection()
    if (connection === null) throw new MalleeError('Unavailable', 'the session has just ended')
    return connection
  }

  function allGone(): AbortSignal {
    const gone = new AbortController()
    const left = new Set(own)
    for (const stream of own) {
      stream.once('close', () => {
        left.delete(stream)
        if (left.size === 0) gone.abort()
      })
    }
    return gone.signal
  }

  /** QEMU holds its guest up when nobody takes what it writes: not for long. */
  async function watchReader(stream: SerialStream, closed: AbortSignal): Promise<void> {
    let sent = 0
    let stuckMs = 0
    while (stuckMs < STUCK_MS) {
      await clock.sleep(LOOK_MS, closed)
      if (closed.aborted) return
      const waits = stream.writableNeedDrain || (stream.writableEnded && !stream.writableFinished)
      const isStuck = waits && stream.carried.sent === sent
      sent = stream.carried.sent
      stuckMs = isStuck ? stuckMs + LOOK_MS : 0
    }
    stream.why = `nobody read the console for ${STUCK_MS / 1000} s`
    stream.destroy()
  }
}
