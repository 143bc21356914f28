// The ledger of a restore: a small file that says what a volume began as. It is there before the
// volume's file is, and as long as anybody may still use the volume by another way than its file.

import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, syncFolder, writeDurably } from '../../../common/durable-file.ts'
import { MalleeError } from '../../../common/errors.ts'
import { parseVolumeId, type VolumeId } from '../volumes/backend.ts'
import type { SnapshotSource } from '../volumes/wanted.ts'

export interface RestoreLedger {
  readonly version: 1
  readonly source: SnapshotSource
  /** The secret of the volume's header, as long as bytes that are not encrypted come to it. */
  readonly encryptionKey?: string
  /** All of it is in the volume's file, and on the disk. */
  readonly whole: boolean
  /** With how many bytes it was shown last; 0 before the first time. */
  readonly shownBytes: number
}

const SUFFIX = '.json'

/** Null for a volume that is no (more a) restore. Throws DataCorrupt: zeroes would pass for it. */
export async function readRestore(folder: string, id: VolumeId): Promise<RestoreLedger | null> {
  const file = join(folder, `${id}${SUFFIX}`)
  const text = await readIfThere(file)
  if (text === null) return null
  try {
    const ledger = JSON.parse(text) as RestoreLedger
    const { snapshot, manifest, sizeBytes } = ledger.source
    const isSource = [snapshot, manifest].every((one) => typeof one === 'string')
    const isWhole = isSource && [sizeBytes, ledger.shownBytes].every(Number.isSafeInteger)
    if (ledger.version === 1 && isWhole && typeof ledger.whole === 'boolean') return ledger
  } catch {
    // As below.
  }
  throw new MalleeError('DataCorrupt', `${file} is not understood`)
}

/** Durable when it returns. */
export async function writeRestore(
  folder: string,
  id: VolumeId,
  ledger: RestoreLedger,
): Promise<void> {
  await writeDurably(join(folder, `${id}${SUFFIX}`), `${JSON.stringify(ledger)}\n`)
}

export async function removeRestore(folder: string, id: VolumeId): Promise<void> {
  await rm(join(folder, `${id}${SUFFIX}`), { force: true })
  await syncFolder(folder)
}

/** Volumes with a ledger. Makes the folder. */
export async function listRestores(folder: string): Promise<readonly VolumeId[]> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return (await readdir(folder)).flatMap((name) => {
    const id = parseVolumeId(name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : '')
    return id.ok ? [id.value] : []
  })
}
