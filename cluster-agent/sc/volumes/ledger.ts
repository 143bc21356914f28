// The ledger of a volume: a small file that remembers which grants were given, so that what was
// once taken back is refused for ever, by every later agent. Written before anything is granted.

import { mkdir, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isThere, readIfThere, writeDurably } from '../../../common/durable-file.ts'
import { MalleeError } from '../../../common/errors.ts'
import { parseVolumeId, type VolumeId } from './backend.ts'
import type { Grant, WantedVolume } from './wanted.ts'

export interface Ledger {
  readonly version: 1
  /** The newest that was ever granted; 0 before the first. */
  readonly generation: number
  /** Who may log in, oldest first. */
  readonly inForce: readonly InForce[]
  /** Its bytes are gone or are about to go; there is no way back. */
  readonly deleted: boolean
}

/** A grant without its secret, wherever it is served. */
export type InForce = Omit<Grant, 'chapSecret' | 'targetIqn'>

export const NO_GRANTS: Ledger = { version: 1, generation: 0, inForce: [], deleted: false }

/**
 * Which grants are in force from now on. Those that are, as long as they are wanted; new ones only
 * when they are newer than everything that was granted before. With one writer the newest wins; and
 * a wish whose newest grant is older than what was granted is an old one, and changes nothing.
 */
export function nextLedger(
  ledger: Ledger,
  { grants, multiAttach }: Pick<WantedVolume, 'grants' | 'multiAttach'>,
): { readonly ledger: Ledger; readonly refused: readonly InForce[] } {
  const isKept = (one: InForce) => ledger.inForce.some((kept) => isSame(kept, one))
  const sorted = grants.map(withoutSecret).sort((a, b) => a.generation - b.generation)
  const fitting = sorted.filter((one) => isKept(one) || one.generation > ledger.generation)
  const refused = sorted.filter((one) => !fitting.includes(one))
  const isOld = !multiAttach && fitting.length === 0 && refused.length > 0
  if (isOld) return { ledger, refused }
  const inForce = multiAttach ? fitting : fitting.slice(-1)
  const generation = Math.max(ledger.generation, ...inForce.map((one) => one.generation))
  return { ledger: { ...ledger, generation, inForce }, refused }
}

export function isSame(a: InForce, b: InForce): boolean {
  return a.attachment === b.attachment && a.generation === b.generation
}

/** Null for a volume that was never here. Throws DataCorrupt: a guess could let two in. */
export async function readLedger(folder: string, id: VolumeId): Promise<Ledger | null> {
  const file = ledgerFile(folder, id)
  const text = await readIfThere(file)
  if (text === null) return null
  const ledger = parse(text)
  if (ledger === null) throw new MalleeError('DataCorrupt', `${file} is not understood`)
  return ledger
}

/** Volumes that are here and were not deleted, by id. One that is not understood is there, too. */
export async function heldVolumes(folder: string): Promise<VolumeId[]> {
  const names = (await isThere(folder)) ? await readdir(folder) : []
  const held: VolumeId[] = []
  for (const name of names.toSorted()) {
    const id = parseVolumeId(name.replace(/\.json$/, ''))
    if (!id.ok || name !== basename(ledgerFile(folder, id.value))) continue
    const text = await readIfThere(join(folder, name))
    if (text !== null && parse(text)?.deleted !== true) held.push(id.value)
  }
  return held
}

/** Durable when it returns. */
export async function writeLedger(folder: string, id: VolumeId, ledger: Ledger): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeDurably(ledgerFile(folder, id), `${JSON.stringify(ledger)}\n`)
}

function withoutSecret({ attachment, generation, initiatorIqn, chapUser }: Grant): InForce {
  return { attachment, generation, initiatorIqn, chapUser }
}

function ledgerFile(folder: string, id: VolumeId): string {
  return join(folder, `${id}.json`)
}

function parse(text: string): Ledger | null {
  try {
    const ledger = JSON.parse(text) as Ledger
    const isWhole =
      ledger.version === 1 &&
      Number.isSafeInteger(ledger.generation) &&
      typeof ledger.deleted === 'boolean' &&
      ledger.inForce.every(
        ({ attachment, generation, chapUser, initiatorIqn }) =>
          [attachment, chapUser, initiatorIqn].every((text) => typeof text === 'string') &&
          Number.isSafeInteger(generation),
      )
    return isWhole ? ledger : null
  } catch {
    return null
  }
}
