// The guard before every operation of S3: is the bucket there, and do the policies of who calls and
// of the bucket allow it? Whoever owns a bucket decides about it and what is in it.

import { ApiError } from '../../aws/api-error.ts'
import type { Caller } from '../../aws/handlers.ts'
import type { Ask } from '../../iam/ec2-requests.ts'
import { evaluateShared } from '../../iam/evaluate.ts'
import { type Access, accessOf, asMeant } from '../../iam/principals.ts'
import { accessDenied } from '../../iam/refusals.ts'
import { type Arrival, arrivalKeys } from '../../iam/request-keys.ts'
import { type S3Asked, s3Arn, s3Asks } from '../../iam/s3-requests.ts'
import type { Context } from '../../iam/templates.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import type { State, View } from '../../store/state.ts'
import type { S3Call } from '../wire/call.ts'
import { denied, S3Error } from '../wire/error.ts'
import { checkBucketName, noSuchBucket } from './names.ts'
import { parsedOf } from './policy.ts'
import { isPublic } from './public-access.ts'

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
/** The root of a bucket's account may always do these: a policy must not lock everybody out. */
const OWNERS_OWN: ReadonlySet<string> = new Set([
  ...['s3:GetBucketPolicy', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy'],
])
/** Who signs nothing. Policies may name it as one of everyone. */
const NOBODY: Access = {
  policies: 'root',
  principal: { kind: 'anonymous', account: '', arn: '', roleArn: null },
  keys: new Map([['aws:principaltype', ['Anonymous']]]),
}

export function createGuard(state: Pick<State, 'view' | 'fresh'>): Guard {
  return async (call) => {
    const { operation, bucket: name, input } = call
    if (name !== null) checkBucketName(name, operation === MAKES_BUCKET)
    const view = await viewOf(state, name, operation)
    if (call.caller !== null && isBlocked(view, call.caller)) throw blocked()
    const found = name === null ? null : view.get('bucket', name)
    const bucket = operation === MAKES_BUCKET ? null : found
    if (name !== null && bucket === null && operation !== MAKES_BUCKET) throw noSuchBucket(name)
    checkExpectedOwner(bucket, input)
    const judge = createJudge(view, call)
    for (const ask of s3Asks(call)) judge(ask, bucket)
    return {
      bucket: found,
      allows: (action, of, key, keys) => {
        try {
          judge({ action, resource: s3Arn(of.name, key), keys: new Map(keys) }, of)
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

function isBlocked(view: View, { account }: Caller): boolean {
  return view.get('account', account)?.blockedAtMs !== undefined
}

/** Throws AccessDenied for what may not be. */
function createJudge(
  view: View,
  { caller, arrival }: GuardedCall,
): (ask: Ask, bucket: BucketRecord | null) => void {
  let arrived: Context | null = null
  const ofCall = (): Context => {
    arrived ??= arrivalKeys(arrival)
    return arrived
  }
  let known: Access | null = null
  return ({ action, resource, keys }, bucket) => {
    known ??= caller === null ? NOBODY : accessOf(view, caller)
    const { policies, keys: ofCaller } = known
    // What belongs to no bucket yet belongs to who asks.
    const account = bucket?.account ?? caller?.account ?? null
    const isOwn = caller !== null && account === caller.account
    if (!isOwn && isShut(bucket)) throw denied()
    if (isOwn && policies === 'root' && OWNERS_OWN.has(action)) return
    const policy = bucket?.policy
    const principal =
      caller === null ? known.principal : asMeant(policy?.principals ?? {}, caller, known.principal)
    const ofBucket = new Map(account === null ? [] : [['s3:resourceaccount', [account]]])
    const get = (key: string) =>
      ofCall().get(key) ?? ofCaller.get(key) ?? keys.get(key) ?? ofBucket.get(key)
    const request = { action, resource, principal, conditions: { get } }
    const parsed = policy === undefined ? null : parsedOf(policy)
    const decision = evaluateShared(policies, { policy: parsed, account: account ?? '' }, request)
    if (decision.allowed) return
    // Strangers are told nothing of what it hangs on.
    if (!isOwn || caller === null) throw denied()
    const conditions = new Map([...ofCall(), ...ofCaller, ...keys, ...ofBucket])
    throw accessDenied({ request, conditions, decision, userId: caller.userId })
  }
}

/** To all of other accounts: there is no policy, or one that is public where that is restricted. */
function isShut(bucket: BucketRecord | null): boolean {
  if (bucket?.policy === undefined) return true
  return bucket.publicAccess?.restrict === true && isPublic(parsedOf(bucket.policy))
}

/** `x-amz-expected-bucket-owner`: who is wrong about it wants nothing done to the bucket. */
function checkExpectedOwner(bucket: BucketRecord | null, input: S3Asked['input']): void {
  const expected = input['ExpectedBucketOwner']
  if (bucket !== null && expected !== undefined && expected !== bucket.account) throw denied()
}

function blocked(): S3Error {
  return new S3Error(
    'AccessDenied',
    'Your account is currently blocked. Contact the operator of this cloud.',
    403,
  )
}
