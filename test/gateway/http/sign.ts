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
  const timestamp = `${new Date(wish.atMs ?? Date.now()).toISOString().slice(0, 19)}Z`.replaceAll(
    /[-:]/g,
    '',
  )
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
  const key = [date, region, service, 'aws4_request'].reduce<Buffer>(
    hmac,
    Buffer.from(`AWS4${wish.secret ?? KEY.secretAccessKey}`),
  )
  const text = ['AWS4-HMAC-SHA256', timestamp, scope, hash('sha256', canonical)].join('\n')
  const authorization = [
    `AWS4-HMAC-SHA256 Credential=${wish.accessKeyId ?? KEY.accessKeyId}/${scope}`,
    `SignedHeaders=${names.join(';')}`,
    `Signature=${hmac(key, text).toString('hex')}`,
  ].join(', ')
  return { ...headers, authorization }
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
