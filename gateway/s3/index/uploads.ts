// Uploads in parts. A part that takes another one's place rewrites the upload's row, and a complete
// or an abort deletes it: so no part changes between its being looked at and its being used.

import type { Store } from '../../store/store.ts'
import type { Commits, Draft, IndexParts } from './commits.ts'
import { discard, referenceOf, type StoredVersion } from './garbage.ts'
import {
  isUploadId,
  partKey,
  partPrefix,
  uploadIdAt,
  uploadKey,
  uploadPrefix,
  uploadsEnd,
} from './keys.ts'
import type {
  CompleteOptions,
  Listed,
  ObjectVersion,
  Upload,
  UploadIndex,
  UploadListOptions,
  UploadPart,
} from './objects.ts'
import { noteDown } from './outbox.ts'
import { readVersion } from './reading.ts'
import { claim } from './sharing.ts'
import type { Place } from './versions.ts'
import { checkKey, checkPieces, mustBeOpen, putObject } from './writing.ts'

/** Numbers of parts go from 1 to this (AWS' quota). */
export const MAX_PARTS = 10_000

export function createUploads(parts: IndexParts, commits: Commits): UploadIndex {
  const { store, clock, randomHex, counting } = parts
  const about = ({ bucket, key }: Place): string => `${bucket}/${key}`
  return {
    create: async (fields) => {
      checkKey(fields.key)
      return await commits.commit(about(fields), async (draft) => {
        const nowMs = clock.nowMs()
        await mustBeOpen(draft, fields.bucket, nowMs)
        const uploadId = uploadIdAt(nowMs, randomHex)
        const upload: Upload = { ...fields, uploadId, createdAtMs: nowMs }
        draft.put(uploadKey(fields.bucket, fields.key, uploadId), upload)
        return upload
      })
    },
    get: async (bucket, key, uploadId) => {
      if (!isUploadId(uploadId)) return null
      const row = await store.get(uploadKey(bucket, key, uploadId))
      return row === null ? null : JSON.parse(row.value)
    },
    putPart: async (bucket, key, uploadId, part) => {
      checkNumber(part.number)
      if (!isUploadId(uploadId)) return null
      return await commits.commit(`${uploadId}/${part.number}`, async (draft) => {
        const upload = await draft.read<Upload>(uploadKey(bucket, key, uploadId))
        if (upload === null) return null
        const nowMs = clock.nowMs()
        const at = partKey(uploadId, part.number)
        const before = await draft.read<UploadPart>(at)
        const claimed = await claim(draft, part, { bucket, key }, randomHex)
        if (before !== null) {
          discard(draft, { blobs: [referenceOf(before)] }, nowMs, randomHex)
          draft.put(uploadKey(bucket, key, uploadId), upload)
        }
        const taken: UploadPart = { ...claimed, modifiedAtMs: nowMs }
        draft.put(at, taken)
        draft.count(bucket, part.sizeBytes - (before?.sizeBytes ?? 0), 0)
        return taken
      })
    },
    parts: (uploadId, options) => listParts(store, uploadId, options),
    complete: (bucket, key, uploadId, options) =>
      complete(parts, commits, { bucket, key }, uploadId, options),
    abort: async (bucket, key, uploadId) => {
      if (!isUploadId(uploadId)) return false
      const at = uploadKey(bucket, key, uploadId)
      return await commits.commit(about({ bucket, key }), async (draft) => {
        if ((await draft.read<Upload>(at)) === null) return false
        draft.delete(at)
        discard(draft, { upload: { bucket, id: uploadId } }, clock.nowMs(), randomHex)
        if (counting?.isCounted(bucket) === true) {
          draft.count(bucket, -bytesIn(await allParts(store, uploadId)), 0)
        }
        return true
      })
    },
    list: (bucket, options) => listUploads(store, bucket, options),
  }
}

async function complete(
  { store, clock, randomHex, outbox }: IndexParts,
  commits: Commits,
  place: Place,
  uploadId: string,
  options: CompleteOptions,
): Promise<ObjectVersion | null> {
  if (!isUploadId(uploadId)) return null
  const { bucket, key } = place
  const at = uploadKey(bucket, key, uploadId)
  const attempt = async (draft: Draft): Promise<ObjectVersion | null> => {
    const upload = await draft.read<Upload>(at)
    if (upload === null) return null
    const uploaded = await allParts(store, uploadId)
    const object = options.build(upload, uploaded)
    checkPieces(object)
    const moment = { nowMs: clock.nowMs(), randomHex }
    const { version } = await putObject(draft, object, options, moment, uploadId)
    draft.delete(at)
    discard(draft, { upload: { bucket, id: uploadId } }, moment.nowMs, randomHex)
    draft.count(bucket, -bytesIn(uploaded), 0)
    noteDown(draft, outbox, options.note, { entry: version, isMarked: false }, moment)
    return version
  }
  const version = await commits.commit(`${bucket}/${key}`, attempt)
  return version ?? (await cameOf(store, place, uploadId))
}

/** What an upload that has ended was made into, when that is still the current version. */
async function cameOf(store: Store, place: Place, uploadId: string): Promise<ObjectVersion | null> {
  const found = await readVersion(store, place, null, { withBytes: false })
  const stored: StoredVersion | undefined = found?.version
  return stored?.manifestId === uploadId ? (found?.version ?? null) : null
}

function bytesIn(parts: readonly UploadPart[]): number {
  return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

async function listParts(
  store: Store,
  uploadId: string,
  { after, limit }: { after: number; limit: number },
): Promise<Listed<UploadPart>> {
  if (!isUploadId(uploadId)) return { entries: [], more: false }
  const page = await store.list(partPrefix(uploadId), { after: partKey(uploadId, after), limit })
  return { entries: page.entries.map(({ value }) => JSON.parse(value)), more: page.more }
}

async function allParts(store: Store, uploadId: string): Promise<UploadPart[]> {
  const all: UploadPart[] = []
  for (let more = true; more; ) {
    const page = await listParts(store, uploadId, { after: all.at(-1)?.number ?? 0, limit: 1_000 })
    all.push(...page.entries)
    more = page.more
  }
  return all
}

async function listUploads(
  store: Store,
  bucket: string,
  { prefix, afterKey, afterUpload, limit }: UploadListOptions,
): Promise<Listed<Upload>> {
  const after =
    afterUpload === null
      ? uploadsEnd(bucket, afterKey)
      : uploadKey(bucket, afterKey, isUploadId(afterUpload) ? afterUpload : '')
  const page = await store.list(uploadPrefix(bucket, prefix), {
    ...(afterKey === '' ? {} : { after }),
    limit,
  })
  return { entries: page.entries.map(({ value }) => JSON.parse(value)), more: page.more }
}

function checkNumber(number: number): void {
  if (Number.isInteger(number) && number >= 1 && number <= MAX_PARTS) return
  throw new RangeError(`part number ${number} is not from 1 to ${MAX_PARTS}`)
}
