// The join port's service: limits and rate in front of whoever decides. The gateway decides; a CC
// hands the same request on to it.

import type { Clock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { isName } from '../common/identity.ts'
import type { Log } from '../common/log.ts'
import {
  type CheckRequest,
  type CheckResponse,
  type JoinRequest,
  type JoinResponse,
  MembershipService,
} from './gen/mallee/v1/membership_pb.js'
import { openCalls } from './open-calls.ts'
import { type RpcService, serviceDefinition } from './service.ts'

export interface MembershipEnd {
  /** Throws MalleeError with the reason of a refusal. */
  join(request: JoinRequest): Promise<JoinResponse>
  /** A refusal is an answer here. */
  check(request: CheckRequest): Promise<CheckResponse>
}

const MAX_RUNNING = 64

export function membershipService(
  end: MembershipEnd,
  {
    clock,
    log,
    sessionPort,
  }: {
    clock: Clock
    log: Log
    /** Where this server takes sessions: what it tells hosts that join, whoever admitted them. */
    sessionPort?: () => number
  },
): RpcService {
  const handle = openCalls({ clock, log, what: 'join', maxRunning: MAX_RUNNING })
  return {
    definition: serviceDefinition(MembershipService),
    implementation: {
      join: handle(checkForm, async (request: JoinRequest) => {
        const answer = await end.join(request)
        answer.sessionPort = sessionPort?.() ?? 0
        return answer
      }),
      check: handle(
        ({ join }: CheckRequest) => checkForm(join),
        (request) => end.check(request),
      ),
    },
  }
}

/** Throws BadMessage for what no Mallee host sends. */
function checkForm(join: JoinRequest | undefined): void {
  if (join === undefined) throw new MalleeError('BadMessage', 'a check without a join')
  const { rack, host, roles, tokenId, tokenSecret, certificateRequest, agentVersion } = join
  if (!isName(rack)) throw bad('rack', rack)
  if (!isName(host)) throw bad('host', host)
  if (!/^[0-9a-f]{16}$/.test(tokenId)) throw bad('token id', tokenId)
  if (tokenSecret.length > 64) throw bad('token secret', `of ${tokenSecret.length} characters`)
  if (roles.length > 3) throw bad('list of roles', roles.join(','))
  if (certificateRequest.length > 4096) {
    throw bad('certificate request', `of ${certificateRequest.length} bytes`)
  }
  if (agentVersion.length > 64) throw bad('agent version', agentVersion)
}

function bad(what: string, value: string): MalleeError {
  return new MalleeError('BadMessage', `bad ${what} ${JSON.stringify(value.slice(0, 80))}`)
}
