// One session: the user's WebSocket on one side, the instance's serial port on the other, each
// read no faster than the other one takes. Ends by itself when nobody uses it any more.

import type { WebSocket } from 'ws'
import type { Clock } from '../../common/clock.ts'
import type { SerialStream } from '../../proto/serial-stream.ts'

/** Bytes that may wait for a slow user in this process. */
const MAX_BUFFERED = 64 << 10
const PING_MS = 30_000
/** Without a byte in either direction. */
const IDLE_MS = 20 * 60_000
/** As AWS's sessions last (EC2 user guide, "EC2 Serial Console"). */
const LONGEST_MS = 60 * 60_000
/** A close frame has 125 bytes, and a code in them (RFC 6455, section 5.5). */
const MAX_REASON_BYTES = 123

/** Close codes (RFC 6455, section 7.4.1). */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  notBinary: 1003,
  policy: 1008,
  broken: 1011,
} as const

export interface SessionEnd {
  readonly reason: string
  /** From the user to the instance, and back. */
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface SerialSession {
  /** Resolves when both sides are closed. */
  readonly ended: Promise<SessionEnd>
  /** With a word to the user. */
  readonly end: (code: number, reason: string) => void
}

export interface SessionTiming {
  readonly pingMs: number
  readonly idleMs: number
  readonly longestMs: number
}

export const SESSION_TIMING: SessionTiming = {
  pingMs: PING_MS,
  idleMs: IDLE_MS,
  longestMs: LONGEST_MS,
}

/** Both are this session's from now on. */
export function runSession(
  socket: WebSocket,
  port: SerialStream,
  clock: Clock,
  timing: SessionTiming = SESSION_TIMING,
): SerialSession {
  const startedAtMs = clock.nowMs()
  let lastByteMs = startedAtMs
  let isAlive = true
  let reason: string | null = null

  function end(code: number, why: string): void {
    if (reason !== null) return
    reason = why
    port.why = why
    socket.close(code, shortened(why))
    port.destroy()
  }

  socket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) return end(CLOSE.notBinary, 'only binary messages, please')
    lastByteMs = clock.nowMs()
    isAlive = true
    if (data.length > 0 && !port.write(data)) socket.pause()
  })
  port.on('drain', () => socket.resume())
  port.on('data', (bytes: Buffer) => {
    lastByteMs = clock.nowMs()
    socket.send(bytes, { binary: true }, () => {
      if (socket.bufferedAmount <= MAX_BUFFERED) port.resume()
    })
    if (socket.bufferedAmount > MAX_BUFFERED) port.pause()
  })
  socket.on('pong', () => {
    isAlive = true
  })
  socket.on('error', (error) => end(CLOSE.broken, error.message))
  socket.on('close', () => end(CLOSE.normal, 'the user left'))
  port.on('error', (error) => end(CLOSE.broken, error.message))
  port.on('end', () => end(CLOSE.normal, port.endedBy ?? 'the serial port was closed'))
  port.on('close', () => end(CLOSE.broken, 'the way to the host broke'))

  const timer = setInterval(() => {
    const nowMs = clock.nowMs()
    if (nowMs - startedAtMs >= timing.longestMs) {
      return end(CLOSE.policy, `a session lasts ${minutes(timing.longestMs)} at most`)
    }
    if (nowMs - lastByteMs >= timing.idleMs) {
      return end(CLOSE.policy, `nothing happened for ${minutes(timing.idleMs)}`)
    }
    // Who is not read cannot answer.
    if (socket.isPaused) return
    if (!isAlive) {
      end(CLOSE.policy, 'the user does not answer')
      return socket.terminate()
    }
    isAlive = false
    socket.ping()
  }, timing.pingMs)

  const ended = new Promise<SessionEnd>((resolve) => {
    let open = 2
    const closed = (): void => {
      open -= 1
      if (open > 0) return
      clearInterval(timer)
      const { sent: bytesIn, received: bytesOut } = port.carried
      resolve({ reason: reason ?? 'the user left', bytesIn, bytesOut })
    }
    socket.once('close', closed)
    port.once('close', closed)
  })
  return { ended, end }
}

function minutes(ms: number): string {
  return `${Math.round(ms / 60_000)} minutes`
}

function shortened(reason: string): string {
  return Buffer.from(reason)
    .subarray(0, MAX_REASON_BYTES)
    .toString()
    .replace(/\uFFFD+$/, '')
}
