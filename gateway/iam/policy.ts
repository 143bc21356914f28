// Policy documents, from text to what evaluation needs, or to IAM's sentence of what is wrong (IAM
// user guide, "IAM JSON policy element reference" and "Grammar of the IAM JSON policy language").

import { no, ok, type Result } from '../../topology/result.ts'
import { type BadCondition, type Condition, parseConditions } from './conditions.ts'
import { isObject, type Json, type JsonObject, parseJson } from './json.ts'
import { type PrincipalPattern, parsePrincipal } from './principal-patterns.ts'
import { resourceFault } from './resource-patterns.ts'
import { type Pattern, parseTemplate, type Template } from './templates.ts'

/** Trust policies have principals and no resources, a bucket's both, all others only resources. */
export type PolicyKind = 'identity' | 'trust' | 'session' | 'boundary' | 'bucket'

export interface ParsedPolicy {
  readonly version: '2008-10-17' | '2012-10-17'
  readonly id: string
  readonly statements: readonly Statement[]
}

export interface Statement {
  /** Which of its document, from 0. */
  readonly index: number
  readonly sid: string
  readonly effect: 'Allow' | 'Deny'
  /** Null but for policies of a role or a bucket. */
  readonly principal: PrincipalPattern | null
  readonly notAction: boolean
  /** Lower case, as all that is compared with them. */
  readonly actions: readonly Pattern[]
  readonly notResource: boolean
  /** Null for trust policies, which are about the role that they belong to. */
  readonly resources: readonly Template[] | null
  /** On the call or its caller, which are the same for all of its resources. */
  readonly callConditions: readonly Condition[]
  /** All others. */
  readonly conditions: readonly Condition[]
}

const SYNTAX = 'Syntax errors in policy.'
const LEGACY = 'The policy failed legacy parsing'
const VENDOR = 'Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.'
const POLICY_ELEMENTS = ['Version', 'Id', 'Statement']
const STATEMENT_ELEMENTS = [
  ...['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction'],
  ...['Resource', 'NotResource', 'Condition'],
]
/** What a role's trust policy may allow. */
const TRUST_ACTIONS = [
  ...['sts:assumerole', 'sts:assumerolewithsaml', 'sts:assumerolewithwebidentity'],
  ...['sts:tagsession', 'sts:setsourceidentity', 'sts:setcontext', 'sts:*'],
]

const BAD_CONDITION: Readonly<Record<BadCondition, string>> = {
  Syntax: SYNTAX,
  Legacy: LEGACY,
  Vendor: VENDOR,
}

/** Why not: the message of MalformedPolicyDocument that the caller gets. Looks at no sizes. */
export function parsePolicy(text: string, kind: PolicyKind): Result<ParsedPolicy> {
  if (/^\s/.test(text)) return no('JSON strings must not have leading spaces')
  const json = parseJson(text)
  if (!json.ok) return no(kind === 'trust' ? 'This policy contains invalid Json' : SYNTAX)
  const document = json.value
  if (!isObject(document) || !hasOnly(document, POLICY_ELEMENTS)) return no(SYNTAX)
  const version = document.get('Version') ?? '2008-10-17'
  const id = document.get('Id') ?? ''
  const list = listOf(document.get('Statement'))
  if (version !== '2008-10-17' && version !== '2012-10-17') return no(SYNTAX)
  if (typeof id !== 'string' || list.length === 0) return no(SYNTAX)
  const statements: Statement[] = []
  for (const [index, one] of list.entries()) {
    const statement = parseStatement(one, index, kind, version === '2012-10-17')
    if (!statement.ok) return statement
    statements.push(statement.value)
  }
  const sids = statements.map(({ sid }) => sid).filter((sid) => sid !== '')
  if (new Set(sids).size < sids.length) {
    return no('Statement IDs (SID) in a single policy must be unique.')
  }
  return ok({ version, id, statements })
}

