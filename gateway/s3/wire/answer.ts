// An answer on its way out: headers, then a text or a stream at the client's pace. A client that is
// still sending gets an early answer too: what it sends is let pass first.

import type { ServerResponse } from 'node:http'
import { giveBack } from '../../../common/lent-bytes.ts'
import type { S3Answer } from './call.ts'
import type { Encoded } from './encode.ts'
import { drain, STALL_MS } from './incoming.ts'
import type { S3Request } from './running.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | AsyncIterable<Uint8Array> | null
}

const BODYLESS: ReadonlySet<number> = new Set([204, 304])

/** What the model makes of an output, and what its handler says beside that. */
export function answerOf(encoded: Encoded, answer: S3Answer<object>): Answer {
  return {
    status: answer.status ?? encoded.status,
    headers: { ...encoded.headers, ...answer.headers },
    body: answer.body ?? encoded.body,
  }
}

/**
 * The same, once the first bytes of its stream are there: until then it can still be refused.
 * Throws what the stream throws.
 */
export async function begun({ message }: S3Request, answer: Answer): Promise<Answer> {
  const { body } = answer
  const isStream = body !== null && typeof body !== 'string'
  if (!isStream || !takesBody(message, answer)) return answer
  const stream = body[Symbol.asyncIterator]()
  let first: IteratorResult<Uint8Array> | null = await stream.next()
  const whole: AsyncIterableIterator<Uint8Array> = {
    next: async () => {
      const one = first ?? (await stream.next())
      first = null
      return one
    },
    return: async () => (await stream.return?.()) ?? { done: true, value: undefined },
    [Symbol.asyncIterator]: () => whole,
  }
  return { ...answer, body: whole }
}

function takesBody({ method }: S3Request['message'], { status }: Answer): boolean {
  return method !== 'HEAD' && !BODYLESS.has(status)
}

/**
 * Resolves when all is sent. Throws, with the connection ended, when the stream does or the client
 * does not take it.
 */
export async function sendAnswer(request: S3Request, answer: Answer): Promise<void> {
  const { message, response, waits } = request
  const { status, headers } = answer
  const body = takesBody(message, answer) ? (answer.body ?? '') : null
  const isLate = message.complete || message.readableEnded
  // A client that waits was not asked for its body, or it may be on its way: both end here.
  if (!isLate) response.setHeader('connection', 'close')
  response.writeHead(status, headersFor(headers, body))
  if (body !== null && typeof body !== 'string') {
    try {
      await sendStream(response, body)
    } catch (error) {
      message.socket.destroy()
      throw error
    }
  } else if (isLate) {
    // Head and body go out together.
    response.end(body ?? undefined)
    return
  } else if (body === null || body === '') {
    response.flushHeaders()
  } else {
    response.write(body)
  }
  if (!isLate && !waits) await drain(message)
  response.end()
}

function headersFor(
  headers: Readonly<Record<string, string>>,
  body: Answer['body'],
): Record<string, string> {
  if (typeof body !== 'string') return { ...headers }
  return { ...headers, 'content-length': String(Buffer.byteLength(body)) }
}

async function sendStream(
  response: ServerResponse,
  body: AsyncIterable<Uint8Array>,
): Promise<void> {
  for await (const chunk of body) {
    if (response.destroyed) throw new Error('the client is gone')
    const sent = (error?: Error | null): void => {
      if (error === null || error === undefined) giveBack(chunk)
    }
    if (!response.write(chunk, sent)) await drained(response)
  }
}

/** Throws when the client takes nothing for too long, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(new Error(`nothing was taken for ${STALL_MS} ms`)), STALL_MS)
    const ready = (): void => end(null)
    const gone = (): void => end(new Error('the client is gone'))
    function end(error: Error | null): void {
      clearTimeout(timer)
      response.off('drain', ready).off('close', gone)
      if (error === null) resolve()
      else reject(error)
    }
    response.on('drain', ready).on('close', gone)
  })
}
