// What of a snapshot's file is to be read: what may differ from the snapshot before it, whose file
// is kept, or from what its volume was made from; without those all of it.

import { codeOf, messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import { SNAPSHOT_BLOCK_BYTES as BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import { type Extent, fileExtents } from '../../host/filefrag.ts'
import type { SnapshotId, VolumeBackend } from '../volumes/backend.ts'
import { blocksOf, differing, union, without } from './block-ranges.ts'
import { readSnapshotLedger } from './ledger.ts'
import { type Missing, readMissing } from './missing.ts'
import type { UploadJob } from './upload.ts'
import type { WantedSnapshot } from './wanted.ts'

export interface JobParts {
  readonly exec: Exec
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
): Promise<UploadJob> {
  const { backend, ledgers } = parts
  const file = backend.snapshotPath(wanted.id)
  const all = [{ from: 0, to: Math.ceil(sizeBytes / BLOCK_BYTES) }]
  const extents = await extentsOf(parts, file)
  const data = extents === null ? all : blocksOf(extents, BLOCK_BYTES)
  const missing = await readMissing(ledgers, wanted.id)
  const rest = { file, sizeBytes, data }
  const base = alone ? null : await baseOf(parts, wanted)
  const before = base === null || extents === null ? null : await extentsOf(parts, base.file)
  if (base !== null && extents !== null && before !== null) {
    const other = blocksOf(differing(extents, before), BLOCK_BYTES)
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
  readonly file: string
  readonly manifest: string
  readonly missing: Missing | null
}

/** When its file is kept here, and is what the manifest says. */
async function baseOf(
  { backend, ledgers }: JobParts,
  { base }: WantedSnapshot,
): Promise<Base | null> {
  if (base === null || (await backend.lookSnapshot(base.id)) === null) return null
  const ledger = await readSnapshotLedger(ledgers, base.id)
  if (ledger?.state !== 'completed' || ledger.manifest !== base.manifest) return null
  const missing = await readMissing(ledgers, base.id)
  return { id: base.id, file: backend.snapshotPath(base.id), manifest: base.manifest, missing }
}

/** Null where the file system does not say: all is read. */
async function extentsOf({ exec, log }: JobParts, file: string): Promise<readonly Extent[] | null> {
  try {
    return await fileExtents(exec, file)
  } catch (error) {
    if (codeOf(error) !== 'NotSupported') throw error
    log.warn('snapshot is read as a whole', { file, error: messageOf(error) })
    return null
  }
}
