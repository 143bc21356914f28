// What is to be done about snapshots: take their moment, bring their bytes to the store, let go of
// what is kept. Pure. Those of a group are of one moment: the first of them that is written down as
// taken says that all were kept; before that, what is kept of them is of different moments.

import type { SnapshotId, VolumeId } from '../volumes/backend.ts'
import type { Completed, SnapshotFate, SnapshotLedger, Taken } from './ledger.ts'
import type { WantedSnapshot } from './wanted.ts'

export interface SeenSnapshot {
  /** Null when it was never written down as taken. */
  readonly ledger: SnapshotLedger | null
  /** Of what is kept for it; null when nothing is. */
  readonly keptBytes: number | null
  /** Are its bytes being brought to the store by this agent? */
  readonly uploads: boolean
  /** Null when its volume is not here. */
  readonly volumeBytes: number | null
}

export interface SnapshotsSeen {
  /** Of every snapshot that is wanted. */
  readonly snapshots: ReadonlyMap<SnapshotId, SeenSnapshot>
  /** Ledgers of snapshots that are not wanted, of which nothing is kept. */
  readonly settled: readonly SnapshotId[]
}

export interface Member {
  readonly id: SnapshotId
  readonly volume: VolumeId
}

export type SnapshotStep =
  /** What is kept of it, complete or not. */
  | { readonly kind: 'remove'; readonly id: SnapshotId }
  /** All at one moment; each is written down as taken once all are kept, or as failed. */
  | { readonly kind: 'take'; readonly members: readonly Member[] }
  | { readonly kind: 'record'; readonly id: SnapshotId; readonly fate: SnapshotFate }
  | { readonly kind: 'upload'; readonly id: SnapshotId }
  /** Ends an upload, if there is one. */
  | { readonly kind: 'stop'; readonly id: SnapshotId }
  /** The ledger itself. */
  | { readonly kind: 'forget'; readonly id: SnapshotId }

export interface SnapshotPlan {
  /** Of one group, or one alone; a failure ends its steps. */
  readonly ids: readonly SnapshotId[]
  readonly steps: readonly SnapshotStep[]
}

/** What is not wanted is left alone, whatever it is: silence releases nothing. */
export function planSnapshots(
  wanted: readonly WantedSnapshot[],
  seen: SnapshotsSeen,
): readonly SnapshotPlan[] {
  const groups = Map.groupBy(wanted, ({ id, group }) => group ?? id)
  const plans = [...groups.values()].map((members) => ({
    ids: members.map(({ id }) => id),
    steps: planGroup(
      members.map((one) => ({ ...one, ...(seen.snapshots.get(one.id) ?? unseen(one.id)) })),
    ),
  }))
  const forgotten = seen.settled.map((id) => ({
    ids: [id],
    steps: [{ kind: 'forget', id } as const],
  }))
  return [...plans, ...forgotten].filter(({ steps }) => steps.length > 0)
}

type Facts = WantedSnapshot & SeenSnapshot

function planGroup(members: readonly Facts[]): SnapshotStep[] {
  const open = members.filter(({ ledger }) => ledger === null)
  return [...(open.length > 0 ? planMoment(members, open) : []), ...members.flatMap(planOne)]
}

/** What becomes of those that are not written down. */
function planMoment(members: readonly Facts[], open: readonly Facts[]): SnapshotStep[] {
  const taken = members.map(({ ledger }) => ledger).find(isTaken)
  // Nobody waits for a moment of these any more; a `release` comes from planOne.
  const due = open.filter(({ released }) => !released)
  if (due.length === 0) return []
  if (taken !== undefined) return due.map((one) => lateRecord(one, taken))
  const kept = due.filter(({ keptBytes }) => keptBytes !== null)
  const removals = kept.map(({ id }) => ({ kind: 'remove', id }) as const)
  const failed = members.find(({ ledger }) => ledger?.state === 'failed')?.ledger
  const why =
    failed?.state === 'failed'
      ? failed.reason
      : members.some(({ ledger, released }) => released || ledger !== null)
        ? 'another snapshot of its group was given up before it was taken'
        : reasonAgainst(due)
  if (why !== null) return [...removals, ...due.map((one) => failure(one.id, why))]
  // The others of the group are still to be told.
  if (members.length < (members[0]?.groupSize ?? 1)) return removals
  return [...removals, { kind: 'take', members: due.map(({ id, volume }) => ({ id, volume })) }]
}

function reasonAgainst(due: readonly Facts[]): string | null {
  const lost = due.find(({ volumeBytes }) => volumeBytes === null)
  return lost === undefined ? null : `the volume ${lost.volume} is not here`
}

/** Of a group whose moment was kept, when writing that down did not come to its end. */
function lateRecord({ id, keptBytes }: Facts, { takenAtMs }: Taken | Completed): SnapshotStep {
  if (keptBytes === null) return failure(id, 'what was kept of it is missing')
  return { kind: 'record', id, fate: { state: 'taken', takenAtMs, sizeBytes: keptBytes } }
}

function planOne({ id, ledger, keptBytes, uploads, released }: Facts): SnapshotStep[] {
  if (released) {
    if (ledger?.state === 'released' && keptBytes === null) return []
    const fate = { state: 'released' } as const
    return [
      { kind: 'stop', id },
      // Before it goes: what is written down as taken is never missing.
      ...(ledger?.state === 'released' ? [] : [{ kind: 'record', id, fate } as const]),
      { kind: 'remove', id },
    ]
  }
  switch (ledger?.state) {
    case 'taken':
      if (keptBytes === null) {
        return [{ kind: 'stop', id }, failure(id, 'what was kept of it is missing')]
      }
      return uploads ? [] : [{ kind: 'upload', id }]
    case 'failed':
      return keptBytes === null ? [] : [{ kind: 'remove', id }]
    default:
      return []
  }
}

function failure(id: SnapshotId, reason: string): SnapshotStep {
  return { kind: 'record', id, fate: { state: 'failed', reason } }
}

function isTaken(ledger: SnapshotLedger | null): ledger is SnapshotLedger & (Taken | Completed) {
  return ledger?.state === 'taken' || ledger?.state === 'completed'
}

function unseen(id: SnapshotId): never {
  throw new RangeError(`${id} was not looked at`)
}
