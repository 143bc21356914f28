// What of a snapshot is to be read: what may differ from the snapshot before it, whose bytes are
// kept, or from what its volume was made from; without those all of it.

import { codeOf, messageOf } from '../../../common/errors.ts'
import type { Log } from '../../../common/log.ts'
import { SNAPSHOT_BLOCK_BYTES as BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import type { SnapshotId, SnapshotParts, VolumeBackend } from '../volumes/backend.ts'
import { blocksOf, union, without } from './block-ranges.ts'
import { readSnapshotLedger } from './ledger.ts'
import { type Missing, readMissing } from './missing.ts'
import type { UploadJob } from './upload.ts'
import type { WantedSnapshot } from './wanted.ts'

export interface JobParts {
  readonly log: Log
  readonly backend: VolumeBackend
  readonly ledgers: string
}

export interface JobWish {
  readonly wanted: WantedSnapshot
  readonly sizeBytes: number
  /** Everything is read: the store does not have any more what others are made of. */
  readonly alone: boolean
}

/** Throws NotFound when nothing is kept of it. */
export async function uploadJob(
  parts: JobParts,
  { wanted, sizeBytes, alone }: JobWish,
): Promise<Omit<UploadJob, 'file'>> {
  const { ledgers } = parts
  const all = [{ from: 0, to: Math.ceil(sizeBytes / BLOCK_BYTES) }]
  const base = alone ? null : await baseOf(parts, wanted)
  const seen = await partsOf(parts, wanted.id, base?.id ?? null)
  const data = seen === null ? all : blocksOf(seen.data, BLOCK_BYTES)
  const missing = await readMissing(ledgers, wanted.id)
  const rest = { sizeBytes, data }
  if (base !== null && seen !== null && seen.changed !== null) {
    const other = blocksOf(seen.changed, BLOCK_BYTES)
    // What had to come from elsewhere at that time and is zeroes now looks the same in both.
    const came = without(base.missing?.blocks ?? [], missing?.blocks ?? [])
    const changed = without(union(other, came), missing?.blocks ?? [])
    return { ...rest, changed, template: { snapshot: base.id, manifest: base.manifest } }
  }
  return missing === null
    ? { ...rest, changed: data, template: null }
    : {
        ...rest,
        changed: without(all, missing.blocks),
        template: { snapshot: missing.snapshot, manifest: missing.manifest },
      }
}

interface Base {
  readonly id: SnapshotId
  readonly manifest: string
  readonly missing: Missing | null
}

/** When its bytes are kept here, and is what the manifest says. */
async function baseOf(
  { backend, ledgers }: JobParts,
  { base }: WantedSnapshot,
): Promise<Base | null> {
  if (base === null || (await backend.lookSnapshot(base.id)) === null) return null
  const ledger = await readSnapshotLedger(ledgers, base.id)
  if (ledger?.state !== 'completed' || ledger.manifest !== base.manifest) return null
  const missing = await readMissing(ledgers, base.id)
  return { id: base.id, manifest: base.manifest, missing }
}

/** Null where it is not known: all is read. */
async function partsOf(
  { backend, log }: JobParts,
  snapshot: SnapshotId,
  since: SnapshotId | null,
): Promise<SnapshotParts | null> {
  try {
    return await backend.parts(snapshot, since)
  } catch (error) {
    if (codeOf(error) !== 'NotSupported') throw error
    log.warn('snapshot is read as a whole', { snapshot, error: messageOf(error) })
    return null
  }
}
