// Requests to an S3 engine that holds blobs: signed, one at a time, with what failed of them in our
// words. Source: "Signature Version 4 signing process" of the IAM user guide.

import { createHmac, hash } from 'node:crypto'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { Clock } from '../../../common/clock.ts'
import { MalleeError, messageOf } from '../../../common/errors.ts'
import { canonicalRequest } from '../../http/canonical-request.ts'
import { ALGORITHM } from '../../http/sigv4.ts'

/** An engine that says nothing for so long is taken for gone. */
const STALL_MS = 30_000
const MAX_TEXT_BYTES = 4 << 20
const TRIES = 3
const RETRY_MS = 200
const FULL = ['QuotaExceeded', 'InsufficientStorage', 'EntityTooLarge']
const NOT_FOUND = ['NoSuchKey', 'NoSuchUpload']

/** Where an engine is. `name` is safe to show. */
export interface EngineAddress {
  readonly name: string
  readonly url: URL
  readonly bucket: string
  readonly accessKeyId: string
  readonly secret: string
  readonly region: string
}

export interface EngineCall {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Of the object; '' for the bucket. */
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/**
 * `http://KEY:SECRET@host:port/bucket?region=us-east-1`, or `https:`. Throws BadConfig, without the
 * URL as it holds a secret.
 */
export function parseEngineUrl(text: string): EngineAddress {
  const url = URL.canParse(text) ? new URL(text) : null
  const bucket = /^\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$/.exec(url?.pathname ?? '')?.[1]
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (url === null || bucket === undefined || !isHttp || url.username === '') {
    const wanted = 'http://KEY:SECRET@host:port/bucket?region=us-east-1'
    throw new MalleeError('BadConfig', `objectEngine is not like ${wanted}`)
  }
  return {
    name: `${url.protocol}//${url.host}/${bucket}`,
    ...{ url, bucket, accessKeyId: decodeURIComponent(url.username) },
    secret: decodeURIComponent(url.password),
    region: url.searchParams.get('region') ?? 'us-east-1',
  }
}

export class EngineClient {
  readonly #address: EngineAddress
  readonly #clock: Clock
  readonly #agent: http.Agent

  constructor(address: EngineAddress, clock: Clock) {
    this.#address = address
    this.#clock = clock
    const isTls = address.url.protocol === 'https:'
    this.#agent = new (isTls ? https : http).Agent({ keepAlive: true })
  }

  /**
   * An answer whose body is still to come; asked again when the engine is away for a moment. Throws
   * NotFound, StoreFull, StoreUnavailable.
   */
  async call(call: EngineCall): Promise<IncomingMessage> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#once(call)
      } catch (error) {
        const isLast = tries === TRIES || !(error as { again?: boolean }).again
        if (isLast) throw error
        await this.#clock.sleep(RETRY_MS * tries)
      }
    }
  }

  /** The whole body of an answer. */
  async text(call: EngineCall): Promise<string> {
    const answer = await this.call(call)
    try {
      return await textOf(answer)
    } catch (cause) {
      throw this.unavailable(cause)
    }
  }

  unavailable(cause: unknown): MalleeError {
    const message = `${this.#address.name}: ${messageOf(cause)}`
    return new MalleeError('StoreUnavailable', message, { cause })
  }

  close(): void {
    this.#agent.destroy()
  }

  async #once(call: EngineCall): Promise<IncomingMessage> {
    const answer = await this.#send(call).catch((cause) => {
      throw Object.assign(this.unavailable(cause), { again: true })
    })
    const status = answer.statusCode ?? 0
    if (status >= 200 && status < 300) return answer
    const text = await textOf(answer).catch(() => '')
    const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? String(status)
    const message = `${this.#address.name} answered ${code} to ${call.method} ${call.key}`
    if (NOT_FOUND.includes(code)) throw new MalleeError('NotFound', message)
    if (FULL.includes(code)) throw new MalleeError('StoreFull', message)
    const error = new MalleeError('StoreUnavailable', message)
    throw Object.assign(error, { again: status >= 500 })
  }

  #send(call: EngineCall): Promise<IncomingMessage> {
    const { url } = this.#address
    const { path, headers } = this.#signed(call)
    return new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? https : http).request(
        {
          ...{ agent: this.#agent, hostname: url.hostname, port: url.port },
          ...{ method: call.method, path, headers, timeout: STALL_MS },
        },
        resolve,
      )
      request.on('timeout', () => request.destroy(new Error(`no answer within ${STALL_MS} ms`)))
      request.on('error', reject)
      request.end(call.body)
    })
  }

  #signed({ method, key, query = {}, headers = {}, body }: EngineCall): {
    path: string
    headers: Record<string, string>
  } {
    const { url, bucket, accessKeyId, secret, region } = this.#address
    const path = `/${bucket}${key === '' ? '' : `/${key}`}`
    const search = new URLSearchParams(query).toString()
    const timestamp = new Date(this.#clock.nowMs()).toISOString().replace(/[-:]|\.\d+/g, '')
    const day = timestamp.slice(0, timestamp.indexOf('T'))
    const payloadHash = hash('sha256', body ?? '')
    const all: Record<string, string> = {
      ...headers,
      ...{ host: url.host, 'x-amz-content-sha256': payloadHash, 'x-amz-date': timestamp },
    }
    const names = Object.keys(all).sort()
    const signed = {
      ...{ method, path, query: search, payloadHash },
      headers: new Map(names.map((name) => [name, [all[name] ?? '']])),
    }
    const scope = `${day}/${region}/s3/aws4_request`
    const digest = hash('sha256', canonicalRequest(signed, names, true))
    const steps = [day, region, 's3', 'aws4_request']
    const signingKey = steps.reduce(
      (key, step) => hmac(key, step),
      Buffer.from(`AWS4${secret}`) as Buffer,
    )
    const signature = hmac(signingKey, `${ALGORITHM}\n${timestamp}\n${scope}\n${digest}`)
    const authorization =
      `${ALGORITHM} Credential=${accessKeyId}/${scope}, ` +
      `SignedHeaders=${names.join(';')}, Signature=${signature.toString('hex')}`
    return {
      path: search === '' ? path : `${path}?${search}`,
      headers: { ...all, authorization, 'content-length': String(body?.length ?? 0) },
    }
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_TEXT_BYTES) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
