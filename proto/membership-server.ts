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
import { errorToStatus, type RpcService, serviceDefinition } from './service.ts'

export interface MembershipEnd {
  /** Throws MalleeError with the reason of a refusal. */
  join(request: JoinRequest): Promise<JoinResponse>
  /** A refusal is an answer here. */
  check(request: CheckRequest): Promise<CheckResponse>
}

/** Requests that one source may send at once, and how many more each second. */
const BURST = 60
const PER_SECOND = 5
const MAX_SOURCES = 10_000
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
  const rate = new RateLimit(clock)
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

/** A token bucket per source. */
class RateLimit {
  readonly #clock: Clock
  /** The source that was heard longest ago first. */
  readonly #buckets = new Map<string, { left: number; atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  take(source: string): boolean {
    const nowMs = this.#clock.nowMs()
    const { left, atMs } = this.#buckets.get(source) ?? { left: BURST, atMs: nowMs }
    const gained = (Math.max(0, nowMs - atMs) / 1000) * PER_SECOND
    const full = Math.min(BURST, left + gained)
    const allowed = full >= 1
    this.#buckets.delete(source)
    this.#buckets.set(source, { left: allowed ? full - 1 : full, atMs: nowMs })
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MAX_SOURCES) break
      this.#buckets.delete(oldest)
    }
    return allowed
  }
}

/** `1.2.3.4:5` is 1.2.3.4; of an IPv6 address the /64, which one customer has. */
export function sourceOf(peer: string): string {
  const host = peer
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .replace(/^::ffff:/, '')
  if (!host.includes(':')) return host
  const [head = '', tail] = host.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) while (groups.length < 4) groups.push('0')
  return `${groups.slice(0, 4).join(':')}::/64`
}
