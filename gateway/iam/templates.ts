// Texts of a policy that stand for many: wildcards, and variables that a request fills in (IAM user
// guide, "IAM policy elements: Variables and tags"). Read once, matched often. No regular
// expressions: a policy is a user's text, and one that takes exponential time would be an attack.

import { never } from '../../topology/result.ts'

/** `*` of any length, `*` that stays within a colon-separated part of an ARN, `?` likewise. */
type Wildcard = '*' | '*:' | '?' | '?:'
interface Variable {
  /** Lower case. */
  readonly key: string
  readonly fallback: string | null
}
type Part =
  | { readonly text: string }
  | { readonly wild: Wildcard }
  | { readonly variable: Variable }

/** Ready to match: nothing left to fill in. */
export type Pattern = readonly ({ readonly text: string } | { readonly wild: Wildcard })[]

export interface Template {
  readonly source: string
  readonly parts: readonly Part[]
  /** The pattern, when there is no variable in it. */
  readonly fixed: Pattern | null
}

export interface TemplateRules {
  readonly wildcards: boolean
  /** Only version 2012-10-17 has them; before, they are text. */
  readonly variables: boolean
  /**
   * Wildcards stay within their part of an ARN. `resource`: but for a `*` that ends its part.
   * `condition`: but for those of the sixth part, which has the rest of the ARN.
   */
  readonly arn?: 'resource' | 'condition'
}

/** Condition key in lower case → its values. */
export type Context = ReadonlyMap<string, readonly string[]>
/** What evaluation asks of a context; one that it never asks for need not be looked up. */
export type Values = Pick<Context, 'get'>

const VARIABLE = /\$\{\s*([^\s{}',$*?]+)\s*(?:,\s*'((?:[^']|'')*)'\s*)?\}/y
/** An ARN's last part comes after so many colons, and may have more itself. */
const ARN_COLONS = 5
const ESCAPE = /\$\{([$*?])\}/y

export function parseTemplate(source: string, rules: TemplateRules): Template {
  const parts: Part[] = []
  let text = ''
  let colons = 0
  let at = 0
  while (at < source.length) {
    const special = rules.variables && source[at] === '$' ? variableAt(source, at) : null
    const wild = rules.wildcards ? wildcardAt(source, at, colons, rules.arn) : null
    if (special?.text !== undefined) text += special.text
    else if (special?.part !== undefined || wild !== null) {
      if (text !== '') parts.push({ text })
      text = ''
      if (special?.part !== undefined) parts.push(special.part)
      else if (wild !== null) parts.push({ wild })
    } else {
      text += source[at]
      if (source[at] === ':') colons += 1
    }
    at = special?.end ?? at + 1
  }
  if (text !== '') parts.push({ text })
  return { source, parts, fixed: isPattern(parts) ? parts : null }
}

/**
 * The pattern for one request: what a variable stands for is taken as it is, a wildcard in it is
 * none. Null when the request has no value for a variable, or more than one.
 */
export function fillIn(template: Template, context: Values): Pattern | null {
  if (template.fixed !== null) return template.fixed
  const filled: Pattern[number][] = []
  for (const part of template.parts) {
    if (!('variable' in part)) filled.push(part)
    else {
      const values = context.get(part.variable.key) ?? []
      const text =
        values.length === 0 ? part.variable.fallback : values.length === 1 ? values[0] : null
      if (text === null || text === undefined) return null
      filled.push({ text })
    }
  }
  return filled
}

/** Case counts: lower both for what ignores it. Time is at most parts × length of the text. */
export function matches(pattern: Pattern, text: string): boolean {
  const first = pattern[0]
  const last = pattern.at(-1)
  if (first === undefined || last === undefined) return text === ''
  // Most patterns are decided by their ends, without a list of places.
  const start = 'text' in first ? first.text : ''
  if (!text.startsWith(start)) return false
  if ('text' in last && !text.endsWith(last.text)) return false
  // Where in the text the rest of the pattern may start: ascending, both ends included.
  let places: Range[] = [[start.length, start.length]]
  for (let i = start === '' ? 0 : 1; i < pattern.length; i += 1) {
    const part = pattern[i] as Pattern[number]
    if (i === pattern.length - 1 && 'wild' in part && part.wild === '*') return true
    places = after(part, text, places)
    if (places.length === 0) return false
  }
  return places.at(-1)?.[1] === text.length
}

type Range = readonly [from: number, to: number]

function after(part: Pattern[number], text: string, places: readonly Range[]): Range[] {
  if ('text' in part) return afterText(part.text, text, places)
  const end = text.length
  switch (part.wild) {
    case '*':
      return [[places[0]?.[0] ?? end, end]]
    case '*:':
      return merged(places.map(([from, to]) => [from, colonFrom(text, to)]))
    case '?':
      return merged(places.map(([from, to]) => [from + 1, Math.min(to + 1, end)]))
    case '?:':
      return merged(
        places
          .flatMap(([from, to]) => steps(from, Math.min(to, end - 1)))
          .filter((at) => text[at] !== ':')
          .map((at) => [at + 1, at + 1]),
      )
    default:
      return never(part.wild)
  }
}

function afterText(wanted: string, text: string, places: readonly Range[]): Range[] {
  const found: Range[] = []
  for (const [from, to] of places) {
    if (from === to) {
      if (text.startsWith(wanted, from)) found.push([from + wanted.length, from + wanted.length])
      continue
    }
    let at = text.indexOf(wanted, from)
    while (at >= 0 && at <= to) {
      found.push([at + wanted.length, at + wanted.length])
      at = text.indexOf(wanted, at + 1)
    }
  }
  return found
}

function colonFrom(text: string, at: number): number {
  const colon = text.indexOf(':', at)
  return colon < 0 ? text.length : colon
}

function steps(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
}

/** Without empty ones, and those that meet or overlap as one. */
function merged(ranges: readonly Range[]): Range[] {
  const whole: [number, number][] = []
  for (const [from, to] of ranges) {
    if (from > to) continue
    const last = whole.at(-1)
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else whole.push([from, to])
  }
  return whole
}

function variableAt(
  source: string,
  at: number,
): { text?: string; part?: { variable: Variable }; end: number } | null {
  ESCAPE.lastIndex = at
  const literal = ESCAPE.exec(source)
  if (literal !== null) return { text: literal[1] ?? '', end: ESCAPE.lastIndex }
  VARIABLE.lastIndex = at
  const found = VARIABLE.exec(source)
  if (found === null) return null
  const [, key = '', fallback] = found
  const variable = { key: key.toLowerCase(), fallback: fallback?.replaceAll("''", "'") ?? null }
  return { part: { variable }, end: VARIABLE.lastIndex }
}

function wildcardAt(
  source: string,
  at: number,
  colons: number,
  arn: TemplateRules['arn'],
): Wildcard | null {
  const mark = source[at]
  if (mark !== '*' && mark !== '?') return null
  const endsPart = at + 1 === source.length || source[at + 1] === ':'
  const crosses =
    arn === undefined ||
    (arn === 'resource' && mark === '*' && endsPart) ||
    (arn === 'condition' && colons >= ARN_COLONS)
  return crosses ? mark : `${mark}:`
}

function isPattern(parts: readonly Part[]): parts is Pattern {
  return parts.every((part) => !('variable' in part))
}
