// One HTTP connection that costs the client next to nothing: what is received goes into one buffer
// and is counted, so that figures are the server's.

import { once } from 'node:events'
import { connect } from 'node:net'

export interface RawCall {
  readonly method: 'GET' | 'PUT'
  /** Path and query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

export interface RawAnswer {
  readonly status: number
  /** The body, when it has 512 KiB at most; '' for a longer one. */
  readonly text: () => string
  readonly bodyBytes: number
}

export interface Connection {
  /** One call at a time. Throws when the connection ends before the answer does. */
  readonly ask: (call: RawCall) => Promise<RawAnswer>
  readonly close: () => void
}

const BUFFER_BYTES = 1 << 20
const KEPT_BYTES = 512 << 10
const NO_CONTENT = 204
const HEAD_END = '\r\n\r\n'

interface Awaited {
  readonly done: (answer: RawAnswer) => void
  readonly failed: (error: Error) => void
  head: string
  status: number
  /** Of the body; null before the head has ended. */
  length: number | null
  bodyBytes: number
  kept: Buffer[]
}

/** Understands answers with a length: what both sides here give to these calls. */
export async function openConnection(port: number): Promise<Connection> {
  let awaited: Awaited | null = null
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  const onread = {
    buffer,
    callback: (size: number) => {
      if (awaited !== null) take(awaited, buffer.subarray(0, size))
      return true
    },
  }
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, onread })
  await once(socket, 'connect')
  const lost = (): void => awaited?.failed(new Error(`port ${port} ended the connection`))
  socket.on('error', lost).on('close', lost)

  function take(call: Awaited, bytes: Buffer): void {
    let body = bytes
    if (call.length === null) {
      const end = bytes.indexOf(HEAD_END)
      call.head += bytes.toString('latin1', 0, end < 0 ? bytes.length : end)
      if (end < 0) return
      body = bytes.subarray(end + HEAD_END.length)
      call.status = Number(call.head.split(' ', 2)[1])
      const length = /\r\ncontent-length: (\d+)/i.exec(call.head)?.[1]
      call.length = call.status === NO_CONTENT ? 0 : Number(length ?? Number.NaN)
    }
    call.bodyBytes += body.length
    if (call.length <= KEPT_BYTES) call.kept.push(Buffer.from(body))
    if (call.bodyBytes < call.length) return
    if (Number.isNaN(call.length)) call.failed(new Error(`no length: ${call.head}`))
    awaited = null
    const { status, bodyBytes } = call
    call.done({ status, bodyBytes, text: () => Buffer.concat(call.kept).toString() })
  }

  return {
    ask: async ({ method, path, headers = {}, body }) => {
      const answer = new Promise<RawAnswer>((done, failed) => {
        const empty = { head: '', status: 0, length: null, bodyBytes: 0, kept: [] }
        awaited = { done, failed, ...empty }
      })
      const all = {
        host: `127.0.0.1:${port}`,
        ...headers,
        ...(body !== undefined && { 'content-length': String(body.length) }),
      }
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
      socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}${HEAD_END}`)
      if (body !== undefined) socket.write(body)
      return await answer
    },
    close: () => socket.destroy(),
  }
}
