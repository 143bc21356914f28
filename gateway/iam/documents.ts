// Policy documents as IAM keeps them: checked when they come in, URL-encoded when they go out,
// parsed once for each record that holds them.

import { ApiError } from '../aws/api-error.ts'
import type { RoleRecord, UserRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { arnOf, entitiesOf } from './entities.ts'
import { invalid, limitExceeded } from './errors.ts'
import { type ParsedPolicy, type PolicyKind, parsePolicy } from './policy.ts'

/** Characters of a document, white space aside (IAM user guide, "IAM and AWS STS quotas"). */
export const MAX_MANAGED = 6_144
const MAX_TRUST = 2_048
/** Of all inline policies of one user, role or group. */
export const MAX_INLINE = { user: 2_048, role: 10_240, group: 5_120 } as const
/** What may be sent at all. */
const MAX_SENT = 131_072
/** Tabs, newlines and what Latin-1 can show. */
const ALLOWED = /^[\t\n\r -\u00ff]*$/

export function sizeOf(document: string): number {
  return document.replaceAll(/\s/g, '').length
}

/** Throws MalformedPolicyDocument in the words of IAM, ValidationError for what is no text. */
export function checkDocument(document: string | undefined, kind: PolicyKind): string {
  if (document === undefined) throw invalid('The request must contain the parameter policyDocument')
  if (document.length === 0 || document.length > MAX_SENT) {
    throw invalid(`The specified value for policyDocument has no length from 1 to ${MAX_SENT}`)
  }
  if (!ALLOWED.test(document)) {
    throw invalid('The specified value for policyDocument is invalid.')
  }
  const parsed = parsePolicy(document, kind)
  if (!parsed.ok) throw malformed(parsed.why)
  return document
}

/** The same of a managed policy, which may be so large and no larger. */
export function checkManaged(document: string | undefined): string {
  const checked = checkDocument(document, 'identity')
  if (sizeOf(checked) > MAX_MANAGED) throw limitExceeded('PolicySize', MAX_MANAGED)
  return checked
}

/**
 * A trust policy, and which user or role each ARN in it meant when it was written: who is made
 * later under that name is somebody else. Throws MalformedPolicyDocument for an account, a user or
 * a role that is not there, whosever it would be.
 */
export function checkTrust(
  view: View,
  document: string | undefined,
): { trust: string; trusted: Readonly<Record<string, string>> } {
  const trust = checkDocument(document, 'trust')
  if (sizeOf(trust) > MAX_TRUST) throw limitExceeded('ACLSizePerRole', MAX_TRUST)
  const parsed = parsePolicy(trust, 'trust')
  const statements = parsed.ok ? parsed.value.statements : []
  const principals = statements.flatMap(({ principal }) => principal ?? [])
  for (const account of principals.flatMap(({ accounts }) => [...accounts])) {
    if (view.get('account', account) === null) throw badPrincipal(`arn:aws:iam::${account}:root`)
  }
  const trusted: [string, string][] = []
  for (const arn of new Set(principals.flatMap(({ arns }) => [...arns]))) {
    const found = principalOfArn(view, arn)
    if (found !== null) trusted.push([arn, found.id])
    // A session need not be there yet, but its account.
    else if (isEntity(arn) || view.get('account', accountIn(arn)) === null) throw badPrincipal(arn)
  }
  return { trust, trusted: Object.fromEntries(trusted) }
}

/** The user or role of an ARN, of whatever account; null when it is of neither. */
export function principalOfArn(view: View, arn: string): UserRecord | RoleRecord | null {
  const kind = arn.includes(':role/') ? 'iam-role' : 'iam-user'
  if (!isEntity(arn)) return null
  const all = entitiesOf(view, kind, accountIn(arn))
  return all.find((one) => arnOf(kind, one) === arn) ?? null
}

function isEntity(arn: string): boolean {
  return /^arn:aws:iam::\d{12}:(?:user|role)\//.test(arn)
}

function accountIn(arn: string): string {
  return arn.split(':')[4] ?? ''
}

function badPrincipal(arn: string): ApiError {
  return malformed(`Invalid principal in policy: "AWS":"${arn}"`)
}

function malformed(why: string): ApiError {
  return new ApiError('MalformedPolicyDocument', why)
}

/** RFC 3986, as IAM's answers have documents. */
export function encodeDocument(document: string): string {
  return encodeURIComponent(document).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** By record, kind and document: a key made of the two latter would be hashed at every call. */
const parsedOf: Readonly<Record<PolicyKind, WeakMap<object, Map<string, ParsedPolicy>>>> = {
  identity: new WeakMap(),
  trust: new WeakMap(),
  session: new WeakMap(),
  boundary: new WeakMap(),
  bucket: new WeakMap(),
}

/**
 * The document of a record, parsed once as long as the record lives. One that does not parse (an
 * older gateway took it) is a statement that denies all, never one that says nothing.
 */
export function parsedIn(record: object, document: string, kind: PolicyKind): ParsedPolicy {
  const known = parsedOf[kind].get(record) ?? new Map<string, ParsedPolicy>()
  parsedOf[kind].set(record, known)
  const found = known.get(document)
  if (found !== undefined) return found
  const parsed = parsePolicy(document, kind)
  const policy = parsed.ok ? parsed.value : denyAll()
  known.set(document, policy)
  return policy
}

function denyAll(): ParsedPolicy {
  const document = {
    Version: '2012-10-17',
    Statement: { Effect: 'Deny', Action: '*', Resource: '*' },
  }
  const parsed = parsePolicy(JSON.stringify(document), 'identity')
  if (!parsed.ok) throw new RangeError(`the policy that denies all is none: ${parsed.why}`)
  return parsed.value
}
