// A user's end of a serial console, for tests: connects as it is told to, right or wrong, and keeps
// what it hears.

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { until } from '../../sandbox/until.ts'
import { signedHeadersOf, type Wish } from '../gateway/http/sign.ts'
import type { TestCloud } from './cloud.ts'

export interface SerialUser {
  readonly socket: WebSocket
  /** All that came, as Latin-1. */
  readonly heard: () => string
  /** Waits until it was heard. */
  readonly hears: (text: string) => Promise<void>
  readonly send: (text: string) => void
  /** Resolves with the close frame's code and reason. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

export interface SerialWish extends Wish {
  readonly instance: string
  /** Dialled in place of the path that is signed. */
  readonly at?: string
  /** Sent without being signed. */
  readonly unsigned?: Readonly<Record<string, string>>
}

type Key = Pick<TestCloud['init'], 'accessKeyId' | 'secretAccessKey'>

/** A cloud that answers on loopback, and its first account's key. */
interface Answering {
  readonly config: { readonly apiPort: number }
  readonly init: Key
}

export function serialWish(cloud: Answering, wish: SerialWish, key: Key = cloud.init): WebSocket {
  const { apiPort } = cloud.config
  const { accessKeyId, secretAccessKey: secret } = key
  const path = `/serial-console/${wish.instance}`
  const asked = { method: 'GET', service: 'ec2-instance-connect', region: 'mallee-1' }
  const headers = signedHeadersOf(apiPort, { ...asked, accessKeyId, secret, ...wish, path })
  const query = wish.query === undefined ? '' : `?${wish.query}`
  const url = `ws://127.0.0.1:${apiPort}${wish.at ?? path}${query}`
  return new WebSocket(url, { headers: { ...headers, ...wish.unsigned } })
}

/** Throws what it is refused with. */
export async function serialUser(socket: WebSocket): Promise<SerialUser> {
  let heard = ''
  socket.on('message', (data: Buffer) => {
    heard += data.toString('latin1')
  })
  const closed = once(socket, 'close').then(([code, reason]) => ({
    code: code as number,
    reason: String(reason),
  }))
  const refusal = await opened(socket)
  if (refusal !== null) throw Object.assign(new Error(refusal.message), refusal)
  return {
    socket,
    closed,
    heard: () => heard,
    hears: (text) => until(`the user hears ${JSON.stringify(text)}`, () => heard.includes(text)),
    send: (text) => socket.send(Buffer.from(text, 'latin1')),
  }
}

/** What the request is refused with. Throws when it is not. */
export async function serialRefusal(socket: WebSocket): Promise<Refusal> {
  const refusal = await opened(socket)
  if (refusal !== null) return refusal
  socket.terminate()
  throw new Error('the serial console was opened')
}

export async function leave(user: SerialUser): Promise<void> {
  user.socket.close()
  await user.closed
}

/** The user before is just leaving, or the host is on its way back. */
export async function whenFree(connect: () => Promise<SerialUser>): Promise<SerialUser> {
  const users: SerialUser[] = []
  await until('the console is free', async () => {
    const user = await connect().catch(() => null)
    if (user !== null) users.push(user)
    return user !== null
  })
  return users[0] as SerialUser
}

function opened(socket: WebSocket): Promise<Refusal | null> {
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(null))
    socket.on('error', reject)
    socket.on('unexpected-response', (_request, response) => {
      bodyOf(response).then(({ __type: code, Message: message }) => {
        resolve({ status: response.statusCode ?? 0, code, message })
      }, reject)
    })
  })
}

async function bodyOf(response: IncomingMessage): Promise<{ __type: string; Message: string }> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString())
}
