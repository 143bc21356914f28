// The policy of a form: what its author allows whoever has it to send (S3 API reference, "POST
// Policy"). Codes and sentences as S3 has them.

import { S3Error } from '../error.ts'
import { IGNORED } from './multipart.ts'

export interface PostPolicy {
  readonly expiresAtMs: number
  readonly conditions: readonly Condition[]
}

type Condition =
  | { readonly kind: 'eq' | 'starts-with'; readonly field: string; readonly value: string }
  | { readonly kind: 'content-length-range'; readonly minBytes: number; readonly maxBytes: number }
  /** One that nothing fulfils: S3 takes the policy and refuses the form. */
  | { readonly kind: 'never'; readonly text: string }

/** How many bytes the file may have. */
export interface SizeRange {
  readonly minBytes: number
  readonly maxBytes: number
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/
const WHOLE = /^\d{1,15}$/
/** What signs the rest, or is the rest: no condition needs to name it. */
const UNCONDITIONED: ReadonlySet<string> = new Set([
  ...['policy', 'file', 'x-amz-signature', 'signature', 'awsaccesskeyid'],
])

/** `text` is base64. Throws InvalidPolicyDocument. */
export function parsePostPolicy(text: string): PostPolicy {
  if (!BASE64.test(text)) throw invalid('Invalid Base64 encoding.')
  const document = parsed(Buffer.from(text, 'base64').toString('utf8'))
  const other = Object.keys(document).find((name) => !['expiration', 'conditions'].includes(name))
  const { expiration, conditions } = document
  if (other !== undefined) throw invalid(`Unexpected: '${other.slice(0, 100)}'`)
  if (expiration === undefined) throw invalid('Policy missing expiration.')
  if (conditions === undefined) throw invalid('Policy missing conditions.')
  const isTime = typeof expiration === 'string' && TIME.test(expiration)
  const expiresAtMs = isTime ? Date.parse(expiration) : Number.NaN
  if (Number.isNaN(expiresAtMs)) {
    throw invalid(`Invalid 'expiration' value: '${String(expiration).slice(0, 100)}'`)
  }
  if (!Array.isArray(conditions)) throw invalid("Invalid 'conditions' value: must be a List.")
  return { expiresAtMs, conditions: conditions.map(conditionOf) }
}

/**
 * Throws AccessDenied for a form that is too late, does not fulfil a condition, or has a field that
 * none is about. `fields` by names in lower case, variables in them replaced.
 */
export function checkPostPolicy(
  { expiresAtMs, conditions }: PostPolicy,
  fields: ReadonlyMap<string, string>,
  { bucket, nowMs }: { readonly bucket: string; readonly nowMs: number },
): SizeRange {
  if (nowMs >= expiresAtMs) throw denied('Policy expired.')
  const range = { minBytes: 0, maxBytes: Number.MAX_SAFE_INTEGER }
  const named = new Set<string>()
  for (const condition of conditions) {
    switch (condition.kind) {
      case 'content-length-range':
        range.minBytes = Math.max(range.minBytes, condition.minBytes)
        range.maxBytes = Math.min(range.maxBytes, condition.maxBytes)
        break
      case 'never':
        throw denied(`Policy Condition failed: ${condition.text}`)
      case 'eq':
      case 'starts-with': {
        const { kind, field, value } = condition
        const name = field.toLowerCase()
        const sent = name === 'bucket' ? bucket : fields.get(name)
        if (sent === undefined || !fits(kind, name, sent, value)) {
          throw denied(`Policy Condition failed: ${shown([kind, `$${field}`, value])}`)
        }
        named.add(name)
      }
    }
  }
  const extra = [...fields.keys()].find(
    (name) => !named.has(name) && !UNCONDITIONED.has(name) && !name.startsWith(IGNORED),
  )
  if (extra !== undefined) throw denied(`Extra input fields: ${extra.slice(0, 100)}`)
  return range
}

/** Types that are separated by commas are a list, of which each must fit. */
function fits(kind: 'eq' | 'starts-with', name: string, sent: string, value: string): boolean {
  if (kind === 'eq') return sent === value
  if (name !== 'content-type') return sent.startsWith(value)
  return sent.split(',').every((each) => each.trim().startsWith(value))
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>
    }
  } catch {
    // Said below.
  }
  throw invalid('Invalid JSON.')
}

function conditionOf(given: unknown): Condition {
  if (Array.isArray(given)) return fromList(given)
  if (typeof given !== 'object' || given === null) {
    throw invalid('Invalid condition: must be a List or Object.')
  }
  const [first, ...more] = Object.entries(given)
  if (first === undefined || more.length > 0) {
    const rule = 'Simple-Conditions must have exactly one property specified.'
    throw invalid(`Invalid Simple-Condition: ${rule}`)
  }
  const [field, value] = first
  if (typeof value !== 'string') throw invalid('Invalid Simple-Condition: value must be a string.')
  return { kind: 'eq', field, value }
}

function fromList(list: readonly unknown[]): Condition {
  const [operation, first, second] = list
  if (typeof operation !== 'string') {
    throw invalid('Invalid Condition: missing operation identifier.')
  }
  // The operators are the only part that S3 takes in any case.
  const kind = operation.toLowerCase()
  const isRange = kind === 'content-length-range'
  if (!isRange && kind !== 'eq' && kind !== 'starts-with') {
    throw invalid(`Invalid Condition: unknown operation '${operation.slice(0, 100)}'.`)
  }
  if (list.length !== 3) throw invalid(`Invalid ${kind}: wrong number of arguments.`)
  if (isRange) return rangeOf(first, second, list)
  if (typeof first !== 'string' || typeof second !== 'string') throw invalid('Invalid JSON.')
  if (!first.startsWith('$')) return { kind: 'never', text: shown(list) }
  return { kind, field: first.slice(1), value: second }
}

function rangeOf(min: unknown, max: unknown, list: readonly unknown[]): Condition {
  const isNegative = [min, max].some((bound) => Number(bound) < 0)
  if (isNegative || [min, max].some((bound) => Number(bound) % 1 > 0)) {
    throw invalid('Invalid content-length-range: a bound is a whole number of bytes.')
  }
  // S3 takes numbers that are written as texts, and refuses forms for anything else.
  if (![min, max].every((bound) => WHOLE.test(String(bound)))) {
    return { kind: 'never', text: shown(list) }
  }
  return { kind: 'content-length-range', minBytes: Number(min), maxBytes: Number(max) }
}

/** As S3 writes a condition: `["eq", "$key", "a"]`. */
function shown(list: readonly unknown[]): string {
  return `[${list.map((each) => JSON.stringify(each)).join(', ')}]`.slice(0, 1_000)
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidPolicyDocument', `Invalid Policy: ${message}`, 400)
}

function denied(message: string): S3Error {
  return new S3Error('AccessDenied', `Invalid according to Policy: ${message}`, 403)
}
