// The table of policy tests: a statement, or several, against a request, and the verdict. Rows of a
// kind stand in one file each; all say where AWS documents what they expect.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AccessRequest, evaluate, type Principal } from '../../../gateway/iam/evaluate.ts'
import { type ParsedPolicy, type PolicyKind, parsePolicy } from '../../../gateway/iam/policy.ts'

export const ACCOUNT = '111122223333'
export const ALICE: Principal = {
  kind: 'user',
  account: ACCOUNT,
  arn: `arn:aws:iam::${ACCOUNT}:user/alice`,
  roleArn: null,
}
export const INSTANCE = `arn:aws:ec2:us-east-1:${ACCOUNT}:instance/i-0123456789abcdef0`

/** A statement's elements; what is left out is `Allow`, `ec2:*` or `*`. */
export type Elements = Readonly<Record<string, unknown>>
export type Verdict = 'allow' | 'deny' | 'no'
/** Condition key → its value or values. */
export type Keys = Readonly<Record<string, string | readonly string[]>>

export interface Asked {
  readonly action?: string
  readonly resource?: string
  readonly principal?: Principal
  readonly keys?: Keys
}

export type Row = readonly [
  what: string,
  statements: Elements | readonly Elements[],
  Asked,
  Verdict,
]

/** One test for each row: `allow`, an explicit `deny`, or `no`, that nothing allows it. */
export function testRows(rows: readonly Row[]): void {
  for (const [what, statements, asked, want] of rows) {
    test(`${what}: ${want}`, () => {
      const sets = {
        identity: [policyOf(statements)],
        boundary: null,
        session: null,
        resource: null,
      }
      assert.equal(verdictOf(evaluate(sets, requestOf(asked))), want)
    })
  }
}

export function verdictOf({ refusal }: ReturnType<typeof evaluate>): Verdict {
  return refusal === null ? 'allow' : refusal === 'explicit' ? 'deny' : 'no'
}

export function policyOf(
  statements: Elements | readonly Elements[],
  { kind = 'identity', version = '2012-10-17' }: { kind?: PolicyKind; version?: string } = {},
): ParsedPolicy {
  const list = Array.isArray(statements) ? statements : [statements]
  const Statement = list.map((one: Elements) => statementOf(one, kind))
  const parsed = parsePolicy(JSON.stringify({ Version: version, Statement }), kind)
  if (!parsed.ok) throw new Error(`${parsed.why}: ${JSON.stringify(Statement)}`)
  return parsed.value
}

export function requestOf({
  action = 'ec2:StartInstances',
  resource = INSTANCE,
  principal = ALICE,
  keys = {},
}: Asked): AccessRequest {
  const conditions = new Map(
    Object.entries(keys).map(([key, value]) => [
      key.toLowerCase(),
      typeof value === 'string' ? [value] : value,
    ]),
  )
  return { action, resource, principal, conditions }
}

function statementOf(elements: Elements, kind: PolicyKind): Elements {
  const action =
    'NotAction' in elements ? {} : { Action: kind === 'trust' ? 'sts:AssumeRole' : '*' }
  const resource = 'NotResource' in elements || kind === 'trust' ? {} : { Resource: '*' }
  return { Effect: 'Allow', ...action, ...resource, ...elements }
}

/** One operator on one key, against the values of a request; null: the key is not there. */
export type ConditionRow = readonly [
  operator: string,
  policy: unknown,
  request: string | readonly string[] | null,
  holds: boolean,
]

/** One test for each row; the key is `ec2:Key`, and another one is there that must not matter. */
export function testConditions(rows: readonly ConditionRow[], version = '2012-10-17'): void {
  for (const [operator, values, request, want] of rows) {
    const shown = `${operator} ${JSON.stringify(values)} of ${JSON.stringify(request)}`
    test(`${shown}: ${want ? 'holds' : 'does not'}`, () => {
      const policy = policyOf({ Condition: { [operator]: { 'ec2:Key': values } } }, { version })
      const sets = { identity: [policy], boundary: null, session: null, resource: null }
      const keys = { 'aws:username': 'alice', ...(request === null ? {} : { 'ec2:key': request }) }
      assert.equal(evaluate(sets, requestOf({ keys })).allowed, want)
    })
  }
}
