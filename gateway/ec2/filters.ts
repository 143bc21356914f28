// Filters of Describe calls: the values of one are or-ed, filters are and-ed, all case-sensitive;
// * is any run of characters, ? any one, a backslash makes the next character plain.

import type { Filter, Tag } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'

type Value = string | number | boolean | null | undefined

/** What a filter of a name compares with; nothing for a thing that has no such value. */
export type Field<T> = (thing: T) => Value | readonly Value[]

export interface Filterable<T> {
  /** By filter name, as the API reference of the action lists them. */
  readonly fields: Readonly<Record<string, Field<T>>>
  /** For `tag:KEY` and `tag-key`; absent when the things have no tags. */
  readonly tags?: (thing: T) => readonly Tag[] | undefined
}

/** Values in one request (EC2 user guide, "Filter your resources"). */
const MAX_VALUES = 200

/** `fields` of names that AWS documents and nothing here has: no value matches. */
export function absent(...names: readonly string[]): Record<string, Field<unknown>> {
  return Object.fromEntries(names.map((name) => [name, () => null]))
}

/** Throws InvalidParameterValue for unknown filters, FilterLimitExceeded for too many values. */
export function matching<T>(
  things: readonly T[],
  filters: readonly Filter[] | undefined,
  filterable: Filterable<T>,
): T[] {
  return things.filter(matcher(filters, filterable))
}

/** What one thing is asked. Throws as `matching` does. */
export function matcher<T>(
  filters: readonly Filter[] | undefined,
  filterable: Filterable<T>,
): (thing: T) => boolean {
  const tests = (filters ?? []).map((filter) => testOf(filter, filterable))
  const count = (filters ?? []).reduce((sum, filter) => sum + (filter.Values?.length ?? 0), 0)
  if (count > MAX_VALUES) {
    throw new ApiError(
      'FilterLimitExceeded',
      `The request has ${count} filter values; at most ${MAX_VALUES} are allowed.`,
    )
  }
  return (thing) => tests.every((test) => test(thing))
}

function testOf<T>(filter: Filter, filterable: Filterable<T>): (thing: T) => boolean {
  const name = filter.Name ?? ''
  const field = fieldOf(name, filterable)
  if (field === null) {
    throw new ApiError('InvalidParameterValue', `The filter '${name}' is invalid`)
  }
  if (filter.Values === undefined || filter.Values.length === 0) {
    throw new ApiError('InvalidParameterValue', `The filter '${name}' has no value`)
  }
  const patterns = filter.Values.map(parsePattern)
  return (thing) =>
    texts(field(thing)).some((text) => patterns.some((pattern) => matches(pattern, text)))
}

function fieldOf<T>(name: string, { fields, tags }: Filterable<T>): Field<T> | null {
  if (Object.hasOwn(fields, name)) return fields[name] ?? null
  if (tags === undefined) return null
  if (name === 'tag-key') return (thing) => tags(thing)?.map((tag) => tag.Key)
  if (!name.startsWith('tag:')) return null
  const key = name.slice('tag:'.length)
  return (thing) => tags(thing)?.find((tag) => tag.Key === key)?.Value
}

function texts(value: Value | readonly Value[]): string[] {
  const list = Array.isArray(value) ? (value as readonly Value[]) : [value as Value]
  return list.filter((one) => one !== null && one !== undefined).map(String)
}

type Part = { readonly plain: string } | 'one' | 'many'

function parsePattern(text: string): Part[] {
  const parts: Part[] = []
  let escaped = false
  for (const character of text) {
    if (!escaped && character === '\\') escaped = true
    else {
      if (!escaped && character === '*') parts.push('many')
      else if (!escaped && character === '?') parts.push('one')
      else parts.push({ plain: character })
      escaped = false
    }
  }
  return escaped ? [...parts, { plain: '\\' }] : parts
}

/** Remembers only the last `*`: time grows with pattern times text, never exponentially. */
function matches(pattern: readonly Part[], text: string): boolean {
  const characters = [...text]
  let at = 0
  let p = 0
  let star = -1
  let starAt = 0
  while (at < characters.length) {
    const part = pattern[p]
    if (part === 'many') {
      star = p
      starAt = at
      p += 1
    } else if (part === 'one' || (part !== undefined && part.plain === characters[at])) {
      p += 1
      at += 1
    } else if (star >= 0) {
      starAt += 1
      at = starAt
      p = star + 1
    } else return false
  }
  return pattern.slice(p).every((part) => part === 'many')
}
