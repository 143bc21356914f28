// The guard before every operation of S3: is the bucket there, and do the policies of who calls and
// of the bucket allow it? Whoever owns a bucket decides about it and what is in it.

import { ApiError } from '../../aws/api-error.ts'
import type { Caller } from '../../aws/handlers.ts'
import type { Keys } from '../../iam/ec2-keys.ts'
import type { Ask } from '../../iam/ec2-requests.ts'
import { evaluate, evaluateShared } from '../../iam/evaluate.ts'
import { type Access, accessOf, asMeant } from '../../iam/principals.ts'
import { accessDenied } from '../../iam/refusals.ts'
import { type Arrival, arrivalKeys } from '../../iam/request-keys.ts'
import { type S3Asked, s3Arn, s3Asks } from '../../iam/s3-requests.ts'
import type { Context } from '../../iam/templates.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import type { State, View } from '../../store/state.ts'
import { hangsOnObject, hasAcls, isForeign, isGranted } from '../acl/grants.ts'
import type { ObjectEntry, ObjectIndex } from '../index/objects.ts'
import type { S3Call } from '../wire/call.ts'
import { denied, S3Error } from '../wire/error.ts'
import { checkBucketName, noSuchBucket } from './names.ts'
import { parsedOf } from './policy.ts'
import { isPublic } from './public-access.ts'

export interface GuardedCall extends S3Asked {
  readonly caller: Caller | null
  readonly arrival: Arrival
  /** What conditions may ask of the signature; nothing when absent. */
  readonly signatureKeys?: Keys
  /** Is told when a list of grants allowed what no policy did. */
  readonly onlyByAcl?: () => void
}

export interface Allowed {
  readonly bucket: BucketRecord | null
  readonly allows: S3Call<never>['allows']
  readonly mayStill?: (object: ObjectEntry) => void
}

/** Throws AccessDenied, NoSuchBucket, InvalidBucketName. */
export type Guard = (call: GuardedCall) => Promise<Allowed>

