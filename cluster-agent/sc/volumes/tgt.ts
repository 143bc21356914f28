// Volumes served by a tgtd of our own.

import type { Clock } from '../../../common/clock.ts'
import { type Code, codeOf, MalleeError, messageOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
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

export function tgtTargets(parts: TgtParts): VolumeTargets {
  const { exec, clock, files } = parts
  return {
    direct: null,
    trouble: (portal) => trouble(parts, portal),
    start: (portal) => tgt.ensureTgtd({ exec, clock }, files, portal),
    look: () => look(files),
    forget: (user) => allowing('NotFound', tgt.removeAccount(files, user)),
    serve: (target) => serve(files, target),
    grant: (target, one) => grant(files, target, one),
    withdraw: (target, interrupt) => withdraw(parts, target, interrupt),
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

async function look(files: tgt.TgtdFiles): Promise<Served | null> {
  if (!(await tgt.tgtdRuns(files))) return null
  await tgt.trimTgtdLog(files)
  const [targets, accounts] = [await tgt.listTargets(files), await tgt.listAccounts(files)]
  const bound = new Set(targets.flatMap((target) => target.accounts))
  return {
    targets: targets.map(served),
    leftovers: accounts.filter((user) => !bound.has(user)),
  }
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

async function serve(files: tgt.TgtdFiles, { tid, iqn, lun, file, serial }: Export): Promise<void> {
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
  { files, clock }: TgtParts,
  { tid, iqn, initiators, accounts }: ServedTarget,
  interrupt: () => void,
): Promise<void> {
  for (const one of initiators) await allowing('NotFound', tgt.denyInitiator(files, tid, one))
  // The last one first: listing a target that has a hole in its row of accounts kills tgtd.
  for (const user of accounts.toReversed()) {
    await allowing('NotFound', tgt.removeAccount(files, user))
  }
  const deadlineMs = clock.nowMs() + FENCE_MS
  for (;;) {
    const now = (await tgt.listTargets(files)).find((one) => one.tid === tid)
    if (now === undefined) return
    if (now.sessions.length === 0) break
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
  await allowing('NotFound', tgt.deleteTarget(files, tid))
}

async function allowing(code: Code, done: Promise<void>): Promise<void> {
  try {
    await done
  } catch (error) {
    if (codeOf(error) !== code) throw error
  }
}
