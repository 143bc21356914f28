// From one HTTP request to one answer of the AWS endpoint: signature, action, parameters, handler,
// XML; and one line of the log and one count per call. Knows nothing of the listener.

import { hash } from 'node:crypto'
import type { Clock } from '../../common/clock.ts'
import { codeOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { Audit } from '../audit/audit.ts'
import { ApiError } from '../aws/api-error.ts'
import { type Codec, createCodec } from '../aws/codec.ts'
import { ownParameters, parseForm } from '../aws/form.ts'
import type { CallContext, Caller, ServiceHandlers } from '../aws/handlers.ts'
import { loadModel, SERVICES, type ServiceName } from '../aws/model.ts'
import type { Authorize } from '../iam/authorize.ts'
import type { KeyUse } from '../iam/key-uses.ts'
import type { Arrival } from '../iam/request-keys.ts'
import type { Metrics } from '../metrics.ts'
import { admitCall, tellEnd } from './call-tail.ts'
import { headersOf, type SignedRequest } from './canonical-request.ts'
import { readAuthorization, type SecretOf, SigningKeys, verifySignature } from './sigv4.ts'
import type { Throttle } from './throttle.ts'

export interface ApiOptions extends ServiceHandlers {
  readonly secretOf: SecretOf
  /** Hears of every request that was signed well. */
  readonly keyUsed?: (use: KeyUse) => void
  /** Hears of every call with a good signature and a known action, before it is answered. */
  readonly audit?: Audit
  /** Throws what an account gets that calls too often; absent: it may. */
  readonly throttle?: Throttle
  /** Throws what the caller gets for what its policies do not allow. */
  readonly authorize: Authorize
  /** The EC2 region of this cloud: the only one that a signature may name. */
  readonly region: string
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** A fresh UUID. */
  readonly requestId: () => string
}

export interface ApiRequest {
  readonly method: string
  /** Path and query as on the wire. */
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array
  readonly sourceIp: string
  /** It came over TLS. */
  readonly secure: boolean
}

export interface ApiAnswer {
  readonly status: number
  readonly requestId: string
  readonly body: string
}

export interface ApiCalls {
  /** Never rejects: whatever happens becomes an answer. */
  readonly answer: (request: ApiRequest) => Promise<ApiAnswer>
  /** An answer for a request that the listener could not even read. */
  readonly refuse: (error: unknown, sourceIp: string) => ApiAnswer
}

type AnyHandler = (context: CallContext, input: never) => object | Promise<object>

interface Service {
  readonly name: ServiceName
  /** The API's version, by which requests are told apart that say no more. */
  readonly version: string
  readonly codec: Codec
  readonly handlers: Readonly<Record<string, AnyHandler | undefined>>
}

/** What is known of a call so far: the log's line and the audit log's record. */
interface Call {
  readonly requestId: string
  readonly startedAtMs: number
  readonly sourceIp: string
  service: Service
  action: string
  accessKeyId: string
  userAgent: string
  caller: Caller | null
  input: object | null
  output: object | null
  /** For when nothing comes of it: what the throttle gets back. */
  cameToNothing: () => void
}

/** Clients of the services that are one for the world sign for this region, whatever theirs is. */
const GLOBAL_REGION = 'us-east-1'
const GLOBAL_SERVICES: ReadonlySet<ServiceName> = new Set(['sts', 'iam'])
const VERSION = /(?:^|[?&])Version=(\d{4}-\d\d-\d\d)(?:&|$)/
/** The action of a request that names none, or none that there is. */
const UNKNOWN = 'unknown'
/** How much of an unsigned request is looked at to answer it in its own protocol. */
const PEEK_BYTES = 4096

export function createApiCalls(options: ApiOptions): ApiCalls {
  const { clock, log } = options
  const keys = new SigningKeys()
  const services = SERVICES.map((name) => serviceOf(name, options[name]))
  const [ec2] = services as [Service, ...Service[]]

  function begin(service: Service, sourceIp: string): Call {
    const startedAtMs = clock.nowMs()
    const requestId = options.requestId()
    const nobody = { action: UNKNOWN, accessKeyId: '', userAgent: '', caller: null }
    const nothing = { input: null, output: null, cameToNothing: () => undefined }
    return { requestId, startedAtMs, sourceIp, service, ...nobody, ...nothing }
  }

  async function run(request: ApiRequest, call: Call): Promise<string> {
    const signed = signedRequest(request)
    if (signed.path !== '/') {
      throw new ApiError('InvalidURI', `There is nothing at ${signed.path.slice(0, 200)}.`, 404)
    }
    const claim = readAuthorization(signed)
    call.accessKeyId = claim.accessKeyId
    call.service = claimedService(claim.service, call.service)
    checkRegion(claim.region, call.service)
    const tools = { secretOf: options.secretOf, keys, nowMs: call.startedAtMs }
    const caller = await verifySignature(tools, signed, claim)
    call.caller = caller
    const userAgent = signed.headers.get('user-agent')?.[0] ?? ''
    call.userAgent = userAgent
    const { service, region } = claim
    options.keyUsed?.({ caller, service, region, nowMs: call.startedAtMs })
    const parameters = parseForm(signed.query)
    parseForm(Buffer.from(request.body).toString(), parameters)
    const { sourceIp, secure } = request
    const arrival = { sourceIp, userAgent, secure, nowMs: call.startedAtMs }
    return await dispatch(call, caller, parameters, arrival)
  }

  async function dispatch(
    call: Call,
    caller: Caller,
    parameters: ReadonlyMap<string, string>,
    arrival: Omit<Arrival, 'region'>,
  ): Promise<string> {
    const { name: service, codec, handlers } = call.service
    const action = codec.actionOf(parameters)
    const { operation } = action
    call.action = operation
    const input = codec.decode(operation, parameters) as object
    call.input = input
    const { account } = caller
    call.cameToNothing = admitCall(options, { service, operation, input, account })
    const handler = Object.hasOwn(handlers, operation) ? handlers[operation] : undefined
    if (handler === undefined) {
      throw new ApiError('UnsupportedOperation', `This cloud does not have ${operation}.`)
    }
    const asked = { service, operation, input, caller, arrival }
    const authorized = await options.authorize(asked)
    const context: CallContext = {
      caller,
      requestId: call.requestId,
      nowMs: call.startedAtMs,
      log: log.with({ requestId: call.requestId, action: operation }),
      parameters: ownParameters(parameters),
      arrival: { ...arrival, region: options.region },
      ...(authorized === undefined ? {} : { authorized }),
    }
    const output = await handler(context, input as never)
    call.output = output
    return codec.encode(action, output, call.requestId)
  }

  function claimedService(name: string, guess: Service): Service {
    const found = services.find((each) => each.name === name)
    if (found !== undefined) return found
    const names = SERVICES.map((each) => `'${each}'`).join(', ')
    throw scopeError(guess, `Credential should be scoped to correct service, one of ${names}.`)
  }

  function checkRegion(region: string, service: Service): void {
    const isGlobal = GLOBAL_SERVICES.has(service.name) && region === GLOBAL_REGION
    if (region === options.region || isGlobal) return
    throw scopeError(service, `Credential should be scoped to a valid region, not '${region}'.`)
  }

  function finish(call: Call, code: string, status: number, body: string): ApiAnswer {
    tellEnd(options, { ...call, service: call.service.name, code, status })
    return { status, requestId: call.requestId, body }
  }

  function fail(call: Call, error: unknown): ApiAnswer {
    const known = apiErrorOf(error)
    if (known.status >= 500 && known.code !== 'RequestLimitExceeded') {
      log.error('api call failed', { requestId: call.requestId, action: call.action, error })
    }
    const body = call.service.codec.encodeError(known, call.requestId)
    return finish(call, known.code, known.status, body)
  }

  async function tell({ service, caller, ...call }: Call, error: ApiError | null): Promise<void> {
    if (caller === null || call.action === UNKNOWN) return
    const ended = { service: service.name, caller, endedAtMs: clock.nowMs(), error }
    await options.audit?.({ ...call, ...ended })
  }

  return {
    async answer(request) {
      const call = begin(guess(request, services) ?? ec2, request.sourceIp)
      try {
        const body = await run(request, call)
        await tell(call, null)
        return finish(call, 'OK', 200, body)
      } catch (error) {
        call.cameToNothing()
        await tell(call, apiErrorOf(error))
        return fail(call, error)
      }
    },
    refuse: (error, sourceIp) => fail(begin(ec2, sourceIp), error),
  }
}

function serviceOf(name: ServiceName, handlers: object): Service {
  const model = loadModel(name)
  // The map's own types pair every operation with its input; here they only meet by name.
  const byName = handlers as Service['handlers']
  return { name, version: model.version, codec: createCodec(model), handlers: byName }
}

function signedRequest({ method, url, rawHeaders, body }: ApiRequest): SignedRequest {
  const mark = url.indexOf('?')
  return {
    method,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    headers: headersOf(rawHeaders),
    payloadHash: hash('sha256', body),
  }
}

/** A guess for requests that never say in a signature which service they are for. */
function guess({ url, body }: ApiRequest, services: readonly Service[]): Service | undefined {
  const start = Buffer.from(body.subarray(0, PEEK_BYTES)).toString('latin1')
  const [, version] = VERSION.exec(start) ?? VERSION.exec(url.slice(0, PEEK_BYTES)) ?? []
  return services.find((each) => each.version === version)
}

function scopeError(service: Service, message: string): ApiError {
  return service.name === 'ec2'
    ? new ApiError('AuthFailure', message, 401)
    : new ApiError('SignatureDoesNotMatch', message, 403)
}

/** What the caller may know of any thrown value. */
function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  switch (codeOf(error)) {
    case 'StoreFull': {
      const message = "The cloud's store is full. The request was not carried out."
      return new ApiError('Unavailable', message, 503)
    }
    case 'StoreUnavailable': {
      const message = "The cloud's store does not answer. The request may have been carried out."
      return new ApiError('Unavailable', message, 503)
    }
    case 'Conflict':
    case 'Unavailable':
      return new ApiError('Unavailable', 'The server is overloaded. Try again later.', 503)
    default:
      return new ApiError('InternalError', 'An internal error has occurred', 500)
  }
}
