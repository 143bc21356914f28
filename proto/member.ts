// What a member asks for itself on the session port, where its certificate says who it is: to leave
// the cloud, and a fresher certificate. A CC hands both on for its nodes.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { type Identity, isName } from '../common/identity.ts'
import {
  type LeaveRequest,
  LeaveRequestSchema,
  type LeaveResponse,
  LeaveResponseSchema,
  MemberService,
  type RenewRequest,
  RenewRequestSchema,
  type RenewResponse,
} from './gen/mallee/v1/membership_pb.js'
import {
  callUnary,
  dial,
  errorToStatus,
  methodDefinition,
  type RpcService,
  serviceDefinition,
} from './service.ts'
import type { Endpoint } from './session-client.ts'
import { peerIdentity } from './tls.ts'

/** Both throw MalleeError with the reason when the caller may not say it of that host. */
export interface MemberEnd {
  leave(caller: Identity, host: string): Promise<void>
  renew(caller: Identity, request: RenewRequest): Promise<RenewResponse>
}

/** Whom a member asks, one after another until one answers. */
export interface Parents {
  readonly endpoints: readonly Endpoint[]
  /** Made anew for each connection. */
  readonly credentials: () => grpc.ChannelCredentials
  readonly clock: Clock
  /** Milliseconds for one of them; 15,000 when not given. */
  readonly timeoutMs?: number
  /** Ends the asking. */
  readonly signal?: AbortSignal
}

const ASK_MS = 15_000
/** For a CC that asks on behalf of a node, which waits for ASK_MS itself. */
export const RELAY_MS = 6_000
const MAX_RUNNING = 64

export function memberService(end: MemberEnd): RpcService {
  let running = 0

  function handle<Req extends { readonly host: string }, Res>(
    run: (caller: Identity, request: Req) => Promise<Res>,
  ) {
    return async (call: grpc.ServerUnaryCall<Req, Res>, reply: grpc.sendUnaryData<Res>) => {
      try {
        if (running >= MAX_RUNNING) {
          throw new MalleeError('TooManyRequests', `${MAX_RUNNING} requests are under way`)
        }
        if (!isName(call.request.host)) {
          throw new MalleeError('BadMessage', 'the name of the host is malformed')
        }
        running += 1
        try {
          reply(null, await run(peerIdentity(call), call.request))
        } finally {
          running -= 1
        }
      } catch (error) {
        reply(errorToStatus(error))
      }
    }
  }

  return {
    definition: serviceDefinition(MemberService),
    implementation: {
      leave: handle<LeaveRequest, LeaveResponse>(async (caller, { host }) => {
        await end.leave(caller, host)
        return create(LeaveResponseSchema)
      }),
      renew: handle<RenewRequest, RenewResponse>((caller, request) => end.renew(caller, request)),
    },
  }
}

/** Tells the first parent that answers that `host` leaves. Throws what the last one said. */
export async function sayLeave(parents: Parents, host: string): Promise<void> {
  const request = create(LeaveRequestSchema, { host })
  await askFirst(parents, methodDefinition(MemberService.method.leave), request)
}

/** A fresher certificate for `host`'s key. Throws what the last parent that was asked said. */
export function askRenewal(
  parents: Parents,
  request: MessageInitShape<typeof RenewRequestSchema>,
): Promise<RenewResponse> {
  const method = methodDefinition(MemberService.method.renew)
  return askFirst(parents, method, create(RenewRequestSchema, request))
}

async function askFirst<Req, Res>(
  { endpoints, credentials, clock, timeoutMs = ASK_MS, signal }: Parents,
  method: grpc.MethodDefinition<Req, Res>,
  request: Req,
): Promise<Res> {
  let last: unknown = new MalleeError('Unavailable', 'there is no parent to ask')
  for (const { host, port } of endpoints) {
    if (signal?.aborted) break
    const connection = dial(host, port, credentials())
    try {
      return await callUnary(connection, method, request, clock.nowMs() + timeoutMs, signal)
    } catch (error) {
      last = error
    } finally {
      connection.close()
    }
  }
  throw last
}
