// What is to be done about the targets of one volume, and who may log in. Pure.
// A target lives from its first grant to the end of any: a grant that ends takes the target with
// it, and others of that target get a new one, with another number. So a login that was half done
// when its grant ended has nowhere to go on. Clients see a broken connection and log in again.

import type { SeenRestore } from '../restore/restores.ts'
import type { VolumeId } from './backend.ts'
import type { InForce, Ledger } from './ledger.ts'
import { type Export, isTargetOf, LUN, type ServedTarget, type TargetName } from './targets.ts'
import type { Grant, WantedVolume } from './wanted.ts'

export interface SeenFiles {
  /** Where its bytes are, or would be. */
  readonly file: string
  /** Null when all of its bytes are in its file, and nowhere else. */
  readonly restore: SeenRestore | null
  /** What it is used by while its snapshot still comes. */
  readonly shownFile: string
}

export type TargetStep =
  /** No new logins, no sessions, no commands under way, no accounts, no target. */
  | { readonly kind: 'withdraw'; readonly target: ServedTarget }
  /** As above, but clients that come back get errors. */
  | { readonly kind: 'retire'; readonly target: ServedTarget }
  /** As withdraw, of one who may log in. */
  | { readonly kind: 'revoke'; readonly target: ServedTarget; readonly user: string }
  | { readonly kind: 'export'; readonly export: Export }
  | { readonly kind: 'grant'; readonly target: TargetName; readonly grant: Grant }
  /** What serves the volume while its snapshot comes. Nobody uses what was shown before. */
  | { readonly kind: 'show' }

export interface TargetFacts {
  /** Those of the volume. */
  readonly targets: readonly ServedTarget[]
  /** Do clients open volumes by themselves? See VolumeTargets. */
  readonly direct: boolean
  /** A number that no target has. */
  readonly newTid: () => number
}

type Ending = Pick<TargetFacts, 'targets' | 'direct'>

/** The grants that a client can use, and where: what the ledger has and a target lets in. */
export function grantsInForce(
  { ledger, ...seen }: SeenFiles & { readonly ledger: Ledger | null },
  targets: readonly ServedTarget[],
): readonly (InForce & { readonly targetIqn: string })[] {
  const file = servedFile(seen)
  const serving = targets.filter(({ luns }) => luns[0]?.file === file)
  return (ledger?.inForce ?? []).flatMap((one) => {
    const target = serving.find((other) => isGranted(one, other))
    return target === undefined ? [] : [{ ...one, targetIqn: target.iqn }]
  })
}

/** All grants that are in force, each at its target. */
export function planTargets(
  { id, targetIqn: common }: WantedVolume,
  { targets, newTid, direct, ...seen }: SeenFiles & TargetFacts,
  { grants, sizeBytes }: { readonly grants: readonly Grant[]; readonly sizeBytes: number },
): TargetStep[] {
  const comes = seen.restore !== null && !seen.restore.whole
  if (grants.length === 0 || (direct && comes)) return endTargets({ targets, direct })
  const serial = serialOf(id)
  const file = servedFile(seen)
  const isShown =
    seen.restore === null || seen.restore.whole || seen.restore.shownBytes === sizeBytes
  const nameOf = ({ targetIqn = common }: Grant) => (direct ? common : targetIqn)
  const byName = Map.groupBy(grants, nameOf)
  const kept = new Map<string, ServedTarget>()
  for (const target of targets) {
    const [lun, ...others] = target.luns
    const isRight =
      isShown &&
      others.length === 0 &&
      lun?.lun === LUN &&
      lun.file === file &&
      lun.serial === serial &&
      lun.thin &&
      lun.sizeBytes === sizeBytes
    const own = byName.get(target.iqn)
    if (own === undefined) continue
    if (direct || (isRight && holdsOnly(target, own))) kept.set(target.iqn, target)
  }
  const old = targets.filter((target) => kept.get(target.iqn) !== target)
  const steps: TargetStep[] = old.flatMap((one) =>
    byName.has(one.iqn) ? withdraw([one]) : endTargets({ targets: [one], direct }),
  )
  for (const one of kept.values()) {
    if (direct) steps.push(...withdrawOthers({ targets: [one], direct }, grants))
  }
  if (!isShown) steps.push({ kind: 'show' })
  for (const [iqn, own] of byName) {
    const there = kept.get(iqn)
    const made: Export = { tid: there?.tid ?? newTid(), iqn, lun: LUN, serial, file }
    if (there === undefined) steps.push({ kind: 'export', export: made })
    for (const grant of own) {
      const isIn = there !== undefined && isGranted(grant, there)
      if (!isIn) steps.push({ kind: 'grant', target: { tid: made.tid, iqn }, grant })
    }
  }
  return steps
}

/**
 * Of targets whose names nobody has a right to any more. Who did not log out may have requests
 * under way, and asks again until they are answered.
 */
export function endTargets({ targets, direct }: Ending): TargetStep[] {
  return targets.map((target) => {
    const { luns, sessions, initiators } = target
    const isInUse = [luns, sessions, initiators].every(({ length }) => length > 0)
    return { kind: isInUse && !direct ? 'retire' : 'withdraw', target }
  })
}

/** Nobody but these may write any more; nobody at all when there are none. */
export function withdrawOthers(
  { targets, direct }: Ending,
  inForce: readonly InForce[],
): TargetStep[] {
  if (inForce.length === 0) return withdraw(targets)
  if (!direct) return withdraw(targets.filter((one) => !holdsOnly(one, inForce)))
  return targets.flatMap((target) => {
    const users = inForce.filter((one) => isGranted(one, target)).map(({ chapUser }) => chapUser)
    const others = target.accounts.filter((user) => !users.includes(user))
    return others.map((user) => ({ kind: 'revoke', target, user }) as const)
  })
}

function withdraw(targets: readonly ServedTarget[]): TargetStep[] {
  return targets.map((target) => ({ kind: 'withdraw', target }))
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

/** By its name, whatever stands before the id, or by what it serves. */
export function isOf(target: ServedTarget, id: VolumeId, of: SeenFiles): boolean {
  const files = [of.file, of.shownFile]
  return isTargetOf(id)(target) || target.luns.some((lun) => files.includes(lun.file))
}

/** What its targets serve. */
function servedFile({ file, shownFile, restore }: SeenFiles): string {
  return restore === null || restore.whole ? file : shownFile
}

function isGranted({ chapUser, initiatorIqn }: InForce, target: ServedTarget): boolean {
  return target.accounts.includes(chapUser) && target.initiators.includes(initiatorIqn)
}

/** Exactly the 20 characters that guests see of it. */
function serialOf(id: VolumeId): string {
  return id.replace('-', '')
}
