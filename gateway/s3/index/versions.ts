// How a key's versions change, within a transaction: what S3 says of buckets that keep versions, of
// those that do not, and of those that once did.
// Every change of which versions a key has writes the row of the current one, and reads it: so two
// changes of one key never pass each other by.

import type { Store } from '../../store/store.ts'
import type { Draft } from './commits.ts'
import { discardBytes, type Moment, type StoredVersion } from './garbage.ts'
import {
  markerKey,
  nullKey,
  objectKey,
  orderAfter,
  orderOf,
  versionIdOf,
  versionKey,
} from './keys.ts'
import { mustBeFree } from './locks.ts'
import { NULL_VERSION, type Removed, type RemoveOptions, type Versioning } from './objects.ts'

const PROMOTE_PAGE = 10

/** The key's current version; at most one of the two. */
interface Head {
  readonly live: StoredVersion | null
  readonly marker: StoredVersion | null
}

interface Removal extends Moment {
  readonly bypassesGovernance?: boolean | undefined
}

export interface Place {
  readonly bucket: string
  readonly key: string
}

export async function headOf(draft: Draft, { bucket, key }: Place): Promise<Head> {
  const [live, marker] = await Promise.all([
    draft.read<StoredVersion>(objectKey(bucket, key)),
    draft.read<StoredVersion>(markerKey(bucket, key)),
  ])
  return { live, marker }
}

/** The version of that id; null: the current one, which may be a delete marker. */
export async function versionAsked(
  draft: Draft,
  place: Place,
  versionId: string | null,
): Promise<StoredVersion | null> {
  if (versionId !== null) return await findVersion(draft, place, versionId)
  const { bucket, key } = place
  // At most one of the two is there: with the usual one the other need not be looked for.
  const live = await draft.read<StoredVersion>(objectKey(bucket, key))
  return live ?? (await draft.read<StoredVersion>(markerKey(bucket, key)))
}

/** A version by its id, of all that the key has. */
export async function findVersion(
  draft: Draft,
  place: Place,
  versionId: string,
): Promise<StoredVersion | null> {
  const { bucket, key } = place
  const { live, marker } = await headOf(draft, place)
  const newest = live ?? marker
  if (newest?.versionId === versionId) return newest
  const isNull = versionId === NULL_VERSION
  const order = isNull ? await draft.read<string>(nullKey(bucket, key)) : orderOf(versionId)
  if (order === null) return null
  const found = await draft.read<StoredVersion>(versionKey(bucket, key, order))
  return found?.versionId === versionId ? found : null
}

/** Makes `fresh` the current version, with an id and an order; returns what is gone for good. */
export async function makeCurrent(
  draft: Draft,
  fresh: Omit<StoredVersion, 'versionId' | 'order' | 'modifiedAtMs' | 'isKept'>,
  versioning: Versioning,
  moment: Moment,
): Promise<{ version: StoredVersion; replaced: StoredVersion | null }> {
  const { bucket, key, isDeleteMarker } = fresh
  const { nowMs, randomHex } = moment
  const head = await headOf(draft, fresh)
  const newest = head.live ?? head.marker
  const order = orderAfter(nowMs, newest?.order ?? null)
  const isNull = versioning !== 'enabled'
  const replaced = isNull ? await dropNull(draft, fresh, moment) : null
  if (head.live !== null && head.live.order !== replaced?.order) keep(draft, head.live)
  // Markers are kept always: the row of the current one is only where they are looked for.
  const isKept = !isNull || isDeleteMarker
  const version = {
    ...fresh,
    versionId: isNull ? NULL_VERSION : versionIdOf(order, randomHex),
    order,
    modifiedAtMs: nowMs,
    ...(isKept ? { isKept } : {}),
  }
  if (isKept) {
    draft.put(versionKey(bucket, key, order), version)
    if (isNull) draft.put(nullKey(bucket, key), order)
  }
  setCurrent(draft, version, head)
  if (!isDeleteMarker) draft.count(bucket, version.sizeBytes, 1)
  return { version, replaced }
}

