// AssumeRole: who a role trusts acts as it for a while.

import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Caller, StsHandlers } from '../aws/handlers.ts'
import { parsedIn } from '../iam/documents.ts'
import { arnOf, findEntity } from '../iam/entities.ts'
import { invalid } from '../iam/errors.ts'
import { evaluate } from '../iam/evaluate.ts'
import { accessOf, asMeant } from '../iam/principals.ts'
import { arrivalKeys } from '../iam/request-keys.ts'
import type { Context } from '../iam/templates.ts'
import type { RoleRecord } from '../store/iam-records.ts'
import type { View } from '../store/state.ts'
import { newCredentials, type SessionSpec } from './credentials.ts'
import type { StsParts } from './index.ts'
import {
  checkDuration,
  checkExternalId,
  checkPacked,
  checkPolicyArns,
  checkSessionName,
  checkSessionPolicy,
  checkSessionTags,
} from './session-input.ts'

const HOUR_SECONDS = 3_600
const MAX_SECONDS = 12 * HOUR_SECONDS
const ROLE_ARN = /^arn:aws:iam::(\d{12}):role(\/[\u0021-\u007e]*)$/
const NOT_HERE = ['SerialNumber', 'TokenCode', 'ProvidedContexts'] as const

export function assumeRoleHandler(parts: StsParts): NonNullable<StsHandlers['AssumeRole']> {
  const { state } = parts
  return (context, input) => {
    const { caller, nowMs } = context
    const view = state.view()
    for (const name of NOT_HERE) {
      if (input[name] === undefined || input[name].length === 0) continue
      const message = `The parameter ${name} is not supported by this cloud.`
      throw new ApiError('UnsupportedOperation', message)
    }
    const arn = input.RoleArn ?? ''
    const [, account = '', path = ''] = ROLE_ARN.exec(arn) ?? []
    if (account === '') throw invalid(`${arn.slice(0, 200)} is invalid`)
    const name = checkSessionName('roleSessionName', input.RoleSessionName)
    const seconds = checkDuration(input.DurationSeconds ?? HOUR_SECONDS, MAX_SECONDS)
    const externalId = checkExternalId(input.ExternalId)
    const policy = checkSessionPolicy(input.Policy)
    const own = checkSessionTags(input.Tags)
    const role = findEntity(view, 'iam-role', {
      account,
      name: path.slice(path.lastIndexOf('/') + 1),
    })
    // Those of a chain stay what they are.
    const inherited = inheritedTags(caller)
    const again = Object.keys(own).find((key) => inherited.keys.has(key.toLowerCase()))
    if (again !== undefined) {
      throw new ApiError('InvalidParameterValue', `The tag key ${again} is transitive and is set.`)
    }
    const sourceIdentity = input.SourceIdentity ?? caller.session?.sourceIdentity ?? ''
    if (sourceIdentity !== '') checkSessionName('sourceIdentity', sourceIdentity)
    const refusal = denied(caller, arn)
    if (role === null || arnOf('iam-role', role) !== arn) throw refusal('sts:AssumeRole')
    const asked: Asked = { name, externalId, tags: own, sourceIdentity }
    checkTrusted(view, context, role, asked, {
      isTagged: Object.keys(own).length > 0 || inherited.keys.size > 0,
      isSourced: input.SourceIdentity !== undefined,
    })
    const isChained = caller.session !== undefined && caller.userId.includes(':')
    if (isChained && seconds > HOUR_SECONDS) {
      throw invalid(
        'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
      )
    }
    if (seconds > role.maxSessionSeconds) {
      throw invalid(
        'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
      )
    }
    const transitive = input.TransitiveTagKeys ?? []
    const missing = transitive.find((key) => !Object.hasOwn(own, key))
    if (missing !== undefined) throw invalid(`The transitive tag key ${missing} is no tag's key.`)
    const spec: SessionSpec = {
      ...{ account, principal: role.id, name, policy, sourceIdentity },
      policyArns: checkPolicyArns(view, account, input.PolicyArns),
      tags: { ...inherited.tags, ...own },
      transitiveTagKeys: [...Object.keys(inherited.tags), ...transitive],
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + seconds * 1000,
    }
    const packed = checkPacked(spec)
    return {
      Credentials: newCredentials(parts, spec),
      AssumedRoleUser: {
        AssumedRoleId: `${role.id}:${name}`,
        Arn: `arn:aws:sts::${account}:assumed-role/${role.name}/${name}`,
      },
      ...(policy !== '' || spec.policyArns.length > 0 || Object.keys(spec.tags).length > 0
        ? { PackedPolicySize: packed }
        : {}),
      ...(sourceIdentity !== '' && { SourceIdentity: sourceIdentity }),
    }
  }
}

interface Asked {
  readonly name: string
  readonly externalId: string
  readonly tags: Readonly<Record<string, string>>
  readonly sourceIdentity: string
}

function inheritedTags({ session }: Caller): {
  tags: Readonly<Record<string, string>>
  keys: ReadonlySet<string>
} {
  const transitive = new Set(session?.transitiveTagKeys)
  const tags = Object.entries(session?.tags ?? {}).filter(([key]) => transitive.has(key))
  return {
    tags: Object.fromEntries(tags),
    keys: new Set(tags.map(([key]) => key.toLowerCase())),
  }
}

/** Throws AccessDenied unless the role's trust policy and the caller's own say yes to all of it. */
function checkTrusted(
  view: View,
  context: CallContext,
  role: RoleRecord,
  asked: Asked,
  { isTagged, isSourced }: { readonly isTagged: boolean; readonly isSourced: boolean },
): void {
  const { caller } = context
  const access = accessOf(view, caller)
  const resource = arnOf('iam-role', role)
  const refusal = denied(caller, resource)
  if (access.policies === 'root') {
    throw new ApiError('AccessDenied', 'Roles may not be assumed by root accounts.', 403)
  }
  const principal = asMeant(role.trusted, caller, access.principal)
  const trust = parsedIn(role, role.trust, 'trust')
  const conditions = new Map([...access.keys, ...askedKeys(asked), ...arrivedKeys(context)])
  const actions = [
    'sts:AssumeRole',
    ...(isTagged ? ['sts:TagSession'] : []),
    ...(isSourced ? ['sts:SetSourceIdentity'] : []),
  ]
  for (const action of actions) {
    const sets = { ...access.policies, resource: trust }
    if (!evaluate(sets, { action, resource, principal, conditions }).allowed) throw refusal(action)
  }
}

function askedKeys({ name, externalId, tags, sourceIdentity }: Asked): Context {
  const keys = new Map<string, readonly string[]>([['sts:rolesessionname', [name]]])
  if (externalId !== '') keys.set('sts:externalid', [externalId])
  if (sourceIdentity !== '') keys.set('sts:sourceidentity', [sourceIdentity])
  const tagKeys = Object.keys(tags)
  if (tagKeys.length > 0) keys.set('aws:tagkeys', tagKeys)
  for (const [key, value] of Object.entries(tags)) {
    keys.set(`aws:requesttag/${key.toLowerCase()}`, [value])
  }
  return keys
}

/** Where nothing is known of the way, the time is. */
function arrivedKeys({ arrival, nowMs }: CallContext): Context {
  const unknown = { sourceIp: '', userAgent: '', secure: false, region: '', nowMs }
  return arrivalKeys(arrival ?? unknown)
}

function denied({ userArn }: Caller, resource: string): (action: string) => ApiError {
  return (action) => {
    const message = `User: ${userArn} is not authorized to perform: ${action} on resource: ${resource}`
    return new ApiError('AccessDenied', message, 403)
  }
}
