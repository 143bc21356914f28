// Access control lists as requests give them: canned, as headers, or as a document (S3 API
// reference, "PutObjectAcl").

import type { AclGrant, AclPermission, BucketRecord } from '../../store/bucket-records.ts'
import type { View } from '../../store/state.ts'
import { canonicalId } from '../buckets/bucket.ts'
import type { S3Inputs } from '../wire/call.ts'
import { denied, S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { GROUPS, hasAcls, isOwnersOnly, isPublicAcl, ownersAcl, writerOf } from './grants.ts'

export interface AclInput {
  readonly ACL?: string | undefined
  readonly GrantFullControl?: string | undefined
  readonly GrantRead?: string | undefined
  readonly GrantReadACP?: string | undefined
  readonly GrantWrite?: string | undefined
  readonly GrantWriteACP?: string | undefined
}

/** Accounts, as canonical ids or names of groups, that a canned list can be about. */
interface Parties {
  readonly view: View
  /** Of what the list is of. */
  readonly owner: string
  readonly bucketOwner: string
}

type Policy = S3Inputs['PutObjectAcl']['AccessControlPolicy']

const MAX_GRANTS = 100
/** The one that AWS gives EC2 for its images: nobody here has it. */
const EC2 = '6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c'
const OWNER_FULL = 'bucket-owner-full-control'
const HEADERS: readonly (readonly [keyof AclInput, AclPermission])[] = [
  ['GrantFullControl', 'FULL_CONTROL'],
  ['GrantRead', 'READ'],
  ['GrantReadACP', 'READ_ACP'],
  ['GrantWrite', 'WRITE'],
  ['GrantWriteACP', 'WRITE_ACP'],
]
const GRANTEE = /^\s*(id|uri|emailAddress)\s*=\s*"?([^"\s]*)"?\s*$/i

/** Owner and list of a new object, or of an upload that begins. */
export interface NewOwner {
  readonly owner: string
  /** Absent: the owner has everything. */
  readonly acl?: readonly AclGrant[]
}

/** Throws AccessControlListNotSupported, AccessDenied for a public one that is blocked. */
export function newObjectAcl(
  view: View,
  bucket: BucketRecord,
  account: string | null,
  input: AclInput,
): NewOwner {
  const isLeft = bucket.ownership === 'BucketOwnerPreferred' && input.ACL === OWNER_FULL
  const owner = isLeft ? bucket.account : writerOf(bucket, account)
  const acl = headerAcl({ view, owner, bucketOwner: bucket.account }, input)
  if (acl === null) return { owner }
  checkAcl(bucket, owner, acl)
  return { owner, ...(!isOwnersOnly(acl, owner) && { acl }) }
}

/** What PutBucketAcl and PutObjectAcl say. Throws as newObjectAcl, MissingSecurityHeader. */
export function aclIn(
  parties: Parties,
  bucket: BucketRecord,
  input: AclInput & { readonly AccessControlPolicy?: Policy },
): readonly AclGrant[] {
  const { AccessControlPolicy: policy } = input
  const ofHeaders = headerAcl(parties, input)
  if (ofHeaders !== null && policy !== undefined) {
    throw new S3Error('UnexpectedContent', 'This request does not support content', 400)
  }
  const acl = ofHeaders ?? (policy === undefined ? null : documentAcl(parties, policy))
  if (acl === null) {
    const message = 'Your request was missing a required header'
    throw new S3Error('MissingSecurityHeader', message, 400, { MissingHeaderName: 'x-amz-acl' })
  }
  checkAcl(bucket, parties.owner, acl)
  return acl
}

/** Of CreateBucket; undefined when nothing but the owner's is asked for. */
export function newBucketAcl(
  view: View,
  made: Pick<BucketRecord, 'account' | 'ownership' | 'publicAccess'>,
  input: AclInput,
): readonly AclGrant[] | undefined {
  const { account, publicAccess } = made
  const acl = headerAcl({ view, owner: account, bucketOwner: account }, input)
  if (acl === null || isOwnersOnly(acl, account)) return undefined
  if (!hasAcls(made)) throw notWithOwnership()
  if (publicAccess?.blockAcls === true && isPublicAcl(acl)) {
    const message = 'Bucket cannot have public ACLs set with BlockPublicAccess enabled'
    throw new S3Error('InvalidBucketAclWithBlockPublicAccessError', message, 400)
  }
  return acl
}

export function notWithOwnership(): S3Error {
  const message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
  return new S3Error('InvalidBucketAclWithObjectOwnership', message, 400)
}

