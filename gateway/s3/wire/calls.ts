// From one HTTP request to S3 to its answer: target, signature, operation, policies, body, handler;
// and one line of the log and one count per call. Knows nothing of the listener.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../../common/clock.ts'
import type { Log } from '../../../common/log.ts'
import type { Audit } from '../../audit/audit.ts'
import type { ApiError } from '../../aws/api-error.ts'
import type { Caller } from '../../aws/handlers.ts'
import { loadModel, type Model } from '../../aws/model.ts'
import { headersOf } from '../../http/canonical-request.ts'
import { type SecretOf, SigningKeys } from '../../http/sigv4.ts'
import type { Throttle } from '../../http/throttle.ts'
import type { KeyUse } from '../../iam/key-uses.ts'
import type { Arrival } from '../../iam/request-keys.ts'
import type { Metrics } from '../../metrics.ts'
import type { Guard } from '../buckets/access.ts'
import type { Cors } from '../buckets/cors.ts'
import { type Answer, answerOf, sendAnswer } from './answer.ts'
import { type Authenticated, authenticate } from './authenticate.ts'
import { createBody, tooLarge, wholeBody } from './body.ts'
import type { S3Answer, S3Body, S3Call, S3Handlers } from './call.ts'
import { createDecoder, type RequestParts } from './decode.ts'
import { createEncoder, encodeError } from './encode.ts'
import { notImplemented, s3ErrorOf } from './error.ts'
import { expectedOf } from './expected.ts'
import { incoming } from './incoming.ts'
import { createRouter, type Level } from './route.ts'
import { type Target, targetOf } from './target.ts'
import { checkHead, parseQuery, withoutChunking } from './values.ts'

export interface S3Options {
  readonly handlers: S3Handlers
  readonly guard: Guard
  readonly cors: Cors
  /** Names under which buckets have hosts of their own, in lower case. */
  readonly domains: readonly string[]
  readonly secretOf: SecretOf
  readonly keyUsed?: (use: KeyUse) => void
  readonly audit?: Audit
  readonly throttle?: Throttle
  readonly region: string
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** A fresh UUID. */
  readonly requestId: () => string
}

/** A request, and how its body is asked for when the client waits to be told. */
export interface S3Request {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  /** The client waits for `100 Continue`. */
  readonly waits: boolean
  readonly sourceIp: string
  readonly secure: boolean
}

type AnyHandler = (call: S3Call<unknown>) => Promise<S3Answer<object>>

/** What is known of a call so far. */
interface Call {
  readonly requestId: string
  readonly startedAtMs: number
  readonly request: S3Request
  operation: string
  level: Level
  accessKeyId: string
  userAgent: string
  caller: Caller | null
  input: object | null
  output: object | null
  /** Of every answer, for pages of other origins. */
  forBrowsers: Readonly<Record<string, string>>
  cameToNothing: () => void
}

const UNKNOWN = 'unknown'
const PREFLIGHT = 'OPTIONS'
/** Of one PUT or one part. */
const MAX_BODY_BYTES = 5 * 2 ** 30
/** 10,000 parts with a checksum each, or 1,000 keys of 1,024 bytes of which each is escaped. */
const MAX_DOCUMENT_BYTES = 4 << 20
const CHANGES = /^(?:PUT|POST|DELETE)$/

