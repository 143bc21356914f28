// Volumes served by a tgtd of our own.

import type { Clock } from '../../../common/clock.ts'
import { type Code, codeOf, MalleeError, messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import { emptyLongLog } from '../../host/daemon-log.ts'
import * as tgt from '../../host/tgt.ts'
import { resumeTgtd, whileTgtdPauses } from '../../host/tgt-pause.ts'
import { bytesOfMegabytes, type TgtTarget } from '../../host/tgt-targets.ts'
import { SIZE_UNIT_BYTES } from './backend.ts'
import type { Export, Served, ServedTarget, TargetName, VolumeTargets } from './targets.ts'
import type { Grant } from './wanted.ts'

export interface TgtParts {
  readonly exec: Exec
  readonly clock: Clock
  readonly files: tgt.TgtdFiles
}

/** Until the last command of a session has ended. */
const FENCE_MS = 10_000
const POLL_MS = 10
/** A host that is cut off for longer keeps guests that wait. */
const RETIRED_MS = 3_600_000

export function tgtTargets(parts: TgtParts): VolumeTargets {
  const { exec, clock, files } = parts
  /** Of retired targets, by number: since when nobody is logged in. A new agent begins anew. */
  const idleSinceMs = new Map<number, number>()
  return {
    direct: null,
    trouble: (portal) => trouble(parts, portal),
    start: (portal) => tgt.ensureTgtd({ exec, clock }, files, portal),
    look: () => look(parts, idleSinceMs),
    forget: (leftover) => forget(parts, leftover),
    serve: (target) => serve(parts, target),
    grant: (target, one) => grant(files, target, one),
    withdraw: (target, interrupt) => withdraw(parts, target, interrupt),
    retire: (target, interrupt) => retire(parts, target, interrupt),
    still: (_, run) => whileTgtdPauses({ exec, clock }, files, run),
    resume: () => resumeTgtd(exec, files),
    process: () => tgt.tgtdPid(exec, files),
    stop: () => tgt.stopTgtd({ exec, clock }, files),
  }
}

async function trouble({ exec, files }: TgtParts, portal: string): Promise<string | null> {
  if (await tgt.tgtdRuns(files)) return null
  const { code } = await exec(['sh', '-c', 'command -v tgtd'], { okCodes: [0, 1, 127] })
  if (code !== 0) return 'tgtd is not installed: Debian has it in the package tgt'
  try {
    await tgt.checkPortal(exec, portal)
    return null
  } catch (error) {
    if (codeOf(error) !== 'Unavailable') throw error
    return messageOf(error)
  }
}

async function look(
  { files, clock }: TgtParts,
  idleSinceMs: Map<number, number>,
): Promise<Served | null> {
  if (!(await tgt.tgtdRuns(files))) return null
  await emptyLongLog(files.log)
  const [targets, accounts] = [await tgt.listTargets(files), await tgt.listAccounts(files)]
  const bound = new Set(targets.flatMap((target) => target.accounts))
  const nowMs = clock.nowMs()
  const idle = targets.filter((one) => isRetired(one) && one.sessions.length === 0)
  for (const tid of idleSinceMs.keys()) {
    if (!idle.some((one) => one.tid === tid)) idleSinceMs.delete(tid)
  }
  for (const { tid } of idle) idleSinceMs.set(tid, idleSinceMs.get(tid) ?? nowMs)
  const ended = idle.filter(({ tid }) => nowMs - (idleSinceMs.get(tid) ?? nowMs) > RETIRED_MS)
  return {
    targets: targets.filter((one) => !isRetired(one)).map(served),
    leftovers: [...accounts.filter((user) => !bound.has(user)), ...ended.map(({ iqn }) => iqn)],
  }
}

/** One that is made has its logical unit before anybody may log in. */
function isRetired({ luns, initiators }: TgtTarget): boolean {
  return luns.length === 0 && initiators.length > 0
}

/** CHAP users have no colon in their names. */
async function forget(parts: TgtParts, leftover: string): Promise<void> {
  const { files } = parts
  if (!leftover.includes(':')) return allowing('NotFound', tgt.removeAccount(files, leftover))
  const retired = (await tgt.listTargets(files)).find(({ iqn }) => iqn === leftover)
  if (retired !== undefined && isRetired(retired))
    await withdraw(parts, served(retired), () => undefined)
}

function served({ luns, ...target }: TgtTarget): ServedTarget {
  return {
    ...target,
    luns: luns.map(({ megabytes, ...lun }) => {
      const thin = lun.thin || !tgt.takesDiscards(lun.file)
      return { ...lun, thin, sizeBytes: bytesOfMegabytes(megabytes, SIZE_UNIT_BYTES) }
    }),
  }
}

async function serve(parts: TgtParts, { tid, iqn, lun, file, serial }: Export): Promise<void> {
  const { files } = parts
  // Its name was retired, and somebody has a right to it again.
  await forget(parts, iqn)
  await tgt.createTarget(files, { tid, iqn })
  await tgt.addLun(files, tid, { lun, file, serial })
}

async function grant(files: tgt.TgtdFiles, { tid }: TargetName, one: Grant): Promise<void> {
  const { chapUser: user, chapSecret: secret, initiatorIqn } = one
  await allowing('NotFound', tgt.removeAccount(files, user))
  await tgt.addAccount(files, { user, secret })
  await tgt.bindAccount(files, tid, user)
  // Last: a target with initiators and no account asks for no secret.
  await allowing('NameTaken', tgt.allowInitiator(files, tid, initiatorIqn))
}

async function withdraw(
  parts: TgtParts,
  target: ServedTarget,
  interrupt: () => void,
): Promise<void> {
  const { files } = parts
  const { tid, initiators, accounts } = target
  for (const one of initiators) await allowing('NotFound', tgt.denyInitiator(files, tid, one))
  // The last one first: listing a target that has a hole in its row of accounts kills tgtd.
  for (const user of accounts.toReversed()) {
    await allowing('NotFound', tgt.removeAccount(files, user))
  }
  await endSessions(parts, target, interrupt)
  await allowing('NotFound', tgt.deleteTarget(files, tid))
}

async function retire(parts: TgtParts, target: ServedTarget, interrupt: () => void): Promise<void> {
  const { files, clock } = parts
  const { tid, luns, initiators } = target
  for (const one of initiators) await allowing('NotFound', tgt.denyInitiator(files, tid, one))
  const deadlineMs = clock.nowMs() + FENCE_MS
  for (const { lun } of luns) {
    for (;;) {
      await endSessions(parts, target, interrupt)
      try {
        await allowing('NotFound', tgt.removeLun(files, tid, lun))
        break
      } catch (error) {
        // A login that was half done has become a session, which has a command under way.
        if (codeOf(error) !== 'Conflict' || clock.nowMs() > deadlineMs) throw error
      }
    }
  }
  // As it was: what a target answers for a logical unit that it lacks is an error, which QEMU
  // passes on (SPC-3, section 6.4.1; block/iscsi.c), and nothing can be written any more.
  for (const one of initiators) await allowing('NameTaken', tgt.allowInitiator(files, tid, one))
}

/** Also of a target that is gone. */
async function endSessions(
  { files, clock }: TgtParts,
  { tid, iqn }: TargetName,
  interrupt: () => void,
): Promise<void> {
  const deadlineMs = clock.nowMs() + FENCE_MS
  for (;;) {
    const now = (await tgt.listTargets(files)).find((one) => one.tid === tid)
    if (now === undefined || now.sessions.length === 0) return
    if (clock.nowMs() > deadlineMs) {
      const late = `${now.sessions.length} sessions of ${iqn} do not end`
      throw new MalleeError('Unavailable', late)
    }
    for (const { sid, cids } of now.sessions) {
      for (const cid of cids) {
        await allowing('NotFound', tgt.closeConnection(files, tid, { sid, cid }))
      }
    }
    interrupt()
    await clock.sleep(POLL_MS)
  }
}

async function allowing(code: Code, done: Promise<void>): Promise<void> {
  try {
    await done
  } catch (error) {
    if (codeOf(error) !== code) throw error
  }
}
