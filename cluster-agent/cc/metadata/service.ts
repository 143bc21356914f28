// The metadata service of a CC: an HTTP server of the agent for the instances of its networks.
// Private addresses are unique in the cloud and nobody can send from another's, so the sender's
// address tells the instance.

import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../../common/clock.ts'
import { messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import type { Instance, Interface } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { formatAddress, parseAddress } from '../../../topology/cidr.ts'
import { type Answer, answer, problem } from './answer.ts'
import type { Tokens } from './tokens.ts'

export interface MetadataOptions {
  readonly tokens: Tokens
  readonly addresses: readonly string[]
  readonly port: number
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
}

const MAX_HEADER_BYTES = 8 << 10
export const MAX_CONNECTIONS_PER_SENDER = 32
const MAX_CONNECTIONS = 2048
const MAX_REQUESTS_PER_CONNECTION = 1000
const TIMEOUT_MS = 5_000
const CHECK_EVERY_MS = 1_000
/** Of one sender: at once, and each second after that. */
export const BURST = 500
const PER_SECOND = 100

interface Bucket {
  left: number
  atMs: number
}

export class MetadataService {
  readonly #options: MetadataOptions
  readonly #servers = new Map<string, Server>()
  readonly #connections = new Map<string, number>()
  /** Only of known senders, so no more than there are addresses. */
  readonly #buckets = new Map<string, Bucket>()
  #instances: ReadonlyMap<string, Instance> = new Map()
  #senders: ReadonlyMap<string, string> = new Map()
  #closed = false

  constructor(options: MetadataOptions) {
    this.#options = options
  }

  /** From now on tells this; listens where it can and does not yet. */
  async pass(interfaces: readonly Interface[], instances: readonly Instance[]): Promise<void> {
    this.#instances = new Map(instances.map((one) => [one.id, one]))
    this.#senders = new Map(
      interfaces
        .filter(({ instanceId }) => instanceId !== '')
        .flatMap(({ instanceId, ipv4, ipv6, ipv4More, ipv6More }) =>
          [ipv4, ipv6, ...ipv4More, ...ipv6More].map((one) => [normal(one), instanceId] as const),
        ),
    )
    for (const address of this.#buckets.keys()) {
      if (!this.#senders.has(address)) this.#buckets.delete(address)
    }
    for (const address of this.#options.addresses) {
      if (!this.#servers.has(address) && !this.#closed) await this.#listen(address)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const servers = [...this.#servers.values()]
    this.#servers.clear()
    await Promise.all(
      servers.map((server) => {
        const ended = new Promise((resolve) => server.close(resolve))
        server.closeAllConnections()
        return ended
      }),
    )
  }

  /** An address that is not there yet is tried again in the next pass. */
  async #listen(address: string): Promise<void> {
    const server = this.#newServer()
    await new Promise<void>((resolve) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const { log } = this.#options
        if (error.code === 'EADDRNOTAVAIL') log.debug('metadata address is not there', { address })
        else log.warn('metadata does not listen', { address, error: messageOf(error) })
        resolve()
      })
      server.listen({ host: address, port: this.#options.port }, () => {
        this.#servers.set(address, server)
        server.on('error', (error) => this.#options.log.warn('metadata server', { error }))
        this.#options.log.info('metadata listens', { address })
        resolve()
      })
    })
  }

  #newServer(): Server {
    const server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      keepAliveTimeout: TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      insecureHTTPParser: false,
    })
    server.maxConnections = MAX_CONNECTIONS
    server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION
    server.on('connection', (socket) => this.#connected(socket))
    server.on('request', (request, response) => this.#asked(request, response))
    server.on('checkContinue', (_, response) => this.#send(response, problem(417), false))
    server.on('checkExpectation', (_, response) => this.#send(response, problem(417), false))
    server.on('connect', (_, socket) => refuse(socket, problem(405)))
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      refuse(socket, problem(statusOf(error.code)))
    })
    return server
  }

  #connected(socket: Socket): void {
    const sender = normal(socket.remoteAddress ?? '')
    const count = (this.#connections.get(sender) ?? 0) + 1
    this.#connections.set(sender, count)
    socket.on('close', () => {
      const left = (this.#connections.get(sender) ?? 1) - 1
      if (left > 0) this.#connections.set(sender, left)
      else this.#connections.delete(sender)
    })
    // A guest that reads slowly holds no memory of ours for long.
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy())
    if (count > MAX_CONNECTIONS_PER_SENDER) refuse(socket, problem(503))
  }

  #asked(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', headers, socket } = request
    const sender = normal(socket.remoteAddress ?? '')
    const id = this.#senders.get(sender)
    const instance = id === undefined ? null : (this.#instances.get(id) ?? null)
    const nowMs = this.#options.clock.nowMs()
    const overIpv6 = isIPv6(socket.localAddress ?? '')
    const told =
      id !== undefined && this.#isTooMuch(sender, nowMs)
        ? problem(429)
        : answer(this.#options.tokens, instance, { method, url, headers, overIpv6, nowMs })
    const [path = ''] = url.split('?')
    this.#options.log.debug('metadata', {
      instance: id ?? sender,
      method,
      path,
      status: told.status,
    })
    // After what we did not understand, the next bytes may be anything.
    const keep = told.status === 200 || told.status === 401 || told.status === 404
    this.#send(response, told, keep, method === 'HEAD')
  }

  #send(response: ServerResponse, told: Answer, keep: boolean, isHead = false): void {
    response.writeHead(told.status, {
      'content-type': told.type,
      'content-length': Buffer.byteLength(told.body),
      server: 'EC2ws',
      ...told.headers,
      ...(keep ? {} : { connection: 'close' }),
    })
    response.end(isHead ? undefined : told.body)
  }

  #isTooMuch(sender: string, nowMs: number): boolean {
    const { left, atMs } = this.#buckets.get(sender) ?? { left: BURST, atMs: nowMs }
    const filled = Math.min(BURST, left + (Math.max(0, nowMs - atMs) * PER_SECOND) / 1000)
    this.#buckets.set(sender, { left: Math.max(0, filled - 1), atMs: nowMs })
    return filled < 1
  }
}

function refuse(socket: Duplex, { status, type, body }: Answer): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `content-type: ${type}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'server: EC2ws',
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.on('error', () => undefined)
}

function statusOf(code: string | undefined): number {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 431
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 408
    default:
      return 400
  }
}

function normal(address: string): string {
  const parsed = parseAddress(address)
  return parsed.ok ? formatAddress(parsed.value) : address
}
