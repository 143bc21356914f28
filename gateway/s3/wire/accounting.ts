// What is written down of a call: its line in the log, its count among the metrics and, of those
// that change buckets, its entry in the audit log; and the answer of one that went wrong.

import type { ApiError } from '../../aws/api-error.ts'
import { tellEnd } from '../../http/call-tail.ts'
import type { Answer } from './answer.ts'
import { encodeError } from './encode.ts'
import { type S3Error, s3ErrorOf } from './error.ts'
import type { RunningCall, S3Options } from './running.ts'
import { hostIdOf } from './served.ts'

export interface Accounting {
  /** To be told before the answer goes out: what is audited is on disk then. */
  readonly succeeded: (call: RunningCall, status: number) => Promise<void>
  /** What the caller is told. */
  readonly failed: (call: RunningCall, error: unknown) => Promise<S3Error>
}

/** Of a request of which nobody knows the operation. */
export const UNKNOWN = 'unknown'
const CHANGES = /^(?:PUT|POST|DELETE)$/

export function createAccounting({
  clock,
  log,
  metrics,
  audit,
}: Pick<S3Options, 'clock' | 'log' | 'metrics' | 'audit'>): Accounting {
  /** Buckets are managed, objects are data: the audit log has the former, as CloudTrail does. */
  async function tell(call: RunningCall, error: ApiError | null): Promise<void> {
    const { caller, operation: action, level, request, input, output } = call
    const isManaged = level !== 'object' && action !== 'DeleteObjects' && action !== UNKNOWN
    if (caller === null || !isManaged || !CHANGES.test(request.message.method ?? '')) return
    const { requestId, userAgent } = call
    const { sourceIp } = request
    const what = { service: 's3', action, caller, input, output, error } as const
    await audit?.({ ...what, requestId, userAgent, sourceIp, endedAtMs: clock.nowMs() })
  }

  function finish(call: RunningCall, code: string, status: number): void {
    const { requestId, startedAtMs, operation: action, accessKeyId, caller, request } = call
    const who = { accessKeyId, caller, sourceIp: request.sourceIp }
    const what = { service: 's3', action, requestId, startedAtMs, ...who, code, status } as const
    tellEnd({ clock, log, metrics }, what)
  }

  return {
    succeeded: async (call, status) => {
      await tell(call, null)
      finish(call, 'OK', status)
    },

    failed: async (call, error) => {
      call.cameToNothing()
      const known = s3ErrorOf(error)
      await tell(call, known)
      const { requestId, operation: action } = call
      if (known.status >= 500 && !['SlowDown', 'NotImplemented'].includes(known.code)) {
        log.error('api call failed', { requestId, action, error })
      }
      finish(call, known.code, known.status)
      return known
    },
  }
}

/** The document of an error. */
export function errorAnswer({ requestId, request }: RunningCall, error: S3Error): Answer {
  const resource = request.message.url?.split('?')[0] ?? ''
  const about = { resource, requestId, hostId: hostIdOf(requestId) }
  const headers = { 'content-type': 'application/xml', ...error.headers }
  return { status: error.status, headers, body: encodeError(error, about) }
}
