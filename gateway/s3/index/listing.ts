// Pages of names in the order of their UTF-8 bytes.

import type { Store } from '../../store/store.ts'
import type { StoredVersion } from './garbage.ts'
import {
  compareKeys,
  nullKey,
  objectKey,
  orderOf,
  versionKey,
  versionPrefix,
  versionsEnd,
} from './keys.ts'
import {
  type Listed,
  type ListedVersion,
  type ListOptions,
  NULL_VERSION,
  type ObjectEntry,
  type VersionListOptions,
} from './objects.ts'

/** Current versions that are no delete markers. */
export async function listObjects(
  store: Store,
  bucket: string,
  { prefix, after, limit }: ListOptions,
): Promise<Listed<ObjectEntry>> {
  const page = await store.list(objectKey(bucket, prefix), {
    ...(after === '' ? {} : { after: objectKey(bucket, after) }),
    limit,
  })
  return { entries: page.entries.map(({ value }) => JSON.parse(value)), more: page.more }
}

/**
 * Two scans that are merged: kept versions, and current ones that no versioning has kept. The
 * latter first: what is pushed aside meanwhile is then seen twice and not never.
 */
export async function listVersions(
  store: Store,
  bucket: string,
  options: VersionListOptions,
): Promise<Listed<ListedVersion>> {
  const { prefix, afterKey, afterVersion, afterOrder, limit } = options
  const plain = await listPlain(store, bucket, { prefix, after: afterKey, limit })
  const after =
    afterOrder === undefined
      ? await versionsAfter(store, bucket, afterKey, afterVersion)
      : versionKey(bucket, afterKey, afterOrder)
  const kept = await store.list(versionPrefix(bucket, prefix), {
    ...(after === null ? {} : { after }),
    limit,
  })
  const entries: StoredVersion[] = kept.entries.map(({ value }) => JSON.parse(value))
  // Beyond the end of a page that is not the last one, the other scan says nothing.
  const ends = [plain, { entries, more: kept.more }].flatMap((scan) =>
    scan.more ? (scan.entries.at(-1) ?? []) : [],
  )
  const merged = [...plain.entries, ...entries]
    .filter((one) => ends.every((end) => compare(one, end) <= 0))
    .sort(compare)
    .filter((one, i, all) => i === 0 || compare(one, all[i - 1] ?? one) !== 0)
  const shown = merged.slice(0, limit)
  const more = plain.more || kept.more || merged.length > limit
  let last = afterVersion === null && afterOrder === undefined ? null : afterKey
  const listed = shown.map((one) => {
    const isLatest = one.key !== last
    last = one.key
    return { ...one, isLatest }
  })
  return { entries: listed, more }
}

/** Current versions that are in no other row; they sort before all others of their key. */
async function listPlain(
  store: Store,
  bucket: string,
  { prefix, after, limit }: ListOptions,
): Promise<Listed<StoredVersion>> {
  const page = await listObjects(store, bucket, { prefix, after, limit })
  const plain = page.entries.filter((one) => one.isKept !== true)
  return { entries: page.more ? endingWith(plain, page.entries.at(-1)) : plain, more: page.more }
}

// A page may have nothing but kept versions; its end is still how far it went.
function endingWith(
  plain: readonly StoredVersion[],
  end: StoredVersion | undefined,
): readonly StoredVersion[] {
  return end === undefined || plain.at(-1) === end ? plain : [...plain, end]
}

/** The row after which a page of kept versions begins; null: at the first one. */
async function versionsAfter(
  store: Store,
  bucket: string,
  afterKey: string,
  afterVersion: string | null,
): Promise<string | null> {
  if (afterKey === '') return null
  if (afterVersion === null) return versionsEnd(bucket, afterKey)
  if (afterVersion !== NULL_VERSION) {
    return versionKey(bucket, afterKey, orderOf(afterVersion) ?? '')
  }
  const row = await store.get(nullKey(bucket, afterKey))
  // The null version is the current one, which sorts first, or was removed.
  return versionKey(bucket, afterKey, row === null ? '' : JSON.parse(row.value))
}

function compare(a: ObjectEntry, b: ObjectEntry): number {
  const byKey = a.key === b.key ? 0 : compareKeys(a.key, b.key)
  if (byKey !== 0) return byKey
  if (a.order === b.order) return 0
  return a.order < b.order ? -1 : 1
}
