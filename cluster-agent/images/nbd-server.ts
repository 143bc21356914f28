// An NBD server on a unix socket: QEMU uses images and volumes through it that are still to come.

import { once } from 'node:events'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import {
  COMMAND,
  ERROR,
  type ExportFacts,
  exportInfo,
  greeting,
  HANDSHAKE,
  listed,
  MAX_PAYLOAD_BYTES,
  nameIn,
  OPTION,
  OPTION_BYTES,
  oldExportInfo,
  optionReply,
  parseOption,
  parseRequest,
  REPLY,
  REQUEST_BYTES,
  type Request,
  simpleReply,
} from './nbd-wire.ts'

export interface NbdExport {
  readonly sizeBytes: number
  /** Whatever it throws is an I/O error for who reads. `signal` aborts when nobody waits. */
  readonly read: (offset: number, length: number, signal: AbortSignal) => Promise<Buffer>
  /** Absent: nobody writes it. */
  readonly writer?: NbdWriter
}

/** What these throw is an I/O error for who writes, StoreFull that there is no room. */
export interface NbdWriter {
  /** The client may see and lose it until the next flush. */
  readonly write: (offset: number, bytes: Buffer, signal: AbortSignal) => Promise<void>
  readonly zero: (offset: number, length: number, signal: AbortSignal) => Promise<void>
  /** What was written before is on disk. */
  readonly flush: () => Promise<void>
}

/** Of one connection at a time; QEMU has no more under way. */
const MAX_REQUESTS = 16
/** Name of an export, and what else an option may bring. */
const MAX_OPTION_BYTES = 8_192
const MAX_OPTIONS = 64
const HANDSHAKE_MS = 10_000

export interface NbdServerOptions {
  readonly path: string
  /** Null for a name that there is not. */
  readonly find: (name: string) => NbdExport | null
  readonly names: () => readonly string[]
  readonly log: Log
}

export class NbdServer {
  readonly #options: NbdServerOptions
  readonly #server: Server
  readonly #open = new Set<Socket>()

  private constructor(options: NbdServerOptions) {
    this.#options = options
    this.#server = createServer((socket) => {
      this.#open.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => this.#open.delete(socket))
      void this.#serve(socket)
    })
  }

  /** Listens at a path that only root reaches; takes it from who died there. */
  static async listen(options: NbdServerOptions): Promise<NbdServer> {
    const server = new NbdServer(options)
    await mkdir(dirname(options.path), { recursive: true })
    await rm(options.path, { force: true })
    server.#server.listen(options.path)
    await once(server.#server, 'listening')
    await chmod(options.path, 0o600)
    return server
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#open) socket.destroy()
    await closed
  }

  async #serve(socket: Socket): Promise<void> {
    const gone = new AbortController()
    socket.on('close', () => gone.abort())
    try {
      const reader = new Reader(socket)
      socket.setTimeout(HANDSHAKE_MS, () => socket.destroy())
      const found = await this.#negotiate(socket, reader)
      socket.setTimeout(0)
      if (found !== null) await transmit(socket, reader, found, gone.signal)
    } catch (error) {
      if (!gone.signal.aborted) {
        this.#options.log.warn('nbd client is hung up on', { error: messageOf(error) })
      }
    } finally {
      socket.destroy()
    }
  }

  /** The export that the client chose; null when it left without one. */
  async #negotiate(socket: Socket, reader: Reader): Promise<NbdExport | null> {
    const { find, names } = this.#options
    socket.write(greeting())
    const flags = (await reader.take(4)).readUInt32BE(0)
    const noZeroes = (flags & HANDSHAKE.noZeroes) !== 0
    for (let count = 0; count < MAX_OPTIONS; count++) {
      const head = parseOption(await reader.take(OPTION_BYTES))
      if (head === null || head.length > MAX_OPTION_BYTES) throw notNbd('option')
      const { option } = head
      const data = head.length === 0 ? Buffer.alloc(0) : await reader.take(head.length)
      if (option === OPTION.abort) {
        socket.end(optionReply(option, REPLY.ack))
        return null
      }
      if (option === OPTION.exportName) {
        const found = find(data.toString('utf8'))
        if (found === null) throw new MalleeError('NotFound', 'the export is not here')
        socket.write(oldExportInfo(factsOf(found), noZeroes))
        return found
      }
      if (option === OPTION.list) {
        for (const name of names()) socket.write(listed(name))
        socket.write(optionReply(option, REPLY.ack))
      } else if (option === OPTION.info || option === OPTION.go) {
        const name = nameIn(data)
        const found = name === null ? null : find(name)
        if (found === null) {
          socket.write(optionReply(option, name === null ? REPLY.invalid : REPLY.unknown))
          continue
        }
        socket.write(exportInfo(option, factsOf(found)))
        socket.write(optionReply(option, REPLY.ack))
        if (option === OPTION.go) return found
      } else {
        socket.write(optionReply(option, REPLY.unsupported))
      }
    }
    throw notNbd('end of options')
  }
}

