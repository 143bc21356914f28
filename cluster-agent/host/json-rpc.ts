// One question to a daemon of Open vSwitch over its Unix socket: JSON-RPC 1.0 (RFC 7047, section
// 4), as its database and its control sockets (ovs-appctl(8)) speak it.

import { connect } from 'node:net'
import { MalleeError } from '../../common/errors.ts'

const ANSWER_MS = 2_000
const MAX_ANSWER_BYTES = 64 << 20
const CLOSING_BRACE = 0x7d

interface Answer {
  readonly id?: unknown
  readonly result?: unknown
  readonly error?: unknown
}

/**
 * The result. Throws Unavailable when nobody listens or it hangs up, CommandTimeout after two
 * seconds, CommandFailed when the daemon says no.
 */
export function askJsonRpc(
  socketFile: string,
  method: string,
  params: readonly unknown[],
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketFile)
    const chunks: Buffer[] = []
    let bytes = 0
    const fail = (code: 'Unavailable' | 'CommandTimeout' | 'CommandFailed', why: string) => {
      socket.destroy()
      reject(new MalleeError(code, `${method} at ${socketFile}: ${why}`))
    }
    socket.setTimeout(ANSWER_MS, () => fail('CommandTimeout', `no answer within ${ANSWER_MS} ms`))
    socket.on('error', (error) => fail('Unavailable', error.message))
    socket.on('end', () => fail('Unavailable', 'it hung up'))
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) return fail('CommandFailed', 'an endless answer')
      chunks.push(chunk)
      const answer = chunk.at(-1) === CLOSING_BRACE ? parsed(Buffer.concat(chunks)) : null
      if (answer === null) return
      if (answer.error != null) return fail('CommandFailed', JSON.stringify(answer.error))
      socket.destroy()
      resolve(answer.result)
    })
    socket.write(JSON.stringify({ id: 0, method, params }))
  })
}

/** Null for less than a whole answer: the stream has no other mark of an end. */
function parsed(text: Buffer): Answer | null {
  try {
    return JSON.parse(text.toString()) as Answer
  } catch {
    return null
  }
}
