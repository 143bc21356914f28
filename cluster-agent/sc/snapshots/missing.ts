// The blocks of a snapshot that its volume did not have yet when it was taken: they are those of
// what the volume was made from. Kept beside the snapshot's ledger, written before it is taken.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, syncFolder, writeDurably } from '../../../common/durable-file.ts'
import { MalleeError } from '../../../common/errors.ts'
import { parseSnapshotId, type SnapshotId } from '../volumes/backend.ts'
import type { BlockRanges } from './block-ranges.ts'

export interface Missing {
  /** What the volume was made from. */
  readonly snapshot: SnapshotId
  readonly manifest: string
  readonly blocks: BlockRanges
}

/** Null when all was there. Throws DataCorrupt. */
export async function readMissing(folder: string, id: SnapshotId): Promise<Missing | null> {
  const file = fileOf(folder, id)
  const text = await readIfThere(file)
  if (text === null) return null
  try {
    const { snapshot, manifest, blocks } = JSON.parse(text) as Missing
    const isWhole = blocks.every(({ from, to }) => Number.isSafeInteger(from) && to > from)
    const isNamed = parseSnapshotId(snapshot).ok && typeof manifest === 'string'
    if (isNamed && isWhole) return { snapshot, manifest, blocks }
  } catch {
    // As below.
  }
  throw new MalleeError('DataCorrupt', `${file} is not understood`)
}

/** Durable when it returns. */
export async function writeMissing(
  folder: string,
  id: SnapshotId,
  missing: Missing | null,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (missing === null) await removeMissing(folder, id)
  else await writeDurably(fileOf(folder, id), JSON.stringify(missing))
}

/** Also when there is none. */
export async function removeMissing(folder: string, id: SnapshotId): Promise<void> {
  await rm(fileOf(folder, id), { force: true })
  await syncFolder(folder)
}

function fileOf(folder: string, id: SnapshotId): string {
  return join(folder, `${id}.missing`)
}
