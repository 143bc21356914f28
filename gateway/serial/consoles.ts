// Serial consoles over WebSockets: from the request to the end of the session, with its limits, its
// audit records, its line of the log and its counts. What goes on in a session: socket.ts.

import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import type { SerialStream } from '../../proto/serial-stream.ts'
import type { Audit } from '../audit/audit.ts'
import { ApiError } from '../aws/api-error.ts'
import { hasSerialConsole } from '../ec2/serial-access.ts'
import type { Metrics } from '../metrics.ts'
import {
  type AdmissionParts,
  type Admit,
  createAdmission,
  SERIAL_SERVICE,
  type SerialCall,
  type UpgradeRequest,
} from './admission.ts'
import type { SerialLines } from './lines.ts'
import { invalidArgs, serialRefusal, throttled } from './refusals.ts'
import { CLOSE, runSession, type SerialSession } from './socket.ts'

export interface SerialConsoleParts extends AdmissionParts {
  readonly lines: Pick<SerialLines, 'open'>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'apiCall' | 'serialSessions' | 'serialBytes'>
  readonly audit?: Audit
  /** A fresh UUID. */
  readonly requestId: () => string
}

/** What a refused request gets. */
export interface SerialAnswer {
  readonly status: number
  readonly code: string
  readonly requestId: string
  /** JSON. */
  readonly body: string
}

