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

/** All that evaluation is given of a caller. */
export interface Access {
  readonly policies: CallerPolicies
  readonly principal: Principal
  /** What conditions may ask about the caller; keys in lower case. */
  readonly keys: Context
}

export function accessOf(view: View, caller: Caller): Access {
  return {
    policies: policiesOf(view, caller),
    principal: principalOf(view, caller),
    keys: keysOf(view, caller),
  }
}

/** IAM user guide, "AWS global condition context keys": properties of the principal and session. */
function keysOf(view: View, caller: Caller): Context {
  const { account, userArn, userId, session } = caller
  const principal = principalOf(view, caller)
  const [user] = view.by('iam-user', 'id', userId)
  const tags = { ...(user ?? roleOf(view, caller))?.tags, ...session?.tags }
  const keys = new Map<string, readonly string[]>([
    ['aws:principalaccount', [account]],
    ['aws:principalarn', [principal.roleArn ?? userArn]],
    ['aws:principaltype', [TYPES[principal.kind]]],
    ['aws:userid', [userId]],
  ])
  if (user !== undefined) keys.set('aws:username', [user.name])
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
}

/** As policies name the caller. */
export function principalOf(view: View, caller: Caller): Principal {
  const { account, userArn: arn } = caller
  const role = roleOf(view, caller)
  if (role !== null) {
    return { kind: 'assumed-role', account, arn, roleArn: arnOf('iam-role', role) }
  }
  return { kind: arn.endsWith(':root') ? 'root' : 'user', account, arn, roleArn: null }
}

/**
 * All policies that limit the caller. A user or role that is gone has none that allows anything.
 * The root of an account may everything in it, also with a session's credentials.
 */
export function policiesOf(view: View, caller: Caller): CallerPolicies {
  const [user] = view.by('iam-user', 'id', caller.userId)
  const entity = user ?? roleOf(view, caller)
  const session = sessionOf(view, caller)
  if (entity !== null) {
    const { identity, boundary } = setsOf(view, entity)
    return { identity, boundary, session, resource: null }
  }
  if (caller.userArn.endsWith(':root')) return 'root'
  return { identity: [], boundary: null, session, resource: null }
}

/** The role that a caller acts as, with the path and id that the session began with. */
function roleOf(view: View, { userId }: Caller): RoleRecord | null {
  const [role] = userId.startsWith('AROA')
    ? view.by('iam-role', 'id', userId.split(':')[0] ?? '')
    : []
  return role ?? null
}

/** What a user or a role has of its own, of its groups, and as a boundary. */
export function setsOf(
  view: View,
  entity: UserRecord | RoleRecord,
): Pick<PolicySets, 'identity' | 'boundary'> {
  const { account } = entity
  const groups =
    'groups' in entity ? entity.groups.flatMap((id) => view.by('iam-group', 'id', id)) : []
  const identity = [entity, ...groups].flatMap((one) => [
    ...Object.values(one.inline).map((document) => parsedIn(one, document, 'identity')),
    ...one.attached.flatMap((arn) => managed(view, account, arn)),
  ])
  if (entity.boundary === '') return { identity, boundary: null }
  // A boundary that cannot be found allows nothing.
  const [boundary = NOTHING] = managed(view, account, entity.boundary)
  return { identity, boundary }
}

const NOTHING: ParsedPolicy = { version: '2012-10-17', id: '', statements: [] }

function managed(view: View, account: string, arn: string): ParsedPolicy[] {
  const policy = findPolicy(view, account, arn)
  return policy === null ? [] : [parsedIn(policy, defaultDocument(policy), 'identity')]
}

/** Null when the session was begun without any. */
function sessionOf(view: View, { account, session }: Caller): ParsedPolicy[] | null {
  if (session === undefined) return null
  const { policy, policyArns } = session
  if (policy === '' && policyArns.length === 0) return null
  return [
    ...(policy === '' ? [] : [parsedIn(session, policy, 'session')]),
    ...policyArns.flatMap((arn) => managed(view, account, arn)),
  ]
}
