// An index over a fresh store, with a clock that the test holds, and objects to put into it.

import assert from 'node:assert/strict'
import type { BlobRef } from '../../../common/blobs/blobs.ts'
import { type Clock, type RandomHex, randomHex } from '../../../common/clock.ts'
import { createObjectIndex } from '../../../gateway/s3/index/object-index.ts'
import type {
  ListedVersion,
  NewObject,
  ObjectIndex,
  ObjectVersion,
  Versioning,
} from '../../../gateway/s3/index/objects.ts'
import type { Store } from '../../../gateway/store/store.ts'

export const BUCKET = 'b0b0'
const OWNER = '111111111111'

export interface IndexGround {
  readonly index: ObjectIndex
  readonly store: Store
  readonly clock: Clock
  /** Moves the clock by so many milliseconds. */
  readonly pass: (ms: number) => void
  readonly randomHex: RandomHex
}

export function indexOver(store: Store): IndexGround {
  let nowMs = 1_800_000_000_000
  const clock = {
    nowMs: () => nowMs,
    sleep: () => new Promise<void>((resolve) => setImmediate(resolve)),
  }
  return {
    index: createObjectIndex({ store, clock, randomHex }),
    store,
    clock,
    pass: (ms) => {
      nowMs += ms
    },
    randomHex,
  }
}

/** An object of that key whose bytes are its ETag, in the index. */
export function small(key: string, etag: string, more: Partial<NewObject> = {}): NewObject {
  const inline = Buffer.from(etag)
  return {
    ...{ bucket: BUCKET, key, sizeBytes: inline.length, etag, owner: OWNER },
    ...{ headers: {}, metadata: {}, parts: [], inline },
    ...more,
  }
}

/** An object of that key with a blob that nobody wrote. */
export function large(key: string, etag: string, sizeBytes = 1 << 20): NewObject {
  const { inline: _, ...object } = small(key, etag)
  return { ...object, sizeBytes, parts: [{ number: 1, blob: blobOf(sizeBytes), sizeBytes }] }
}

/** An object of that key that refers to the blobs of another one. */
export function copyOf(version: ObjectVersion, key: string, etag = version.etag): NewObject {
  const { inline: _, ...object } = small(key, etag)
  const parts = version.parts.map(({ share: _, ...part }, position) => ({
    ...part,
    from: { version, position },
  }))
  return { ...object, sizeBytes: version.sizeBytes, parts }
}

export function blobOf(sizeBytes: number): BlobRef {
  return { store: 'local', id: randomHex(16), sizeBytes }
}

export function plain(versioning: Versioning) {
  return { versioning, versionId: null, owner: OWNER }
}

export function all() {
  return { prefix: '', after: '', limit: 1_000 }
}

export function allVersions() {
  return { prefix: '', afterKey: '', afterVersion: null, limit: 1_000 }
}

export async function versionsOf(
  index: IndexGround['index'],
  limit: number,
): Promise<ListedVersion[]> {
  const found: ListedVersion[] = []
  for (let more = true; more; ) {
    const last = found.at(-1)
    const after = { afterKey: last?.key ?? '', afterVersion: last?.versionId ?? null }
    const page = await index.listVersions(BUCKET, { prefix: '', ...after, limit })
    found.push(...page.entries)
    more = page.more
    assert.ok(!more || page.entries.length > 0)
  }
  return found
}

export async function shown(index: IndexGround['index']): Promise<string[]> {
  return (await versionsOf(index, 2)).map(({ key, etag, versionId, isDeleteMarker, isLatest }) =>
    [
      key,
      isDeleteMarker ? 'marker' : etag,
      ...(versionId === 'null' ? ['null'] : []),
      ...(isLatest ? ['latest'] : []),
    ].join(' '),
  )
}
