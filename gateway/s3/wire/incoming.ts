// The bytes of a request as they come from the socket: pulled, never pushed; a client that sends
// nothing for too long is given up; and what nobody reads any more is let pass, within bounds.

import type { IncomingMessage } from 'node:http'
import { incomplete } from './chunked.ts'
import { S3Error } from './error.ts'

/** Between two pieces of a body, in milliseconds. */
export const STALL_MS = 30_000
/** What is read of a body after its request was refused, so that the answer arrives. */
const MAX_DRAIN_BYTES = 64 << 20
const MAX_DRAIN_MS = 30_000

/**
 * Ends with the body. Throws RequestTimeout when nothing comes for `stallMs`, IncompleteBody when
 * the client is gone. While nobody pulls, nothing is read and no time passes.
 */
export async function* incoming(
  request: IncomingMessage,
  stallMs = STALL_MS,
): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk: Buffer | null = request.read()
    if (chunk !== null) {
      yield chunk
      continue
    }
    if (request.readableEnded) return
    if (request.destroyed || request.errored !== null) throw incomplete()
    await somethingNew(request, stallMs)
  }
}

function somethingNew(request: IncomingMessage, stallMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      done()
      reject(stalled())
    }, stallMs)
    const heard = (): void => {
      done()
      resolve()
    }
    const gone = (): void => {
      done()
      reject(incomplete())
    }
    function done(): void {
      clearTimeout(timer)
      request.off('readable', heard).off('end', heard).off('error', gone).off('aborted', gone)
    }
    request.on('readable', heard).on('end', heard).on('error', gone).on('aborted', gone)
  })
}

/** Reads on without keeping anything, until the end or until it is enough. */
export async function drain(request: IncomingMessage): Promise<void> {
  if (request.readableEnded || request.destroyed) return
  await new Promise<void>((resolve) => {
    let bytes = 0
    const timer = setTimeout(done, MAX_DRAIN_MS)
    function count(chunk: Buffer): void {
      bytes += chunk.length
      if (bytes > MAX_DRAIN_BYTES) done()
    }
    function done(): void {
      clearTimeout(timer)
      request.off('data', count).off('end', done).off('error', done).off('close', done)
      request.pause()
      resolve()
    }
    request.on('data', count).on('end', done).on('error', done).on('close', done)
    request.resume()
  })
}

function stalled(): S3Error {
  const message =
    'Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.'
  return new S3Error('RequestTimeout', message, 400)
}
