// From one HTTP request to EBS direct APIs to its answer: operation, body, signature, rates,
// policies, handler; and one line of the log and one count per call.

import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ApiError } from '../../aws/api-error.ts'
import type { CallContext, Caller, ServiceHandlers } from '../../aws/handlers.ts'
import { loadModel } from '../../aws/model.ts'
import type { ApiOptions } from '../../http/api-calls.ts'
import { admitCall, tellEnd } from '../../http/call-tail.ts'
import { headersOf, type SignedRequest } from '../../http/canonical-request.ts'
import { readAuthorization, SigningKeys, verifySignature } from '../../http/sigv4.ts'
import { drain, incoming } from '../../s3/wire/incoming.ts'
import { createDirectCodec, type Encoded } from './codec.ts'
import { type DirectError, directErrorOf, invalid, tooManyAtOnce } from './errors.ts'
import type { DirectHandlers } from './handlers.ts'

/** As for the services of the endpoint, which this one stands beside. */
export interface DirectOptions extends Omit<ApiOptions, keyof ServiceHandlers> {
  readonly direct: DirectHandlers
}

export interface DirectRequest {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly sourceIp: string
  readonly secure: boolean
}

type AnyHandler = (context: CallContext, input: object) => object | Promise<object>

interface Call {
  readonly requestId: string
  readonly startedAtMs: number
  operation: string
  accessKeyId: string
  userAgent: string
  caller: Caller | null
  input: object | null
  output: object | null
}

const UNKNOWN = 'unknown'
const UNSIGNED = 'UNSIGNED-PAYLOAD'
/** A block; documents are far smaller. */
const MAX_BODY_BYTES = 512 << 10
/** Of all accounts at this gateway: each may hold two blocks in memory. */
const MOST_AT_ONCE = 128

/** Resolves when the answer was handed to the socket, whatever happened. */
export function createDirectCalls(
  options: DirectOptions,
): (request: DirectRequest) => Promise<void> {
  const { clock, log, region } = options
  const codec = createDirectCodec(loadModel('ebs'))
  const keys = new SigningKeys()
  let running = 0

  async function run(call: Call, request: DirectRequest): Promise<Encoded> {
    const { message, sourceIp, secure } = request
    const { method = '', url = '' } = message
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const query = mark < 0 ? '' : url.slice(mark + 1)
    const headers = headersOf(message.rawHeaders)
    call.userAgent = headers.get('user-agent')?.[0] ?? ''
    const routed = codec.route(method, path)
    const { operation } = routed
    call.operation = operation
    const body = await wholeBody(message)
    const isUnsigned =
      codec.takesBytes(operation) && headers.get('x-amz-content-sha256')?.[0] === UNSIGNED
    const payloadHash = isUnsigned ? UNSIGNED : hash('sha256', body)
    const caller = await identify(call, { method, path, query, headers, payloadHash })
    const input = codec.decode(routed, { query, headers, body })
    call.input = input
    admitCall(options, { service: 'ebs', operation, input, account: caller.account })
    const arrival = { sourceIp, userAgent: call.userAgent, secure, nowMs: call.startedAtMs }
    await options.authorize({ service: 'ebs', operation, input, caller, arrival })
    const context: CallContext = {
      ...{ caller, nowMs: call.startedAtMs, requestId: call.requestId },
      parameters: new Map(Object.entries(input).map(([name, one]) => [name, JSON.stringify(one)])),
      log: log.with({ requestId: call.requestId, action: operation }),
    }
    const output = await handlerOf(operation)(context, input)
    call.output = output
    return codec.encode(operation, output)
  }

  function handlerOf(operation: string): AnyHandler {
    // The map's own types pair every operation with its input; here they only meet by name.
    return options.direct[operation as keyof DirectHandlers] as unknown as AnyHandler
  }

  async function identify(call: Call, signed: SignedRequest): Promise<Caller> {
    const claim = readAuthorization(signed)
    call.accessKeyId = claim.accessKeyId
    if (claim.region !== region) {
      const text = `Credential should be scoped to a valid region, not '${claim.region}'.`
      throw new ApiError('SignatureDoesNotMatch', text, 403)
    }
    const tools = { secretOf: options.secretOf, keys, nowMs: call.startedAtMs }
    const caller = await verifySignature(tools, signed, claim)
    call.caller = caller
    options.keyUsed?.({ caller, service: 'ebs', region, nowMs: call.startedAtMs })
    return caller
  }

  async function tell(call: Call, sourceIp: string, error: DirectError | null): Promise<void> {
    const { caller, operation: action, requestId, userAgent, input, output } = call
    // Blocks are data: the audit log has what makes snapshots, as CloudTrail does.
    if (caller === null || !/^(?:Start|Complete)/.test(action)) return
    const what = { service: 'ebs', action, caller, input, output, error } as const
    await options.audit?.({ ...what, requestId, userAgent, sourceIp, endedAtMs: clock.nowMs() })
  }

  function finish(call: Call, sourceIp: string, code: string, status: number): void {
    const what = { service: 'ebs', action: call.operation, sourceIp, code, status } as const
    tellEnd(options, { ...call, ...what })
  }

  async function answered(call: Call, request: DirectRequest): Promise<Encoded> {
    const { sourceIp } = request
    try {
      if (running > MOST_AT_ONCE) throw tooManyAtOnce(MOST_AT_ONCE)
      const encoded = await run(call, request)
      await tell(call, sourceIp, null)
      finish(call, sourceIp, 'OK', encoded.status)
      return encoded
    } catch (thrown) {
      const error = directErrorOf(thrown)
      if (error.status >= 500) {
        log.error('api call failed', {
          requestId: call.requestId,
          action: call.operation,
          error: thrown,
        })
      }
      await tell(call, sourceIp, error)
      finish(call, sourceIp, error.code, error.status)
      return encodeError(error)
    }
  }

  return async (request) => {
    const call: Call = {
      ...{ requestId: options.requestId(), startedAtMs: clock.nowMs(), operation: UNKNOWN },
      ...{ accessKeyId: '', userAgent: '', caller: null, input: null, output: null },
    }
    running += 1
    try {
      const { status, headers, body } = await answered(call, request)
      await send(request, status, { ...headers, 'x-amzn-requestid': call.requestId }, body)
    } catch (error) {
      log.warn('answer was not sent whole', { requestId: call.requestId, error })
    } finally {
      running -= 1
    }
  }
}

function encodeError({ code, message, status, reason }: DirectError): Encoded {
  const headers = { 'content-type': 'application/json', 'x-amzn-errortype': code }
  const body = JSON.stringify({ Message: message, ...(reason !== null && { Reason: reason }) })
  return { status, headers, body }
}

async function wholeBody(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of incoming(message)) {
    bytes += part.length
    if (bytes > MAX_BODY_BYTES) {
      throw invalid('INVALID_PARAMETER_VALUE', `The body has more than ${MAX_BODY_BYTES} bytes.`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** A client that is still sending gets an early answer too: what it sends is let pass. */
async function send(
  { message, response }: DirectRequest,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array | string,
): Promise<void> {
  const isLate = message.complete || message.readableEnded
  if (!isLate) response.setHeader('connection', 'close')
  response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
  if (isLate) {
    response.end(body)
    return
  }
  response.write(body)
  await drain(message)
  response.end()
}
