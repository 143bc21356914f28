// The Condition element: operators, read and evaluated (IAM user guide, "IAM JSON policy elements:
// Condition operators" and "Set operators for multivalued context keys").

import { no, ok, type Result } from '../../topology/result.ts'
import { isObject, type Json } from './json.ts'
import { fillIn, matches, parseTemplate, type Template, type Values } from './templates.ts'
import { arnParts, bytesOf, instantOf, isWithin, numberOf, prefixOf } from './values.ts'

/** One operator on one key. All of a statement's must hold. */
export interface Condition {
  /** As written, `StringLikeIfExists` for example. */
  readonly operator: string
  /** Lower case. */
  readonly key: string
  readonly quantifier: 'all' | 'any' | null
  readonly ifExists: boolean
  /** Of values that a policy lists one must match, or, negated, none. */
  readonly negated: boolean
  /** One for each value of the policy. */
  readonly tests: readonly Test[]
  /** Null operator: whether the key must be absent; null for all others. */
  readonly absent: readonly boolean[] | null
}
type Test = (value: string, context: Values) => boolean

export type BadCondition = 'Syntax' | 'Legacy' | 'Vendor'

/** Makes the test of one value in a policy; null when it is none of its operator's. */
type MakeTest = (value: string, variables: boolean) => Test | null

interface Operator {
  readonly make: MakeTest
  readonly negated: boolean
}

const NO_KEY: readonly string[] = []

const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    StringEquals: is(text(false)),
    StringNotEquals: isNot(text(false)),
    StringEqualsIgnoreCase: is(anyCase),
    StringNotEqualsIgnoreCase: isNot(anyCase),
    StringLike: is(text(true)),
    StringNotLike: isNot(text(true)),
    NumericEquals: is(number((a, b) => a === b)),
    NumericNotEquals: isNot(number((a, b) => a === b)),
    NumericLessThan: is(number((a, b) => a < b)),
    NumericLessThanEquals: is(number((a, b) => a <= b)),
    NumericGreaterThan: is(number((a, b) => a > b)),
    NumericGreaterThanEquals: is(number((a, b) => a >= b)),
    DateEquals: is(date((a, b) => a === b)),
    DateNotEquals: isNot(date((a, b) => a === b)),
    DateLessThan: is(date((a, b) => a < b)),
    DateLessThanEquals: is(date((a, b) => a <= b)),
    DateGreaterThan: is(date((a, b) => a > b)),
    DateGreaterThanEquals: is(date((a, b) => a >= b)),
    Bool: is(bool),
    BinaryEquals: is(binary),
    IpAddress: is(address),
    NotIpAddress: isNot(address),
    ArnEquals: is(arn),
    ArnLike: is(arn),
    ArnNotEquals: isNot(arn),
    ArnNotLike: isNot(arn),
  }),
)

/** `variables`: the policy's version has them. */
export function parseConditions(
  block: Json,
  variables: boolean,
): Result<Condition[], BadCondition> {
  if (!isObject(block)) return no('Syntax')
  const conditions: Condition[] = []
  for (const [operator, keys] of block) {
    if (!isObject(keys)) return no('Syntax')
    const seen = new Set<string>()
    for (const [written, values] of keys) {
      const key = written.toLowerCase()
      if (!key.includes(':')) return no('Vendor')
      // The same key in another case is a duplicate: keys ignore case.
      if (seen.has(key)) return no('Syntax')
      seen.add(key)
      const parsed = parseCondition(operator, key, values, variables)
      if (!parsed.ok) return parsed
      conditions.push(parsed.value)
    }
    if (operatorNamed(operator) === null) return no('Syntax')
  }
  return ok(conditions)
}

export function holds(condition: Condition, context: Values): boolean {
  const values = context.get(condition.key) ?? NO_KEY
  const { quantifier, absent } = condition
  if (absent !== null) return absent.includes(values.length === 0)
  if (quantifier === null) {
    if (values.length === 0) return condition.ifExists || condition.negated
    return condition.negated
      ? values.every((value) => passes(condition, value, context))
      : values.some((value) => passes(condition, value, context))
  }
  // "A null data set, such as an empty string" counts as no value for the set operators.
  const some = values.filter((value) => value !== '')
  if (some.length === 0) return condition.ifExists || quantifier === 'all'
  return quantifier === 'all'
    ? some.every((value) => passes(condition, value, context))
    : some.some((value) => passes(condition, value, context))
}

