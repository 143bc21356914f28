// The invited side of an agreement between two clouds: looks at an invitation, and uses it. The
// CA that the invitation names was found on the other side before.

import { create } from '@bufbuild/protobuf'
import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import {
  AcceptInvitationRequestSchema,
  type AcceptInvitationResponse,
  type CloudCard,
  InspectRequestSchema,
  type InspectResponse,
  PeeringInvitationService,
} from './gen/mallee/v1/peering_pb.js'
import { callUnary, dial, methodDefinition } from './service.ts'
import { joinClientCredentials } from './tls.ts'

/** The join port of the gateway that has made an invitation. */
export interface Inviter {
  readonly host: string
  readonly port: number
  readonly caPem: string
  /** Its name, as its certificate has it. */
  readonly cloud: string
  readonly id: string
  readonly secret: string
  readonly clock: Clock
}

const REQUEST_MS = 30_000

/** Throws the other side's refusal, or Unavailable. */
export function inspectInvitation(inviter: Inviter, from: CloudCard): Promise<InspectResponse> {
  const request = create(InspectRequestSchema, fieldsOf(inviter, from))
  return unary(inviter, methodDefinition(PeeringInvitationService.method.inspect), request)
}

/** Throws the other side's refusal, or Unavailable; doing it again is safe. */
export function acceptInvitation(
  inviter: Inviter,
  from: CloudCard,
): Promise<AcceptInvitationResponse> {
  const request = create(AcceptInvitationRequestSchema, fieldsOf(inviter, from))
  const { acceptInvitation: method } = PeeringInvitationService.method
  return unary(inviter, methodDefinition(method), request)
}

function fieldsOf({ id, secret, clock }: Inviter, from: CloudCard) {
  const clockMs = BigInt(clock.nowMs())
  return { invitationId: id, invitationSecret: secret, from, clockMs }
}

async function unary<Req, Res>(
  { host, port, caPem, cloud, clock }: Inviter,
  method: grpc.MethodDefinition<Req, Res>,
  request: Req,
): Promise<Res> {
  const credentials = joinClientCredentials(
    caPem,
    (peer) => peer.kind === 'gateway' && peer.cloud === cloud,
  )
  const connection = dial(host, port, credentials)
  try {
    return await callUnary(connection, method, request, clock.nowMs() + REQUEST_MS)
  } finally {
    connection.close()
  }
}