/** Resolves when the answer was sent, whatever happened. */
export function createS3Calls(options: S3Options): (request: S3Request) => Promise<void> {
  const { clock, log, metrics, region } = options
  const model = loadModel('s3')
  const route = createRouter(model)
  const decoder = createDecoder(model)
  const encode = createEncoder(model)
  const ownSums = operationsWithSumsOfTheirBody(model)
  const signing = { secretOf: options.secretOf, keys: new SigningKeys(), region }

  async function run(call: Call): Promise<Answer> {
    const { message } = call.request
    const { url = '', method = '' } = message
    checkHead([url, ...message.rawHeaders])
    const headers = headersOf(message.rawHeaders)
    call.userAgent = headers.get('user-agent')?.[0] ?? ''
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const query = mark < 0 ? '' : url.slice(mark + 1)
    const target = targetOf(headers.get('host')?.[0] ?? '', path, options.domains)
    call.level = levelOf(target)
    if (method === PREFLIGHT) {
      return { status: 200, headers: options.cors.preflight(target.bucket, headers), body: '' }
    }
    call.forBrowsers = options.cors.headers(target.bucket, method, headers)
    const parameters = parseQuery(query)
    const routed = attempt(() => route({ method, level: call.level, query: parameters, headers }))
    if (routed.ok) call.operation = routed.value
    const nowMs = call.startedAtMs
    const signed = await authenticate(signing, { method, path, query, headers }, nowMs)
    tellKey(call, signed)
    if (!routed.ok) throw routed.error
    return await dispatch(call, { ...target, query: parameters, headers }, signed)
  }

  function tellKey(call: Call, { caller, accessKeyId }: Authenticated): void {
    call.caller = caller
    call.accessKeyId = accessKeyId
    if (caller === null) return
    options.keyUsed?.({ caller, service: 's3', region, nowMs: call.startedAtMs })
  }

  async function dispatch(
    call: Call,
    parts: RequestParts,
    { caller, proof }: Authenticated,
  ): Promise<Answer> {
    const { operation, requestId, startedAtMs: nowMs, userAgent } = call
    const { sourceIp, secure } = call.request
    const input = withoutChunking(decoder.head(operation, parts))
    call.input = input
    if (caller !== null) admit(call, input, caller.account)
    const handler = Object.hasOwn(options.handlers, operation)
      ? (options.handlers[operation as keyof S3Handlers] as unknown as AnyHandler)
      : undefined
    const arrival: Arrival = { sourceIp, userAgent, secure, region, nowMs }
    const { bucket, key } = parts
    const allowed = await options.guard({ operation, bucket, key, input, caller, arrival })
    // Who signs nothing takes from another budget than the account that owns the bucket.
    if (caller === null) admit(call, input, `nobody at ${allowed.bucket?.account ?? ''}`)
    if (handler === undefined) throw notImplemented(operation)
    const payload = decoder.payloadOf(operation)
    const body = payload.kind === 'none' ? null : bodyOf(call, parts, proof, payload.kind)
    if (body !== null && payload.kind !== 'stream') {
      Object.assign(input, decoder.body(operation, await wholeBody(body)))
    }
    const answer = await handler({
      ...{ input, caller, requestId, nowMs, arrival, ...allowed },
      log: log.with({ requestId, action: operation }),
      header: (name) => parts.headers.get(name)?.join(',') ?? null,
      body: payload.kind === 'stream' ? body : null,
    })
    call.output = answer.output
    return answerOf(encode(operation, answer.output), answer)
  }

  function bodyOf(
    call: Call,
    { headers }: RequestParts,
    proof: Authenticated['proof'],
    kind: 'stream' | 'text' | 'xml',
  ): S3Body {
    const isStream = kind === 'stream'
    const hasBody = headers.has('content-length') || headers.has('transfer-encoding')
    const known = hasBody || isStream ? headers : new Map([...headers, ['content-length', ['0']]])
    const expected = expectedOf(known, proof, ownSums.has(call.operation))
    const maxBytes = isStream ? MAX_BODY_BYTES : MAX_DOCUMENT_BYTES
    const { sizeBytes } = expected
    if (sizeBytes !== null && sizeBytes > maxBytes) throw tooLarge(sizeBytes, maxBytes)
    return createBody({ raw: awaited(call.request), proof, expected, maxBytes })
  }

  function admit(call: Call, input: object, account: string): void {
    const { operation } = call
    try {
      const asked = { service: 's3', operation, input, account, nowMs: clock.nowMs() } as const
      call.cameToNothing = options.throttle?.(asked) ?? call.cameToNothing
    } catch (error) {
      metrics.apiThrottled('s3', operation)
      throw error
    }
  }

  /** Buckets are managed, objects are data: the audit log has the former, as CloudTrail does. */
  async function tell(call: Call, error: ApiError | null): Promise<void> {
    const { caller, operation: action, level, request, input, output } = call
    const isManaged = level !== 'object' && action !== 'DeleteObjects' && action !== UNKNOWN
    if (caller === null || !isManaged || !CHANGES.test(request.message.method ?? '')) return
    const { requestId, userAgent } = call
    const { sourceIp } = request
    const what = { service: 's3', action, caller, input, output, error } as const
    await options.audit?.({ ...what, requestId, userAgent, sourceIp, endedAtMs: clock.nowMs() })
  }

  function finish(call: Call, code: string, status: number): void {
    const { requestId, operation: action, accessKeyId, caller } = call
    const ms = clock.nowMs() - call.startedAtMs
    metrics.apiCall({ service: 's3', action, code, seconds: ms / 1000 })
    const { sourceIp } = call.request
    const who = { account: caller?.account ?? '', accessKeyId, sourceIp }
    log.info('api call', { service: 's3', action, ...who, requestId, code, status, ms })
  }

  async function fail(call: Call, error: unknown): Promise<Answer> {
    call.cameToNothing()
    const known = s3ErrorOf(error)
    await tell(call, known)
    const { requestId, operation: action } = call
    if (known.status >= 500 && !['SlowDown', 'NotImplemented'].includes(known.code)) {
      log.error('api call failed', { requestId, action, error })
    }
    finish(call, known.code, known.status)
    const resource = call.request.message.url?.split('?')[0] ?? ''
    const about = { resource, requestId, hostId: hostIdOf(requestId) }
    const headers = { 'content-type': 'application/xml', ...known.headers }
    return { status: known.status, headers, body: encodeError(known, about) }
  }

  return async (request) => {
    const nothing = { input: null, output: null, cameToNothing: () => undefined, caller: null }
    const call: Call = {
      ...{ requestId: options.requestId(), startedAtMs: clock.nowMs(), request, ...nothing },
      ...{ operation: UNKNOWN, level: 'service', accessKeyId: '', userAgent: '' },
      forBrowsers: {},
    }
    const { requestId } = call
    const ids = { 'x-amz-request-id': requestId, 'x-amz-id-2': hostIdOf(requestId) }
    let answer: Answer
    try {
      answer = await run(call)
      await tell(call, null)
      finish(call, 'OK', answer.status)
    } catch (error) {
      answer = await fail(call, error)
    }
    try {
      await sendAnswer(request, {
        ...answer,
        headers: { ...answer.headers, ...call.forBrowsers, ...ids },
      })
    } catch (error) {
      log.warn('answer was not sent whole', { requestId, action: call.operation, error })
    }
  }
}

