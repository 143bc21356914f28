// From a service in the .proto files to grpc-js, and from our errors to gRPC's and back.

import {
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import * as grpc from '@grpc/grpc-js'
import { type Code, MalleeError } from '../common/errors.ts'

/** One service with its handlers, ready for a server. */
export interface RpcService {
  readonly definition: grpc.ServiceDefinition
  readonly implementation: grpc.UntypedServiceImplementation
  /** Takes leave of everybody who has a stream open; called before the server closes. */
  readonly drain?: (reason: string) => Promise<void>
}

export const MAX_MESSAGE_BYTES = 4 << 20

/** Options of both ends. Keepalive finds dead connections that carry no session's heartbeats. */
export const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc-node.flow_control_window': 1 << 20,
}

/**
 * Options of whoever dials. No proxy of the environment and no configuration from DNS: a session
 * goes where it was told to go. Names are checked by URI SAN, so the TLS server name is a constant
 * (RFC 6066 allows no address there).
 */
export const DIAL_OPTIONS: grpc.ChannelOptions = {
  ...CHANNEL_OPTIONS,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.ssl_target_name_override': 'mallee',
}

// grpc-js writes lines of its own to standard error; whatever matters reaches us as an error, too.
grpc.setLogVerbosity(grpc.logVerbosity.NONE)

const CODE_KEY = 'mallee-code'
const MAX_SENTENCE_CHARS = 1000

// The code itself travels in the metadata; the status only helps people with other gRPC tools.
// Unlisted codes are FAILED_PRECONDITION.
const STATUS: Partial<Record<Code, grpc.status>> = {
  BadArgument: grpc.status.INVALID_ARGUMENT,
  BadMessage: grpc.status.INVALID_ARGUMENT,
  CommandTimeout: grpc.status.DEADLINE_EXCEEDED,
  Conflict: grpc.status.ABORTED,
  HostNotFound: grpc.status.NOT_FOUND,
  NameTaken: grpc.status.ALREADY_EXISTS,
  NotAllowed: grpc.status.PERMISSION_DENIED,
  NotFound: grpc.status.NOT_FOUND,
  NotSupported: grpc.status.UNIMPLEMENTED,
  RackNotFound: grpc.status.NOT_FOUND,
  StoreUnavailable: grpc.status.UNAVAILABLE,
  TokenUnknown: grpc.status.UNAUTHENTICATED,
  TooManyRequests: grpc.status.RESOURCE_EXHAUSTED,
  Unavailable: grpc.status.UNAVAILABLE,
}

/** The service as grpc-js wants it. */
export function serviceDefinition(service: DescService): grpc.ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [method.localName, methodDefinition(method)]),
  )
}

/** Decoded `bytes` share memory with what was received: who keeps them copies them. */
export function methodDefinition<I extends DescMessage, O extends DescMessage>(
  method: DescMethod & { readonly input: I; readonly output: O },
): grpc.MethodDefinition<MessageShape<I>, MessageShape<O>> {
  const { methodKind: kind, input, output } = method
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: kind === 'client_streaming' || kind === 'bidi_streaming',
    responseStream: kind === 'server_streaming' || kind === 'bidi_streaming',
    requestSerialize: (message) => encode(input, message),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (message) => encode(output, message),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  }
}

/** `address('::1', 8774)` is `[::1]:8774`. */
export function address(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** A connection to one server. The caller closes it. */
export function dial(
  host: string,
  port: number,
  credentials: grpc.ChannelCredentials,
): grpc.Client {
  return new grpc.Client(`dns:${address(host, port)}`, credentials, DIAL_OPTIONS)
}

/**
 * Resolves when it is open, until `deadline` (ms since 1970). Throws Unavailable, at once when
 * nobody listens there; gRPC's own waiting tries again until the deadline.
 */
export function connected(connection: grpc.Client, deadline: number): Promise<void> {
  const channel = connection.getChannel()
  return new Promise((resolve, reject) => {
    const look = (late?: Error): void => {
      const state = channel.getConnectivityState(true)
      const isGivenUp = state === grpc.connectivityState.TRANSIENT_FAILURE || late !== undefined
      if (state === grpc.connectivityState.READY) resolve()
      else if (!isGivenUp) channel.watchConnectivityState(state, deadline, look)
      else reject(new MalleeError('Unavailable', 'nobody answers there', { cause: late }))
    }
    look()
  })
}

/**
 * One request and its answer, until `deadline` (ms since 1970) or the signal. Throws the other
 * side's error.
 */
export function callUnary<Req, Res>(
  connection: grpc.Client,
  { path, requestSerialize, responseDeserialize }: grpc.MethodDefinition<Req, Res>,
  request: Req,
  deadline: number,
  signal?: AbortSignal,
): Promise<Res> {
  return new Promise<Res>((resolve, reject) => {
    const call = connection.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      { deadline },
      (error, response) => {
        signal?.removeEventListener('abort', cancel)
        if (error !== null) reject(statusToError(error))
        else if (response === undefined) reject(new MalleeError('BadMessage', 'no answer'))
        else resolve(response)
      },
    )
    const cancel = (): void => call.cancel()
    if (signal?.aborted) cancel()
    signal?.addEventListener('abort', cancel, { once: true })
  })
}

/** What a handler answers instead of a message. Foreign errors keep their sentence back. */
export function errorToStatus(error: unknown): grpc.StatusObject & Error {
  const ours = error instanceof MalleeError ? error : null
  const metadata = new grpc.Metadata()
  if (ours !== null) metadata.set(CODE_KEY, ours.code)
  const code =
    ours === null ? grpc.status.INTERNAL : (STATUS[ours.code] ?? grpc.status.FAILED_PRECONDITION)
  const details = (ours?.message ?? 'internal error').slice(0, MAX_SENTENCE_CHARS)
  return Object.assign(new Error(details), { code, details, metadata })
}

/** What a caller throws for a gRPC error: the sender's own code, or Unavailable. */
export function statusToError(error: unknown): MalleeError {
  if (error instanceof MalleeError) return error
  const { code, details, metadata } = error as Partial<grpc.ServiceError>
  const named = String(metadata?.get(CODE_KEY)[0] ?? '')
  const sentence = (details ?? String(error)).slice(0, MAX_SENTENCE_CHARS)
  // A newer peer may send a code that is not in our list; it stays readable, equal to none of ours.
  if (/^[A-Z][A-Za-z]{1,39}$/.test(named)) {
    return new MalleeError(named as Code, sentence, { cause: error })
  }
  switch (code) {
    case grpc.status.UNIMPLEMENTED:
      return new MalleeError('ProtocolMismatch', sentence, { cause: error })
    case grpc.status.RESOURCE_EXHAUSTED:
      return new MalleeError('BadMessage', sentence, { cause: error })
    default:
      return new MalleeError('Unavailable', sentence, { cause: error })
  }
}

function encode<D extends DescMessage>(schema: D, message: MessageShape<D>): Buffer {
  const bytes = toBinary(schema, message)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
