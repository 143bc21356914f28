// Where the parts of a file are on its disk (FIEMAP, by filefrag(8) of e2fsprogs).

import { MalleeError, messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'

export interface Extent {
  readonly offset: number
  readonly length: number
  /** Byte of the disk; null when it cannot be compared with another file's. */
  readonly physical: number | null
}

const UNIT_BYTES = 4_096
const TIMEOUT_MS = 120_000
/** A line takes about 70 bytes: some 3 million parts. */
const MAX_OUTPUT_BYTES = 256 << 20
const LINE = /^\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\.\s*\d+:\s*\d+:(?:\s*\d+:)?\s*(.*)$/
/** What is at such a place is not simply the file's bytes (linux/fiemap.h). */
const NO_PLACE: ReadonlySet<string> = new Set([
  ...['unknown_loc', 'delalloc', 'encoded', 'encrypted', 'not_aligned', 'inline', 'tail_packed'],
])

/**
 * The parts of a file that are no holes, in order; what is reserved and was never written reads as
 * zeroes and is none. Syncs the file. Throws NotSupported where the file system does not say.
 */
export async function fileExtents(exec: Exec, file: string): Promise<readonly Extent[]> {
  const argv = ['filefrag', '-v', '-s', `-b${UNIT_BYTES}`, file]
  try {
    const { stdout } = await exec(argv, { timeoutMs: TIMEOUT_MS, maxBytes: MAX_OUTPUT_BYTES })
    return parseExtents(stdout)
  } catch (error) {
    const why = `where the bytes of ${file} are is not known: ${messageOf(error)}`
    throw new MalleeError('NotSupported', why, { cause: error })
  }
}

/** Throws BadMessage for what filefrag never says. */
export function parseExtents(text: string): Extent[] {
  if (!text.includes(' found'))
    throw new MalleeError('BadMessage', 'filefrag did not come to an end')
  return text.split('\n').flatMap((line) => {
    const [, from, to, physical, flags = ''] = LINE.exec(line) ?? []
    if (from === undefined) return []
    const all = flags.split(',')
    if (all.includes('unwritten')) return []
    const length = (Number(to) - Number(from) + 1) * UNIT_BYTES
    const hasPlace = !all.some((flag) => NO_PLACE.has(flag))
    const offset = Number(from) * UNIT_BYTES
    return [{ offset, length, physical: hasPlace ? Number(physical) * UNIT_BYTES : null }]
  })
}
