// The join port's service: limits and rate in front of whoever decides. The gateway decides; a CC
// hands the same request on to it.

import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { codeOf, MalleeError } from '../common/errors.ts'
import { isName } from '../common/identity.ts'
import type { Log } from '../common/log.ts'
import {
  type CheckRequest,
  type CheckResponse,
  type JoinRequest,
  type JoinResponse,
  MembershipService,
} from './gen/mallee/v1/membership_pb.js'
import { JOIN_RATE, RateLimit, sourceOf } from './rate-limit.ts'
import { errorToStatus, type RpcService, serviceDefinition } from './service.ts'

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
  const rate = new RateLimit(clock, JOIN_RATE)
  let running = 0

  function handle<Req, Res>(run: (request: Req) => Promise<Res>, joinOf: (r: Req) => unknown) {
    return async (call: grpc.ServerUnaryCall<Req, Res>, reply: grpc.sendUnaryData<Res>) => {
      const source = sourceOf(call.getPeer())
      try {
        if (running >= MAX_RUNNING || !rate.take(source)) {
          throw new MalleeError('TooManyRequests', `too many requests from ${source}, try later`)
        }
        running += 1
        try {
          checkForm(joinOf(call.request) as JoinRequest | undefined)
          reply(null, await run(call.request))
        } finally {
          running -= 1
        }
      } catch (error) {
        if (codeOf(error) === null) log.error('join failed', { source, error })
        else log.info('join refused', { source, code: codeOf(error), error })
        reply(errorToStatus(error))
      }
    }
  }

  return {
    definition: serviceDefinition(MembershipService),
    implementation: {
      join: handle(
        async (request: JoinRequest) => {
          const answer = await end.join(request)
          answer.sessionPort = sessionPort?.() ?? 0
          return answer
        },
        (request) => request,
      ),
      check: handle(
        (request: CheckRequest) => end.check(request),
        ({ join }) => join,
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
