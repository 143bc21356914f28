// Access control lists: what they grant to whom, and which actions that is (S3 user guide, "Access
// control list (ACL) overview", "Mapping of ACL permissions and access policy permissions").

import type { AclGrant, AclPermission, BucketRecord } from '../../store/bucket-records.ts'
import { ANYBODY, canonicalId } from '../buckets/bucket.ts'
import type { ObjectEntry } from '../index/objects.ts'

type Owned = Pick<ObjectEntry, 'owner' | 'acl'>
type Listed = Pick<BucketRecord, 'account' | 'acl' | 'ownership' | 'publicAccess'>

/** Groups that grants can name, by the last part of their URI. */
export const GROUPS: Readonly<Record<string, string>> = {
  AllUsers: 'http://acs.amazonaws.com/groups/global/AllUsers',
  AuthenticatedUsers: 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers',
  LogDelivery: 'http://acs.amazonaws.com/groups/s3/LogDelivery',
}
const PUBLIC_GROUPS: ReadonlySet<string> = new Set(['AllUsers', 'AuthenticatedUsers'])

/** Actions in lower case, without `s3:`. */
const OF_BUCKET: Readonly<Record<string, AclPermission>> = {
  listbucket: 'READ',
  listbucketversions: 'READ',
  listbucketmultipartuploads: 'READ',
  putobject: 'WRITE',
  abortmultipartupload: 'WRITE',
  listmultipartuploadparts: 'WRITE',
  getbucketacl: 'READ_ACP',
  putbucketacl: 'WRITE_ACP',
}
const OF_OBJECT: Readonly<Record<string, AclPermission>> = {
  getobject: 'READ',
  getobjectversion: 'READ',
  getobjectacl: 'READ_ACP',
  getobjectversionacl: 'READ_ACP',
  putobjectacl: 'WRITE_ACP',
  putobjectversionacl: 'WRITE_ACP',
}
/** The owner of an object may what no list grants; whoever else may not. */
const OF_OBJECTS_OWNER =
  /^(?:get|put|delete)object(?:version)?(?:tagging|attributes|retention|legalhold)$/
/** Who may write an object into a bucket is its owner then, and says who else may what. */
const WRITES_OBJECT = /^(?:Put|Copy)Object$|^CreateMultipartUpload$/
const REMOVES_OBJECT = /^deleteobject(?:version)?$/

/** What somebody asks for; `who` is their account, null for who signs nothing. */
export interface AclQuestion {
  readonly operation: string
  readonly action: string
  readonly who: string | null
}

/** Lists count: not everything in the bucket is its owner's. */
export function hasAcls({ ownership = 'BucketOwnerEnforced' }: Pick<Listed, 'ownership'>): boolean {
  return ownership !== 'BucketOwnerEnforced'
}

/** It is the object, not the bucket, that decides. */
function isAboutObject({ operation, action }: AclQuestion): boolean {
  const name = nameOf(action)
  if (WRITES_OBJECT.test(operation)) return name === 'getobject' || name === 'getobjectversion'
  return name in OF_OBJECT || OF_OBJECTS_OWNER.test(name)
}

/** The answer may hang on whose object it is, or on its list. */
export function hangsOnObject(bucket: Listed, question: AclQuestion): boolean {
  if (!hasAcls(bucket)) return false
  const { who, action } = question
  const isStrangers = who !== null && who !== bucket.account
  return isAboutObject(question) || (isStrangers && REMOVES_OBJECT.test(nameOf(action)))
}

/** Whether an object decides by its own list, whatever the bucket's policy allows. */
export function isForeign(
  bucket: Listed,
  object: Pick<Owned, 'owner'> | null,
  question: AclQuestion,
): boolean {
  const isOthers = object !== null && object.owner !== bucket.account
  return isOthers && hasAcls(bucket) && isAboutObject(question)
}

/** Does a list grant it? `object`: what the action is about; null when that is not there. */
export function isGranted(bucket: Listed, object: Owned | null, question: AclQuestion): boolean {
  if (!hasAcls(bucket)) return false
  const { operation, who } = question
  const name = nameOf(question.action)
  const ofBucket = (permission: AclPermission): boolean =>
    holds(aclOf(bucket), permission, who, bucket)
  if (REMOVES_OBJECT.test(name)) {
    return who !== null && object?.owner === who && ofBucket('WRITE')
  }
  if (!isAboutObject(question)) {
    const isWrite = WRITES_OBJECT.test(operation) && name === 'putobjectacl'
    const permission = isWrite ? 'WRITE' : OF_BUCKET[name]
    return permission !== undefined && ofBucket(permission)
  }
  // Who may list the bucket is told that it is not there.
  if (object === null) return ofBucket('READ')
  const isOwner = who !== null && object.owner === who
  const permission = OF_OBJECT[name]
  if (permission === undefined || permission !== 'READ') return isOwner || grants(permission)
  return grants(permission)

  function grants(wanted: AclPermission | undefined): boolean {
    return wanted !== undefined && holds(objectAcl(object as Owned), wanted, who, bucket)
  }
}

/** Of a bucket that nobody gave one, its owner has everything. */
export function aclOf({ account, acl }: Pick<Listed, 'account' | 'acl'>): readonly AclGrant[] {
  return acl ?? ownersAcl(account)
}

export function objectAcl({ owner, acl }: Owned): readonly AclGrant[] {
  return acl ?? ownersAcl(owner)
}

export function ownersAcl(account: string): readonly AclGrant[] {
  return [{ to: canonicalId(account), permission: 'FULL_CONTROL' }]
}

/** Says no more than that the owner has everything: what is so without a list. */
export function isOwnersOnly(acl: readonly AclGrant[], account: string): boolean {
  const owner = canonicalId(account)
  return acl.length > 0 && acl.every((one) => one.to === owner && one.permission === 'FULL_CONTROL')
}

/** Grants something to everyone, or to everyone who has an account anywhere. */
export function isPublicAcl(acl: readonly AclGrant[]): boolean {
  return acl.some(({ to }) => PUBLIC_GROUPS.has(to))
}

/** As members of an output. */
export function shownGrants(acl: readonly AclGrant[]) {
  return acl.map(({ to, permission }) => {
    const URI = GROUPS[to]
    const grantee =
      URI === undefined
        ? ({ Type: 'CanonicalUser', ID: to } as const)
        : ({ Type: 'Group', URI } as const)
    return { Grantee: grantee, Permission: permission }
  })
}

/** Of what a writer of that account puts into the bucket. */
export function writerOf(bucket: Listed, account: string | null): string {
  return hasAcls(bucket) ? (account ?? ANYBODY) : bucket.account
}

function holds(
  acl: readonly AclGrant[],
  wanted: AclPermission,
  who: string | null,
  { publicAccess }: Listed,
): boolean {
  const id = who === null ? null : canonicalId(who)
  return acl.some(({ to, permission }) => {
    if (permission !== wanted && permission !== 'FULL_CONTROL') return false
    if (publicAccess?.ignoreAcls === true && PUBLIC_GROUPS.has(to)) return false
    return to === 'AllUsers' || (to === 'AuthenticatedUsers' && who !== null) || to === id
  })
}

function nameOf(action: string): string {
  return action.slice('s3:'.length).toLowerCase()
}
