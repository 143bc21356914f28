// How a host leaves the cloud: one call on the session port, where its certificate says who it is.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { type Identity, isName } from '../common/identity.ts'
import {
  DepartureService,
  type LeaveRequest,
  LeaveRequestSchema,
  type LeaveResponse,
  LeaveResponseSchema,
} from './gen/mallee/v1/membership_pb.js'
import {
  callUnary,
  dial,
  errorToStatus,
  methodDefinition,
  type RpcService,
  serviceDefinition,
} from './service.ts'
import { peerIdentity } from './tls.ts'

const LEAVE_MS = 15_000

/** `leave` throws MalleeError with the reason when the caller may not say it of that host. */
export function departureService(
  leave: (caller: Identity, host: string) => Promise<void>,
): RpcService {
  return {
    definition: serviceDefinition(DepartureService),
    implementation: {
      leave: (
        call: grpc.ServerUnaryCall<LeaveRequest, LeaveResponse>,
        reply: grpc.sendUnaryData<LeaveResponse>,
      ) => {
        answer(call).then(
          () => reply(null, create(LeaveResponseSchema)),
          (error: unknown) => reply(errorToStatus(error)),
        )
      },
    },
  }

  async function answer(call: grpc.ServerUnaryCall<LeaveRequest, LeaveResponse>): Promise<void> {
    const { host } = call.request
    if (!isName(host)) throw new MalleeError('BadMessage', 'the name of the host is malformed')
    await leave(peerIdentity(call), host)
  }
}

/** Tells the first parent that answers that `host` leaves. Throws what the last one said. */
export async function sayLeave(
  parents: readonly { readonly host: string; readonly port: number }[],
  credentials: () => grpc.ChannelCredentials,
  host: string,
  clock: Clock,
): Promise<void> {
  let last: unknown = new MalleeError('Unavailable', 'there is no parent to tell')
  for (const parent of parents) {
    const connection = dial(parent.host, parent.port, credentials())
    try {
      const request = create(LeaveRequestSchema, { host })
      const method = methodDefinition(DepartureService.method.leave)
      await callUnary(connection, method, request, clock.nowMs() + LEAVE_MS)
      return
    } catch (error) {
      last = error
    } finally {
      connection.close()
    }
  }
  throw last
}
