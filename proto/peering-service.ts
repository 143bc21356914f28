// What a peer cloud's gateway asks on the peering port. Who calls is known by their certificate
// before any of their bytes are read; requests come to the handlers as they are, so that a flood
// is refused before anything of it is parsed.

import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { codeOf, MalleeError } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import {
  type DeliverRequest,
  DeliverRequestSchema,
  type DeliverResponse,
  PeeringService,
  type PositionResponse,
  type ReceiptsRequest,
  ReceiptsRequestSchema,
  type ReceiptsResponse,
} from './gen/mallee/v1/peering_pb.js'
import { RateLimit } from './rate-limit.ts'
import { errorToStatus, methodDefinition, type RpcService } from './service.ts'
import { peerCertificate, type SecuredCall } from './tls.ts'

export interface PeeringEnd {
  /** The peer cloud whose gateway has this certificate (DER). Throws NotAllowed. */
  readonly caller: (certificate: Uint8Array) => string
  /** All throw MalleeError with the reason of a refusal. */
  readonly deliver: (uid: string, request: DeliverRequest) => Promise<DeliverResponse>
  readonly position: (uid: string) => Promise<PositionResponse>
  readonly receipts: (uid: string, request: ReceiptsRequest) => Promise<ReceiptsResponse>
  /** For counting: a call of that peer was refused with that code. */
  readonly refused: (uid: string | null, code: string, error: unknown) => void
}

export interface PeeringRpc extends RpcService {
  /** Stands before the service; refuses before a message is read. */
  readonly gate: grpc.ServerInterceptor
}

/** Calls of one peer cloud, all its gateways together. */
const RATE = { burst: 60, perSecond: 5 }

export function peeringService(
  end: PeeringEnd,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): PeeringRpc {
  const rate = new RateLimit(clock, RATE)
  const delivering = new Set<string>()

  function handle<Req, Res>(
    parse: (bytes: Uint8Array) => Req,
    run: (uid: string, request: Req) => Promise<Res>,
  ) {
    return async (call: grpc.ServerUnaryCall<Uint8Array, Res>, reply: grpc.sendUnaryData<Res>) => {
      let uid: string | null = null
      try {
        uid = end.caller(peerCertificate(call).raw)
        reply(null, await run(uid, parse(call.request)))
      } catch (error) {
        refuse(uid, error)
        reply(errorToStatus(error))
      }
    }
  }

  async function deliver(uid: string, request: DeliverRequest): Promise<DeliverResponse> {
    if (delivering.has(uid)) {
      throw new MalleeError('TooManyRequests', 'another batch of this cloud is being taken')
    }
    delivering.add(uid)
    try {
      return await end.deliver(uid, request)
    } finally {
      delivering.delete(uid)
    }
  }

  function refuse(uid: string | null, error: unknown): void {
    const code = codeOf(error)
    if (code === null) log.error('peering call failed', { uid, error })
    else log.debug('peering call refused', { uid, code, error })
    end.refused(uid, code ?? 'Failed', error)
  }

  function admit(call: SecuredCall): void {
    let uid: string | null = null
    try {
      uid = end.caller(peerCertificate(call).raw)
      if (!rate.take(uid)) {
        throw new MalleeError('TooManyRequests', 'this cloud calls too often, try later')
      }
    } catch (error) {
      refuse(uid, error)
      throw error
    }
  }

  const { deliver: deliverMethod, position, receipts } = PeeringService.method
  return {
    gate: (_method, call) =>
      new grpc.ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, go) => {
              try {
                admit(call)
              } catch (error) {
                call.sendStatus(errorToStatus(error))
                return
              }
              go(metadata)
            },
          }),
      }),
    definition: {
      deliver: { ...methodDefinition(deliverMethod), requestDeserialize: asItIs },
      position: { ...methodDefinition(position), requestDeserialize: asItIs },
      receipts: { ...methodDefinition(receipts), requestDeserialize: asItIs },
    },
    implementation: {
      deliver: handle((bytes) => parsed(DeliverRequestSchema, bytes), deliver),
      position: handle(
        () => null,
        (uid) => end.position(uid),
      ),
      receipts: handle((bytes) => parsed(ReceiptsRequestSchema, bytes), end.receipts),
    },
  }
}

/** Throws BadMessage for bytes that are no such message. */
export function parsed<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(schema, bytes)
  } catch (cause) {
    throw new MalleeError('BadMessage', `the bytes are no ${schema.name}`, { cause })
  }
}

function asItIs(bytes: Buffer): Buffer {
  return bytes
}
