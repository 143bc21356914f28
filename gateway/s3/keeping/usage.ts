// What buckets hold, by a walk over the index: nothing counts along with writes, as a counter would
// be a row that all writes of a bucket wait for.

import type { Clock } from '../../../common/clock.ts'
import type { Store } from '../../store/store.ts'
import type { StoredVersion } from '../index/garbage.ts'

const PAGE = 500
/** Between two pages, so that a walk over millions does not keep requests waiting. */
const REST_MS = 5

export interface Usage {
  /** Current versions that are no delete markers, and those below them. */
  readonly objects: number
  readonly olderVersions: number
  /** Of both. */
  readonly bytes: number
  /** Of both, those whose bytes are in the index. */
  readonly inlineObjects: number
  readonly inlineBytes: number
}

const NONE: Usage = { objects: 0, olderVersions: 0, bytes: 0, inlineObjects: 0, inlineBytes: 0 }

/** By the ids of buckets: all, or one. Writes that come meanwhile are in it or not. */
export async function measureUsage(
  store: Store,
  clock: Clock,
  signal: AbortSignal,
  bucket?: string,
): Promise<ReadonlyMap<string, Usage>> {
  const usage = new Map<string, Usage>()
  const add = (version: StoredVersion, step: Partial<Usage>): void => {
    const before = usage.get(version.bucket) ?? NONE
    const names = Object.keys(NONE) as (keyof Usage)[]
    const after = names.map((name) => [name, before[name] + (step[name] ?? 0)])
    usage.set(version.bucket, Object.fromEntries(after))
  }
  const below = bucket === undefined ? '' : `${bucket}/`
  for await (const version of walk(store, `object/${below}`, clock, signal)) {
    // What is kept is seen once more, among the versions.
    if (version.isKept === true) add(version, { objects: 1, olderVersions: -1 })
    else add(version, { objects: 1, ...bytesOf(version) })
  }
  for await (const version of walk(store, `version/${below}`, clock, signal)) {
    if (!version.isDeleteMarker) add(version, { olderVersions: 1, ...bytesOf(version) })
  }
  return usage
}

function bytesOf({ sizeBytes: bytes, inlineId }: StoredVersion): Partial<Usage> {
  return inlineId === undefined ? { bytes } : { bytes, inlineObjects: 1, inlineBytes: bytes }
}

async function* walk(
  store: Store,
  prefix: string,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<StoredVersion> {
  let after = prefix
  for (let more = true; more && !signal.aborted; ) {
    const page = await store.list(prefix, { after, limit: PAGE })
    for (const { key, value } of page.entries) {
      after = key
      yield JSON.parse(value)
    }
    more = page.more
    if (more) await clock.sleep(REST_MS, signal)
  }
}
