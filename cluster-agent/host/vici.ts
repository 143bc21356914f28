// A connection to strongSwan's management socket (VICI): commands, one after the other, listings
// that come as a row of events, and events that somebody listens to.

import { connect, type Socket } from 'node:net'
import { MalleeError } from '../../common/errors.ts'
import {
  decodePacket,
  encodePacket,
  MAX_PACKET_BYTES,
  PACKET,
  textOf,
  type ViciMessage,
  type ViciPacket,
} from './vici-wire.ts'

export interface ViciOptions {
  readonly path: string
  /** Called with each event that is listened to. */
  readonly onEvent: (name: string, body: ViciMessage) => void
  /** Called once, however it ends. */
  readonly onEnd: () => void
}

const ANSWER_MS = 5_000
const MAX_ROWS = 100_000

interface Waiting {
  readonly resolve: (packet: ViciPacket) => void
  readonly reject: (error: Error) => void
}

/** One request at a time; the others wait. After an error or a silence all of it has ended. */
export class Vici {
  readonly #options: ViciOptions
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #waiting: Waiting | null = null
  #rows: { readonly name: string; readonly bodies: ViciMessage[] } | null = null
  #last: Promise<unknown> = Promise.resolve()
  #ended: MalleeError | null = null

  constructor(options: ViciOptions, socket: Socket) {
    this.#options = options
    this.#socket = socket
    socket.on('data', (bytes) => this.#take(bytes))
    socket.on('error', (error) => this.#end(error.message))
    socket.on('close', () => this.#end('it hung up'))
  }

  get isEnded(): boolean {
    return this.#ended !== null
  }

  /** Throws CommandFailed with strongSwan's words when it says that it did not succeed. */
  async ask(command: string, body: ViciMessage = {}): Promise<ViciMessage> {
    return this.#inTurn(() => this.#command(command, body))
  }

  /** All rows of a listing, which come as events of the name `event`. */
  async list(command: string, event: string, body: ViciMessage = {}): Promise<ViciMessage[]> {
    return this.#inTurn(async () => {
      const rows = { name: event, bodies: [] }
      await this.#listen(PACKET.register, event)
      this.#rows = rows
      try {
        await this.#command(command, body)
      } finally {
        this.#rows = null
      }
      await this.#listen(PACKET.unregister, event)
      return rows.bodies
    })
  }

  /** From now on `onEvent` is called with events of that name. */
  async listen(event: string): Promise<void> {
    await this.#inTurn(() => this.#listen(PACKET.register, event))
  }

  close(): void {
    this.#socket.destroy()
    this.#end('it was closed')
  }

  async #command(command: string, body: ViciMessage): Promise<ViciMessage> {
    const answer = await this.#exchange({ type: PACKET.request, name: command, body })
    if (answer.type !== PACKET.response) {
      throw new MalleeError('NotSupported', `strongSwan does not know the command ${command}`)
    }
    if (textOf(answer.body, 'success') === 'no') {
      const why = textOf(answer.body, 'errmsg')
      throw new MalleeError('CommandFailed', `strongSwan refuses ${command}: ${why}`)
    }
    return answer.body
  }

  async #listen(type: number, event: string): Promise<void> {
    const answer = await this.#exchange({ type, name: event, body: {} })
    if (answer.type !== PACKET.confirm) {
      throw new MalleeError('NotSupported', `strongSwan does not know the event ${event}`)
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work)
    this.#last = next.catch(() => undefined)
    return next
  }

  #exchange(packet: ViciPacket): Promise<ViciPacket> {
    if (this.#ended !== null) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#end(`no answer within ${ANSWER_MS} ms`), ANSWER_MS)
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(late)
          this.#waiting = null
          how(value)
        }
      this.#waiting = { resolve: settle(resolve), reject: settle(reject) }
      this.#socket.write(encodePacket(packet))
    })
  }

  #take(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes])
    try {
      while (this.#received.length >= 4) {
        const length = this.#received.readUInt32BE()
        if (length > MAX_PACKET_BYTES) throw new MalleeError('BadMessage', 'an endless packet')
        if (this.#received.length < 4 + length) return
        const packet = decodePacket(this.#received.subarray(4, 4 + length))
        this.#received = this.#received.subarray(4 + length)
        this.#route(packet)
      }
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error))
    }
  }

  #route(packet: ViciPacket): void {
    const rows = this.#rows
    if (packet.type !== PACKET.event) {
      this.#waiting?.resolve(packet)
    } else if (rows?.name !== packet.name) {
      this.#options.onEvent(packet.name, packet.body)
    } else if (rows.bodies.length < MAX_ROWS) {
      rows.bodies.push(packet.body)
    } else {
      throw new MalleeError('BadMessage', 'an endless listing')
    }
  }

  #end(why: string): void {
    if (this.#ended !== null) return
    this.#ended = new MalleeError('Unavailable', `strongSwan at ${this.#options.path}: ${why}`)
    this.#socket.destroy()
    this.#waiting?.reject(this.#ended)
    this.#options.onEnd()
  }
}

/** Throws Unavailable when nobody listens there. */
export function connectVici(options: ViciOptions): Promise<Vici> {
  return new Promise((resolve, reject) => {
    const socket = connect(options.path)
    const fail = (error: Error): void => {
      const text = `strongSwan at ${options.path}: ${error.message}`
      reject(new MalleeError('Unavailable', text, { cause: error }))
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      socket.off('error', fail)
      resolve(new Vici(options, socket))
    })
  })
}