function passes({ tests, negated }: Condition, value: string, context: Values): boolean {
  return tests.some((test) => test(value, context)) !== negated
}

function parseCondition(
  operator: string,
  key: string,
  values: Json,
  variables: boolean,
): Result<Condition, BadCondition> {
  const named = operatorNamed(operator)
  const texts = textsOf(values)
  if (named === null || texts === null) return no('Syntax')
  const { quantifier, ifExists } = named
  const common = { operator, key, quantifier, ifExists }
  if (named.operator === 'Null') {
    const absent = texts.map((one) => booleanOf(one))
    if (absent.includes(null)) return no('Legacy')
    return ok({ ...common, negated: false, tests: [], absent: absent.map((one) => one === true) })
  }
  const { make, negated } = named.operator
  const tests = texts.map((one) => make(one, variables))
  if (tests.includes(null)) return no('Legacy')
  return ok({ ...common, negated, tests: tests.filter((test) => test !== null), absent: null })
}

function operatorNamed(
  written: string,
): (Pick<Condition, 'quantifier' | 'ifExists'> & { operator: Operator | 'Null' }) | null {
  const [, set = '', name = '', suffix = ''] =
    /^(ForAllValues:|ForAnyValue:)?(\w+?)(IfExists)?$/.exec(written) ?? []
  const quantifier = set === '' ? null : set === 'ForAllValues:' ? 'all' : 'any'
  const ifExists = suffix !== ''
  if (name === 'Null') {
    return ifExists || quantifier !== null ? null : { quantifier, ifExists, operator: 'Null' }
  }
  const operator = OPERATORS.get(name)
  return operator === undefined ? null : { quantifier, ifExists, operator }
}

/** A value or a list of them. Numbers and booleans may be written without quotes. */
function textsOf(values: Json): string[] | null {
  const list = Array.isArray(values) ? (values as readonly Json[]) : [values]
  const isPlain = (one: Json) => ['string', 'number', 'boolean'].includes(typeof one)
  return list.every(isPlain) ? list.map(String) : null
}

function is(make: MakeTest): Operator {
  return { make, negated: false }
}

function isNot(make: MakeTest): Operator {
  return { make, negated: true }
}

function text(wildcards: boolean): MakeTest {
  return (source, variables) => testOf(parseTemplate(source, { wildcards, variables }))
}

function testOf(template: Template): Test {
  return (value, context) => {
    const pattern = fillIn(template, context)
    return pattern !== null && matches(pattern, value)
  }
}

function anyCase(source: string, variables: boolean): Test {
  const template = parseTemplate(source, { wildcards: false, variables })
  return (value, context) => {
    const pattern = fillIn(template, context)
    const wanted = pattern?.map((part) => ('text' in part ? part.text : '')).join('')
    return wanted?.toLowerCase() === value.toLowerCase()
  }
}

/** The six parts one by one; what is no ARN matches none. */
function arn(source: string, variables: boolean): Test {
  const test = testOf(parseTemplate(source, { wildcards: true, variables, arn: 'condition' }))
  return (value, context) => arnParts(value) !== null && test(value, context)
}

function number(compare: (value: number, wanted: number) => boolean): MakeTest {
  return (source) => compared(numberOf, compare, source)
}

function date(compare: (value: number, wanted: number) => boolean): MakeTest {
  return (source) => compared(instantOf, compare, source)
}

function compared(
  read: (text: string) => number | null,
  compare: (value: number, wanted: number) => boolean,
  source: string,
): Test | null {
  const wanted = read(source)
  if (wanted === null) return null
  return (value) => {
    const known = read(value)
    return known !== null && compare(known, wanted)
  }
}

function bool(source: string): Test | null {
  const wanted = booleanOf(source)
  return wanted === null ? null : (value) => booleanOf(value) === wanted
}

function booleanOf(source: string): boolean | null {
  const lower = source.toLowerCase()
  return lower === 'true' ? true : lower === 'false' ? false : null
}

function binary(source: string): Test | null {
  const wanted = bytesOf(source)
  return wanted === null ? null : (value) => bytesOf(value) === wanted
}

function address(source: string): Test | null {
  const prefix = prefixOf(source)
  return prefix === null ? null : (value) => isWithin(prefix, value)
}