function parseStatement(
  json: Json,
  index: number,
  kind: PolicyKind,
  variables: boolean,
): Result<Statement> {
  if (!isObject(json) || !hasOnly(json, STATEMENT_ELEMENTS)) return no(SYNTAX)
  const both = (name: string) => json.has(name) && json.has(`Not${name}`)
  if (both('Action') || both('Resource') || both('Principal')) return no(SYNTAX)
  const sid = json.get('Sid') ?? ''
  if (typeof sid !== 'string') return no(SYNTAX)
  if (!/^[0-9A-Za-z]*$/.test(sid)) return no(BAD_SID)
  const effect = effectOf(json)
  if (!effect.ok) return effect
  const principal = principalOf(json, kind)
  if (!principal.ok) return principal
  const actions = actionsOf(json, kind)
  if (!actions.ok) return actions
  const resources = resourcesOf(json, kind, variables)
  if (!resources.ok) return resources
  const conditions = parseConditions(json.get('Condition') ?? new Map(), variables)
  if (!conditions.ok) return no(BAD_CONDITION[conditions.why])
  return ok({
    index,
    sid,
    effect: effect.value,
    principal: principal.value,
    notAction: json.has('NotAction'),
    actions: actions.value,
    notResource: json.has('NotResource'),
    resources: resources.value,
    callConditions: conditions.value.filter(({ key }) => isOfCall(key)),
    conditions: conditions.value.filter(({ key }) => !isOfCall(key)),
  })
}

const BAD_SID =
  'Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*'

function effectOf(json: JsonObject): Result<'Allow' | 'Deny'> {
  const effect = json.get('Effect')
  if (effect === 'Allow' || effect === 'Deny') return ok(effect)
  const isNear = typeof effect === 'string' && /^(?:allow|deny)$/i.test(effect)
  return no(isNear ? LEGACY : SYNTAX)
}

function principalOf(json: JsonObject, kind: PolicyKind): Result<PrincipalPattern | null> {
  const negated = json.has('NotPrincipal')
  const element = json.get(negated ? 'NotPrincipal' : 'Principal')
  if (kind !== 'trust' && kind !== 'bucket') {
    return element === undefined ? ok(null) : no('Policy document should not specify a principal.')
  }
  if (element === undefined) return no('Missing required field Principal')
  return parsePrincipal(element, negated)
}

function actionsOf(json: JsonObject, kind: PolicyKind): Result<Pattern[]> {
  const texts = textsOf(json.get('Action') ?? json.get('NotAction') ?? [])
  if (texts === null) return no(SYNTAX)
  if (texts.length === 0) return no('Policy statement must contain actions.')
  for (const text of texts) {
    const [vendor = '', name, ...more] = text.split(':')
    if (name === undefined && vendor !== '*') return no(VENDOR)
    if (more.length > 0) return no('Actions/Condition can contain only one colon.')
    if (vendor !== '*' && !/^[a-zA-Z0-9.-]+$/.test(vendor)) {
      return no(`Vendor ${vendor} is not valid`)
    }
  }
  const lower = texts.map((text) => text.toLowerCase())
  if (kind === 'trust' && !lower.every((action) => TRUST_ACTIONS.includes(action))) {
    return no('AssumeRole policy may only specify STS AssumeRole actions.')
  }
  const rules = { wildcards: true, variables: false }
  return ok(lower.map((action) => parseTemplate(action, rules).fixed ?? []))
}

function resourcesOf(
  json: JsonObject,
  kind: PolicyKind,
  variables: boolean,
): Result<Template[] | null> {
  const isNegated = json.has('NotResource')
  if (kind === 'trust') {
    if (isNegated) return no('Has prohibited field NotResource')
    return json.has('Resource') ? no('Has prohibited field Resource') : ok(null)
  }
  const texts = textsOf(json.get('Resource') ?? json.get('NotResource') ?? [])
  if (texts === null) return no(SYNTAX)
  if (texts.length === 0) return no('Policy statement must contain resources.')
  for (const text of texts) {
    const fault = resourceFault(text)
    if (fault !== null) return no(fault === '' ? LEGACY : fault)
  }
  return ok(texts.map((text) => resourceTemplate(text, variables)))
}

/** An ARN with parts missing at its end matches whatever these parts are. */
function resourceTemplate(text: string, variables: boolean): Template {
  const isWhole = text === '*' || text.split(':').length >= 6 || text.endsWith('*')
  return parseTemplate(isWhole ? text : `${text}:*`, {
    wildcards: true,
    variables,
    arn: 'resource',
  })
}

function isOfCall(key: string): boolean {
  return /^aws:(?!resource|requesttag|tagkeys)/.test(key)
}

function hasOnly(object: JsonObject, names: readonly string[]): boolean {
  return [...object.keys()].every((name) => names.includes(name))
}

function listOf(value: Json | undefined): readonly Json[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

function textsOf(value: Json): string[] | null {
  const list = listOf(value)
  return list.every((one) => typeof one === 'string') ? [...list] : null
}
