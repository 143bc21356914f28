// Which chunks of a thin pool its volumes have, from a snapshot of the pool's metadata
// (thin_delta(8); the kernel's admin-guide/device-mapper/thin-provisioning.rst). A pool has one
// such snapshot at a time, and keeps what it holds until it is let go: also after a crash.

import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { dmName, type LvName } from './lvm.ts'

/** In chunks. */
export interface ChunkRange {
  readonly from: number
  readonly count: number
}

export interface ThinDelta {
  /** Of the second volume: what it has. */
  readonly data: readonly ChunkRange[]
  /** What the two have at different places, or only one of them has. */
  readonly changed: readonly ChunkRange[]
}

const READ_MS = 300_000
/** A line takes some 50 bytes: 5 million ranges. */
const MAX_BYTES = 256 << 20
const RANGE = /^<(same|different|left_only|right_only) begin="(\d+)" length="(\d+)"\/>$/
const AROUND = /^<\/?(superblock|diff)( [^<>]*)?>$/
const END = '</superblock>'

/** Ids are those in the pool; a volume compared with itself tells what it has. One at a time. */
export async function thinDelta(
  exec: Exec,
  pool: LvName,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<ThinDelta> {
  await releaseMetadata(exec, pool)
  await exec(['dmsetup', 'message', dmName(pool, 'tpool'), '0', 'reserve_metadata_snap'])
  try {
    const ids = ['--thin1', String(from), '--thin2', String(to)]
    const metadata = `/dev/mapper/${dmName({ ...pool, lv: `${pool.lv}_tmeta` })}`
    const argv = ['thin_delta', '--metadata-snap', ...ids, metadata]
    const { stdout } = await exec(argv, { timeoutMs: READ_MS, maxBytes: MAX_BYTES })
    return parseThinDelta(stdout)
  } finally {
    await releaseMetadata(exec, pool)
  }
}

/** Also when none is held, and of a pool without volumes, which has no such device. */
export async function releaseMetadata(exec: Exec, pool: LvName): Promise<void> {
  const name = dmName(pool, 'tpool')
  const argv = ['dmsetup', 'status', '--target', 'thin-pool', name]
  const { code, stdout, stderr } = await exec(argv, { okCodes: [0, 1] })
  if (code !== 0 && stderr.includes('does not exist')) return
  if (isHeld(stdout)) await exec(['dmsetup', 'message', name, '0', 'release_metadata_snap'])
}

/** Of the pool's status line. Throws CommandFailed for what is none. */
export function isHeld(status: string): boolean {
  // Start, length, kind, transaction, metadata and data (used/all each), the root that is held.
  const [, , kind, , , , root] = status.trim().split(/\s+/)
  if (kind === 'thin-pool' && root !== undefined && /^(-|\d+)$/.test(root)) return root !== '-'
  throw new MalleeError('CommandFailed', `the status of a thin pool is ${status.trim()}`)
}

/** Throws BadMessage for what thin_delta never says. */
export function parseThinDelta(text: string): ThinDelta {
  const lines = text.split('\n').flatMap((line) => line.trim() || [])
  if (lines.at(-1) !== END)
    throw new MalleeError('BadMessage', 'thin_delta did not come to its end')
  const data: ChunkRange[] = []
  const changed: ChunkRange[] = []
  for (const line of lines) {
    const [, kind, begin, length] = RANGE.exec(line) ?? []
    if (kind === undefined) {
      if (AROUND.test(line)) continue
      throw new MalleeError('BadMessage', `thin_delta said ${line.slice(0, 200)}`)
    }
    const range = { from: Number(begin), count: Number(length) }
    if (kind !== 'left_only') data.push(range)
    if (kind !== 'same') changed.push(range)
  }
  return { data, changed }
}