/** They are asked about a bucket that is not there yet. */
const MAKES_BUCKET = 'CreateBucket'
/** The root of a bucket's account may always do these: a policy must not lock everybody out. */
const OWNERS_OWN: ReadonlySet<string> = new Set([
  ...['s3:GetBucketPolicy', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy'],
])
/** Keys of conditions that hang on the object, with the tag's name behind. */
const OBJECT_TAG = 's3:existingobjecttag/'
/** Actions that have such keys (Service Authorization Reference). */
const TAGGED = new RegExp(
  [
    '^s3:GetObject(?:Version)?(?:Acl|Tagging)?$',
    '^s3:PutObject(?:Version)?(?:Acl|Tagging)$',
    '^s3:DeleteObject(?:Version)?Tagging$',
  ].join('|'),
)
/** Who signs nothing. Policies may name it as one of everyone. */
const NOBODY: Access = {
  policies: 'root',
  principal: { kind: 'anonymous', account: '', arn: '', roleArn: null },
  keys: new Map([['aws:principaltype', ['Anonymous']]]),
}

export function createGuard(
  state: Pick<State, 'view' | 'fresh'>,
  index: Pick<ObjectIndex, 'current' | 'version'>,
): Guard {
  return async (call) => {
    const { operation, bucket: name, key, input } = call
    if (name !== null) checkBucketName(name, operation === MAKES_BUCKET)
    const view = await viewOf(state, name, operation)
    if (call.caller !== null && isBlocked(view, call.caller)) throw blocked()
    const found = name === null ? null : view.get('bucket', name)
    const bucket = operation === MAKES_BUCKET ? null : found
    if (name !== null && bucket === null && operation !== MAKES_BUCKET) throw noSuchBucket(name)
    checkExpectedOwner(bucket, input)
    const judge = createJudge(view, call)
    const hanging: Ask[] = []
    for (const ask of s3Asks(call)) {
      if (judge(ask, bucket, undefined) !== 'unknown') continue
      if (bucket === null || key === null) throw denied()
      judge(ask, bucket, await aboutIn(index, bucket, key, input['VersionId']))
      hanging.push(ask)
    }
    const mayStill = (object: ObjectEntry): void => {
      for (const ask of hanging) judge(ask, bucket, object)
    }
    return {
      bucket: found,
      ...(hanging.length > 0 && { mayStill }),
      allows: (action, of, ofKey, keys, object) => {
        try {
          const ask = { action, resource: s3Arn(of.name, ofKey), keys: new Map(keys) }
          return judge(ask, of, object ?? null) === 'allowed'
        } catch (error) {
          if (error instanceof ApiError && error.code === 'AccessDenied') return false
          throw error
        }
      },
    }
  }
}

/** What a call is about; null when it is not there, or only a delete marker. */
async function aboutIn(
  index: Pick<ObjectIndex, 'current' | 'version'>,
  { id }: BucketRecord,
  key: string,
  versionId: unknown,
): Promise<ObjectEntry | null> {
  const found =
    typeof versionId === 'string'
      ? await index.version(id, key, versionId)
      : await index.current(id, key)
  return found === null || found.isDeleteMarker ? null : found
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

/**
 * Throws AccessDenied for what may not be. `unknown`: it hangs on the object, which is to be looked
 * up then; `object` is undefined before that, and null when it is not there.
 */
type Judge = (
  ask: Ask,
  bucket: BucketRecord | null,
  object: ObjectEntry | null | undefined,
) => 'allowed' | 'unknown'

function createJudge(view: View, call: GuardedCall): Judge {
  const { caller, arrival, operation, signatureKeys = [] } = call
  let arrived: Context | null = null
  const ofCall = (): Context => {
    arrived ??= new Map([...arrivalKeys(arrival), ...signatureKeys])
    return arrived
  }
  const who = caller?.account ?? null
  let known: Access | null = null
  return ({ action, resource, keys }, bucket, object) => {
    const question = { operation, action, who }
    const acls = bucket !== null && hasAcls(bucket) ? bucket : null
    if (acls !== null && object === undefined && hangsOnObject(acls, question)) return 'unknown'
    known ??= caller === null ? NOBODY : accessOf(view, caller)
    const { policies, keys: ofCaller } = known
    // What belongs to no bucket yet belongs to who asks.
    const account = bucket?.account ?? caller?.account ?? null
    const isOwn = caller !== null && account === caller.account
    const isClosed = !isOwn && isShut(bucket)
    if (isClosed && acls === null) throw denied()
    if (isOwn && policies === 'root' && OWNERS_OWN.has(action)) return 'allowed'
    const policy = bucket?.policy
    const principal =
      caller === null ? known.principal : asMeant(policy?.principals ?? {}, caller, known.principal)
    const ofBucket = new Map(account === null ? [] : [['s3:resourceaccount', [account]]])
    let isUnknown = false
    const get = (key: string): readonly string[] | undefined => {
      if (key.startsWith(OBJECT_TAG)) {
        isUnknown ||= object === undefined && TAGGED.test(action)
        return tagOf(object, key)
      }
      return ofCall().get(key) ?? ofCaller.get(key) ?? keys.get(key) ?? ofBucket.get(key)
    }
    const request = { action, resource, principal, conditions: { get } }
    const parsed = policy === undefined ? null : parsedOf(policy)
    const decision = evaluateShared(policies, { policy: parsed, account: account ?? '' }, request)
    if (isUnknown) return 'unknown'
    const isOthers = acls !== null && isForeign(acls, object ?? null, question)
    if (decision.allowed && !isClosed && !isOthers) return 'allowed'
    const mayAsk = decision.refusal !== 'explicit' && evaluate(policies, request).allowed
    if (acls !== null && mayAsk && isGranted(acls, object ?? null, question)) {
      call.onlyByAcl?.()
      return 'allowed'
    }
    // Strangers are told nothing of what it hangs on.
    if (!isOwn || caller === null || decision.allowed) throw denied()
    const conditions = new Map([...ofCall(), ...ofCaller, ...keys, ...ofBucket])
    throw accessDenied({ request, conditions, decision, userId: caller.userId })
  }
}

function tagOf(object: ObjectEntry | null | undefined, key: string): readonly string[] | undefined {
  const wanted = key.slice(OBJECT_TAG.length)
  const found = Object.entries(object?.tags ?? {}).find(([name]) => name.toLowerCase() === wanted)
  return found === undefined ? undefined : [found[1]]
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
