// Makes the snapshots of this host true: observe, plan, apply. What one cannot have keeps no other
// from what it shall have.

import { messageOf } from '../../../common/errors.ts'
import { never } from '../../../topology/result.ts'
import type { SnapshotId } from '../volumes/backend.ts'
import {
  listSnapshotLedgers,
  readSnapshotLedger,
  removeSnapshotLedger,
  type SnapshotLedger,
  writeSnapshotLedger,
} from './ledger.ts'
import { removeMissing } from './missing.ts'
import { planSnapshots, type SeenSnapshot, type SnapshotStep, type SnapshotsSeen } from './plan.ts'
import { type TakeParts, takeSnapshots } from './take.ts'
import type { UploadState, Uploads, UploadsParts } from './uploads.ts'
import type { WantedSnapshot } from './wanted.ts'

export interface SnapshotsParts extends Omit<TakeParts, 'clock'>, Omit<UploadsParts, 'changed'> {
  readonly uploads: Uploads
}

export interface SnapshotStatus {
  readonly id: SnapshotId
  readonly state: 'taken' | 'completed' | 'error' | 'released'
  /** What keeps it; empty when nothing does. */
  readonly reason: string
  /** 0 when it never was. */
  readonly takenAtMs: number
  readonly progressPercent: number
  /** Empty before it is completed; so are the numbers. */
  readonly manifest: string
  readonly readBytes: number
  readonly sentBytes: number
  readonly dataBytes: number
}

export interface SnapshotsPass {
  /** Of those that were taken, or never will be: nothing is said of one that is still to be. */
  readonly statuses: readonly SnapshotStatus[]
  readonly steps: number
  /** With a step that failed: another pass may mend it. */
  readonly failed: readonly SnapshotId[]
}

interface Observed extends SnapshotsSeen {
  readonly unseen: ReadonlySet<SnapshotId>
}

/**
 * One pass, of two rounds: what is taken in the first is sent by the second. Before volumes are
 * deleted: a snapshot that was asked for before that is taken.
 */
export async function reconcileSnapshots(
  parts: SnapshotsParts,
  wanted: readonly WantedSnapshot[],
): Promise<SnapshotsPass> {
  const first = await round(parts, wanted)
  const { failed } = first.steps === 0 ? first : await round(parts, wanted)
  if (first.steps > 0) parts.log.info('reconcile', { name: 'snapshots', steps: first.steps })
  return { statuses: await snapshotStatuses(parts, wanted), steps: first.steps, failed }
}

async function round(
  parts: SnapshotsParts,
  wanted: readonly WantedSnapshot[],
): Promise<Omit<SnapshotsPass, 'statuses'>> {
  const byId = new Map(wanted.map((one) => [one.id, one]))
  const seen = await observe(parts, wanted)
  // A group of which one cannot be looked at is left as it is.
  const groups = new Set(
    wanted.flatMap(({ id, group }) => (seen.unseen.has(id) ? (group ?? id) : [])),
  )
  const visible = wanted.filter(({ id, group }) => !groups.has(group ?? id))
  const failed = [...seen.unseen]
  let steps = 0
  for (const plan of planSnapshots(visible, seen)) {
    try {
      for (const step of plan.steps) {
        steps += 1
        await apply(parts, byId, step)
      }
    } catch (error) {
      failed.push(...plan.ids)
      parts.log.error('snapshot', { snapshots: plan.ids, error })
    }
  }
  return { steps, failed }
}

/** What can be said of them now; also between passes, while bytes are sent. */
export async function snapshotStatuses(
  { ledgers, uploads }: Pick<SnapshotsParts, 'ledgers' | 'uploads'>,
  wanted: readonly WantedSnapshot[],
): Promise<SnapshotStatus[]> {
  const statuses: SnapshotStatus[] = []
  for (const { id } of wanted) {
    const ledger = await readSnapshotLedger(ledgers, id).catch(() => null)
    if (ledger !== null) statuses.push(statusOf(id, ledger, uploads.state(id)))
  }
  return statuses
}

async function observe(
  { backend, ledgers, uploads, log }: SnapshotsParts,
  wanted: readonly WantedSnapshot[],
): Promise<Observed> {
  const snapshots = new Map<SnapshotId, SeenSnapshot>()
  const unseen = new Set<SnapshotId>()
  for (const { id, volume } of wanted) {
    try {
      snapshots.set(id, {
        // Before its ledger: an upload that ends in between has written it.
        uploads: uploads.state(id) !== null,
        ledger: await readSnapshotLedger(ledgers, id),
        keptBytes: (await backend.lookSnapshot(id))?.sizeBytes ?? null,
        volumeBytes: (await backend.look(volume))?.sizeBytes ?? null,
      })
    } catch (error) {
      unseen.add(id)
      log.error('snapshot', { snapshot: id, error: messageOf(error) })
    }
  }
  const names = new Set<SnapshotId>(wanted.map(({ id }) => id))
  const settled: SnapshotId[] = []
  for (const id of await listSnapshotLedgers(ledgers)) {
    if (names.has(id)) continue
    const ledger = await readSnapshotLedger(ledgers, id).catch(() => null)
    if (ledger?.state === 'released' && (await backend.lookSnapshot(id)) === null) settled.push(id)
  }
  return { snapshots, settled, unseen }
}

async function apply(
  parts: SnapshotsParts,
  wanted: ReadonlyMap<SnapshotId, WantedSnapshot>,
  step: SnapshotStep,
): Promise<void> {
  const { backend, ledgers, uploads } = parts
  switch (step.kind) {
    case 'remove':
      await backend.removeSnapshot(step.id)
      return removeMissing(ledgers, step.id)
    case 'take':
      return takeSnapshots(parts, step.members)
    case 'record':
      return writeSnapshotLedger(ledgers, step.id, step.fate)
    case 'upload': {
      const [one, ledger] = [wanted.get(step.id), await readSnapshotLedger(ledgers, step.id)]
      if (one !== undefined && ledger?.state === 'taken') uploads.start(one, ledger)
      return
    }
    case 'stop':
      return uploads.stop(step.id)
    case 'forget':
      return removeSnapshotLedger(ledgers, step.id)
    default:
      return never(step)
  }
}

function statusOf(
  id: SnapshotId,
  ledger: SnapshotLedger,
  upload: UploadState | null,
): SnapshotStatus {
  const none = { manifest: '', readBytes: 0, sentBytes: 0, dataBytes: 0 }
  const blank = { id, reason: '', takenAtMs: 0, progressPercent: 0, ...none }
  switch (ledger.state) {
    case 'taken': {
      const { takenAtMs } = ledger
      const { progressPercent = 0, trouble = null } = upload ?? {}
      return { ...blank, state: 'taken', takenAtMs, progressPercent, reason: trouble ?? '' }
    }
    case 'completed': {
      const { takenAtMs, manifest, readBytes, sentBytes, dataBytes } = ledger
      const sums = { manifest, readBytes, sentBytes, dataBytes }
      return { ...blank, state: 'completed', takenAtMs, progressPercent: 100, ...sums }
    }
    case 'failed':
      return { ...blank, state: 'error', reason: ledger.reason }
    case 'released':
      return { ...blank, state: 'released' }
    default:
      return never(ledger)
  }
}
