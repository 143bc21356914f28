// May they? The verdict of policies on one action on one resource (IAM user guide, "Policy
// evaluation logic"): an explicit deny wins, boundaries and session policies limit, the rest is no.

import { never } from '../../topology/result.ts'
import { type Condition, holds } from './conditions.ts'
import type { ParsedPolicy, Statement } from './policy.ts'
import { namingOf, type Principal } from './principal-patterns.ts'
import { fillIn, matches, type Values } from './templates.ts'

export type { Principal } from './principal-patterns.ts'

/** All policies that have a say about a caller. */
export interface PolicySets {
  /** Those of the user and its groups, or of the role: inline and managed. */
  readonly identity: readonly ParsedPolicy[]
  readonly boundary: ParsedPolicy | null
  /** Of the session, null when none were given at its start. */
  readonly session: readonly ParsedPolicy[] | null
  /** A role's trust policy, when the action is to assume it. */
  readonly resource: ParsedPolicy | null
}

/** What a caller may: all, or what policies say. */
export type CallerPolicies = PolicySets | 'root'

export interface AccessRequest {
  /** `ec2:RunInstances`; case does not count. */
  readonly action: string
  /** An ARN, or `*` for an action without resources. */
  readonly resource: string
  readonly principal: Principal
  /** Keys in lower case. A key without values is not there. */
  readonly conditions: Values
}

/** `resource` is a role's trust policy, `bucket` that of a bucket. */
export type PolicySource = 'identity' | 'boundary' | 'session' | 'resource' | 'bucket'

export interface MatchedStatement {
  readonly source: PolicySource
  /** Which policy of its source, from 0. */
  readonly policy: number
  /** Which statement of that, from 0. */
  readonly statement: number
  readonly sid: string
  readonly effect: 'Allow' | 'Deny'
}

export interface Decision {
  readonly allowed: boolean
  /** An explicit deny, or that nobody allows it; null when allowed. */
  readonly refusal: 'explicit' | 'implicit' | null
  /** Whose policies refuse; null when allowed. */
  readonly refusedBy: PolicySource | null
  /** Every statement that is about the request. */
  readonly matched: readonly MatchedStatement[]
}

/** Root may all that its account may. */
export function evaluate(policies: CallerPolicies, request: AccessRequest): Decision {
  return policies === 'root' ? allowed([]) : verdict(policies, request)
}

function verdict(sets: PolicySets, request: AccessRequest): Decision {
  const action = request.action.toLowerCase()
  const matched: MatchedStatement[] = []
  const look = lookInto(request, matched)
  const identity = look('identity', inAll(sets.identity, action))
  const boundary = sets.boundary === null || look('boundary', inOne(sets.boundary, action))
  const session = sets.session === null || look('session', inAll(sets.session, action))
  const denied = () => matched.find(({ effect }) => effect === 'Deny')
  if (sets.resource === null) {
    const refusal = denied()?.source
    if (refusal !== undefined) return refused('explicit', refusal, matched)
    if (!identity) return refused('implicit', 'identity', matched)
    if (!boundary) return refused('implicit', 'boundary', matched)
    return session ? allowed(matched) : refused('implicit', 'session', matched)
  }
  look('resource', inOne(sets.resource, action))
  const refusal = denied()?.source
  if (refusal !== undefined) return refused('explicit', refusal, matched)
  const by = missing(sets.resource, request, action, { identity, boundary, session })
  return by === null ? allowed(matched) : refused('implicit', by, matched)
}

/**
 * For a bucket, which may have a policy: within the account that owns it, either that or the
 * caller's own policies allow; from another account both must. Nobody has no policies to limit it.
 */
export function evaluateShared(
  policies: CallerPolicies,
  bucket: { readonly policy: ParsedPolicy | null; readonly account: string },
  request: AccessRequest,
): Decision {
  const action = request.action.toLowerCase()
  const matched: MatchedStatement[] = []
  const look = lookInto(request, matched)
  const sets = policies === 'root' ? null : policies
  const hasIdentity = sets === null || look('identity', inAll(sets.identity, action))
  const hasBoundary = !sets?.boundary || look('boundary', inOne(sets.boundary, action))
  const hasSession = !sets?.session || look('session', inAll(sets.session, action))
  const { policy, account } = bucket
  if (policy !== null) look('bucket', inOne(policy, action))
  const denial = matched.find(({ effect }) => effect === 'Deny')?.source
  if (denial !== undefined) return refused('explicit', denial, matched)
  const namings = policy === null ? [] : namingsIn(policy, request, action)
  const limits = !hasBoundary ? 'boundary' : !hasSession ? 'session' : null
  let lacks: PolicySource | null = hasIdentity ? limits : 'identity'
  if (request.principal.account !== account) lacks = namings.length === 0 ? 'bucket' : lacks
  else if (namings.includes('exact')) lacks = null
  else if (namings.some((each) => each === 'role' || each === 'everyone')) lacks = limits
  return lacks === null ? allowed(matched) : refused('implicit', lacks, matched)
}

/** Whether candidates allow. Those that are about the request are added to `matched`. */
function lookInto(request: AccessRequest, matched: MatchedStatement[]) {
  return (source: PolicySource, candidates: readonly Candidate[]): boolean => {
    let isAllowed = false
    for (const { policy, statement } of candidates) {
      if (!applies(statement, request)) continue
      const { index, sid, effect } = statement
      matched.push({ source, policy, statement: index, sid, effect })
      isAllowed ||= effect === 'Allow'
    }
    return isAllowed
  }
}

