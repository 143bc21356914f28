// What is to be done about volumes: their bytes, their targets, and who may log in. Pure.
// A target lives from the first grant to the end of any: a grant that ends takes the target with it
// and those that stay get a new one, with another number. So a login that was half done when its
// grant ended has nowhere to go on. Its clients see a broken connection and log in again.

import { isDeepStrictEqual } from 'node:util'
import type { SeenRestore } from '../restore/restores.ts'
import type { VolumeBytes, VolumeId } from './backend.ts'
import { type InForce, isSame, type Ledger, NO_GRANTS, nextLedger } from './ledger.ts'
import { type Export, LUN, type ServedTarget, type TargetName } from './targets.ts'
import type { Grant, SnapshotSource, WantedVolume } from './wanted.ts'

export interface SeenVolume {
  readonly bytes: VolumeBytes | null
  /** Null when the volume was never here. */
  readonly ledger: Ledger | null
  /** Where its bytes are, or would be. */
  readonly file: string
  /** Null when all of its bytes are in its file, and nowhere else. */
  readonly restore: SeenRestore | null
  /** What it is used by while its snapshot still comes. */
  readonly shownFile: string
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
  /** No new logins, no sessions, no commands under way, no accounts, no target. */
  | { readonly kind: 'withdraw'; readonly target: ServedTarget }
  /** As withdraw, of one who may log in. */
  | { readonly kind: 'revoke'; readonly target: ServedTarget; readonly user: string }
  | { readonly kind: 'export'; readonly export: Export }
  | { readonly kind: 'grant'; readonly target: TargetName; readonly grant: Grant }
  | { readonly kind: 'delete' }
  /** What serves the volume while its snapshot comes. Nobody uses what was shown before. */
  | { readonly kind: 'show' }
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
  /** What no target has, of a start before that ended half way. It goes first. */
  readonly forgotten: readonly string[]
  readonly volumes: readonly VolumePlan[]
}

/** What is not wanted is left alone, whatever it is: silence neither deletes nor revokes. */
export function planVolumes(wanted: readonly WantedVolume[], seen: Seen): Plan {
  const taken = new Set(seen.targets.map(({ tid }) => tid))
  const users = usersOf(wanted)
  let tid = seen.nextTid
  const volumes = wanted.map((volume) => {
    while (taken.has(tid)) tid += 1
    const of = seen.volumes.get(volume.id)
    if (of === undefined) throw new RangeError(`${volume.id} was not looked at`)
    const targets = seen.targets.filter((target) => isOf(target, volume, of))
    const shared = volume.grants.find(({ chapUser }) => (users.get(chapUser) ?? 0) > 1)
    if (shared !== undefined) {
      const why = `${volume.id} shares the CHAP user ${shared.chapUser} with another volume`
      return { id: volume.id, steps: [], trouble: why }
    }
    const plan = planVolume(volume, { ...of, targets, tid, direct: seen.direct })
    if (plan.steps.some(({ kind }) => kind === 'export')) tid += 1
    return plan
  })
  return { forgotten: seen.leftovers, volumes }
}

/** The grants that a client can use: what the ledger has and the target lets in. */
export function grantsInForce(
  { targetIqn }: WantedVolume,
  { ledger, ...seen }: SeenVolume,
  targets: readonly ServedTarget[],
): readonly InForce[] {
  const file = servedFile(seen)
  const target = targets.find(({ iqn, luns }) => iqn === targetIqn && luns[0]?.file === file)
  if (target === undefined || ledger === null) return []
  return ledger.inForce.filter((one) => isGranted(one, target))
}

interface Facts extends SeenVolume {
  readonly targets: readonly ServedTarget[]
  readonly tid: number
  readonly direct: boolean
}

