// What becomes of every call to a service of AWS's beside its answer: whether its account may call
// so often, one count, and one line of the log.

import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import type { Caller } from '../aws/handlers.ts'
import type { AnyService } from '../aws/model.ts'
import type { Metrics } from '../metrics.ts'
import type { Throttle, ThrottledCall } from './throttle.ts'

export interface TailParts {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Absent: accounts call as often as they like. */
  readonly throttle?: Throttle
}

export interface EndedCall {
  readonly service: AnyService
  readonly action: string
  readonly requestId: string
  readonly startedAtMs: number
  readonly accessKeyId: string
  readonly caller: Caller | null
  readonly sourceIp: string
  /** `OK`, or that of the error. */
  readonly code: string
  readonly status: number
}

/** Throws what an account gets that calls too often; says what to do when nothing comes of it. */
export function admitCall(
  { clock, metrics, throttle }: Pick<TailParts, 'clock' | 'metrics' | 'throttle'>,
  asked: Omit<ThrottledCall, 'nowMs'>,
): () => void {
  try {
    return throttle?.({ ...asked, nowMs: clock.nowMs() }) ?? (() => undefined)
  } catch (error) {
    metrics.apiThrottled(asked.service, asked.operation)
    throw error
  }
}

export function tellEnd(
  { clock, log, metrics }: Pick<TailParts, 'clock' | 'log' | 'metrics'>,
  call: EndedCall,
): void {
  const { service, action, requestId, startedAtMs, accessKeyId, caller, sourceIp } = call
  const { code, status } = call
  const ms = clock.nowMs() - startedAtMs
  metrics.apiCall({ service, action, code, seconds: ms / 1000 })
  const who = { account: caller?.account ?? '', accessKeyId, sourceIp }
  log.info('api call', { service, action, ...who, requestId, code, status, ms })
}