export interface SerialConsoles {
  /** Answers, or opens a session. The socket is this one's from now on. Never throws. */
  readonly upgrade: (message: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>
  /** Of a request for a serial console that is no upgrade. */
  readonly answer: (message: IncomingMessage) => Promise<SerialAnswer>
  /** Ends all sessions; resolves when they have. */
  readonly close: () => Promise<void>
}

export const SERIAL_CONTENT_TYPE = 'application/x-amz-json-1.1'
const STARTS = 'StartSerialConsoleSession'
const ENDS = 'EndSerialConsoleSession'
/** For a user who was refused to read the answer. */
const HANG_UP_MS = 2_000
const MAX_SESSIONS = 200
const MAX_SESSIONS_OF_ACCOUNT = 20
/** A person's typing, or a paste; ws closes with 1009 what sends more at once. */
const MAX_MESSAGE_BYTES = 64 << 10

interface Open {
  readonly account: string
  readonly session: SerialSession
}

export function serialConsoles(parts: SerialConsoleParts): SerialConsoles {
  const { state, clock, log, metrics, lines } = parts
  const admit: Admit = createAdmission(parts)
  const open = new Set<Open>()
  /** By account, with those that are being opened. */
  const seats = new Map<string, number>()
  let isClosing = false
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: () => false,
  })
  const offChange = state.onChange((changes) => {
    if (open.size === 0 || !changes.some(({ key }) => key.startsWith('account/'))) return
    for (const { account, session } of open) {
      if (hasSerialConsole(state.view(), account)) continue
      session.end(CLOSE.policy, 'the account has no serial console access any more')
    }
  })

  return {
    upgrade: async (message, socket, head) => {
      const request = requestOf(message)
      const call = begin(request)
      // Nobody else listens any more, and an error without a listener ends the process.
      socket.on('error', () => socket.destroy())
      let port: SerialStream | null = null
      let leave: (() => void) | null = null
      try {
        const record = await admit(request, call)
        leave = takeSeat(record.account)
        port = await lines.open(record)
        if (socket.destroyed || isClosing) throw new ApiError('ServiceException', 'Gone.', 503)
        await tell(call, STARTS, {}, null)
        const webSocket = await handshake(message, socket, head)
        count(call, 'OK')
        await carry(call, record.account, webSocket, port)
      } catch (error) {
        port?.destroy()
        hangUp(socket, rawAnswer(await refused(call, error)))
      } finally {
        leave?.()
      }
    },
    answer: async (message) => {
      const request = requestOf(message)
      const call = begin(request)
      // It has no Upgrade header that means anything: the handshake is refused first.
      return refused(call, await admit(request, call).then(invalidUpgrade, (error) => error))
    },
    close: async () => {
      isClosing = true
      offChange()
      const all = [...open]
      for (const { session } of all) session.end(CLOSE.goingAway, 'the gateway stops')
      await Promise.all(all.map(({ session }) => session.ended))
    },
  }

  function begin({ sourceIp }: UpgradeRequest): SerialCall {
    const nobody = { accessKeyId: '', userAgent: '', caller: null, instance: '' }
    return { requestId: parts.requestId(), startedAtMs: clock.nowMs(), sourceIp, ...nobody }
  }

  /** Before the host is asked: what many could do at once is counted first. */
  function takeSeat(account: string): () => void {
    const own = seats.get(account) ?? 0
    const all = [...seats.values()].reduce((sum, count) => sum + count, 0)
    if (isClosing) throw new ApiError('ServiceException', 'The gateway stops.', 503)
    if (own >= MAX_SESSIONS_OF_ACCOUNT || all >= MAX_SESSIONS) {
      const whose = own >= MAX_SESSIONS_OF_ACCOUNT ? `${own} of your account` : `${all}`
      throw throttled(`There are ${whose} serial console sessions already. End one first.`)
    }
    seats.set(account, own + 1)
    return () => {
      const left = (seats.get(account) ?? 1) - 1
      if (left === 0) seats.delete(account)
      else seats.set(account, left)
    }
  }

  function handshake(message: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> {
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new ApiError('ServiceException', 'The user left.', 503))
      socket.once('close', gone)
      server.handleUpgrade(message, socket, head, (webSocket) => {
        socket.off('close', gone)
        resolve(webSocket)
      })
    })
  }

  /** Until both sides are closed. Never rejects: from here on there is a session to answer. */
  async function carry(
    call: SerialCall,
    account: string,
    socket: WebSocket,
    port: SerialStream,
  ): Promise<void> {
    const session = runSession(socket, port, clock)
    const one = { account, session }
    open.add(one)
    metrics.serialSessions(open.size)
    if (isClosing) session.end(CLOSE.goingAway, 'the gateway stops')
    const who = shown(call)
    log.info('serial console opened', who)
    const { reason, bytesIn, bytesOut } = await session.ended
    open.delete(one)
    metrics.serialSessions(open.size)
    metrics.serialBytes(bytesIn, bytesOut)
    log.info('serial console closed', { ...who, reason, bytesIn, bytesOut })
    const durationMs = clock.nowMs() - call.startedAtMs
    await tell(call, ENDS, { reason, bytesIn, bytesOut, durationMs }, null)
  }

  async function refused(call: SerialCall, error: unknown): Promise<SerialAnswer> {
    const { code, message, status } = serialRefusal(error)
    if (status >= 500) log.warn('serial console not opened', { ...shown(call), error })
    count(call, code)
    await tell(call, STARTS, null, new ApiError(code, message, status))
    const body = JSON.stringify({ __type: code, Message: message })
    return { status, code, requestId: call.requestId, body }
  }

  function count(call: SerialCall, code: string): void {
    const ms = clock.nowMs() - call.startedAtMs
    metrics.apiCall({ service: SERIAL_SERVICE, action: STARTS, code, seconds: ms / 1000 })
    log.info('api call', { service: SERIAL_SERVICE, action: STARTS, ...shown(call), code, ms })
  }

  async function tell(
    call: SerialCall,
    action: string,
    output: object | null,
    error: ApiError | null,
  ): Promise<void> {
    const { caller, instance } = call
    if (caller === null) return
    const input = { InstanceId: instance, SerialPort: 0 }
    const about = { service: SERIAL_SERVICE, action, input, output, error } as const
    await parts.audit?.({ ...call, ...about, caller, endedAtMs: clock.nowMs() })
  }
}

function invalidUpgrade(): ApiError {
  return invalidArgs('The serial console is a WebSocket: Connection must be Upgrade.', 426)
}

function shown({ requestId, caller, accessKeyId, sourceIp, instance }: SerialCall) {
  return { requestId, instance, account: caller?.account ?? '', accessKeyId, sourceIp }
}

function requestOf(message: IncomingMessage): UpgradeRequest {
  const { method = '', url = '', rawHeaders, socket } = message
  const secure = 'encrypted' in socket
  return { method, url, rawHeaders, sourceIp: socket.remoteAddress ?? '', secure }
}

/** Nothing watches the connection any more: who does not hang up, too, is hung up on. */
function hangUp(socket: Duplex, lastWords: string): void {
  socket.resume()
  socket.end(lastWords)
  const timer = setTimeout(() => socket.destroy(), HANG_UP_MS)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}

/** For a connection that is no HTTP server's any more. */
function rawAnswer({ status, code, requestId, body }: SerialAnswer): string {
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
    `content-type: ${SERIAL_CONTENT_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-amzn-errortype: ${code}`,
    `x-amzn-requestid: ${requestId}`,
    ...(status === 426 ? ['sec-websocket-version: 13'] : []),
    'connection: close',
    '',
    body,
  ].join('\r\n')
}
