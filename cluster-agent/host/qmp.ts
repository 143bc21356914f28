// QEMU's machine protocol (QMP) over a unix socket: one greeting, then lines of JSON both ways, and
// events between the answers. A socket serves one client at a time.

import { connect, type Socket } from 'node:net'
import { MalleeError } from '../../common/errors.ts'

/** The run states that decide something here; there are others (QEMU, qapi/run-state.json). */
export type RunState = 'running' | 'paused' | 'shutdown' | 'io-error' | 'internal-error' | string

export interface QmpEvent {
  readonly name: string
  readonly data: Readonly<Record<string, unknown>>
}

const CONNECT_MS = 3_000
const COMMAND_MS = 10_000
/** Of one line. QEMU's longest answers (query-qmp-schema) have a few hundred KiB. */
const MAX_LINE_BYTES = 4 << 20
const MAX_WAITING = 64

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
  readonly what: string
}

/**
 * Connects and negotiates. Throws NotFound when nobody listens (QEMU is not running), Unavailable
 * when somebody does but does not greet in time: another client has it, or QEMU is stuck.
 */
export async function openQmp(path: string): Promise<Qmp> {
  const qmp = new Qmp(await dial(path), path)
  try {
    await qmp.greeting
    await qmp.command('qmp_capabilities')
    return qmp
  } catch (error) {
    qmp.close()
    throw error
  }
}

/** One open connection. */
export class Qmp {
  /** Resolves when QEMU has greeted. */
  readonly greeting: Promise<void>
  readonly #socket: Socket
  readonly #path: string
  readonly #waiting = new Map<number, Waiting>()
  readonly #onEvent = new Set<(event: QmpEvent) => void>()
  readonly #onClose = new Set<() => void>()
  #line = ''
  #lastId = 0
  #closed = false

  constructor(socket: Socket, path: string) {
    this.#socket = socket
    this.#path = path
    // The greeting has no id: it takes the number that no command gets.
    this.greeting = this.#wait(0, 'greeting', CONNECT_MS) as Promise<void>
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.#take(text))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#end())
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Throws CommandFailed with QEMU's words, CommandTimeout, or Unavailable when QEMU is gone. */
  command(execute: string, args: object = {}, timeoutMs = COMMAND_MS): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#gone(execute))
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(new MalleeError('Unavailable', `${this.#path} has too much to do`))
    }
    this.#lastId += 1
    const answer = this.#wait(this.#lastId, execute, timeoutMs)
    this.#socket.write(`${JSON.stringify({ execute, arguments: args, id: this.#lastId })}\n`)
    return answer
  }

  async status(): Promise<RunState> {
    return ((await this.command('query-status')) as { status: RunState }).status
  }

  /** The machine's UUID in lower case. */
  async uuid(): Promise<string> {
    return ((await this.command('query-uuid')) as { UUID: string }).UUID.toLowerCase()
  }

  /** Names of all block nodes. By their statistics: what says more may ask what is away. */
  async blockNodes(): Promise<string[]> {
    const nodes = await this.command('query-blockstats', { 'query-nodes': true })
    return (nodes as { 'node-name': string }[]).map((node) => node['node-name'])
  }

  /** Calls back with every event, until the returned function is called. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#onEvent.add(listener)
    return () => this.#onEvent.delete(listener)
  }

  /** Calls back once when QEMU is gone; not after `close`. */
  onClose(listener: () => void): () => void {
    this.#onClose.add(listener)
    return () => this.#onClose.delete(listener)
  }

  /** Hangs up; QEMU goes on. */
  close(): void {
    this.#onClose.clear()
    this.#onEvent.clear()
    this.#socket.destroy()
    this.#end()
  }

  #wait(id: number, what: string, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        const late = `${this.#path}: no answer to ${what} within ${timeoutMs} ms`
        reject(new MalleeError(id === 0 ? 'Unavailable' : 'CommandTimeout', late))
      }, timeoutMs)
      this.#waiting.set(id, { resolve, reject, timer, what })
    })
  }

  #take(text: string): void {
    const lines = (this.#line + text).split('\n')
    this.#line = lines.pop() ?? ''
    if (this.#line.length > MAX_LINE_BYTES) {
      this.#socket.destroy()
      return
    }
    for (const line of lines) {
      if (line.trim() === '') continue
      if (!this.#message(line)) {
        this.#socket.destroy()
        return
      }
    }
  }

  /** False for what is not QMP: the connection is of no more use. */
  #message(line: string): boolean {
    let message: Message
    try {
      message = JSON.parse(line) as Message
    } catch {
      return false
    }
    if (message.QMP !== undefined) {
      this.#settle(0)?.resolve(undefined)
    } else if (message.event !== undefined) {
      const event = { name: message.event, data: message.data ?? {} }
      for (const listener of this.#onEvent) listener(event)
    } else if (message.id !== undefined) {
      const waiting = this.#settle(message.id)
      if (message.error === undefined) waiting?.resolve(message.return)
      else waiting?.reject(refused(waiting.what, message.error.desc))
    }
    return true
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    clearTimeout(waiting?.timer)
    return waiting
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    for (const [id, { what, reject }] of this.#waiting) {
      this.#settle(id)
      reject(this.#gone(what))
    }
    for (const listener of this.#onClose) listener()
  }

  #gone(what: string): MalleeError {
    return new MalleeError('Unavailable', `${this.#path}: QEMU hung up before it answered ${what}`)
  }
}

interface Message {
  readonly QMP?: object
  readonly event?: string
  readonly data?: Record<string, unknown>
  readonly id?: number
  readonly return?: unknown
  readonly error?: { readonly desc: string }
}

function dial(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const nobody = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED'
      const message = `${path} cannot be opened: ${cause.message}`
      reject(new MalleeError(nobody ? 'NotFound' : 'Unavailable', message, { cause }))
    })
  })
}

function refused(what: string, description: string): MalleeError {
  return new MalleeError('CommandFailed', `QEMU refused ${what}: ${description}`)
}
