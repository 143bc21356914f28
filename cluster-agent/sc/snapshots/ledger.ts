// The ledger of a snapshot: a small file that says how far it came, so that it is taken once. What
// is kept without a ledger was not told to anybody, and is taken anew.

import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, syncFolder, writeDurably } from '../../../common/durable-file.ts'
import { MalleeError } from '../../../common/errors.ts'
import { parseSnapshotId, type SnapshotId } from '../volumes/backend.ts'

export type SnapshotLedger = { readonly version: 1 } & SnapshotFate

export type SnapshotFate = Taken | Completed | Failed | { readonly state: 'released' }

export interface Taken {
  /** The moment is kept; its bytes are on their way. */
  readonly state: 'taken'
  readonly takenAtMs: number
  readonly sizeBytes: number
}

export interface Completed extends Omit<Taken, 'state'> {
  readonly state: 'completed'
  readonly manifest: string
  readonly readBytes: number
  readonly sentBytes: number
  readonly dataBytes: number
}

interface Failed {
  readonly state: 'failed'
  readonly reason: string
}

const STATES: readonly unknown[] = ['taken', 'completed', 'failed', 'released']
const SUFFIX = '.json'

/** Null for one that was never taken. Throws DataCorrupt: a guess could take it twice. */
export async function readSnapshotLedger(
  folder: string,
  id: SnapshotId,
): Promise<SnapshotLedger | null> {
  const file = join(folder, `${id}${SUFFIX}`)
  const text = await readIfThere(file)
  if (text === null) return null
  try {
    const ledger = JSON.parse(text) as SnapshotLedger
    if (ledger.version === 1 && STATES.includes(ledger.state)) return ledger
  } catch {
    // As below.
  }
  throw new MalleeError('DataCorrupt', `${file} is not understood`)
}

/** Durable when it returns. */
export async function writeSnapshotLedger(
  folder: string,
  id: SnapshotId,
  fate: SnapshotFate,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const ledger: SnapshotLedger = { version: 1, ...fate }
  await writeDurably(join(folder, `${id}${SUFFIX}`), `${JSON.stringify(ledger)}\n`)
}

/** Snapshots with a ledger. */
export async function listSnapshotLedgers(folder: string): Promise<readonly SnapshotId[]> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return (await readdir(folder)).flatMap((name) => {
    const id = parseSnapshotId(name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : '')
    return id.ok ? [id.value] : []
  })
}

export async function removeSnapshotLedger(folder: string, id: SnapshotId): Promise<void> {
  await rm(join(folder, `${id}${SUFFIX}`), { force: true })
  await syncFolder(folder)
}