/** Answers requests, several at a time, until the client leaves. */
async function transmit(
  socket: Socket,
  reader: Reader,
  found: NbdExport,
  signal: AbortSignal,
): Promise<void> {
  const running = new Set<Promise<void>>()
  while (!signal.aborted) {
    const request = parseRequest(await reader.take(REQUEST_BYTES))
    if (request === null) throw notNbd('request')
    if (request.command === COMMAND.disconnect) break
    const isWrite = request.command === COMMAND.write
    // Its bytes would be read as requests, or fill our memory: there is nothing left to say.
    const isRefused = found.writer === undefined || request.length > MAX_PAYLOAD_BYTES
    if (isWrite && isRefused) throw notNbd('write that is allowed')
    const payload = isWrite ? await reader.take(request.length) : Buffer.alloc(0)
    const work = answer(socket, found, { request, payload }, signal)
    running.add(work)
    void work.finally(() => running.delete(work))
    if (running.size >= MAX_REQUESTS) await Promise.race(running)
  }
  await Promise.all(running)
}

async function answer(
  socket: Socket,
  found: NbdExport,
  { request, payload }: { readonly request: Request; readonly payload: Buffer },
  signal: AbortSignal,
): Promise<void> {
  const { command, cookie } = request
  const { writer } = found
  const end = Number(request.offset) + request.length
  const isFlush = command === COMMAND.flush
  if (!isFlush && (request.length === 0 || end > found.sizeBytes)) {
    return write(socket, simpleReply(cookie, ERROR.invalid))
  }
  if (command === COMMAND.read && request.length > MAX_PAYLOAD_BYTES) {
    return write(socket, simpleReply(cookie, ERROR.invalid))
  }
  try {
    if (command === COMMAND.read) {
      const bytes = await found.read(Number(request.offset), request.length, signal)
      socket.cork()
      socket.write(simpleReply(cookie, 0))
      const written = write(socket, bytes)
      socket.uncork()
      return written
    }
    const error =
      isFlush && writer === undefined ? 0 : await change(writer, request, payload, signal)
    return write(socket, simpleReply(cookie, error))
  } catch (error) {
    const isFull = codeOf(error) === 'StoreFull'
    return write(socket, simpleReply(cookie, isFull ? ERROR.noSpace : ERROR.io))
  }
}

/** Answers NBD's number of what is wrong; 0 when it is done. */
async function change(
  writer: NbdWriter | undefined,
  { command, offset, length, isDurable }: Request,
  payload: Buffer,
  signal: AbortSignal,
): Promise<number> {
  if (writer === undefined) return ERROR.notPermitted
  if (command === COMMAND.write) await writer.write(Number(offset), payload, signal)
  else if (command === COMMAND.zero || command === COMMAND.trim) {
    await writer.zero(Number(offset), length, signal)
  } else if (command !== COMMAND.flush) return ERROR.notSupported
  if (command === COMMAND.flush || isDurable) await writer.flush()
  return 0
}

function factsOf({ sizeBytes, writer }: NbdExport): ExportFacts {
  return { sizeBytes, isWritable: writer !== undefined }
}

/** Resolves when the bytes are on their way, or nobody wants them any more. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve()
    socket.write(bytes, () => resolve())
  })
}

function notNbd(what: string): MalleeError {
  return new MalleeError('BadMessage', `no NBD ${what} came`)
}

/** So many bytes after the other, as they come. */
class Reader {
  readonly #bytes: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.#bytes = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  /** Throws Unavailable when the stream ends before. */
  async take(length: number): Promise<Buffer> {
    while (this.#rest.length < length) {
      const { done, value } = await this.#bytes.next()
      if (done === true) throw new MalleeError('Unavailable', 'the client left')
      this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value])
    }
    const taken = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return taken
  }
}
