// What names, paths, tags and texts of IAM may be (IAM user guide, "IAM and AWS STS quotas").

import { ApiError } from '../aws/api-error.ts'
import { invalid, limitExceeded, unsatisfied } from './errors.ts'

/** As the SDK has them. */
export interface Tag {
  readonly Key?: string | undefined
  readonly Value?: string | undefined
}
export type Tags = Readonly<Record<string, string>>

const MAX_TAGS = 50
const MAX_PATH = 512
const MAX_DESCRIPTION = 1_000
const NAME = /^[\w+=,.@-]+$/
const PATH = /^\/(?:[\u0021-\u007e]+\/)?$/
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u
/** Newlines and tabs, and what Latin-1 can show. */
const DESCRIPTION = /^[\t\n\r -~\u00a1-\u00ff]*$/

export type Named = 'userName' | 'roleName' | 'groupName' | 'policyName' | 'instanceProfileName'

const MAX_NAME: Readonly<Record<Named, number>> = {
  userName: 64,
  roleName: 64,
  groupName: 128,
  policyName: 128,
  instanceProfileName: 128,
}

/** Throws ValidationError for a name that nothing can have. */
export function checkName(parameter: Named, name: string | undefined): string {
  if (name === undefined) throw invalid(`The request must contain the parameter ${parameter}`)
  if (name === '') throw unsatisfied(parameter, name, 'have length greater than or equal to 1')
  const most = MAX_NAME[parameter]
  if (name.length > most) {
    throw unsatisfied(parameter, name, `have length less than or equal to ${most}`)
  }
  if (NAME.test(name)) return name
  throw invalid(
    `The specified value for ${parameter} is invalid. It must contain only alphanumeric characters ` +
      'and/or the following: +=,.@_-',
  )
}

/** `/` when there is none. */
export function checkPath(path = '/'): string {
  if (path.length > MAX_PATH) {
    throw unsatisfied('path', path, `have length less than or equal to ${MAX_PATH}`)
  }
  if (PATH.test(path) && !path.includes('//')) return path
  throw invalid(
    'The specified value for path is invalid. It must begin and end with / and contain only ' +
      'alphanumeric characters and/or / characters.',
  )
}

/** A prefix of paths, with or without its last slash. */
export function checkPathPrefix(prefix = '/'): string {
  if (/^\/[\u0021-\u007e]*$/.test(prefix) && prefix.length <= MAX_PATH) return prefix
  throw invalid('The specified value for pathPrefix is invalid. It must begin with /.')
}

export function checkDescription(text = ''): string {
  if (text.length > MAX_DESCRIPTION) {
    const constraint = `have length less than or equal to ${MAX_DESCRIPTION}`
    throw unsatisfied('description', text, constraint)
  }
  if (!DESCRIPTION.test(text)) {
    throw unsatisfied('description', text, 'satisfy regular expression pattern: [\\u0009-\\u00FF]*')
  }
  return text
}

/** The tags of a request. Throws InvalidInput for a key that is there twice. */
export function checkTags(list: readonly Tag[] = []): Tags {
  const tags: [string, string][] = []
  const seen = new Set<string>()
  for (const { Key: key = '', Value: value = '' } of list) {
    checkTagKey(key)
    if ([...value].length > 256) {
      throw unsatisfied('tags.member.value', value, 'have length less than or equal to 256')
    }
    if (!TAG_TEXT.test(value)) throw invalid(`Invalid tag value: ${value}`)
    // Keys of one user or role are told apart whatever their case.
    const lower = key.toLowerCase()
    if (seen.has(lower)) {
      const message = 'Duplicate tag keys found. Please note that Tag keys are case insensitive.'
      throw new ApiError('InvalidInput', message)
    }
    seen.add(lower)
    tags.push([key, value])
  }
  return tagsOf(tags)
}

export function checkTagKey(key: string): void {
  if (key === '' || [...key].length > 128) {
    throw unsatisfied('tags.member.key', key, 'have length from 1 to 128')
  }
  if (/^aws:/i.test(key)) {
    throw new ApiError('InvalidInput', 'Keys that start with aws: are reserved for system use')
  }
  if (!TAG_TEXT.test(key)) throw invalid(`Invalid tag key: ${key}`)
}

/** `more` on top of `tags`. Throws LimitExceeded. */
export function mergeTags(tags: Tags, more: Tags): Tags {
  const replaced = new Set(Object.keys(more).map((key) => key.toLowerCase()))
  const kept = Object.entries(tags).filter(([key]) => !replaced.has(key.toLowerCase()))
  const merged = [...kept, ...Object.entries(more)]
  if (merged.length > MAX_TAGS) throw limitExceeded('TagsPerResource', MAX_TAGS)
  return tagsOf(merged)
}

export function withoutTags(tags: Tags, keys: readonly string[]): Tags {
  const gone = new Set(keys.map((key) => key.toLowerCase()))
  return tagsOf(Object.entries(tags).filter(([key]) => !gone.has(key.toLowerCase())))
}

/** A key is data: also `__proto__` is one. */
function tagsOf(entries: readonly (readonly [string, string])[]): Tags {
  return Object.fromEntries(entries)
}

export function shownTags(tags: Tags): { Key: string; Value: string }[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
}
