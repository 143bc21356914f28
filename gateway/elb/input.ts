// What the handlers do with inputs: names, what is not had, tags.

import { ApiError } from '../aws/api-error.ts'
import { badConfiguration, invalid } from './errors.ts'

export type Tags = Readonly<Record<string, string>>

/** As the SDK has them. */
export interface Tag {
  readonly Key?: string | undefined
  readonly Value?: string | undefined
}

const MAX_NAME = 32
const MAX_TAGS = 50
const MAX_KEY_CHARS = 128
const MAX_VALUE_CHARS = 256
/** Cloud's own tags begin so. */
const RESERVED = /^aws:/i

/** `what` begins the sentence of a refusal: `Load balancer name`. */
export function checkName(what: string, name: string): string {
  if (name.length === 0) throw invalid(`${what} cannot be empty`)
  if (name.length > MAX_NAME) {
    throw invalid(`${what} '${name.slice(0, 200)}' cannot be longer than '${MAX_NAME}' characters`)
  }
  if (!/^[a-zA-Z0-9-]+$/.test(name)) {
    throw invalid(
      `${what} '${name}' can only contain characters that are alphanumeric characters and hyphens(-)`,
    )
  }
  if (/^-|-$/.test(name)) throw invalid(`${what} '${name}' cannot begin or end with a hyphen(-)`)
  return name
}

/**
 * Refuses every member that is neither in `known` nor has a value that changes nothing: what a
 * handler would ignore although the caller counts on it.
 */
export function refuseUnknown(
  input: object,
  known: ReadonlySet<string>,
  harmless: ReadonlyMap<string, readonly unknown[]> = new Map(),
): void {
  for (const [name, value] of Object.entries(input)) {
    if (known.has(name) || isAbsent(value)) continue
    if (harmless.get(name)?.some((one) => JSON.stringify(one) === JSON.stringify(value))) continue
    const shown = typeof value === 'object' ? '' : ` with the value '${String(value)}'`
    throw badConfiguration(`This cloud does not have ${name}${shown}`)
  }
}

function isAbsent(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isAbsent)
  return value === undefined || value === null || value === ''
}

/** The tags of a request. Throws for keys and values that no resource may have. */
export function parseTags(list: readonly Tag[] | undefined): Tags {
  const tags = new Map<string, string>()
  for (const { Key: key = '', Value: value = '' } of list ?? []) {
    if (key === '' || [...key].length > MAX_KEY_CHARS) {
      throw invalid(`Tag keys must have 1 to ${MAX_KEY_CHARS} characters`)
    }
    if ([...value].length > MAX_VALUE_CHARS) {
      throw invalid(`Tag value of '${key}' has more than ${MAX_VALUE_CHARS} characters`)
    }
    if (RESERVED.test(key)) throw invalid(`Tag key '${key}' is reserved: it begins with aws:`)
    if (tags.has(key)) {
      throw new ApiError('DuplicateTagKeys', `Tag key '${key}' was specified more than once`)
    }
    tags.set(key, value)
  }
  return mergeTags({}, Object.fromEntries(tags))
}

/** `more` on top of `tags`. Throws TooManyTags. */
export function mergeTags(tags: Tags, more: Tags): Tags {
  const merged = Object.fromEntries([...Object.entries(tags), ...Object.entries(more)])
  const count = Object.keys(merged).length
  if (count <= MAX_TAGS) return merged
  const text = `A resource may have ${MAX_TAGS} tags; this request makes it ${count}`
  throw new ApiError('TooManyTags', text)
}

export function shownTags(tags: Tags): { Key: string; Value: string }[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
}
