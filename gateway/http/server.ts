// The public endpoint: one port, TCP or TLS, for everything that a signature's scope can name. Owns
// the listener's limits, and turns what the framework refuses into AWS's errors.

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import { ApiError } from '../aws/api-error.ts'
import type { DirectHandlers } from '../ebs/direct/handlers.ts'
import { serveDirect } from '../ebs/direct/listener.ts'
import { serveS3 } from '../s3/wire/listener.ts'
import type { S3Service } from '../s3/wire/running.ts'
import { SERIAL_PATH } from '../serial/admission.ts'
import { SERIAL_CONTENT_TYPE, type SerialConsoles } from '../serial/consoles.ts'
import { type ApiAnswer, type ApiOptions, createApiCalls } from './api-calls.ts'
import { listenerOptions, MAX_HEADER_BYTES, REQUEST_TIMEOUT_MS, type Tls } from './limits.ts'

/** RunInstances with 16 KiB of user data needs 30 KB; ImportKeyPair and long lists less. */
const MAX_BODY_BYTES = 2 << 20
/** Each may hold a body: this bounds the memory that strangers can fill, at 4 GiB. */
const MAX_CONNECTIONS = 2_000
const CONTENT_TYPE = 'text/xml;charset=UTF-8'

/**
 * Makes the endpoint; the caller listens on it and closes it. Every answer, also to what is no HTTP
 * at all, is XML with a request id.
 */
export function createApiServer(
  options: ApiOptions & {
    readonly tls?: Tls
    readonly serial?: SerialConsoles
    readonly s3?: S3Service
    /** EBS direct APIs. */
    readonly direct?: DirectHandlers
  },
): FastifyInstance {
  const { serial } = options
  const calls = createApiCalls(options)
  const app = fastify({
    ...listenerOptions(options.tls, (url) => serial !== undefined && isSerial(url)),
    // Whoever takes a request keeps its time: an upload to S3 may last as long as it moves.
    requestTimeout: 0,
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: false,
    clientErrorHandler: (error, socket) => refuseConnection(error.code ?? '', socket),
    frameworkErrors: (error, request, reply) => {
      send(reply, calls.refuse(frameworkError(error), request.ip))
    },
  })

  function refuseConnection(code: string, socket: Socket): void {
    if (!socket.writable || code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const answer = calls.refuse(connectionError(code), socket.remoteAddress ?? '')
    socket.end(rawAnswer(answer))
  }

  app.server.maxConnections = MAX_CONNECTIONS
  app.addHook('onRequest', (request, _reply, done) => {
    limitTime(request.raw, (socket) => refuseConnection('ERR_HTTP_REQUEST_TIMEOUT', socket))
    done()
  })
  // Whatever a body calls itself, it is a form: EC2 does not look either.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setErrorHandler((error, request, reply) => {
    send(reply, calls.refuse(frameworkError(error), request.ip))
  })
  app.setNotFoundHandler((request, reply) => {
    const error = new ApiError('InvalidMethod', `${request.method} is not allowed here.`, 405)
    send(reply, calls.refuse(error, request.ip))
  })
  if (serial !== undefined) serve(app, serial)
  app.route({
    method: ['GET', 'POST'],
    url: '*',
    handler: async (request, reply) => {
      const { method, url = '', rawHeaders } = request.raw
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const from = { sourceIp: request.ip, secure: request.protocol === 'https' }
      const call = { method: method ?? '', url, rawHeaders, body, ...from }
      return send(reply, await calls.answer(call))
    },
  })
  if (options.s3 !== undefined) serveS3(app.server, { ...options, ...options.s3 }, isSerial)
  if (options.direct !== undefined) {
    serveDirect(app.server, { ...options, direct: options.direct })
  }
  return app
}

/** Calls back when the rest of a request has not arrived in time. */
function limitTime(message: IncomingMessage, late: (socket: Socket) => void): void {
  if (message.complete) return
  const timer = setTimeout(() => late(message.socket), REQUEST_TIMEOUT_MS)
  const arrived = (): void => clearTimeout(timer)
  message.once('end', arrived).once('close', arrived)
}

/** Serial consoles are the only thing here that is no call: a connection becomes a WebSocket. */
function serve(app: FastifyInstance, serial: SerialConsoles): void {
  app.server.on('upgrade', (message, socket, head) => void serial.upgrade(message, socket, head))
  app.get(`${SERIAL_PATH}*`, async (request, reply) => {
    const { status, code, requestId, body } = await serial.answer(request.raw)
    const ids = { 'x-amzn-errortype': code, 'x-amzn-requestid': requestId }
    return reply
      .code(status)
      .headers({ 'content-type': SERIAL_CONTENT_TYPE, ...ids })
      .send(body)
  })
  // The server ends when its last connection has.
  app.addHook('preClose', () => serial.close())
}

function isSerial(url: string): boolean {
  return url.startsWith(SERIAL_PATH)
}

function send(reply: FastifyReply, answer: ApiAnswer): FastifyReply {
  const { status, requestId, body } = answer
  return reply
    .code(status)
    .headers({ 'content-type': CONTENT_TYPE, 'x-amzn-requestid': requestId })
    .send(body)
}

/** For a connection that has no request to reply to. */
function rawAnswer({ status, requestId, body }: ApiAnswer): string {
  return [
    `HTTP/1.1 ${status} Refused`,
    `content-type: ${CONTENT_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-amzn-requestid: ${requestId}`,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}

/** "Common Error Types" of the EC2 API reference: what is wrong at the level of HTTP. */
function frameworkError(error: unknown): unknown {
  const { code, statusCode = 500 } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const message = `The request is larger than ${MAX_BODY_BYTES} bytes.`
    return new ApiError('RequestEntityTooLargeException', message, 413)
  }
  if (code === 'FST_ERR_BAD_URL') {
    return new ApiError('InvalidURI', 'Could not parse the specified URI.')
  }
  if (statusCode < 500) return malformed()
  return error
}

function connectionError(code: string): ApiError {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError('RequestTimeoutException', 'The request took too long to arrive.', 408)
    case 'HPE_HEADER_OVERFLOW': {
      const message = `URL and headers are larger than ${MAX_HEADER_BYTES} bytes.`
      return new ApiError('RequestEntityTooLargeException', message, 431)
    }
    default:
      return malformed()
  }
}

function malformed(): ApiError {
  const message = 'There are problems with the request at the HTTP level.'
  return new ApiError('MalformedHttpRequestException', message)
}
