// From one HTTP request to S3 to its answer: target, signature, operation, policies, body, handler.
// Knows nothing of the listener.

import { loadModel, type Model } from '../../aws/model.ts'
import { headersOf } from '../../http/canonical-request.ts'
import { SigningKeys } from '../../http/sigv4.ts'
import { createAccounting, errorAnswer, UNKNOWN } from './accounting.ts'
import { type Answer, answerOf, begun, sendAnswer } from './answer.ts'
import { type Authenticated, authenticate } from './authenticate.ts'
import { createBody, MAX_BODY_BYTES, rawBody, tooLarge, wholeBody } from './body.ts'
import type { S3Body } from './call.ts'
import { createControl, isControl } from './control.ts'
import { createDecoder, type RequestParts } from './decode.ts'
import { createEncoder } from './encode.ts'
import { expectedOf } from './expected.ts'
import { createPostObject, isForm } from './forms/post-object.ts'
import { createRouter, type Level } from './route.ts'
import type { RunningCall, S3Options, S3Request } from './running.ts'
import { countedOut, hostIdOf, servedOf, startTally } from './served.ts'
import { createSteps } from './steps.ts'
import { bucketOfHost, type Target, targetOf } from './target.ts'
import { checkHead, missingHeader, parseQuery, withoutChunking } from './values.ts'
import { createWebsite, errorPage } from './website.ts'

const PREFLIGHT = 'OPTIONS'
/** 10,000 parts with a checksum each, or 1,000 keys of 1,024 bytes of which each is escaped. */
const MAX_DOCUMENT_BYTES = 4 << 20

/** Their documents must be vouched for, signed or not (S3 API reference, DeleteObjects). */
const NEED_SUMS: ReadonlySet<string> = new Set(['DeleteObjects'])
const ANY_SUM = 'Content-MD5 OR x-amz-checksum-*'