function planVolume(wanted: WantedVolume, seen: Facts): VolumePlan {
  const { id } = wanted
  const before = seen.ledger ?? NO_GRANTS
  if (before.deleted && !wanted.deleted) {
    return { id, steps: withdraw(seen.targets), trouble: `${id} was deleted` }
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
    steps.push(...planTarget(wanted, now, { grants, sizeBytes }))
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
  steps.push(...withdraw(seen.targets))
  if (seen.restore !== null) steps.push({ kind: 'end' })
  if (seen.bytes !== null) steps.push({ kind: 'delete' })
  return { id, steps, trouble: null }
}

function planTarget(
  { id, targetIqn }: WantedVolume,
  { targets, tid, direct, ...seen }: Facts,
  { grants, sizeBytes }: { readonly grants: readonly Grant[]; readonly sizeBytes: number },
): VolumeStep[] {
  const comes = seen.restore !== null && !seen.restore.whole
  if (grants.length === 0 || (direct && comes)) return withdraw(targets)
  const serial = serialOf(id)
  const file = servedFile(seen)
  const isShown =
    seen.restore === null || seen.restore.whole || seen.restore.shownBytes === sizeBytes
  const kept = targets.find((target) => {
    const [lun, ...others] = target.luns
    if (direct) return target.iqn === targetIqn
    return (
      isShown &&
      target.iqn === targetIqn &&
      others.length === 0 &&
      lun?.lun === LUN &&
      lun.file === file &&
      lun.serial === serial &&
      lun.thin &&
      lun.sizeBytes === sizeBytes &&
      holdsOnly(target, grants)
    )
  })
  const old = withdraw(targets.filter((target) => target !== kept))
  if (kept !== undefined) {
    if (direct) old.push(...withdrawOthers({ targets: [kept], direct }, grants))
    const missing = grants.filter((grant) => !isGranted(grant, kept))
    return [...old, ...missing.map((grant) => grantStep(kept, grant))]
  }
  const target: Export = { tid, iqn: targetIqn, lun: LUN, serial, file }
  return [
    ...old,
    ...(isShown ? [] : [{ kind: 'show' } as const]),
    { kind: 'export', export: target },
    ...grants.map((grant) => grantStep(target, grant)),
  ]
}

function grantStep({ tid, iqn }: TargetName, grant: Grant): VolumeStep {
  return { kind: 'grant', target: { tid, iqn }, grant }
}

/** What its target serves. */
function servedFile({ file, shownFile, restore }: Omit<SeenVolume, 'bytes' | 'ledger'>): string {
  return restore === null || restore.whole ? file : shownFile
}

/** Nobody who is not granted, no session of such a one, and nobody who is so by half. */
function holdsOnly(target: ServedTarget, grants: readonly InForce[]): boolean {
  const whole = grants.filter((grant) => isGranted(grant, target))
  const users = whole.map(({ chapUser }) => chapUser)
  const initiators = whole.map(({ initiatorIqn }) => initiatorIqn)
  return (
    target.accounts.every((user) => users.includes(user)) &&
    target.initiators.every((iqn) => initiators.includes(iqn)) &&
    target.sessions.every(({ initiator }) => initiators.includes(initiator))
  )
}

function isGranted({ chapUser, initiatorIqn }: InForce, target: ServedTarget): boolean {
  return target.accounts.includes(chapUser) && target.initiators.includes(initiatorIqn)
}

/** Of a header that is to be made: the bytes of an encrypted snapshot have theirs. */
function keyOf({ encryptionKey, source }: WantedVolume): Pick<WantedVolume, 'encryptionKey'> {
  const hasHeader = source !== null && source.isPlain !== true
  return encryptionKey === undefined || hasHeader ? {} : { encryptionKey }
}

/** By its name, whatever stands before the id, or by what it serves. */
function isOf(target: ServedTarget, { id }: WantedVolume, of: SeenVolume): boolean {
  const files = [of.file, of.shownFile]
  return target.iqn.endsWith(`:${id}`) || target.luns.some((lun) => files.includes(lun.file))
}

/** Nobody but these may write any more; nobody at all when there are none. */
function withdrawOthers(
  { targets, direct }: Pick<Facts, 'targets' | 'direct'>,
  inForce: readonly InForce[],
): VolumeStep[] {
  if (inForce.length === 0) return withdraw(targets)
  if (!direct) return withdraw(targets.filter((one) => !holdsOnly(one, inForce)))
  return targets.flatMap((target) => {
    const users = inForce.filter((one) => isGranted(one, target)).map(({ chapUser }) => chapUser)
    const others = target.accounts.filter((user) => !users.includes(user))
    return others.map((user) => ({ kind: 'revoke', target, user }) as const)
  })
}

function withdraw(targets: readonly ServedTarget[]): VolumeStep[] {
  return targets.map((target) => ({ kind: 'withdraw', target }))
}

/** Exactly the 20 characters that guests see of it. */
function serialOf(id: VolumeId): string {
  return id.replace('-', '')
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
