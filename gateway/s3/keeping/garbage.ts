// Works off the garbage that the index notes: first the bytes that nobody else refers to, then the
// rows that speak of them. A crash in between leaves the rows, and the next pass finds no bytes
// where they say.

import type { Clock, RandomHex } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Entry, Op, Store } from '../../store/store.ts'
import type { BlobStores } from '../blobs/stores.ts'
import { Commits } from '../index/commits.ts'
import { type Garbage, nameOf, type Reference, referenceOf } from '../index/garbage.ts'
import { dueMsOf, GARBAGE, manifestPrefix, partPrefix } from '../index/keys.ts'
import type { ObjectPart } from '../index/objects.ts'
import { leave, rowsOf } from '../index/sharing.ts'

/** Entries that are worked off at a time. */
const PAGE = 50
const ROWS = 1_000
const TOGETHER = 16

export interface GarbageParts {
  readonly store: Store
  readonly blobs: BlobStores
  readonly clock: Clock
  readonly randomHex: RandomHex
}

export interface Worked {
  readonly entries: number
  readonly blobs: number
  /** Why some stay for the next pass; null when all that was due is gone. */
  readonly trouble: unknown
}

/** Everything that is due now. An entry whose bytes cannot be deleted stays, and the others go. */
export async function workOffGarbage(parts: GarbageParts): Promise<Worked> {
  const nowMs = parts.clock.nowMs()
  let [entries, blobs, trouble, after] = [0, 0, null as unknown, GARBAGE]
  for (;;) {
    const page = await parts.store.list(GARBAGE, { after, limit: PAGE })
    const due = page.entries.filter(({ key }) => dueMsOf(key) <= nowMs)
    for (const done of await Promise.allSettled(due.map((entry) => workOff(parts, entry)))) {
      if (done.status === 'rejected') trouble ??= done.reason
      else [entries, blobs] = [entries + 1, blobs + done.value]
    }
    after = page.entries.at(-1)?.key ?? after
    if (due.length < page.entries.length || !page.more) return { entries, blobs, trouble }
  }
}

/** How many entries wait, due or not; counts up to `most`. */
export async function countGarbage(store: Store, most: number): Promise<number> {
  let [count, after] = [0, GARBAGE]
  for (;;) {
    const page = await store.list(GARBAGE, { after, limit: ROWS })
    count += page.entries.length
    after = page.entries.at(-1)?.key ?? after
    if (!page.more || count >= most) return count
  }
}

/** How many blobs went. */
async function workOff(parts: GarbageParts, { key, value }: Entry): Promise<number> {
  const { blobs = [], manifest, upload } = JSON.parse(value) as Garbage
  let count = 0
  if (blobs.length > 0) count += await deleteBlobs(parts, blobs)
  if (manifest !== undefined) count += await deleteManifest(parts, manifest)
  if (upload !== undefined) count += await deleteParts(parts, upload)
  await parts.store.txn([], [{ del: key }])
  return count
}

async function deleteManifest(
  parts: GarbageParts,
  { bucket, id }: NonNullable<Garbage['manifest']>,
): Promise<number> {
  const rows = await listed(parts.store, manifestPrefix(bucket, id))
  const blobs = rows.flatMap(({ value }) => referencesIn(JSON.parse(value)))
  const count = await deleteBlobs(parts, blobs)
  await deleteRows(
    parts.store,
    rows.map((row) => row.key),
  )
  return count
}

/** The parts of an upload that has ended; what came of it is not touched. */
async function deleteParts(
  parts: GarbageParts,
  { bucket, id }: NonNullable<Garbage['upload']>,
): Promise<number> {
  const kept = await listed(parts.store, manifestPrefix(bucket, id))
  const used = new Set(kept.flatMap(({ value }) => referencesIn(JSON.parse(value))).map(nameOf))
  const rows = await listed(parts.store, partPrefix(id))
  const blobs = rows.flatMap(({ value }) => referencesIn([JSON.parse(value)]))
  const count = await deleteBlobs(
    parts,
    blobs.filter((one) => !used.has(nameOf(one))),
  )
  await deleteRows(
    parts.store,
    rows.map((row) => row.key),
  )
  return count
}

function referencesIn(parts: readonly ObjectPart[]): Reference[] {
  return parts.map(referenceOf)
}

async function listed(store: Store, prefix: string): Promise<readonly Entry[]> {
  const rows: Entry[] = []
  for (;;) {
    const last = rows.at(-1)?.key
    const page = await store.list(prefix, last === undefined ? {} : { after: last })
    rows.push(...page.entries)
    if (!page.more) return rows
  }
}

/** How many of them nobody else referred to. */
async function deleteBlobs(parts: GarbageParts, references: readonly Reference[]): Promise<number> {
  const { store, blobs } = parts
  const commits = new Commits(parts)
  const gone: Reference[] = []
  for (let at = 0; at < references.length; at += TOGETHER) {
    await Promise.all(
      references.slice(at, at + TOGETHER).map(async (one) => {
        if (!(await leave(store, commits, one))) return
        const from = blobs.get(one.store)
        if (from === undefined) throw new MalleeError('StoreUnavailable', `no store ${one.store}`)
        await from.delete(one.id)
        gone.push(one)
      }),
    )
  }
  await deleteRows(store, gone.flatMap(rowsOf))
  return gone.length
}

async function deleteRows(store: Store, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += ROWS) {
    const ops: Op[] = keys.slice(at, at + ROWS).map((key) => ({ del: key }))
    await store.txn([], ops)
  }
}
