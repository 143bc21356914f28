// What is to be done about volumes: their bytes, who may write to them, and by target-plan.ts their
// targets. Pure.

import { isDeepStrictEqual } from 'node:util'
import type { VolumeBytes, VolumeId } from './backend.ts'
import { type InForce, isSame, type Ledger, NO_GRANTS, nextLedger } from './ledger.ts'
import {
  endTargets,
  isOf,
  planTargets,
  type SeenFiles,
  type TargetFacts,
  type TargetStep,
  withdrawOthers,
} from './target-plan.ts'
import type { ServedTarget } from './targets.ts'
import type { SnapshotSource, WantedVolume } from './wanted.ts'

export interface SeenVolume extends SeenFiles {
  readonly bytes: VolumeBytes | null
  /** Null when the volume was never here. */
  readonly ledger: Ledger | null
}

export interface Seen {
  /** Of every volume that is wanted. */
  readonly volumes: ReadonlyMap<VolumeId, SeenVolume>
  readonly targets: readonly ServedTarget[]
  readonly leftovers: readonly string[]
  /** The first of a row of target numbers that were never used. */
  readonly nextTid: number
  /** Do clients open volumes by themselves? See VolumeTargets. */
  readonly direct: boolean
}

export type VolumeStep =
  /** Of a volume that is to be made: it begins as a snapshot. Before it is made. */
  | {
      readonly kind: 'begin'
      readonly source: SnapshotSource
      /** What comes is encrypted by it. */
      readonly encryptionKey?: string
    }
  /** With a LUKS header when there is a key. */
  | { readonly kind: 'create'; readonly sizeBytes: number; readonly encryptionKey?: string }
  | { readonly kind: 'grow'; readonly sizeBytes: number }
  /** Before what it allows is granted. */
  | { readonly kind: 'record'; readonly ledger: Ledger }
  | TargetStep
  | { readonly kind: 'delete' }
  /** Nobody uses what was shown, and nobody will. */
  | { readonly kind: 'end' }

export interface VolumePlan {
  readonly id: VolumeId
  /** In order; a failure ends those of this volume. */
  readonly steps: readonly VolumeStep[]
  /** What is wrong with it that no step mends. */
  readonly trouble: string | null
}

export interface Plan {
  /** What is left over of what went before. It goes first. */
  readonly forgotten: readonly string[]
  readonly volumes: readonly VolumePlan[]
}

/** What is not wanted is left alone, whatever it is: silence neither deletes nor revokes. */
export function planVolumes(wanted: readonly WantedVolume[], seen: Seen): Plan {
  const taken = new Set(seen.targets.map(({ tid }) => tid))
  const users = usersOf(wanted)
  let tid = seen.nextTid
  const newTid = () => {
    while (taken.has(tid)) tid += 1
    return tid++
  }
  const volumes = wanted.map((volume) => {
    const of = seen.volumes.get(volume.id)
    if (of === undefined) throw new RangeError(`${volume.id} was not looked at`)
    const targets = seen.targets.filter((target) => isOf(target, volume.id, of))
    const shared = volume.grants.find(({ chapUser }) => (users.get(chapUser) ?? 0) > 1)
    if (shared !== undefined) {
      const why = `${volume.id} shares the CHAP user ${shared.chapUser} with another volume`
      return { id: volume.id, steps: [], trouble: why }
    }
    return planVolume(volume, { ...of, targets, newTid, direct: seen.direct })
  })
  return { forgotten: seen.leftovers, volumes }
}

type Facts = SeenVolume & TargetFacts

function planVolume(wanted: WantedVolume, seen: Facts): VolumePlan {
  const { id } = wanted
  const before = seen.ledger ?? NO_GRANTS
  if (before.deleted && !wanted.deleted) {
    return { id, steps: endTargets(seen), trouble: `${id} was deleted` }
  }
  if (wanted.deleted) return planEnd(wanted, seen, before)
  if (seen.bytes === null && seen.ledger !== null) {
    // Never a new, empty one in its place: the disk may come back.
    return { id, steps: [], trouble: `the bytes of ${id} are missing at ${seen.file}` }
  }

  const sizeBytes = Math.max(wanted.sizeBytes, seen.bytes?.sizeBytes ?? 0)
  const { ledger, refused } = nextLedger(before, wanted)
  const steps: VolumeStep[] = []
  if (seen.bytes === null) {
    const { source } = wanted
    const key = keyOf(wanted)
    if (source !== null) steps.push({ kind: 'begin', source, ...key })
    steps.push({ kind: 'create', sizeBytes, ...key })
  } else if (seen.bytes.sizeBytes < sizeBytes) steps.push({ kind: 'grow', sizeBytes })
  if (seen.ledger === null || !isDeepStrictEqual(ledger, before))
    steps.push({ kind: 'record', ledger })
  const begins = seen.bytes === null && wanted.source !== null
  const now = begins ? { ...seen, restore: { whole: false, shownBytes: null } } : seen
  const grants = ledger.inForce.flatMap(
    (one) => wanted.grants.find((grant) => isSame(grant, one)) ?? [],
  )
  if (grants.length === ledger.inForce.length) {
    steps.push(...planTargets(wanted, now, { grants, sizeBytes }))
    if (now.restore?.whole === true) steps.push({ kind: 'end' })
  } else {
    // An old wish does not know the secrets of newer grants: they stay, and nobody else does.
    steps.push(...withdrawOthers(seen, ledger.inForce))
  }
  return { id, steps, trouble: troubleOf(wanted, sizeBytes, refused) }
}

function planEnd(wanted: WantedVolume, seen: Facts, before: Ledger): VolumePlan {
  const { id, grants } = wanted
  if (grants.length > 0 && !before.deleted) {
    const why = `${id} is to be deleted and is granted to ${grants[0]?.attachment}`
    // Who has it keeps it until that is settled; what is left of others goes.
    return { id, steps: withdrawOthers(seen, before.inForce), trouble: why }
  }
  const ledger: Ledger = { ...before, inForce: [], deleted: true }
  const steps: VolumeStep[] = []
  if (!before.deleted) steps.push({ kind: 'record', ledger })
  steps.push(...endTargets(seen))
  if (seen.restore !== null) steps.push({ kind: 'end' })
  if (seen.bytes !== null) steps.push({ kind: 'delete' })
  return { id, steps, trouble: null }
}

/** Of a header that is to be made: the bytes of an encrypted snapshot have theirs. */
function keyOf({ encryptionKey, source }: WantedVolume): Pick<WantedVolume, 'encryptionKey'> {
  const hasHeader = source !== null && source.isPlain !== true
  return encryptionKey === undefined || hasHeader ? {} : { encryptionKey }
}

function usersOf(wanted: readonly WantedVolume[]): Map<string, number> {
  const users = new Map<string, number>()
  for (const { grants } of wanted) {
    for (const { chapUser } of grants) users.set(chapUser, (users.get(chapUser) ?? 0) + 1)
  }
  return users
}

function troubleOf(
  { id, sizeBytes }: WantedVolume,
  hasBytes: number,
  refused: readonly InForce[],
): string | null {
  if (sizeBytes < hasBytes) return `${id} has ${hasBytes} bytes and does not shrink to ${sizeBytes}`
  const [old] = refused
  return old === undefined
    ? null
    : `${id} is not granted to ${old.attachment} any more: its generation ${old.generation} is past`
}
