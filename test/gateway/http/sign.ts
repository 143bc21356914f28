// A second implementation of signing, by the letter of AWS's documentation and for tests only, that
// can also do it wrong: real clients refuse to.

import { createHmac, hash } from 'node:crypto'
import { KEY, REGION } from './support.ts'

export interface Wish {
  readonly method?: string
  /** Canonical; `/` when not given. */
  readonly path?: string
  readonly query?: string
  readonly body?: string
  readonly service?: string
  readonly region?: string
  readonly accessKeyId?: string
  readonly secret?: string
  readonly atMs?: number
  readonly scopeDate?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signedHeaders?: readonly string[]
}

/** Headers that sign `wish` for `http://127.0.0.1:port`. The query must already be canonical. */
export function signedHeadersOf(port: number, wish: Wish): Record<string, string> {
  const {
    method = 'POST',
    path = '/',
    query = '',
    body = '',
    service = 'ec2',
    region = REGION,
  } = wish
  const timestamp = basicTime(wish.atMs)
  const date = wish.scopeDate ?? timestamp.slice(0, 8)
  const headers: Record<string, string> = {
    host: `127.0.0.1:${port}`,
    'x-amz-date': timestamp,
    ...wish.headers,
  }
  const names = wish.signedHeaders ?? Object.keys(headers).sort((a, b) => (a < b ? -1 : 1))
  const canonical = [
    ...[method, path, query],
    ...names.map((name) => `${name}:${headers[name]?.trim().replaceAll(/ +/g, ' ')}`),
    ...['', names.join(';'), hash('sha256', body)],
  ].join('\n')
  const scope = `${date}/${region}/${service}/aws4_request`
  const authorization = [
    `AWS4-HMAC-SHA256 Credential=${wish.accessKeyId ?? KEY.accessKeyId}/${scope}`,
    `SignedHeaders=${names.join(';')}`,
    `Signature=${signature(wish, timestamp, scope, canonical)}`,
  ].join(', ')
  return { ...headers, authorization }
}

/** The query that presigns a GET of `wish`, which has none of its own, for so many seconds. */
export function presignedQuery(port: number, wish: Wish, seconds: number): string {
  const { path = '/', service = 'ec2', region = REGION } = wish
  const timestamp = basicTime(wish.atMs)
  const scope = `${timestamp.slice(0, 8)}/${region}/${service}/aws4_request`
  const query = new URLSearchParams([
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${wish.accessKeyId ?? KEY.accessKeyId}/${scope}`],
    ['X-Amz-Date', timestamp],
    ['X-Amz-Expires', `${seconds}`],
    ['X-Amz-SignedHeaders', 'host'],
  ]).toString()
  const lines = ['GET', path, query, `host:127.0.0.1:${port}`, '', 'host', hash('sha256', '')]
  return `${query}&X-Amz-Signature=${signature(wish, timestamp, scope, lines.join('\n'))}`
}

function signature(wish: Wish, timestamp: string, scope: string, canonical: string): string {
  const secret = Buffer.from(`AWS4${wish.secret ?? KEY.secretAccessKey}`)
  const key = scope.split('/').reduce<Buffer>(hmac, secret)
  const text = ['AWS4-HMAC-SHA256', timestamp, scope, hash('sha256', canonical)].join('\n')
  return hmac(key, text).toString('hex')
}

function basicTime(atMs = Date.now()): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`.replaceAll(/[-:]/g, '')
}

/** Sends `wish`, signed. */
export async function call(port: number, wish: Wish): Promise<Response> {
  const { method = 'POST', query = '', body = '' } = wish
  const { host: _, ...headers } = signedHeadersOf(port, wish)
  const url = `http://127.0.0.1:${port}/${query === '' ? '' : `?${query}`}`
  return await fetch(url, { method, headers, ...(method === 'POST' && { body }) })
}

/** The code of an error, in EC2's form or STS'. */
export function codeIn(xml: string): string {
  return /<Code>([^<]*)<\/Code>/.exec(xml)?.[1] ?? ''
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
