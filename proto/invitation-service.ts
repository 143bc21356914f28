// The inviting side of an agreement between two clouds, on the join port: whoever calls has no
// certificate of this cloud, only an invitation. Limits and rate in front of whoever decides.

import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import {
  type AcceptInvitationRequest,
  type AcceptInvitationResponse,
  type InspectRequest,
  type InspectResponse,
  PeeringInvitationService,
} from './gen/mallee/v1/peering_pb.js'
import { openCalls } from './open-calls.ts'
import { type RpcService, serviceDefinition } from './service.ts'

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
  const handle = openCalls({ clock, log, what: 'invitation', maxRunning: MAX_RUNNING })
  return {
    definition: serviceDefinition(PeeringInvitationService),
    implementation: {
      inspect: handle(checkForm, (request: InspectRequest) => end.inspect(request)),
      acceptInvitation: handle(checkForm, (request: AcceptInvitationRequest) =>
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
