// The `mallee` command's side of the gateway's local socket.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { request } from 'node:http'
import { type Code, MalleeError } from '../../common/errors.ts'
import { VERSION } from '../../common/version.ts'
import { USER_HEADER } from '../files.ts'

/** When nobody says. */
const TIMEOUT_MS = 60_000
const MAX_ANSWER_BYTES = 64 << 20

export interface LocalCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body?: object
  /** Without a word for so long the call ends; a minute when not given. */
  readonly timeoutMs?: number
  /** Sent as the body, with progress in bytes. */
  readonly file?: { readonly path: string; readonly onProgress: (bytes: number) => void }
}

/** Calls the gateway on this machine. Throws Unavailable when none listens, else its own error. */
export async function callLocal<T>(socketPath: string, call: LocalCall): Promise<T> {
  const size = call.file === undefined ? null : await sizeOf(call.file.path)
  const { status, text } = await send(socketPath, call, size)
  const answer = JSON.parse(text === '' ? '{}' : text) as T & { code?: Code; message?: string }
  if (status >= 400) {
    throw new MalleeError(answer.code ?? 'Unavailable', answer.message ?? `answered ${status}`)
  }
  return answer
}

function send(
  socketPath: string,
  { method, path, body, file, timeoutMs: timeout = TIMEOUT_MS }: LocalCall,
  size: number | null,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers: Record<string, string | number> = { 'user-agent': `mallee/${VERSION}` }
    const user = process.env['SUDO_USER'] ?? process.env['USER']
    if (user !== undefined && /^[\w.@-]+$/.test(user)) headers[USER_HEADER] = user
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (size !== null) headers['content-length'] = size
    const call = request({ socketPath, method, path, headers, timeout }, (answer) => {
      const chunks: Buffer[] = []
      let bytes = 0
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES) answer.destroy(new Error('the answer is too large'))
        else chunks.push(chunk)
      })
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 500, text: Buffer.concat(chunks).toString() }),
      )
      answer.on('error', reject)
    })
    call.on('timeout', () => call.destroy(new Error(`no answer within ${timeout} ms`)))
    call.on('error', (cause) => {
      const sentence = `the gateway does not answer on ${socketPath} (${cause.message}); is 'mallee gateway' running on this machine, and are you root`
      reject(new MalleeError('Unavailable', sentence, { cause }))
    })
    if (file === undefined) {
      call.end(body === undefined ? undefined : JSON.stringify(body))
      return
    }
    let sent = 0
    createReadStream(file.path)
      .on('data', (chunk) => {
        sent += chunk.length
        file.onProgress(sent)
      })
      .on('error', (error) => call.destroy(error))
      .pipe(call)
  })
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new MalleeError('BadArgument', `there is no file ${path}`, { cause })
  })
  if (!found.isFile()) throw new MalleeError('BadArgument', `${path} is not a file`)
  return found.size
}