/** Tells a client that waits to go on, when somebody wants what it has. */
async function* awaited({ message, response, waits }: S3Request): AsyncGenerator<Buffer> {
  if (waits && !response.headersSent) response.writeContinue()
  yield* incoming(message)
}

/** Of uploads, and of documents: those of CompleteMultipartUpload are the object's. */
function operationsWithSumsOfTheirBody(model: Model): ReadonlySet<string> {
  const isOther = (operation: string): boolean => {
    const { i } = model.ops[operation] ?? { i: -1 }
    const shape = typeof i === 'number' ? model.shapes[i] : undefined
    const members = shape?.[0] === 'o' ? shape[2] : []
    const hasStream = members.some(({ st }) => st === 1)
    return !hasStream && members.some(({ n }) => n === 'ChecksumCRC32')
  }
  return new Set(Object.keys(model.ops).filter((operation) => !isOther(operation)))
}

function levelOf({ bucket, key }: Target): Level {
  return bucket === null ? 'service' : key === null ? 'bucket' : 'object'
}

type Attempt<T> = { readonly ok: true; readonly value: T } | { ok: false; readonly error: unknown }

function attempt<T>(run: () => T): Attempt<T> {
  try {
    return { ok: true, value: run() }
  } catch (error) {
    return { ok: false, error }
  }
}

function hostIdOf(requestId: string): string {
  return Buffer.from(requestId).toString('base64')
}
