// A page of a bucket under its lifecycle rules: what is due on it goes, each in a transaction that
// looks once more whether it still is what it was.

import type { Clock } from '../../../common/clock.ts'
import { codeOf } from '../../../common/errors.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import {
  currentDue,
  type Due,
  markerDue,
  type Noncurrent,
  noncurrentDue,
  type Rules,
  uploadDue,
} from '../buckets/expiry.ts'
import { notedExpiry } from '../events/notes.ts'
import { compareKeys } from '../index/keys.ts'
import { isLocked } from '../index/locks.ts'
import type { Check, ObjectEntry, ObjectIndex } from '../index/objects.ts'

/** What went, by what it was. */
export interface Expired {
  /** Current versions: gone, or under a delete marker where versions are kept. */
  readonly objects: number
  /** Versions that were not current, delete markers among them. */
  readonly versions: number
  /** Delete markers with nothing below them. */
  readonly markers: number
  readonly uploads: number
  /** What would have gone and is locked. */
  readonly locked: number
}

/** Keys that begin alike, all of which some rule is about. */
export interface Stretch {
  readonly of: 'versions' | 'uploads'
  readonly prefix: string
}

/** How far a stretch was walked: after an order, or an upload id, of a key; '' at its begin. */
export interface After extends Noncurrent {
  readonly key: string
  readonly entry: string
}

export interface Ground {
  readonly index: ObjectIndex
  readonly clock: Clock
  readonly bucket: BucketRecord
  readonly rules: Rules
  /** What those are told who want to hear of it. */
  readonly cause: Parameters<typeof notedExpiry>[2]
}

interface Looked {
  /** Null: the stretch has ended. */
  readonly after: After | null
  readonly looked: number
  readonly expired: Expired
}

/** A thing that is due, and how it goes. */
interface Act {
  readonly entry: ObjectEntry
  readonly kind: 'objects' | 'versions' | 'markers'
  /** When it is due, of the same version as it is now. */
  readonly due: (now: ObjectEntry) => Due | null
}

export const BEGIN: After = { key: '', entry: '', sinceMs: 0, newer: 0 }
export const NOTHING: Expired = { objects: 0, versions: 0, markers: 0, uploads: 0, locked: 0 }

const PAGE = 500
/** Deletes that run at once. */
const AT_ONCE = 16
/** Of checks: what was due is another one now, and the next round looks at it. */
const CHANGED = new Error('it is not what it was')

/** What the rules are about, in order, no key twice. */
export function stretchesOf({ rules }: Rules): readonly Stretch[] {
  const about = (of: Stretch['of'], prefixes: readonly string[]): Stretch[] => {
    const sorted = [...new Set(prefixes)].sort(compareKeys)
    const widest = sorted.filter(
      (one) => !sorted.some((other) => other !== one && one.startsWith(other)),
    )
    return widest.map((prefix) => ({ of, prefix }))
  }
  const ofVersions = rules.filter((one) => one.expiration ?? one.noncurrent)
  const ofUploads = rules.filter(({ abortDays }) => abortDays !== undefined)
  const prefix = (rule: { readonly prefix?: string }): string => rule.prefix ?? ''
  return [...about('versions', ofVersions.map(prefix)), ...about('uploads', ofUploads.map(prefix))]
}

/** One page. What cannot be reached throws, and the page is looked at again. */
export async function lookOn(ground: Ground, stretch: Stretch, after: After): Promise<Looked> {
  return stretch.of === 'versions'
    ? await lookAtVersions(ground, stretch.prefix, after)
    : await lookAtUploads(ground, stretch.prefix, after)
}

