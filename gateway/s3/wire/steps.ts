// The steps that every way of asking S3 takes: who calls is told to whoever counts keys, rates and
// policies are asked, the handler does it. What comes before and after differs: requests of the
// API, forms, websites.

import { admitCall } from '../../http/call-tail.ts'
import type { Arrival } from '../../iam/request-keys.ts'
import type { Allowed } from '../buckets/access.ts'
import type { Authenticated } from './authenticate.ts'
import type { S3Answer, S3Body, S3Call } from './call.ts'
import { notImplemented } from './error.ts'
import type { RunningCall, S3Options } from './running.ts'
import type { Target } from './target.ts'

/** What is asked for: an operation of the model, and its input without a body. */
export interface Wanted extends Target {
  readonly operation: string
  readonly input: Record<string, unknown>
}

export interface Steps {
  /** Notes who signed. */
  readonly signed: (call: RunningCall, who: Authenticated) => void
  /** Throws SlowDown, AccessDenied, NoSuchBucket, ... and NotImplemented without a handler. */
  readonly allow: (call: RunningCall, wanted: Wanted) => Promise<Leave>
  /** Throws what the handler throws. */
  readonly perform: (
    call: RunningCall,
    wanted: Wanted,
    more: {
      readonly leave: Leave
      readonly body: S3Body | null
      readonly headers: ReadonlyMap<string, readonly string[]>
    },
  ) => Promise<S3Answer<object>>
}

/** That a call may go on, and who does what it wants. */
interface Leave extends Allowed {
  readonly handler: AnyHandler
}

/** How calls name an upload by a form. */
export const POST_OBJECT = 'PostObject'

type AnyHandler = (call: S3Call<unknown>) => Promise<S3Answer<object>>

export function createSteps(options: S3Options): Steps {
  const { log, region } = options

  function admit(call: RunningCall, { operation, input }: Wanted, account: string): void {
    call.cameToNothing = admitCall(options, { service: 's3', operation, input, account })
  }

  function arrivalOf({ request, userAgent, startedAtMs: nowMs }: RunningCall): Arrival {
    const { sourceIp, secure } = request
    return { sourceIp, userAgent, secure, region, nowMs }
  }

  return {
    signed(call, { caller, accessKeyId, signature, keys }) {
      call.caller = caller
      call.accessKeyId = accessKeyId
      call.signature = signature
      call.signatureKeys = keys
      if (caller === null) return
      options.keyUsed?.({ caller, service: 's3', region, nowMs: call.startedAtMs })
    },

    async allow(call, wanted) {
      const { caller } = call
      const { operation, bucket, key, input } = wanted
      call.input = input
      if (caller !== null) admit(call, wanted, caller.account)
      const arrival = arrivalOf(call)
      const allowed = await options.guard({
        ...{ operation, bucket, key, input, caller, arrival, signatureKeys: call.signatureKeys },
        onlyByAcl: () => {
          call.aclRequired = true
        },
      })
      // Who signs nothing takes from another budget than the account that owns the bucket.
      if (caller === null) admit(call, wanted, `nobody at ${allowed.bucket?.account ?? ''}`)
      const handler = handlerOf(options.handlers, operation)
      if (handler === null) throw notImplemented(operation)
      return { ...allowed, handler }
    },

    async perform(call, { operation, input }, { leave, body, headers }) {
      const { caller, requestId, startedAtMs: nowMs } = call
      const { bucket, allows, mayStill } = leave
      call.body = body
      const answer = await leave.handler({
        ...{ input, caller, requestId, nowMs, arrival: arrivalOf(call), bucket, allows, body },
        ...(mayStill !== undefined && { mayStill }),
        log: log.with({ requestId, action: operation }),
        isForm: call.operation === POST_OBJECT,
        header: (name) => headers.get(name)?.join(',') ?? null,
      })
      call.output = answer.output
      return answer
    },
  }
}

/** Null for an operation that nobody does here. */
function handlerOf(handlers: S3Options['handlers'], operation: string): AnyHandler | null {
  if (!Object.hasOwn(handlers, operation)) return null
  return handlers[operation as keyof S3Options['handlers']] as unknown as AnyHandler
}