function checkAcl(bucket: BucketRecord, owner: string, acl: readonly AclGrant[]): void {
  // Clients that copy send back the list that they have read.
  if (!hasAcls(bucket) && !isOwnersOnly(acl, owner) && !isOwnersOnly(acl, bucket.account)) {
    throw new S3Error('AccessControlListNotSupported', 'The bucket does not allow ACLs', 400)
  }
  if (bucket.publicAccess?.blockAcls === true && isPublicAcl(acl)) {
    const message =
      'Access Denied: public ACLs are prevented by the BlockPublicAcls setting in S3 Block Public Access.'
    throw new S3Error('AccessDenied', message, 403)
  }
}

/** Null: the headers say nothing of it. */
function headerAcl(parties: Parties, input: AclInput): readonly AclGrant[] | null {
  const { ACL: canned } = input
  const given = HEADERS.flatMap(([name, permission]) => {
    const text = input[name]
    return text === undefined
      ? []
      : text.split(',').map((one) => granteeIn(parties, one, permission))
  })
  if (canned === undefined) return given.length === 0 ? null : limited(given)
  if (given.length === 0) return cannedAcl(canned, parties)
  const message = 'Specifying both Canned ACLs and Header Grants is not allowed'
  throw new S3Error('InvalidRequest', message, 400)
}

function cannedAcl(canned: string, { owner, bucketOwner }: Parties): readonly AclGrant[] {
  const own = ownersAcl(owner)
  const and = (...more: (readonly [to: string, AclPermission])[]): readonly AclGrant[] => [
    ...own,
    ...more.map(([to, permission]) => ({ to, permission })),
  ]
  switch (canned) {
    case 'private':
      return own
    case 'public-read':
      return and(['AllUsers', 'READ'])
    case 'public-read-write':
      return and(['AllUsers', 'READ'], ['AllUsers', 'WRITE'])
    case 'authenticated-read':
      return and(['AuthenticatedUsers', 'READ'])
    case 'aws-exec-read':
      return and([EC2, 'READ'])
    case 'log-delivery-write':
      return and(['LogDelivery', 'WRITE'], ['LogDelivery', 'READ_ACP'])
    case 'bucket-owner-read':
      return owner === bucketOwner ? own : and([canonicalId(bucketOwner), 'READ'])
    case OWNER_FULL:
      return owner === bucketOwner ? own : and([canonicalId(bucketOwner), 'FULL_CONTROL'])
    default:
      throw invalidArgument('x-amz-acl', canned)
  }
}

/** `id="…"`, `uri="…"` or `emailAddress="…"`. */
function granteeIn(parties: Parties, text: string, permission: AclPermission): AclGrant {
  const [, kind = '', value = ''] = GRANTEE.exec(text) ?? []
  switch (kind.toLowerCase()) {
    case 'id':
      return { to: accountNamed(parties, value), permission }
    case 'uri':
      return { to: groupNamed(value), permission }
    case 'emailaddress':
      throw noSuchEmail()
    default:
      throw invalidArgument('x-amz-grant', text, 'Argument format not recognized')
  }
}

/** Throws MalformedACLError, AccessDenied for another owner. */
function documentAcl(parties: Parties, policy: NonNullable<Policy>): readonly AclGrant[] {
  const { Owner: owner, Grants: grants = [] } = policy
  if (owner?.ID === undefined) throw malformedAcl()
  if (owner.ID !== canonicalId(parties.owner)) throw denied()
  return limited(
    grants.map(({ Grantee: grantee, Permission: permission }) => {
      if (permission === undefined) throw malformedAcl()
      switch (grantee?.Type) {
        case 'CanonicalUser':
          return { to: accountNamed(parties, grantee.ID ?? ''), permission }
        case 'Group':
          return { to: groupNamed(grantee.URI ?? ''), permission }
        case 'AmazonCustomerByEmail':
          throw noSuchEmail()
        default:
          throw malformedAcl()
      }
    }),
  )
}

function limited(grants: readonly AclGrant[]): readonly AclGrant[] {
  if (grants.length <= MAX_GRANTS) return grants
  throw malformedAcl()
}

/** A canonical id of an account of this cloud. */
function accountNamed({ view, owner, bucketOwner }: Parties, id: string): string {
  const isNear = id === canonicalId(owner) || id === canonicalId(bucketOwner)
  if (isNear || view.all('account').some((one) => canonicalId(one.id) === id)) return id
  throw invalidArgument('CanonicalUser/ID', id, 'Invalid id')
}

function groupNamed(uri: string): string {
  const found = Object.entries(GROUPS).find(([, each]) => each === uri)
  if (found !== undefined) return found[0]
  throw invalidArgument('Group/URI', uri, 'Invalid group uri')
}

function noSuchEmail(): S3Error {
  const message = 'The e-mail address you provided does not match any account on record.'
  return new S3Error('UnresolvableGrantByEmailAddress', message, 400)
}

function malformedAcl(): S3Error {
  const message =
    'The XML you provided was not well-formed or did not validate against our published schema'
  return new S3Error('MalformedACLError', message, 400)
}