/** Removes a version, or covers the key with a marker. `options.check` has been asked already. */
export async function removeVersion(
  draft: Draft,
  store: Store,
  place: Place,
  options: Pick<RemoveOptions, 'versionId' | 'versioning' | 'owner' | 'bypassesGovernance'>,
  moment: Moment,
): Promise<Removed> {
  const { versionId, versioning, owner, bypassesGovernance } = options
  const { live, marker } = await headOf(draft, place)
  const newest = live ?? marker
  if (versionId !== null) {
    const found = await findVersion(draft, place, versionId)
    if (found !== null) await remove(draft, store, found, { ...moment, bypassesGovernance })
    return { removed: found, marker: null }
  }
  const isPlain = newest === null || newest.versionId === NULL_VERSION
  if (versioning === 'off' && isPlain) {
    if (newest !== null) await remove(draft, store, newest, { ...moment, bypassesGovernance })
    return { removed: newest, marker: null }
  }
  const nothing = { sizeBytes: 0, etag: '', headers: {}, metadata: {} }
  const fresh = { ...place, ...nothing, owner, isDeleteMarker: true }
  const { version, replaced } = await makeCurrent(draft, fresh, versioning, moment)
  return { removed: replaced, marker: version }
}

async function remove(
  draft: Draft,
  store: Store,
  version: StoredVersion,
  moment: Removal,
): Promise<void> {
  const head = await headOf(draft, version)
  drop(draft, version, moment)
  if (version.order === (head.live ?? head.marker)?.order) {
    setCurrent(draft, await nextOf(draft, store, version), head)
  }
}

/** Removes the null version, wherever it is. The row of the current version is left as it is. */
async function dropNull(draft: Draft, place: Place, moment: Moment): Promise<StoredVersion | null> {
  const version = await findVersion(draft, place, NULL_VERSION)
  if (version !== null) drop(draft, version, moment)
  return version
}

function drop(draft: Draft, version: StoredVersion, moment: Removal): void {
  mustBeFree(version, moment.nowMs, moment.bypassesGovernance)
  const { bucket, key, order, versionId, isKept } = version
  if (!version.isDeleteMarker) draft.count(bucket, -version.sizeBytes, -1)
  if (isKept === true) {
    draft.delete(versionKey(bucket, key, order))
    if (versionId === NULL_VERSION) draft.delete(nullKey(bucket, key))
  }
  discardBytes(draft, version, moment)
}

/** Before it stops to be the current version. What versioning made is kept already. */
function keep(draft: Draft, version: StoredVersion): void {
  if (version.isKept === true) return
  const { bucket, key, order } = version
  draft.put(versionKey(bucket, key, order), { ...version, isKept: true })
  draft.put(nullKey(bucket, key), order)
}

function setCurrent(draft: Draft, version: StoredVersion | null, head: Head): void {
  const place = version ?? head.live ?? head.marker
  if (place === null) return
  const { bucket, key } = place
  const isMarker = version?.isDeleteMarker === true
  if (version !== null) draft.put((isMarker ? markerKey : objectKey)(bucket, key), version)
  if (head.live !== null && (version === null || isMarker)) draft.delete(objectKey(bucket, key))
  if (head.marker !== null && !isMarker) draft.delete(markerKey(bucket, key))
}

/**
 * The newest kept version but one. A page is no condition, but each row that is used is one, and a
 * version comes only together with a change of the current one.
 */
async function nextOf(
  draft: Draft,
  store: Store,
  { bucket, key, order }: StoredVersion,
): Promise<StoredVersion | null> {
  const prefix = versionKey(bucket, key, '')
  let after = versionKey(bucket, key, order)
  for (;;) {
    const page = await store.list(prefix, { after, limit: PROMOTE_PAGE })
    for (const entry of page.entries) {
      const found = await draft.read<StoredVersion>(entry.key)
      if (found !== null) return found
      after = entry.key
    }
    if (!page.more) return null
  }
}