/** Resolves when the answer was sent, whatever happened. */
export function createS3Calls(options: S3Options): (request: S3Request) => Promise<void> {
  const { clock, log, region, served } = options
  const model = loadModel('s3')
  const route = createRouter(model)
  const decoder = createDecoder(model)
  const encode = createEncoder(model)
  const ownSums = operationsWithSumsOfTheirBody(model)
  const signing = {
    ...{ secretOf: options.secretOf, keys: new SigningKeys(), region },
    ...{ acceptsV2: options.acceptsV2 ?? false, domains: options.domains },
  }
  const accounting = createAccounting(options)
  const steps = createSteps(options)
  const control = createControl({ steps, signing, clock })
  const postObject = createPostObject({ decoder, encode, steps, signing, clock })
  const { websites } = options
  const websiteDomains = websites?.domains ?? []
  const website =
    websites === undefined ? null : createWebsite({ ...websites, decoder, encode, steps })

  async function run(call: RunningCall): Promise<Answer> {
    const { message } = call.request
    const { url = '', method = '' } = message
    checkHead([url, ...message.rawHeaders])
    const headers = headersOf(message.rawHeaders)
    call.userAgent = headers.get('user-agent')?.[0] ?? ''
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const query = mark < 0 ? '' : url.slice(mark + 1)
    const host = headers.get('host')?.[0] ?? ''
    const site = bucketOfHost(host, websiteDomains)
    if (site === null && isControl(path, headers)) {
      return await control(call, { method, path, query, headers })
    }
    if (site !== null) call.refusal = async (error) => errorPage(call, error)
    const target = targetOf(host, path, site === null ? options.domains : websiteDomains)
    call.target = target
    call.level = levelOf(target)
    if (method === PREFLIGHT) {
      return { status: 200, headers: options.cors.preflight(target.bucket, headers), body: '' }
    }
    call.forBrowsers = options.cors.headers(target.bucket, method, headers)
    if (website !== null && site !== null) {
      return await website(call, site, { method, path, query, headers })
    }
    const parameters = parseQuery(query)
    if (isForm(method, call.level, parameters, headers)) return await postObject(call, headers)
    const routed = attempt(() => route({ method, level: call.level, query: parameters, headers }))
    if (routed.ok) call.operation = routed.value
    const nowMs = call.startedAtMs
    const signed = await authenticate(signing, { method, path, query, headers }, nowMs)
    steps.signed(call, signed)
    if (!routed.ok) throw routed.error
    return await dispatch(call, { ...target, query: parameters, headers }, signed)
  }

  async function dispatch(
    call: RunningCall,
    parts: RequestParts,
    { proof }: Authenticated,
  ): Promise<Answer> {
    const { operation } = call
    const { bucket, key, headers } = parts
    const input = withoutChunking(decoder.head(operation, parts))
    const wanted = { operation, bucket, key, input }
    const leave = await steps.allow(call, wanted)
    const payload = decoder.payloadOf(operation)
    const body = payload.kind === 'none' ? null : bodyOf(call, parts, proof, payload.kind)
    if (body !== null && payload.kind !== 'stream') {
      Object.assign(input, decoder.body(operation, await wholeBody(body)))
    }
    const stream = payload.kind === 'stream' ? body : null
    const answer = await steps.perform(call, wanted, { leave, body: stream, headers })
    return answerOf(encode(operation, answer.output), answer)
  }

  function bodyOf(
    call: RunningCall,
    { headers }: RequestParts,
    proof: Authenticated['proof'],
    kind: 'stream' | 'text' | 'xml',
  ): S3Body {
    const isStream = kind === 'stream'
    const hasBody = headers.has('content-length') || headers.has('transfer-encoding')
    const known = hasBody || isStream ? headers : new Map([...headers, ['content-length', ['0']]])
    const expected = expectedOf(known, proof, ownSums.has(call.operation))
    const maxBytes = isStream ? MAX_BODY_BYTES : MAX_DOCUMENT_BYTES
    const { sizeBytes, md5, algorithm } = expected
    const isVouchedFor = md5 !== null || algorithm !== null
    if (NEED_SUMS.has(call.operation) && !isVouchedFor) throw missingHeader(ANY_SUM)
    if (sizeBytes !== null && sizeBytes > maxBytes) throw tooLarge(sizeBytes, maxBytes)
    return createBody({ raw: rawBody(call, clock), isOurs: true, proof, expected, maxBytes })
  }

  /** The answer, and S3's code when it is a refusal. */
  async function answered(call: RunningCall): Promise<readonly [Answer, string | null]> {
    try {
      const answer = await begun(call.request, await run(call))
      await accounting.succeeded(call, answer.status)
      return [answer, null]
    } catch (thrown) {
      const error = await accounting.failed(call, thrown)
      return [await call.refusal(error), error.code]
    }
  }

  return async (request) => {
    const call = newCall(request, options)
    const { requestId, tally } = call
    const [plain, errorCode] = await answered(call)
    const ids = { 'x-amz-request-id': requestId, 'x-amz-id-2': hostIdOf(requestId) }
    const answer = { ...plain, headers: { ...plain.headers, ...call.forBrowsers, ...ids } }
    try {
      await sendAnswer(request, tally === null ? answer : countedOut(answer, tally, clock))
    } catch (error) {
      log.warn('answer was not sent whole', { requestId, action: call.operation, error })
    }
    if (tally !== null) served?.(servedOf(call, tally, { ...answer, errorCode }, clock.nowMs()))
  }
}

function newCall(
  request: S3Request,
  { requestId, clock, served }: Pick<S3Options, 'requestId' | 'clock' | 'served'>,
): RunningCall {
  const startedAtMs = clock.nowMs()
  const call: RunningCall = {
    ...{ requestId: requestId(), startedAtMs, request },
    tally: startTally(served !== undefined, startedAtMs),
    ...{ operation: UNKNOWN, level: 'service', target: { bucket: null, key: null } },
    ...{ signature: null, signatureKeys: new Map(), aclRequired: false },
    ...{ accessKeyId: '', userAgent: '', caller: null },
    ...{ input: null, body: null, output: null, forBrowsers: {}, cameToNothing: () => undefined },
    refusal: async (error) => errorAnswer(call, error),
  }
  return call
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
