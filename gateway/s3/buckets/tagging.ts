// The tags of a bucket (S3 API reference, "PutBucketTagging"): all at once, and by S3 Control one
// by one.

import type { S3Handlers } from '../wire/call.ts'
import type { ControlHandlers } from '../wire/control.ts'
import { S3Error } from '../wire/error.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'

interface Tag {
  readonly Key?: string | undefined
  readonly Value?: string | undefined
}

const MAX_TAGS = 50
const MAX_KEY = 128
const MAX_VALUE = 256
const TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

export function taggingHandlers(parts: BucketParts): S3Handlers {
  return {
    async GetBucketTagging(call) {
      const { name, tags } = bucketOf(call)
      if (tags === undefined) {
        const fields = { BucketName: name }
        throw new S3Error('NoSuchTagSet', 'The TagSet does not exist', 404, fields)
      }
      return { output: { TagSet: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) } }
    },

    async PutBucketTagging(call) {
      const tags = checkTags(call.input.Tagging?.TagSet ?? [])
      await changeBucket(parts, call, (bucket) => ({ ...bucket, tags }))
      return { output: {}, status: 204 }
    },

    async DeleteBucketTagging(call) {
      await changeBucket(parts, call, ({ tags: _, ...bucket }) => bucket)
      return { output: {} }
    },
  }
}

/** For whoever knows the bucket by its ARN. No tags are as many as none that were ever put. */
export function resourceTagHandlers(parts: BucketParts): ControlHandlers {
  return {
    async ListTagsForResource(call) {
      const { tags = {} } = bucketOf(call)
      return { output: { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) } }
    },

    async TagResource(call) {
      const given = checkTags(call.input.Tags)
      await changeBucket(parts, call, ({ tags = {}, ...bucket }) => {
        const all = Object.entries({ ...tags, ...given })
        return { ...bucket, tags: checkTags(all.map(([Key, Value]) => ({ Key, Value }))) }
      })
      return { output: {}, status: 204 }
    },

    async UntagResource(call) {
      const gone = new Set(call.input.TagKeys)
      await changeBucket(parts, call, ({ tags = {}, ...bucket }) => {
        const left = Object.entries(tags).filter(([key]) => !gone.has(key))
        return { ...bucket, ...(left.length > 0 && { tags: Object.fromEntries(left) }) }
      })
      return { output: {}, status: 204 }
    },
  }
}

/** Throws InvalidTag, BadRequest. A key is data: also `__proto__` is one. */
export function checkTags(list: readonly Tag[]): Readonly<Record<string, string>> {
  if (list.length > MAX_TAGS) {
    const message = `Bucket tag count cannot be greater than ${MAX_TAGS}`
    throw new S3Error('BadRequest', message, 400)
  }
  const seen = new Set<string>()
  const tags = list.map(({ Key: key = '', Value: value = '' }) => {
    const isKey = key !== '' && [...key].length <= MAX_KEY && TEXT.test(key)
    if (!isKey) throw invalidTag('The TagKey you have provided is invalid', key)
    if ([...value].length > MAX_VALUE || !TEXT.test(value)) {
      throw invalidTag('The TagValue you have provided is invalid', key)
    }
    if (/^aws:/i.test(key))
      throw invalidTag('System tags cannot be added/updated by requester', key)
    if (seen.has(key)) throw invalidTag('Cannot provide multiple Tags with the same key', key)
    seen.add(key)
    return [key, value] as const
  })
  return Object.fromEntries(tags)
}

function invalidTag(message: string, key: string): S3Error {
  return new S3Error('InvalidTag', message, 400, { TagKey: key.slice(0, MAX_KEY) })
}
