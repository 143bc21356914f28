// The guard before every operation of S3: is the bucket there, and do the policies of who calls
// allow it? Whoever owns a bucket decides about it and what is in it.

import { ApiError } from '../../aws/api-error.ts'
import type { Caller } from '../../aws/handlers.ts'
import type { Ask } from '../../iam/ec2-requests.ts'
import { evaluate } from '../../iam/evaluate.ts'
import { type Access, accessOf } from '../../iam/principals.ts'
import { accessDenied } from '../../iam/refusals.ts'
import { type Arrival, arrivalKeys } from '../../iam/request-keys.ts'
import { type S3Asked, s3Arn, s3Asks } from '../../iam/s3-requests.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import type { State, View } from '../../store/state.ts'
import type { S3Call } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { checkBucketName, noSuchBucket } from './names.ts'

export interface GuardedCall extends S3Asked {
  readonly caller: Caller | null
  readonly arrival: Arrival
}

export interface Allowed {
  readonly bucket: BucketRecord | null
  readonly allows: S3Call<never>['allows']
}

/** Throws AccessDenied, NoSuchBucket, InvalidBucketName. */
export type Guard = (call: GuardedCall) => Promise<Allowed>

/** They are asked about a bucket that is not there yet. */
const MAKES_BUCKET = 'CreateBucket'

export function createGuard(state: Pick<State, 'view' | 'fresh'>): Guard {
  return async (call) => {
    const { operation, bucket: name, input } = call
    if (name !== null) checkBucketName(name, operation === MAKES_BUCKET)
    const view = await viewOf(state, name, operation)
    const bucket = name === null ? null : view.get('bucket', name)
    if (name !== null && bucket === null && operation !== MAKES_BUCKET) throw noSuchBucket(name)
    if (operation !== MAKES_BUCKET) checkExpectedOwner(bucket, input)
    const judge = createJudge(view, call)
    for (const ask of s3Asks(call)) judge(ask, operation === MAKES_BUCKET ? null : bucket)
    return {
      bucket,
      allows: (action, of, key) => {
        try {
          judge({ action, resource: s3Arn(of.name, key), keys: new Map() }, of)
          return true
        } catch (error) {
          if (error instanceof ApiError && error.code === 'AccessDenied') return false
          throw error
        }
      },
    }
  }
}

/** A bucket that another gateway has just made is there: its client may ask here next. */
async function viewOf(
  state: Pick<State, 'view' | 'fresh'>,
  name: string | null,
  operation: string,
): Promise<View> {
  const view = state.view()
  const isThere = name === null || view.get('bucket', name) !== null || operation === MAKES_BUCKET
  return isThere ? view : await state.fresh()
}

/** Throws AccessDenied for what may not be. */
function createJudge(
  view: View,
  { caller, arrival }: GuardedCall,
): (ask: Ask, bucket: BucketRecord | null) => void {
  const ofCall = arrivalKeys(arrival)
  let known: Access | null = null
  return ({ action, resource, keys }, bucket) => {
    if (caller === null) throw denied()
    if (bucket !== null && bucket.account !== caller.account) throw denied()
    known ??= accessOf(view, caller)
    const access = known
    if (access.policies === 'root') return
    const get = (key: string) => ofCall.get(key) ?? access.keys.get(key) ?? keys.get(key)
    const request = { action, resource, principal: access.principal, conditions: { get } }
    const decision = evaluate(access.policies, request)
    if (decision.allowed) return
    const conditions = new Map([...ofCall, ...access.keys, ...keys])
    throw accessDenied({ request, conditions, decision, userId: caller.userId })
  }
}

/** `x-amz-expected-bucket-owner`: who is wrong about it wants nothing done to the bucket. */
function checkExpectedOwner(bucket: BucketRecord | null, input: S3Asked['input']): void {
  const expected = input['ExpectedBucketOwner']
  if (bucket !== null && expected !== undefined && expected !== bucket.account) throw denied()
}

function denied(): S3Error {
  return new S3Error('AccessDenied', 'Access Denied', 403)
}
