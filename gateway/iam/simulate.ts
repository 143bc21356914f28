// SimulatePrincipalPolicy, SimulateCustomPolicy and what they would have to be told: policies put
// to the same evaluation that decides about calls, and nothing is done.

import type {
  ContextEntry,
  EvaluationResult,
  Statement as MatchedSource,
  ResourceSpecificResult,
} from '@aws-sdk/client-iam'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, IamHandlers } from '../aws/handlers.ts'
import type { View } from '../store/state.ts'
import { contextKeysIn, statementPlaces } from './document-places.ts'
import { principalOfArn } from './documents.ts'
import { arnOf, type IamParts } from './entities.ts'
import { type Decision, evaluate, type MatchedStatement, type Principal } from './evaluate.ts'
import { pageOf } from './paging.ts'
import { type ParsedPolicy, parsePolicy } from './policy.ts'
import { type PolicySource, type SourcedEntity, sourcedEntity } from './policy-sources.ts'
import { contextIn, type Pair, pairsOf, policiesIn, wrong } from './simulation-input.ts'
import { type Context, matches } from './templates.ts'

/** What both simulations may be asked. */
interface Asked {
  readonly ActionNames?: string[] | undefined
  readonly ResourceArns?: string[] | undefined
  readonly PolicyInputList?: string[] | undefined
  readonly PermissionsBoundaryPolicyInputList?: string[] | undefined
  readonly ContextEntries?: ContextEntry[] | undefined
  readonly CallerArn?: string | undefined
  readonly ResourcePolicy?: string | undefined
  readonly ResourceOwner?: string | undefined
  readonly ResourceHandlingOption?: string | undefined
  readonly MaxItems?: number | undefined
  readonly Marker?: string | undefined
}

interface Policies {
  readonly identity: readonly PolicySource[]
  readonly boundary: PolicySource | null
  readonly caller: SourcedEntity | null
}

type Parsed = PolicySource & { readonly policy: ParsedPolicy; readonly keys: readonly string[][] }

const NOT_HERE = ['ResourcePolicy', 'ResourceOwner', 'ResourceHandlingOption'] as const
/** So many digits has the place of a pair among all of them. */
const CURSOR_DIGITS = 6

export function simulationHandlers({ state }: IamParts): IamHandlers {
  const entityOf = ({ caller }: CallContext, arn = ''): SourcedEntity =>
    sourcedEntity(state.view(), caller.account, arn)
  return {
    SimulatePrincipalPolicy: (context, input) => {
      const entity = entityOf(context, input.PolicySourceArn)
      const { identity, boundary } = entity
      const caller = entity.kind === 'group' ? null : entity
      const more = policiesIn(input.PolicyInputList ?? [], 'PolicyInputList')
      return simulated(state.view(), context, input, {
        ...{ identity: [...identity, ...more], boundary, caller },
      })
    },

    SimulateCustomPolicy: (context, input) => {
      const identity = policiesIn(input.PolicyInputList ?? [], 'PolicyInputList')
      if (identity.length === 0) throw wrong('At least one policy is required')
      return simulated(state.view(), context, input, { identity, boundary: null, caller: null })
    },

    GetContextKeysForPrincipalPolicy: (context, input) => {
      const { identity, boundary } = entityOf(context, input.PolicySourceArn)
      const more = policiesIn(input.PolicyInputList ?? [], 'PolicyInputList')
      return keysOf([...identity, ...(boundary === null ? [] : [boundary]), ...more])
    },

    GetContextKeysForCustomPolicy: (_context, input) =>
      keysOf(policiesIn(input.PolicyInputList ?? [], 'PolicyInputList')),
  }
}

function keysOf(sources: readonly PolicySource[]): { ContextKeyNames: string[] } {
  const names = new Map<string, string>()
  for (const key of sources.flatMap(({ document }) => contextKeysIn(document).flat())) {
    if (!names.has(key.toLowerCase())) names.set(key.toLowerCase(), key)
  }
  return { ContextKeyNames: [...names.values()] }
}

function simulated(view: View, { caller: { account } }: CallContext, input: Asked, has: Policies) {
  for (const name of NOT_HERE) {
    if (input[name] === undefined) continue
    const message = `The parameter ${name} is not supported by this cloud.`
    throw new ApiError('UnsupportedOperation', message)
  }
  const pairs = pairsOf(input.ActionNames ?? [], input.ResourceArns)
  const boundary = boundaryOf(input, has)
  const caller = callerOf(view, account, input, has)
  const context = new Map([...callerKeys(caller), ...contextIn(input.ContextEntries ?? [])])
  const identity = has.identity.map(parsed)
  const numbered = pairs.map((pair, index) => ({ pair, index }))
  const { items, end } = pageOf(input, numbered, ({ index }) =>
    String(index).padStart(CURSOR_DIGITS, '0'),
  )
  const principal = principalOf(account, caller)
  const policies = identity.map(({ policy }) => policy)
  const world = { identity, policies, boundary, context, principal }
  const isNamed = (input.ResourceArns ?? []).length > 0
  return { EvaluationResults: items.map(({ pair }) => resultOf(world, pair, isNamed)), ...end }
}

