// The index of objects over a store of its own (see objects.ts for what it promises).

import type { Store } from '../../store/store.ts'
import { Commits, type IndexParts } from './commits.ts'
import { closedKey, markerKey, objectKey, versionPrefix } from './keys.ts'
import { listObjects, listVersions } from './listing.ts'
import type {
  Note,
  ObjectEntry,
  ObjectIndex,
  Removed,
  RemoveOptions,
  UploadIndex,
} from './objects.ts'
import { noteDown } from './outbox.ts'
import { readVersion } from './reading.ts'
import { putVersionRows } from './relocate.ts'
import { createUploads } from './uploads.ts'
import { headOf, type Place, removeVersion, versionAsked } from './versions.ts'
import { type Closed, checkKey, checkPieces, mustBeOpen, putObject } from './writing.ts'

const ABORT_PAGE = 100

/** The caller opens and closes the store, which holds nothing else. */
export function createObjectIndex(parts: IndexParts): ObjectIndex {
  const { store, clock, randomHex, outbox } = parts
  const commits = new Commits(parts)
  const uploads = createUploads(parts, commits)
  return {
    current: async (bucket, key) =>
      (await readVersion(store, { bucket, key }, null, { withBytes: false }))?.version ?? null,
    version: async (bucket, key, versionId) =>
      (await readVersion(store, { bucket, key }, versionId, { withBytes: false }))?.version ?? null,
    read: (bucket, key, versionId) =>
      readVersion(store, { bucket, key }, versionId, { withBytes: true }),
    put: async (object, options) => {
      checkKey(object.key)
      checkPieces(object)
      if (object.parts.length > 1) throw new RangeError('an object that is put has one part')
      return await commits.commit(about(object), async (draft) => {
        const moment = { nowMs: clock.nowMs(), randomHex }
        const put = await putObject(draft, object, options, moment, null)
        noteDown(draft, outbox, options.note, { entry: put.version, isMarked: false }, moment)
        return put
      })
    },
    remove: (bucket, key, options) => remove(parts, commits, { bucket, key }, options),
    amend: (bucket, key, versionId, change, note) =>
      amend(parts, commits, { bucket, key }, versionId, { change, note }),
    list: (bucket, options) => listObjects(store, bucket, options),
    listVersions: (bucket, options) => listVersions(store, bucket, options),
    isEmpty: (bucket) => isEmpty(store, bucket),
    retire: (bucket) => retire(parts, commits, uploads, bucket),
    reopen: async (bucket) => {
      await store.txn([], [{ del: closedKey(bucket) }])
    },
    uploads,
  }
}

function about({ bucket, key }: Place): string {
  return `${bucket}/${key}`
}

async function remove(
  { store, clock, randomHex, outbox }: IndexParts,
  commits: Commits,
  place: Place,
  options: RemoveOptions,
): Promise<Removed> {
  checkKey(place.key)
  const { versionId, check } = options
  return await commits.commit(about(place), async (draft) => {
    const moment = { nowMs: clock.nowMs(), randomHex }
    await mustBeOpen(draft, place.bucket, moment.nowMs)
    if (check !== undefined) {
      const { live, marker } = await headOf(draft, place)
      check(await versionAsked(draft, place, versionId), live ?? marker)
    }
    const done = await removeVersion(draft, store, place, options, moment)
    const entry = done.marker ?? done.removed
    const isMarked = done.marker !== null
    if (entry !== null) noteDown(draft, outbox, options.note, { entry, isMarked }, moment)
    return done
  })
}

interface Amendment {
  readonly change: (version: ObjectEntry) => ObjectEntry
  readonly note: Note | undefined
}

async function amend(
  { clock, randomHex, outbox }: IndexParts,
  commits: Commits,
  place: Place,
  versionId: string | null,
  { change, note }: Amendment,
): Promise<ObjectEntry | null> {
  return await commits.commit(about(place), async (draft) => {
    const { bucket, key } = place
    const head = await headOf(draft, place)
    const before = await versionAsked(draft, place, versionId)
    if (before === null) return null
    const { order, versionId: id, isDeleteMarker } = before
    const amended = { ...change(before), bucket, key, order, versionId: id, isDeleteMarker }
    putVersionRows(draft, amended, head)
    const moment = { nowMs: clock.nowMs(), randomHex }
    noteDown(draft, outbox, note, { entry: amended, isMarked: false }, moment)
    return amended
  })
}

async function isEmpty(store: Store, bucket: string): Promise<boolean> {
  const first = await Promise.all(
    [objectKey(bucket, ''), markerKey(bucket, ''), versionPrefix(bucket, '')].map((prefix) =>
      store.list(prefix, { limit: 1 }),
    ),
  )
  return first.every(({ entries }) => entries.length === 0)
}

async function retire(
  { store, clock }: IndexParts,
  commits: Commits,
  uploads: UploadIndex,
  bucket: string,
): Promise<boolean> {
  const at = closedKey(bucket)
  const sinceMs = clock.nowMs()
  const set = (closed: Closed | null) =>
    commits.commit(at, async (draft) => {
      const before = await draft.read<Closed>(at)
      if (before?.closed === true) return true
      // Whoever took it for given up and wrote has opened the bucket again.
      if (closed?.closed === true && before?.sinceMs !== sinceMs) return false
      if (closed === null) draft.delete(at)
      else draft.put(at, closed)
      return closed?.closed === true
    })
  if (await set({ sinceMs, closed: false })) return true
  if (!(await isEmpty(store, bucket))) return await set(null)
  if (!(await set({ sinceMs, closed: true }))) return false
  for (let more = true; more; ) {
    const page = await uploads.list(bucket, {
      ...{ prefix: '', afterKey: '', afterUpload: null },
      limit: ABORT_PAGE,
    })
    for (const { key, uploadId } of page.entries) await uploads.abort(bucket, key, uploadId)
    more = page.more
  }
  return true
}
