// The tags of an object, which change without a new version.

import { tagKeys } from '../../iam/s3-requests.ts'
import { noted } from '../events/notes.ts'
import type { ObjectEntry } from '../index/objects.ts'
import type { S3Call, S3Handlers } from '../wire/call.ts'
import { denied } from '../wire/error.ts'
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
      const { version } = await findObject(parts, asked, call.input.VersionId, call)
      const TagSet = Object.entries(version.tags ?? {}).map(([Key, Value]) => ({ Key, Value }))
      return { output: { TagSet, ...shownId(call, version) } }
    },

    PutObjectTagging: async (call) => {
      const tags = objectTags(call.input.Tagging?.TagSet ?? [])
      await mayTag(parts, call, tags)
      return { output: shownId(call, await tag(parts, call, tags)) }
    },

    DeleteObjectTagging: async (call) => ({
      output: shownId(call, await tag(parts, call, undefined)),
    }),
  }
}

/** Which tags are given decides, and which there are. Throws AccessDenied. */
async function mayTag(
  parts: ObjectParts,
  call: S3Call<Input>,
  tags: ObjectEntry['tags'],
): Promise<void> {
  const asked = askedOf(call)
  const { VersionId } = call.input
  const action = `s3:PutObject${VersionId === undefined ? '' : 'Version'}Tagging`
  const keys = tagKeys(Object.entries(tags ?? {}))
  if (VersionId !== undefined) keys.set('s3:versionid', [VersionId])
  const { version } = await findObject(parts, asked, VersionId, call)
  if (!call.allows(action, asked.bucket, asked.key, keys, version)) throw denied()
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
    call.mayStill?.(version)
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
