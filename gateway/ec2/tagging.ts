// Tags of one resource: what is allowed (EC2 user guide, "Tag restrictions"), how they are kept and
// shown. A key is data: it never becomes the name of a property that is looked up.

import type { Tag, TagSpecification } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { TagsRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { resourceTypeOf, type TaggedKind } from './ids.ts'
import { unsupported } from './input.ts'
import { compareText } from './paging.ts'

export type Tags = ReadonlyMap<string, string>

const MAX_TAGS = 50
const MAX_KEY_CHARS = 128
const MAX_VALUE_CHARS = 256
const RESERVED = /^aws:/i

export interface TagOwner {
  readonly kind: TaggedKind
  readonly id: string
  readonly account: string
}

/** The tags of a request. Throws for keys and values that no resource may have. */
export function parseTags(tags: readonly Tag[]): Map<string, string> {
  const parsed = new Map<string, string>()
  for (const { Key: key = '', Value: value = '' } of tags) {
    checkKey(key)
    if ([...value].length > MAX_VALUE_CHARS) {
      throw bad(`Tag value exceeds the maximum length of ${MAX_VALUE_CHARS} characters`)
    }
    if (parsed.has(key)) throw bad(`Duplicate tag key '${key}' specified.`)
    parsed.set(key, value)
  }
  checkCount(parsed.size)
  return parsed
}

export function checkKey(key: string): void {
  if (key === '') throw bad('Tag keys must have at least one character')
  if ([...key].length > MAX_KEY_CHARS) {
    throw bad(`Tag key exceeds the maximum length of ${MAX_KEY_CHARS} characters`)
  }
  if (RESERVED.test(key)) {
    throw bad("Tag keys starting with 'aws:' are reserved for internal use")
  }
}

/** Is it a tag of the cloud's own making, which users neither set nor take away? */
export function isSystemTag(key: string): boolean {
  return RESERVED.test(key)
}

/**
 * TagSpecification.N of an action that makes `kinds`: the tags of each kind. `prefix`: of the ids
 * of what is made, where a kind has several.
 */
export function parseTagSpecifications<K extends TaggedKind>(
  specifications: readonly TagSpecification[] | undefined,
  kinds: readonly K[],
  prefix = '',
): ReadonlyMap<K, Tags> {
  const parsed = new Map<K, Tags>()
  for (const { ResourceType: type, Tags: tags } of specifications ?? []) {
    const kind = kinds.find((one) => resourceTypeOf(one, `${prefix}-`) === type)
    if (kind === undefined) {
      if (type === 'volume') throw unsupported('The resource type volume in TagSpecification')
      throw bad(`'${type ?? ''}' is not a valid taggable resource type for this operation.`)
    }
    if (parsed.has(kind)) throw bad(`Duplicate resource type '${type ?? ''}' specified.`)
    parsed.set(kind, parseTags(tags ?? []))
  }
  return parsed
}

/** Adds tags to what a resource has. Throws TagLimitExceeded past 50. */
export async function addTags(tx: Transaction, owner: TagOwner, tags: Tags): Promise<void> {
  if (tags.size === 0) return
  const has = tagsOf(await tx.get('tags', owner.id))
  for (const [key, value] of tags) has.set(key, value)
  // The cloud's own tags do not count.
  checkCount([...has.keys()].filter((key) => !isSystemTag(key)).length)
  await putTags(tx, owner, has)
}

/** Takes tags away: every one that `goes` says true of. */
export async function removeTags(
  tx: Transaction,
  owner: TagOwner,
  goes: (key: string, value: string) => boolean,
): Promise<void> {
  const record = await tx.get('tags', owner.id)
  if (record === null) return
  const left = [...tagsOf(record)].filter(([key, value]) => !goes(key, value))
  if (left.length === 0) await tx.delete('tags', owner.id)
  else await putTags(tx, owner, new Map(left))
}

export function tagsOf(record: TagsRecord | null): Map<string, string> {
  return new Map(Object.entries(record?.tags ?? {}))
}

/** A resource's tags by key. */
export function tagList(view: View, id: string): Tag[] {
  const tags = [...tagsOf(view.get('tags', id))]
  return tags.sort(([a], [b]) => compareText(a, b)).map(([Key, Value]) => ({ Key, Value }))
}

async function putTags(
  tx: Transaction,
  { kind, id, account }: TagOwner,
  tags: Tags,
): Promise<void> {
  await tx.put('tags', [id], {
    resource: id,
    resourceType: resourceTypeOf(kind, id),
    account,
    tags: Object.fromEntries(tags),
  })
}

function checkCount(count: number): void {
  if (count <= MAX_TAGS) return
  throw new ApiError(
    'TagLimitExceeded',
    `A resource may have ${MAX_TAGS} tags; this request makes it ${count}.`,
  )
}

function bad(message: string): ApiError {
  return new ApiError('InvalidParameterValue', message)
}
