// Calls of the join port, where anybody may call: limits and rate in front of whoever decides.

import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../common/clock.ts'
import { codeOf, MalleeError } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import { JOIN_RATE, RateLimit, sourceOf } from './rate-limit.ts'
import { errorToStatus } from './service.ts'

export interface OpenCallsOptions {
  readonly clock: Clock
  readonly log: Log
  /** Of what log lines are: `join failed`, `join refused`. */
  readonly what: string
  /** Of all calls together, at a time. */
  readonly maxRunning: number
}

/** Makes handlers that share a rate for each source; `check` throws before anything is done. */
export function openCalls({ clock, log, what, maxRunning }: OpenCallsOptions) {
  const rate = new RateLimit(clock, JOIN_RATE)
  let running = 0
  return function handle<Req, Res>(
    check: (request: Req) => void,
    run: (request: Req) => Promise<Res>,
  ) {
    return async (call: grpc.ServerUnaryCall<Req, Res>, reply: grpc.sendUnaryData<Res>) => {
      const source = sourceOf(call.getPeer())
      try {
        if (running >= maxRunning || !rate.take(source)) {
          throw new MalleeError('TooManyRequests', `too many requests from ${source}, try later`)
        }
        running += 1
        try {
          check(call.request)
          reply(null, await run(call.request))
        } finally {
          running -= 1
        }
      } catch (error) {
        if (codeOf(error) === null) log.error(`${what} failed`, { source, error })
        else log.info(`${what} refused`, { source, code: codeOf(error), error })
        reply(errorToStatus(error))
      }
    }
  }
}
