// A snapshot made of a disk that came in as a file: its blocks are staged as a client of EBS direct
// APIs would, so that all that is deduplicated, checked and let go of is the same.

import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { RandomHex } from '../../common/clock.ts'
import type { TakenBlob } from '../blobs.ts'
import { newId } from '../ec2/ids.ts'
import { checkQuota } from '../ec2/quotas.ts'
import type { ImportTaskRecord } from '../store/image-records.ts'
import type { State, Transaction } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import type { CompletedBytes, SnapshotHolds, StagedSnapshots } from './chunks/snapshot-bytes.ts'
import { openDiskFile } from './disk-file.ts'

export type ImportedBytes = Pick<StagedSnapshots, 'stageBlock' | 'completeStaged'> &
  Pick<SnapshotHolds, 'dropManifest'>

const GIB = 2 ** 30

/** A pending one for the task; the caller writes the task with its id. */
export async function insertImported(
  tx: Transaction,
  { state, randomHex }: { readonly state: State; readonly randomHex: RandomHex },
  { account, description }: Pick<ImportTaskRecord, 'account' | 'description'>,
  sizeBytes: number,
  nowMs: number,
): Promise<SnapshotRecord> {
  await checkQuota(tx, state, account, 'snapshots')
  const id = await newId(tx, randomHex, 'volume-snapshot')
  const made: SnapshotRecord = {
    ...{ id, account, volume: '', rack: '', host: '', base: '', encrypted: false, description },
    origin: { kind: 'import' },
    volumeSizeGib: Math.max(1, Math.ceil(sizeBytes / GIB)),
    ...{ state: 'pending', progressPercent: 0, manifest: '', group: '', groupSize: 0 },
    ...{ dataBytes: 0, readBytes: 0, sentBytes: 0, isPublic: false, sharedWith: [] },
    ...{ clientToken: '', startedAtMs: nowMs, completedAtMs: null, deletedAtMs: null },
    released: true,
  }
  await tx.put('volume-snapshot', [id], made)
  return made
}

/**
 * Brings the file's blocks to the snapshot. Throws BadArgument for what is no disk, and what
 * `progress` throws, which is called with the share that is there.
 */
export async function stageFile(
  bytes: ImportedBytes,
  blobsDir: string,
  { sha256, format }: Pick<TakenBlob, 'sha256' | 'format'>,
  { id, volumeSizeGib }: Pick<SnapshotRecord, 'id' | 'volumeSizeGib'>,
  progress: (share: number) => Promise<void>,
): Promise<CompletedBytes> {
  await using file = await open(join(blobsDir, sha256))
  const disk = await openDiskFile(file, format === 'qcow2' ? 'qcow2' : 'raw')
  for await (const block of disk.blocks()) {
    await bytes.stageBlock(id, block.index, block.bytes)
    await progress((block.index * 2 ** 19) / disk.sizeBytes)
  }
  return await bytes.completeStaged(id, null, volumeSizeGib * GIB)
}

export async function completeImported(
  tx: Transaction,
  id: string,
  { manifest, dataBytes }: CompletedBytes,
  nowMs: number,
): Promise<void> {
  const one = await tx.get('volume-snapshot', id)
  if (one?.state !== 'pending') return
  const done = { state: 'completed', progressPercent: 100, completedAtMs: nowMs } as const
  await tx.put('volume-snapshot', [id], { ...one, ...done, manifest, dataBytes })
}

/** Of an import that ended without one: nobody sees it, and its bytes go. */
export async function dropImported(
  tx: Transaction,
  id: string | undefined,
  nowMs: number,
): Promise<void> {
  const one = id === undefined ? null : await tx.get('volume-snapshot', id)
  if (one === null || one.deletedAtMs !== null || one.state === 'completed') return
  await tx.put('volume-snapshot', [one.id], { ...one, deletedAtMs: nowMs })
}
