// An endpoint whose S3 has one bucket and keeps objects in memory; requests to it that are signed
// by the letter of AWS's documentation, or wrongly: real clients refuse to.

import { createHmac, hash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import type { S3Handlers } from '../../../../gateway/s3/wire/call.ts'
import type { S3Service } from '../../../../gateway/s3/wire/running.ts'
import type { Ending } from '../../../support/cloud.ts'
import { CALLER, type Endpoint, KEY, REGION, startEndpoint } from '../../http/support.ts'

export const BUCKET = {
  ...{ name: 'bucket', id: 'b1', account: CALLER.account, rack: '', createdAtMs: 0 },
  versioning: 'off',
} as const

export interface Kept {
  readonly text: string
  readonly md5Hex: string
  readonly checksum: string
  readonly input: object
}

export interface S3Endpoint extends Endpoint {
  /** What PutObject was given whole, by key. */
  readonly kept: ReadonlyMap<string, Kept>
}

/** PutObject keeps, GetObject gives; other operations are what `more` says. */
export async function startS3(
  t: Ending,
  more: S3Service['handlers'] = {},
  options: Parameters<typeof startEndpoint>[1] = {},
  own: Partial<S3Service> = {},
): Promise<S3Endpoint> {
  const kept = new Map<string, Kept>()
  const handlers: S3Handlers = {
    async PutObject({ input, body }) {
      if (body === null) throw new Error('no body')
      const parts: Uint8Array[] = []
      for await (const part of body.bytes) parts.push(part)
      const { md5Hex, checksum } = body.sums()
      const { algorithm, base64 } = checksum
      const sums = { md5Hex, checksum: `${algorithm} ${base64}` }
      kept.set(input.Key ?? '', { text: Buffer.concat(parts).toString(), ...sums, input })
      return { output: { ETag: `"${md5Hex}"` } }
    },
    async GetObject({ input }) {
      const bytes = Buffer.from(kept.get(input.Key ?? '')?.text ?? '')
      return {
        output: { ContentLength: bytes.length },
        body: (async function* () {
          yield bytes
        })(),
      }
    },
    ...more,
  }
  const guard = async () => ({ bucket: BUCKET, allows: () => true })
  const cors = { preflight: () => ({}), headers: () => ({}) }
  const s3 = { handlers, guard, cors, domains: ['localhost'], ...own }
  const endpoint = await startEndpoint(t, { s3, ...options })
  return { ...endpoint, kept }
}

export interface Wish {
  readonly method?: string
  /** Canonical, as the query. */
  readonly path?: string
  readonly query?: string
  readonly body?: string | Buffer
  /** The last line of what is signed; the digest of the body when not given. */
  readonly payload?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent and not signed. */
  readonly unsigned?: Readonly<Record<string, string>>
  readonly atMs?: number
  readonly region?: string
  readonly accessKeyId?: string
  readonly secret?: string
}

export interface Signed {
  readonly headers: Record<string, string>
  readonly signature: string
  readonly timestamp: string
  readonly scope: string
  readonly key: Buffer
}

export function signed(port: number, wish: Wish): Signed {
  const { method = 'PUT', path = '/bucket/key', query = '', body = '' } = wish
  const { region = REGION, accessKeyId = KEY.accessKeyId, secret = KEY.secretAccessKey } = wish
  const iso = new Date(wish.atMs ?? Date.now()).toISOString()
  const timestamp = `${iso.slice(0, 19)}Z`.replaceAll(/[-:]/g, '')
  const date = timestamp.slice(0, 8)
  const payload = wish.payload ?? hash('sha256', body)
  const all: Record<string, string> = {
    ...{ host: `127.0.0.1:${port}`, 'x-amz-date': timestamp, 'x-amz-content-sha256': payload },
    ...wish.headers,
  }
  const names = Object.keys(all).sort((a, b) => (a < b ? -1 : 1))
  const lines = names.map((name) => `${name}:${all[name]}`)
  const canonical = [method, path, query, ...lines, '', names.join(';'), payload].join('\n')
  const scope = `${date}/${region}/s3/aws4_request`
  const key = [date, region, 's3', 'aws4_request'].reduce<Buffer>(
    (by, part) => createHmac('sha256', by).update(part).digest(),
    Buffer.from(`AWS4${secret}`),
  )
  const toSign = ['AWS4-HMAC-SHA256', timestamp, scope, hash('sha256', canonical)].join('\n')
  const signature = createHmac('sha256', key).update(toSign).digest('hex')
  const authorization = [
    `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}`,
    ` SignedHeaders=${names.join(';')}, Signature=${signature}`,
  ].join(',')
  const headers = { ...all, ...wish.unsigned, authorization }
  return { headers, signature, timestamp, scope, key }
}

/** Each chunk signed. At a time that is fixed, so that the seed is what `call` signs too. */
export function signedChunks(
  chunks: readonly string[],
  encoding = 'aws-chunked',
): Wish & { readonly body: string; readonly parts: readonly string[] } {
  const atMs = Date.now()
  const head: Wish = {
    ...{ atMs, payload: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' },
    headers: {
      // The port is not known yet: the host is signed as any other name.
      ...{ host: 'a.test', 'content-encoding': encoding },
      'x-amz-decoded-content-length': String(chunks.join('').length),
    },
  }
  const { signature, timestamp, scope, key } = signed(0, head)
  let previous = signature
  const parts = [...chunks, ''].map((data) => {
    const sums = [hash('sha256', ''), hash('sha256', data)]
    const text = ['AWS4-HMAC-SHA256-PAYLOAD', timestamp, scope, previous, ...sums].join('\n')
    previous = createHmac('sha256', key).update(text).digest('hex')
    return `${data.length.toString(16)};chunk-signature=${previous}\r\n${data}\r\n`
  })
  return { ...head, body: parts.join(''), parts }
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
}

/** Sends exactly these headers, and a length if there is none. */
export async function send(port: number, wish: Wish, headers: object): Promise<Answer> {
  const { method = 'PUT', path = '/bucket/key', query = '', body = '' } = wish
  const url = query === '' ? path : `${path}?${query}`
  const length = { 'content-length': String(Buffer.byteLength(body)) }
  const request = httpRequest({
    ...{ host: '127.0.0.1', port, method, path: url, agent: false },
    headers: { ...length, ...headers },
  })
  request.end(body)
  const [response] = await once(request, 'response')
  return {
    status: response.statusCode,
    headers: response.headers,
    text: await text(response),
  }
}

export async function call(port: number, wish: Wish): Promise<Answer> {
  return await send(port, wish, signed(port, wish).headers)
}

/** `<Code>` of an error document, or what the element of that name says. */
export function elementIn({ text: xml }: Pick<Answer, 'text'>, name = 'Code'): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? ''
}

/** A connection on which a request's head is written by hand. */
export async function rawHead(port: number, wish: Wish, more: object = {}): Promise<Socket> {
  const { method = 'PUT', path = '/bucket/key' } = wish
  const headers = { ...signed(port, wish).headers, ...more }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
  return socket
}

/** All that comes until the end, while mocked timers run: a second with every turn. */
export async function answerInTime(
  { mock }: Pick<TestContext, 'mock'>,
  socket: Socket,
): Promise<string> {
  const answer = text(socket)
  let isThere = false
  void answer.then(() => {
    isThere = true
  })
  for (let i = 0; i < 10_000 && !isThere; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    mock.timers.tick(1_000)
  }
  return await answer
}
