// When a lifecycle rule is due with what (S3 user guide, "Lifecycle configuration elements"). Pure.
// A day ends at midnight UTC; how long one takes is an argument, for tests.

import type { BucketLifecycle, LifecycleRule } from '../../store/bucket-records.ts'
import type { ObjectEntry, Upload } from '../index/objects.ts'

/** A rule and when it is due, in milliseconds since 1970. */
export interface Due {
  readonly atMs: number
  readonly ruleId: string
}

export interface Rules {
  readonly rules: readonly LifecycleRule[]
  readonly dayMs: number
}

/** What the walk over a key's versions, the newest first, knows of one that is not current. */
export interface Noncurrent {
  /** Since when: the next newer version came then. */
  readonly sinceMs: number
  /** Versions of the key that are not current either and newer. */
  readonly newer: number
}

/** Of a bucket's rules, those that count. */
export function rulesOf(
  { lifecycle }: { readonly lifecycle?: BucketLifecycle },
  dayMs: number,
): Rules {
  return { rules: lifecycle?.rules.filter(({ isEnabled }) => isEnabled) ?? [], dayMs }
}

/** Days after a moment, at the midnight that comes next. */
export function midnightAfter(ms: number, days: number, dayMs: number): number {
  return (Math.floor(ms / dayMs + days) + 1) * dayMs
}

/** When a version that is current expires by the first rule that is due; null: never. */
export function currentDue({ rules, dayMs }: Rules, version: ObjectEntry): Due | null {
  return earliest(rules, (rule) => {
    const { days, dateMs } = rule.expiration ?? {}
    if (!fits(rule, version)) return null
    if (days !== undefined) return midnightAfter(version.modifiedAtMs, days, dayMs)
    return dateMs ?? null
  })
}

/** When a delete marker below which there is nothing goes. */
export function markerDue({ rules, dayMs }: Rules, marker: ObjectEntry): Due | null {
  return earliest(rules, (rule) => {
    const { days, dateMs, markers } = rule.expiration ?? {}
    if (!fits(rule, marker)) return null
    if (markers === true) return marker.modifiedAtMs
    if (days !== undefined) return midnightAfter(marker.modifiedAtMs, days, dayMs)
    return dateMs ?? null
  })
}

export function noncurrentDue(
  { rules, dayMs }: Rules,
  version: ObjectEntry,
  { sinceMs, newer }: Noncurrent,
): Due | null {
  return earliest(rules, (rule) => {
    const { days, keep = 0 } = rule.noncurrent ?? {}
    if (days === undefined || newer < keep || !fits(rule, version)) return null
    return midnightAfter(sinceMs, days, dayMs)
  })
}

export function uploadDue({ rules, dayMs }: Rules, upload: Upload): Due | null {
  return earliest(rules, ({ abortDays, prefix = '' }) =>
    abortDays !== undefined && upload.key.startsWith(prefix)
      ? midnightAfter(upload.createdAtMs, abortDays, dayMs)
      : null,
  )
}

/** Delete markers have neither tags nor a size: a rule that asks for one does not mean them. */
function fits(rule: LifecycleRule, version: ObjectEntry): boolean {
  const { prefix = '', tags, largerThanBytes, smallerThanBytes } = rule
  const { key, sizeBytes, isDeleteMarker, tags: has = {} } = version
  const isAnySize = largerThanBytes === undefined && smallerThanBytes === undefined
  if (!key.startsWith(prefix)) return false
  if (isDeleteMarker) return tags === undefined && isAnySize
  return (
    sizeBytes > (largerThanBytes ?? -1) &&
    sizeBytes < (smallerThanBytes ?? Number.POSITIVE_INFINITY) &&
    Object.entries(tags ?? {}).every(([name, value]) => has[name] === value)
  )
}

function earliest(
  rules: readonly LifecycleRule[],
  dueAtMs: (rule: LifecycleRule) => number | null,
): Due | null {
  let first: Due | null = null
  for (const rule of rules) {
    const atMs = dueAtMs(rule)
    if (atMs !== null && (first === null || atMs < first.atMs)) first = { atMs, ruleId: rule.id }
  }
  return first
}
