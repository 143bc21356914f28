// Who a caller is, and every policy that has a say about it: what evaluation is given.

import type { Caller } from '../aws/handlers.ts'
import type { RoleRecord, UserRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { parsedIn } from './documents.ts'
import { arnOf } from './entities.ts'
import type { CallerPolicies, PolicySets, Principal } from './evaluate.ts'
import { defaultDocument, findPolicy } from './policies.ts'
import type { ParsedPolicy } from './policy.ts'
import type { Context } from './templates.ts'

type Entity = UserRecord | RoleRecord
type EntitySets = Pick<PolicySets, 'identity' | 'boundary'>

/** With the groups and managed policies, null for one that is gone, of which they were made. */
const setsKnown = new WeakMap<Entity, { sources: readonly unknown[]; sets: EntitySets }>()

/** All that evaluation is given of a caller. */
export interface Access {
  readonly policies: CallerPolicies
  readonly principal: Principal
  /** What conditions may ask about the caller; keys in lower case. */
  readonly keys: Context
}

export function accessOf(view: View, caller: Caller): Access {
  const entity = entityOf(view, caller)
  const principal = principalAs(entity, caller)
  return {
    policies: policiesAs(view, entity, caller),
    principal,
    keys: keysOf(entity, principal, caller),
  }
}

/** IAM user guide, "AWS global condition context keys": properties of the principal and session. */
function keysOf(entity: Entity | null, principal: Principal, caller: Caller): Context {
  const { account, userArn, userId, session } = caller
  const tags = { ...entity?.tags, ...session?.tags }
  const keys = new Map<string, readonly string[]>([
    ['aws:principalaccount', [account]],
    ['aws:principalarn', [principal.roleArn ?? userArn]],
    ['aws:principaltype', [TYPES[principal.kind]]],
    ['aws:userid', [userId]],
  ])
  if (principal.kind === 'user' && entity !== null) keys.set('aws:username', [entity.name])
  for (const [key, value] of Object.entries(tags)) {
    keys.set(`aws:principaltag/${key.toLowerCase()}`, [value])
  }
  if (session !== undefined) {
    keys.set('aws:tokenissuetime', [new Date(session.issuedAtMs).toISOString()])
    keys.set('aws:multifactorauthpresent', ['false'])
    if (session.sourceIdentity !== '') keys.set('aws:sourceidentity', [session.sourceIdentity])
  }
  return keys
}

const TYPES: Readonly<Record<Principal['kind'], string>> = {
  root: 'Account',
  user: 'User',
  'assumed-role': 'AssumedRole',
  'federated-user': 'FederatedUser',
  service: 'Service',
  anonymous: 'Anonymous',
}

/** Of the role that a caller acts as, or of the user that it is or that vouches for it. */
export function issuerArn(view: View, caller: Caller): string | null {
  const entity = entityOf(view, caller)
  if (entity === null) return null
  return arnOf('groups' in entity ? 'iam-user' : 'iam-role', entity)
}

/**
 * Who was made under a name after a policy was written is not whom it names: policies see such a
 * caller by an id, which no ARN is. `meant` has the ids of whom the policy names, by their ARNs.
 */
export function asMeant(
  meant: Readonly<Record<string, string>>,
  caller: Caller,
  principal: Principal,
): Principal {
  const [id] = caller.userId.split(':')
  const arn = principal.roleArn ?? principal.arn
  const known = Object.hasOwn(meant, arn) ? meant[arn] : undefined
  if (known === undefined || known === id) return principal
  return { ...principal, arn: caller.userId, roleArn: null }
}

function principalAs(entity: Entity | null, { account, userArn: arn, session }: Caller): Principal {
  if (entity !== null && !('groups' in entity)) {
    return { kind: 'assumed-role', account, arn, roleArn: arnOf('iam-role', entity) }
  }
  if (session?.federatedBy !== undefined) {
    return { kind: 'federated-user', account, arn, roleArn: null }
  }
  return { kind: arn.endsWith(':root') ? 'root' : 'user', account, arn, roleArn: null }
}

/**
 * All policies that limit the caller. A user or role that is gone has none that allows anything.
 * The root of an account may everything in it, also with a session's credentials.
 */
export function policiesOf(view: View, caller: Caller): CallerPolicies {
  return policiesAs(view, entityOf(view, caller), caller)
}

function policiesAs(view: View, entity: Entity | null, caller: Caller): CallerPolicies {
  const session = sessionOf(view, caller)
  if (entity !== null) {
    const { identity, boundary } = setsOf(view, entity)
    return { identity, boundary, session, resource: null }
  }
  if (caller.userArn.endsWith(':root')) return 'root'
  // A root may all, and vouches for as much as the session's policies say.
  if (caller.session?.federatedBy === caller.account) {
    return { identity: [EVERYTHING], boundary: null, session, resource: null }
  }
  return { identity: [], boundary: null, session, resource: null }
}

/** The user, or the role that a caller acts as, with the id that the session began with. */
function entityOf(view: View, { userId, session }: Caller): Entity | null {
  if (session?.federatedBy !== undefined) {
    return view.by('iam-user', 'id', session.federatedBy)[0] ?? null
  }
  const [found] = userId.startsWith('AROA')
    ? view.by('iam-role', 'id', userId.split(':')[0] ?? '')
    : view.by('iam-user', 'id', userId)
  return found ?? null
}

/**
 * What a user or a role has of its own, of its groups, and as a boundary. Made once for the records
 * that it comes from: they are looked up each time, and are other ones as soon as anything changes.
 */
export function setsOf(view: View, entity: Entity): EntitySets {
  const { account, boundary } = entity
  const groups =
    'groups' in entity ? entity.groups.flatMap((id) => view.by('iam-group', 'id', id)) : []
  const owners = [entity, ...groups]
  const arns = owners.flatMap(({ attached }) => attached)
  if (boundary !== '') arns.push(boundary)
  const sources = [...groups, ...arns.map((arn) => findPolicy(view, account, arn))]
  const known = setsKnown.get(entity)
  const isSame = known?.sources.length === sources.length
  if (isSame && sources.every((one, i) => one === known.sources[i])) return known.sets
  const identity = owners.flatMap((one) => [
    ...Object.values(one.inline).map((document) => parsedIn(one, document, 'identity')),
    ...one.attached.flatMap((arn) => managed(view, account, arn)),
  ])
  // A boundary that cannot be found allows nothing.
  const [bound = NOTHING] = boundary === '' ? [] : managed(view, account, boundary)
  const sets = { identity, boundary: boundary === '' ? null : bound }
  setsKnown.set(entity, { sources, sets })
  return sets
}

const ALL = { Effect: 'Allow', Action: '*', Resource: '*' }
const EVERYTHING = parsedIn({}, JSON.stringify({ Statement: ALL }), 'identity')
const NOTHING: ParsedPolicy = { version: '2012-10-17', id: '', statements: [] }

function managed(view: View, account: string, arn: string): ParsedPolicy[] {
  const policy = findPolicy(view, account, arn)
  return policy === null ? [] : [parsedIn(policy, defaultDocument(policy), 'identity')]
}

/** Null when the session was begun without any; a federated user without any may nothing. */
function sessionOf(view: View, { account, session }: Caller): ParsedPolicy[] | null {
  if (session === undefined) return null
  const { policy, policyArns, federatedBy } = session
  if (policy === '' && policyArns.length === 0 && federatedBy === undefined) return null
  return [
    ...(policy === '' ? [] : [parsedIn(session, policy, 'session')]),
    ...policyArns.flatMap((arn) => managed(view, account, arn)),
  ]
}
