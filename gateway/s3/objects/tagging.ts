// The tags of an object, which change without a new version.

import { noted } from '../events/notes.ts'
import type { ObjectEntry } from '../index/objects.ts'
import type { S3Call, S3Handlers } from '../wire/call.ts'
import { checkVersionId, findObject, missing } from './find.ts'
import { askedOf, type ObjectParts, versionShown } from './parts.ts'
import { objectTags } from './properties.ts'

interface Input {
  readonly Key?: string | undefined
  readonly VersionId?: string | undefined
}

export function objectTaggingHandlers(parts: ObjectParts): S3Handlers {
  return {
    GetObjectTagging: async (call) => {
      const asked = askedOf(call)
      const { version } = await findObject(parts, asked, call.input.VersionId, call.allows)
      const TagSet = Object.entries(version.tags ?? {}).map(([Key, Value]) => ({ Key, Value }))
      return { output: { TagSet, ...shownId(call, version) } }
    },

    PutObjectTagging: async (call) => {
      const tags = objectTags(call.input.Tagging?.TagSet ?? [])
      return { output: shownId(call, await tag(parts, call, tags)) }
    },

    DeleteObjectTagging: async (call) => ({
      output: shownId(call, await tag(parts, call, undefined)),
    }),
  }
}

async function tag(
  { index }: ObjectParts,
  call: S3Call<Input>,
  tags: ObjectEntry['tags'],
): Promise<ObjectEntry> {
  const asked = askedOf(call)
  const { VersionId } = call.input
  if (VersionId !== undefined) checkVersionId(VersionId)
  const refuse = (marker: ObjectEntry | null) => missing(asked, VersionId, marker, call.allows)
  const { note } = noted(call, tags === undefined ? 'untag' : 'tag', asked.key)
  const change = (version: ObjectEntry): ObjectEntry => {
    if (version.isDeleteMarker) throw refuse(version)
    const { tags: _, ...rest } = version
    return { ...rest, ...(tags !== undefined && { tags }) }
  }
  const amended = await index.amend(asked.bucket.id, asked.key, VersionId ?? null, change, note)
  if (amended === null) throw refuse(null)
  return amended
}

function shownId(
  call: Pick<S3Call<Input>, 'bucket' | 'input'>,
  version: ObjectEntry,
): { VersionId?: string } {
  const id = versionShown(askedOf(call).bucket, version)
  return id === undefined ? {} : { VersionId: id }
}