interface World {
  readonly identity: readonly Parsed[]
  /** The same, as evaluation takes them. */
  readonly policies: readonly ParsedPolicy[]
  readonly boundary: Parsed | null
  readonly context: Context
  readonly principal: Principal
}

function resultOf(world: World, pair: Pair, isNamed: boolean): EvaluationResult {
  const { identity, policies, boundary, context, principal } = world
  const { action, resource } = pair
  const request = { action, resource, principal, conditions: context }
  const none = { session: null, resource: null }
  const decision = evaluate(
    { identity: policies, boundary: boundary?.policy ?? null, ...none },
    request,
  )
  const missing = missingKeys(
    [...identity, ...(boundary === null ? [] : [boundary])],
    action,
    context,
  )
  const said = decisionOf(decision)
  const found = {
    MatchedStatements: deciding(decision).map((one) => sourceOf(world, one)),
    MissingContextValues: missing,
    ...(boundary === null
      ? {}
      : {
          PermissionsBoundaryDecisionDetail: {
            AllowedByPermissionsBoundary: evaluate(
              { identity: [boundary.policy], boundary: null, ...none },
              request,
            ).allowed,
          },
        }),
  }
  const specific: ResourceSpecificResult = {
    EvalResourceName: resource,
    EvalResourceDecision: said,
    ...found,
  }
  return {
    EvalActionName: action,
    EvalResourceName: resource,
    EvalDecision: said,
    ...found,
    ...(isNamed && { ResourceSpecificResults: [specific], MissingContextValues: [] }),
  }
}

function decisionOf({ refusal }: Decision): 'allowed' | 'explicitDeny' | 'implicitDeny' {
  if (refusal === null) return 'allowed'
  return refusal === 'explicit' ? 'explicitDeny' : 'implicitDeny'
}

/** What made it so: a deny stands alone, and nothing made it an implicit one. */
function deciding({ refusal, matched }: Decision): MatchedStatement[] {
  if (refusal === 'explicit') return matched.filter(({ effect }) => effect === 'Deny')
  return refusal === null ? matched.filter(({ source }) => source === 'identity') : []
}

function sourceOf({ identity, boundary }: World, matched: MatchedStatement): MatchedSource {
  const of = matched.source === 'boundary' ? boundary : identity[matched.policy]
  if (of == null) throw new RangeError('a statement of no policy')
  const place = statementPlaces(of.document)[matched.statement]
  return { SourcePolicyId: of.id, SourcePolicyType: of.type, ...place }
}

/** Keys that statements about the action ask for and nobody told. */
function missingKeys(sources: readonly Parsed[], action: string, context: Context): string[] {
  const lower = action.toLowerCase()
  const asked = sources.flatMap(({ policy, keys }) =>
    policy.statements
      .filter(({ actions, notAction }) => actions.some((one) => matches(one, lower)) !== notAction)
      .flatMap(({ index }) => keys[index] ?? []),
  )
  const missing = asked.filter((key) => !context.has(key.toLowerCase()))
  return [...new Map(missing.map((key) => [key.toLowerCase(), key])).values()]
}

/** One that the request brings stands in for the entity's own. */
function boundaryOf(input: Asked, has: Policies): Parsed | null {
  const name = 'PermissionsBoundaryPolicyInputList'
  const list = policiesIn(input[name] ?? [], name)
  if (list.length > 1) throw wrong(`${name} must have one policy at most`)
  const boundary = list[0] ?? has.boundary
  return boundary === null ? null : parsed(boundary)
}

function parsed(source: PolicySource): Parsed {
  const found = parsePolicy(source.document, 'identity')
  if (!found.ok) throw new ApiError('PolicyEvaluation', `${source.id}: ${found.why}`, 500)
  return { ...source, policy: found.value, keys: contextKeysIn(source.document) }
}

/** Whose name and tags conditions ask for. Only a user can be named as the caller. */
function callerOf(view: View, account: string, { CallerArn: arn }: Asked, has: Policies) {
  if (arn === undefined) return has.caller
  const user = arn.includes(':user/') ? principalOfArn(view, arn) : null
  if (user === null || user.account !== account) {
    throw wrong(`Invalid caller ARN: ${arn.slice(0, 200)} is no user of this account`)
  }
  return sourcedEntity(view, account, arn)
}

function callerKeys(caller: SourcedEntity | null): Context {
  if (caller === null) return new Map()
  const { kind, record } = caller
  const keys = new Map<string, readonly string[]>([
    ['aws:principalaccount', [record.account]],
    ['aws:principalarn', [arnOf(kind === 'user' ? 'iam-user' : 'iam-role', record)]],
    ['aws:principaltype', [kind === 'user' ? 'User' : 'AssumedRole']],
  ])
  if (kind === 'user') keys.set('aws:userid', [record.id]).set('aws:username', [record.name])
  for (const [key, value] of Object.entries('tags' in record ? record.tags : {})) {
    keys.set(`aws:principaltag/${key.toLowerCase()}`, [value])
  }
  return keys
}

function principalOf(account: string, caller: SourcedEntity | null): Principal {
  const arn = caller === null ? `arn:aws:iam::${account}:root` : arnOf('iam-user', caller.record)
  return { kind: 'user', account, arn, roleArn: null }
}
