// Takes the moment of snapshots. Of several volumes, all stand still meanwhile: else a
// write could be in the second volume that its writer made because of one that the first lacks.

import type { Clock } from '../../../common/clock.ts'
import { type Code, codeOf, MalleeError, messageOf } from '../../../common/errors.ts'
import type { VolumeBackend, VolumeId } from '../volumes/backend.ts'
import type { VolumeTargets } from '../volumes/targets.ts'
import { type SnapshotFate, writeSnapshotLedger } from './ledger.ts'
import { type Missing, writeMissing } from './missing.ts'
import type { Member } from './plan.ts'

export interface TakeParts {
  readonly clock: Clock
  readonly backend: VolumeBackend
  readonly ledgers: string
  /** Runs while nobody writes to any volume. */
  readonly still: VolumeTargets['still']
  /** May somebody write to it now? */
  readonly attached: (id: VolumeId) => Promise<boolean>
  /** Runs while nothing of the volume comes or is written; `missing` is what is still to come. */
  readonly settled: <T>(id: VolumeId, run: (missing: Missing | null) => Promise<T>) => Promise<T>
}

/** Trying again would not help. */
const FINAL: ReadonlySet<Code | null> = new Set(['NotFound', 'NotSupported', 'StoreFull'] as const)

/**
 * All or none, and written down: taken, or failed where a second try would not help. Throws what
 * may pass; then all is as it was, or the next plan takes away what is kept.
 */
export async function takeSnapshots(parts: TakeParts, members: readonly Member[]): Promise<void> {
  const { clock, backend, ledgers, still } = parts
  const fates = new Map<Member, SnapshotFate>()
  const volumes = members.map(({ volume }) => volume)
  try {
    if (!backend.snapshots) await checkDetached(parts, volumes)
    const isStill = members.length === 1 || !backend.snapshots
    const takenAtMs = await (isStill ? keepAll() : still(volumes, keepAll))
    for (const member of members) {
      const { sizeBytes = 0 } = (await backend.lookSnapshot(member.id)) ?? {}
      fates.set(member, { state: 'taken', takenAtMs, sizeBytes })
    }
  } catch (error) {
    if (!FINAL.has(codeOf(error))) throw error
    for (const { id } of members) await backend.removeSnapshot(id)
    for (const member of members) fates.set(member, { state: 'failed', reason: messageOf(error) })
  }
  for (const [{ id }, fate] of fates) await writeSnapshotLedger(ledgers, id, fate)

  async function keepAll(): Promise<number> {
    for (const { id, volume } of members) await keep(parts, { id, volume })
    return clock.nowMs()
  }
}

/** What is copied stands still for so long that no guest could wait. Throws NotSupported. */
async function checkDetached({ attached }: TakeParts, volumes: readonly VolumeId[]): Promise<void> {
  for (const id of volumes) {
    if (!(await attached(id))) continue
    const why = `${id} is attached, and its disk shares no blocks between files; XFS and btrfs do`
    throw new MalleeError('NotSupported', why)
  }
}

async function keep({ backend, ledgers, settled }: TakeParts, member: Member): Promise<void> {
  const { id, volume } = member
  await settled(volume, async (missing) => {
    await writeMissing(ledgers, id, missing)
    await backend.snapshot(volume, id)
  })
}