async function lookAtVersions(ground: Ground, prefix: string, after: After): Promise<Looked> {
  const { index, bucket, clock } = ground
  const { entries, more } = await index.listVersions(bucket.id, {
    ...{ prefix, afterKey: after.key, afterVersion: null, limit: PAGE },
    ...(after.key !== '' && { afterOrder: after.entry }),
  })
  const nowMs = clock.nowMs()
  const acts: Act[] = []
  let { key, entry: order, sinceMs, newer } = after
  for (const [i, entry] of entries.entries()) {
    const isCurrent = entry.key !== key
    const next = entries[i + 1]
    const act = isCurrent
      ? await currentAct(ground, entry, next === undefined && more ? undefined : next?.key)
      : noncurrentAct(ground, entry, { sinceMs, newer })
    const due = act?.due(entry) ?? null
    if (act !== null && due !== null && due.atMs <= nowMs) acts.push(act)
    newer = isCurrent ? 0 : newer + 1
    key = entry.key
    order = entry.order
    sinceMs = entry.modifiedAtMs
  }
  const expired = { ...NOTHING }
  for (let from = 0; from < acts.length; from += AT_ONCE) {
    const some = acts.slice(from, from + AT_ONCE)
    for (const done of await Promise.all(some.map((act) => carryOut(ground, act)))) {
      if (done !== null) expired[done] += 1
    }
  }
  const end = { key, entry: order, sinceMs, newer }
  return { after: more ? end : null, looked: entries.length, expired }
}

/** `nextKey`: of the entry behind; undefined when that is on another page, or nothing. */
async function currentAct(
  ground: Ground,
  entry: ObjectEntry,
  nextKey: string | undefined,
): Promise<Act | null> {
  const { rules, clock } = ground
  if (!entry.isDeleteMarker) {
    return { entry, kind: 'objects', due: (now) => currentDue(rules, now) }
  }
  const due = markerDue(rules, entry)
  if (due === null || due.atMs > clock.nowMs()) return null
  // Nothing comes to be below it, so what the walk sees is enough.
  const hasMore = nextKey === undefined ? await hasOlder(ground, entry) : nextKey === entry.key
  return hasMore ? null : { entry, kind: 'markers', due: (now) => markerDue(rules, now) }
}

function noncurrentAct({ rules }: Ground, entry: ObjectEntry, place: Noncurrent): Act {
  return { entry, kind: 'versions', due: (now) => noncurrentDue(rules, now, place) }
}

async function hasOlder({ index, bucket }: Ground, { key, order }: ObjectEntry): Promise<boolean> {
  const { entries } = await index.listVersions(bucket.id, {
    ...{ prefix: key, afterKey: key, afterVersion: null, afterOrder: order, limit: 1 },
  })
  return entries[0]?.key === key
}

/** What it counts as; null: nothing was to do any more. */
async function carryOut(
  { index, bucket, clock, cause }: Ground,
  { entry, kind, due }: Act,
): Promise<keyof Expired | null> {
  const { key, order, versionId } = entry
  const nowMs = clock.nowMs()
  if (kind === 'versions' && isLocked(entry, nowMs)) return 'locked'
  const check: Check = (version, current) => {
    const isSame = version?.order === order && version.versionId === versionId
    const isCurrent = current?.order === order
    const at = isSame && isCurrent === (kind !== 'versions') ? due(version) : null
    if (at === null || at.atMs > nowMs) throw CHANGED
  }
  try {
    await index.remove(bucket.id, key, {
      ...{ versionId: kind === 'objects' ? null : versionId, check },
      ...{ owner: bucket.account, versioning: bucket.versioning },
      ...notedExpiry(bucket, key, cause),
    })
    return kind
  } catch (error) {
    if (error === CHANGED) return null
    switch (codeOf(error)) {
      case 'NotAllowed':
        return 'locked'
      // The bucket is being deleted, or others want the key more: the next round looks again.
      case 'NotFound':
      case 'Conflict':
        return null
      default:
        throw error
    }
  }
}

async function lookAtUploads(
  { index, bucket, clock, rules }: Ground,
  prefix: string,
  after: After,
): Promise<Looked> {
  const { entries, more } = await index.uploads.list(bucket.id, {
    ...{ prefix, afterKey: after.key, afterUpload: after.key === '' ? null : after.entry },
    limit: PAGE,
  })
  const nowMs = clock.nowMs()
  let uploads = 0
  for (const upload of entries) {
    const due = uploadDue(rules, upload)
    if (due === null || due.atMs > nowMs) continue
    if (await index.uploads.abort(bucket.id, upload.key, upload.uploadId)) uploads += 1
  }
  const last = entries.at(-1)
  const end = last === undefined ? null : { ...BEGIN, key: last.key, entry: last.uploadId }
  return { after: more ? end : null, looked: entries.length, expired: { ...NOTHING, uploads } }
}
