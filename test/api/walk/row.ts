// What a walk is made of: calls in their order, as data, with what must stand in each answer. Texts
// may hold <names> of what earlier answers said.

import assert from 'node:assert/strict'
import type { ServiceName } from '../../../gateway/aws/model.ts'

export type Value = string | number | boolean | null

export interface More {
  /**
   * Paths into the answer and what one of the things there is; `*` stands for every item of a list,
   * `length` for how many there are. '*' is anything, '~…' a pattern, null that nothing is there.
   */
  readonly want?: Readonly<Record<string, Value>>
  /**
   * Names for what stands first at those paths, or for the part of it that the pattern after ` ~`
   * finds; of a refusal, for what a pattern finds in its sentence.
   */
  readonly keep?: Readonly<Record<string, string>>
  /** The code that it must be refused with. */
  readonly refused?: string
  /** Asked again until the answer is as wanted. */
  readonly until?: true
  /** A waiter of boto3's name, which asks the action itself. */
  readonly wait?: string
  /** What the aws CLI is asked with instead of the whole input: its own kinds of arguments. */
  readonly argv?: readonly string[]
  /** Instead of the account's root: access key id, secret, session token. */
  readonly as?: readonly string[]
}

export type Row = readonly [action: string, input: object, more?: More]

export interface Step {
  readonly service: ServiceName
  readonly action: string
  readonly input: object
  readonly more: More
}

export type Names = Map<string, string>

export function steps(service: ServiceName, ...parts: readonly (readonly Row[])[]): Step[] {
  return parts.flat().map(([action, input, more = {}]) => ({ service, action, input, more }))
}

/** The same with every <name> in its texts replaced. Throws RangeError for an unknown one. */
export function filled<T>(value: T, names: Names): T {
  if (typeof value === 'string') {
    return value.replaceAll(/<([a-zA-Z0-9]+)>/g, (_, name: string) => {
      const known = names.get(name)
      if (known === undefined) throw new RangeError(`nothing is known of <${name}>`)
      return known
    }) as T
  }
  if (Array.isArray(value)) return value.map((one) => filled(one, names)) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([k, one]) => [k, filled(one, names)])) as T
}

/** Throws AssertionError that shows the answer when something is not as wanted. */
export function check(answer: unknown, want: Readonly<Record<string, Value>>): void {
  for (const [path, value] of Object.entries(want)) {
    const found = at(answer, path)
    const fits = value === null ? found.length === 0 : found.some((one) => isLike(one, value))
    assert.ok(fits, `${path} is ${JSON.stringify(found)}, not ${value}, in ${shown(answer)}`)
  }
}

/** Everything that is at a path. */
export function at(answer: unknown, path: string): unknown[] {
  let found: unknown[] = [answer]
  for (const name of path.split('.')) {
    found = found.flatMap((one) => {
      if (name === '*') return Array.isArray(one) ? one : []
      if (typeof one !== 'object' || one === null) return []
      return [(one as Record<string, unknown>)[name]]
    })
  }
  return found.filter((one) => one !== undefined && one !== null)
}

function isLike(found: unknown, value: Value): boolean {
  if (value === '*') return found !== ''
  if (typeof value === 'string' && value.startsWith('~')) {
    return new RegExp(value.slice(1)).test(String(found))
  }
  return found === value
}

function shown(answer: unknown): string {
  const text = JSON.stringify(answer)
  return text.length > 2_000 ? `${text.slice(0, 2_000)}…` : text
}
