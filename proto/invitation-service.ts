// The inviting side of an agreement between two clouds, on the join port: whoever calls has no
// certificate of this cloud, only an invitation. Limits and rate in front of whoever decides.

import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { codeOf, MalleeError } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import {
  type AcceptInvitationRequest,
  type AcceptInvitationResponse,
  type InspectRequest,
  type InspectResponse,
  PeeringInvitationService,
} from './gen/mallee/v1/peering_pb.js'
import { JOIN_RATE, RateLimit, sourceOf } from './rate-limit.ts'
import { errorToStatus, type RpcService, serviceDefinition } from './service.ts'

/** Both throw MalleeError with the reason of a refusal. */
export interface InvitationEnd {
  inspect(request: InspectRequest): Promise<InspectResponse>
  accept(request: AcceptInvitationRequest): Promise<AcceptInvitationResponse>
}

const MAX_RUNNING = 16
const MAX_SECRET_CHARS = 64

export function invitationService(
  end: InvitationEnd,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): RpcService {
  const rate = new RateLimit(clock, JOIN_RATE)
  let running = 0

  function handle<Req extends InspectRequest | AcceptInvitationRequest, Res>(
    run: (request: Req) => Promise<Res>,
  ) {
    return async (call: grpc.ServerUnaryCall<Req, Res>, reply: grpc.sendUnaryData<Res>) => {
      const source = sourceOf(call.getPeer())
      try {
        if (running >= MAX_RUNNING || !rate.take(source)) {
          throw new MalleeError('TooManyRequests', `too many requests from ${source}, try later`)
        }
        running += 1
        try {
          checkForm(call.request)
          reply(null, await run(call.request))
        } finally {
          running -= 1
        }
      } catch (error) {
        if (codeOf(error) === null) log.error('invitation failed', { source, error })
        else log.info('invitation refused', { source, code: codeOf(error), error })
        reply(errorToStatus(error))
      }
    }
  }

  return {
    definition: serviceDefinition(PeeringInvitationService),
    implementation: {
      inspect: handle<InspectRequest, InspectResponse>((request) => end.inspect(request)),
      acceptInvitation: handle<AcceptInvitationRequest, AcceptInvitationResponse>((request) =>
        end.accept(request),
      ),
    },
  }
}

/** Throws BadMessage for what no Mallee gateway sends. The card is the gateway's to check. */
function checkForm({ invitationId, invitationSecret }: InspectRequest | AcceptInvitationRequest) {
  if (!/^[0-9a-f]{16}$/.test(invitationId)) {
    const said = JSON.stringify(invitationId.slice(0, 80))
    throw new MalleeError('BadMessage', `bad invitation id ${said}`)
  }
  if (invitationSecret.length > MAX_SECRET_CHARS) {
    throw new MalleeError('BadMessage', `a secret of ${invitationSecret.length} characters`)
  }
}
