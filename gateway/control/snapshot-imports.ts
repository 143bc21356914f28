// The end of an import that makes a snapshot: the file that came becomes its blocks. And whose turn
// an import is.

import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { forgetBlob, type TakenBlob } from '../blobs.ts'
import {
  completeImported,
  type ImportedBytes,
  insertImported,
  stageFile,
} from '../ebs/imported-snapshot.ts'
import { ended } from '../ec2/import-tasks.ts'
import type { ImportTaskRecord } from '../store/image-records.ts'
import type { State } from '../store/state.ts'

export interface SnapshotImportParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly clock: Clock
  readonly log: Log
  /** Where image files are. */
  readonly blobsDir: string
  readonly snapshotBytes: ImportedBytes
}

export const KIND = 'import-task'
export const HOLDER_BYTES = 8

export interface Turn {
  readonly id: string
  readonly holder: string
  /** Aborts when the task is cancelled, and when the gateway stops. */
  readonly signal: AbortSignal
}

/** The file goes when its bytes are the snapshot's, unless it is an image's as well. */
export async function finishSnapshot(
  parts: SnapshotImportParts,
  { id, holder }: Turn,
  blob: TakenBlob,
  progress: (share: number) => Promise<void>,
): Promise<void> {
  const { state, clock, randomHex, blobsDir, snapshotBytes, log } = parts
  const { sha256, virtualSizeBytes } = blob
  const forget = async (): Promise<void> =>
    await forgetBlob(blobsDir, sha256, {
      unique: randomHex(HOLDER_BYTES),
      isBack: async () => (await state.fresh()).get('blob', sha256) !== null,
    })
  try {
    const snapshot = await state.update(async (tx) => {
      const task = mine(await tx.get(KIND, id), id, holder)
      const known = await tx.get('volume-snapshot', task.snapshot ?? '')
      if (known !== null) return known
      const made = await insertImported(tx, parts, task, virtualSizeBytes, clock.nowMs())
      await tx.put(KIND, [id], { ...task, snapshot: made.id })
      return made
    })
    const bytes = await stageFile(snapshotBytes, blobsDir, blob, snapshot, progress)
    await state.update(async (tx) => {
      const task = mine(await tx.get(KIND, id), id, holder)
      await completeImported(tx, snapshot.id, bytes, clock.nowMs())
      const over = { ...task, progress: 100, message: '' }
      await tx.put(KIND, [id], ended(over, 'completed', clock.nowMs()))
    })
    log.info('snapshot imported', { task: id, snapshot: snapshot.id, sha256 })
  } finally {
    await forget()
  }
}

/** Throws Conflict when it is somebody else's by now, or cancelled. */
export function mine(task: ImportTaskRecord | null, id: string, holder: string): ImportTaskRecord {
  if (task?.state === 'active' && task.worker?.holder === holder) return task
  throw letGo(id)
}

export function letGo(id: string): MalleeError {
  return new MalleeError('Conflict', `the import ${id} is no longer this gateway's`)
}