/** How those statements that allow the request name who asks. */
function namingsIn(policy: ParsedPolicy, request: AccessRequest, action: string) {
  return inOne(policy, action)
    .map(({ statement }) => statement)
    .filter((one) => one.effect === 'Allow' && applies(one, request))
    .map((one) => granted(one, request.principal))
}

/**
 * With a resource's own policy: it must allow, and who it names how decides whether that is enough.
 * Within an account, a user or session that is named is allowed whatever else is not said; a role
 * that is named is limited by boundary and session; an account that is named leaves it to its own
 * policies, and so does every naming from another account.
 */
function missing(
  resource: ParsedPolicy,
  request: AccessRequest,
  action: string,
  has: { identity: boolean; boundary: boolean; session: boolean },
): PolicySource | null {
  const namings = namingsIn(resource, request, action)
  if (namings.length === 0) return 'resource'
  // A service has no policies of its own.
  if (request.principal.kind === 'service') return null
  const isOwn = accountOf(request.resource) === request.principal.account
  const limits = !has.boundary ? 'boundary' : !has.session ? 'session' : null
  if (isOwn && namings.includes('exact')) return null
  if (isOwn && namings.some((naming) => naming === 'role' || naming === 'everyone')) return limits
  return has.identity ? limits : 'identity'
}

function granted({ principal }: Statement, who: Principal): ReturnType<typeof namingOf> {
  if (principal === null) return 'none'
  // Whom NotPrincipal does not name is one of everyone.
  return principal.negated ? 'everyone' : namingOf(principal, who)
}

/** A statement that is about the action, and the number of its policy. */
interface Candidate {
  readonly policy: number
  readonly statement: Statement
}

/** Policy, or a list of them → action → candidates. Services have only so many actions. */
const aboutAction = new WeakMap<object, Map<string, readonly Candidate[]>>()

/** `action` in lower case, here and below. */
function inOne(policy: ParsedPolicy, action: string): readonly Candidate[] {
  return keptFor(policy, action, () =>
    policy.statements
      .filter(({ actions, notAction }) => actions.some((one) => matches(one, action)) !== notAction)
      .map((statement) => ({ policy: 0, statement })),
  )
}

function inAll(policies: readonly ParsedPolicy[], action: string): readonly Candidate[] {
  return keptFor(policies, action, () =>
    policies.flatMap((one, policy) =>
      inOne(one, action).map(({ statement }) => ({ policy, statement })),
    ),
  )
}

function keptFor(
  of: object,
  action: string,
  find: () => readonly Candidate[],
): readonly Candidate[] {
  const byAction = aboutAction.get(of) ?? new Map<string, readonly Candidate[]>()
  aboutAction.set(of, byAction)
  const found = byAction.get(action) ?? find()
  byAction.set(action, found)
  return found
}

/** What is known of the call first, what may have to be looked up for its resource last. */
function applies(statement: Statement, request: AccessRequest): boolean {
  const { principal, callConditions, conditions } = statement
  if (principal !== null) {
    const isNamed = namingOf(principal, request.principal) !== 'none'
    if (isNamed === principal.negated) return false
  }
  return (
    allHold(callConditions, request) && isAbout(statement, request) && allHold(conditions, request)
  )
}

function allHold(conditions: readonly Condition[], request: AccessRequest): boolean {
  for (const condition of conditions) {
    if (!holds(condition, request.conditions)) return false
  }
  return true
}

/** A variable without value matches nothing, and never makes an Allow wider. */
function isAbout(statement: Statement, { resource, conditions }: AccessRequest): boolean {
  const { resources, notResource, effect } = statement
  if (resources === null) return true
  let isUnknown = false
  const isListed = resources.some((template) => {
    const pattern = fillIn(template, conditions)
    if (pattern === null) isUnknown = true
    return pattern !== null && matches(pattern, resource)
  })
  if (!notResource) return isListed
  return !isListed && !(isUnknown && effect === 'Allow')
}

function accountOf(arn: string): string {
  return arn.split(':')[4] ?? ''
}

function allowed(matched: readonly MatchedStatement[]): Decision {
  return { allowed: true, refusal: null, refusedBy: null, matched }
}

function refused(
  refusal: 'explicit' | 'implicit',
  refusedBy: PolicySource,
  matched: readonly MatchedStatement[],
): Decision {
  return { allowed: false, refusal, refusedBy, matched }
}

/**
 * How the sentence of a refusal ends, `because no identity-based policy allows the ec2:RunInstances
 * action` for example (IAM user guide, "Troubleshoot access denied error messages"). Null when
 * allowed.
 */
export function reasonOf({ refusal, refusedBy }: Decision, action: string): string | null {
  if (refusal === null || refusedBy === null) return null
  const name = nameOf(refusedBy)
  return refusal === 'explicit'
    ? `with an explicit deny in ${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`
    : `because no ${name} allows the ${action} action`
}

function nameOf(source: PolicySource): string {
  switch (source) {
    case 'identity':
      return 'identity-based policy'
    case 'boundary':
      return 'permissions boundary'
    case 'session':
      return 'session policy'
    case 'resource':
      return 'role trust policy'
    case 'bucket':
      return 'resource-based policy'
    default:
      return never(source)
  }
}
