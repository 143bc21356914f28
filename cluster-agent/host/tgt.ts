// tgtd(8), the iSCSI target in user space, as a daemon that outlives us: one of our own with its
// own management socket and address. It keeps nothing over a restart: what it shows is all.

import { rm } from 'node:fs/promises'
import type { Clock } from '../../common/clock.ts'
import { readIfThere } from '../../common/durable-file.ts'
import { codeOf, MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { askTgtd } from './tgt-request.ts'
import { parseAccounts, parseTargets, type TgtTarget } from './tgt-targets.ts'

export interface TgtdFiles {
  /** What TGT_IPC_SOCKET says: tgtd adds a number to it. */
  readonly socket: string
  readonly log: string
}

export interface NewLun {
  readonly lun: number
  readonly file: string
  /** At most 36 characters (SCSI_SN_LEN). */
  readonly serial: string
}

const START_MS = 10_000
const STOP_MS = 10_000
const POLL_MS = 20
/** struct sockaddr_un has 108 bytes with the end; the name of a lock file is longer by five. */
const MAX_SOCKET_CHARS = 107 - '.0'.length
const SERIAL = /^[A-Za-z0-9-]{1,36}$/
/**
 * What a session agrees on (RFC 7143, section 13): with tgtd's own values a write of 1 MiB comes in
 * 128 pieces, and the first ones only when it has asked for them. QEMU's initiator takes no more.
 */
const WRITES = ['MaxRecvDataSegmentLength=262144', 'InitialR2T=No', 'FirstBurstLength=262144']
/** What stands in its texts between commas. */
const PLAIN = /^[^,\0\n]+$/

/** The socket that is there when it runs. */
export function managementSocket({ socket }: Pick<TgtdFiles, 'socket'>): string {
  return `${socket}.0`
}

/** Does one answer on the socket? Throws CommandTimeout when it is stuck. */
export async function tgtdRuns(files: Pick<TgtdFiles, 'socket'>): Promise<boolean> {
  try {
    await ask(files, { mode: 'account', op: 'show' })
    return true
  } catch (error) {
    if (codeOf(error) === 'Unavailable') return false
    throw error
  }
}

/**
 * Starts one that outlives us and returns when it answers. `portal` is where it listens, an address
 * (IPv6 in brackets) and a port. Throws BadConfig, CommandTimeout with its last words.
 */
export async function startTgtd(
  { exec, clock }: { readonly exec: Exec; readonly clock: Clock },
  files: TgtdFiles,
  portal: string,
): Promise<void> {
  if (files.socket.length > MAX_SOCKET_CHARS) {
    const most = `the path ${files.socket} has more than ${MAX_SOCKET_CHARS} characters`
    throw new MalleeError('BadConfig', `${most}, too many for a socket`)
  }
  await rm(files.log, { force: true })
  const argv = ['setsid', '--fork', 'tgtd', '-f', '--iscsi', `portal=${portal}`]
  await exec(argv, { env: { TGT_IPC_SOCKET: files.socket }, outputFile: files.log })
  const deadlineMs = clock.nowMs() + START_MS
  while (!(await tgtdRuns(files))) {
    if (clock.nowMs() > deadlineMs) {
      const said = (await readIfThere(files.log))?.trim().split('\n').at(-1) ?? ''
      const late = `tgtd does not answer ${START_MS / 1000} s after its start: ${said}`
      throw new MalleeError('CommandTimeout', late)
    }
    await clock.sleep(POLL_MS)
  }
}

/**
 * One that answers and listens at `portal`: that which runs, else a new one. Throws Unavailable
 * when somebody else has the port, and what `startTgtd` throws.
 */
export async function ensureTgtd(
  parts: { readonly exec: Exec; readonly clock: Clock },
  files: TgtdFiles,
  portal: string,
): Promise<void> {
  if (await tgtdRuns(files)) {
    if (await listensAt(parts.exec, files, portal)) return
    // Nobody can have a session with it: it runs on without the address that it was started for.
    await stopTgtd(parts, files)
  }
  await checkPortal(parts.exec, portal)
  await startTgtd(parts, files, portal)
  if (await listensAt(parts.exec, files, portal)) return
  await stopTgtd(parts, files)
  throw new MalleeError('Unavailable', `tgtd does not listen at ${portal}`)
}

/** Throws Unavailable that names who listens there. */
export async function checkPortal(exec: Exec, portal: string): Promise<void> {
  const [other] = await listenersAt(exec, portal)
  if (other === undefined) return
  throw new MalleeError('Unavailable', `${other} listens at ${portal} already`)
}

async function listensAt(
  exec: Exec,
  files: Pick<TgtdFiles, 'socket'>,
  portal: string,
): Promise<boolean> {
  const pid = await tgtdPid(exec, files)
  return (await listenersAt(exec, portal)).includes(`tgtd (process ${pid})`)
}

/** `name (process id)` of each; `portal` may be `:port`, for all addresses. */
export async function listenersAt(exec: Exec, portal: string): Promise<string[]> {
  const { stdout } = await exec(['ss', '-Hltnp', 'src', portal])
  return [...stdout.matchAll(/\("([^"]*)",pid=(\d+),/g)].map(
    ([, name, pid]) => `${name} (process ${pid})`,
  )
}

/** Ends it, with all sessions. Throws Unavailable when it does not end. */
export async function stopTgtd(
  { exec, clock }: { readonly exec: Exec; readonly clock: Clock },
  files: TgtdFiles,
): Promise<void> {
  const pid = await tgtdPid(exec, files)
  // SIGTERM it ignores, and a request to end as long as it has targets. What it acknowledged is
  // with the kernel.
  if (pid !== null) await exec(['kill', '-KILL', String(pid)], { okCodes: [0, 1] })
  const deadlineMs = clock.nowMs() + STOP_MS
  while ((await tgtdPid(exec, files)) !== null) {
    if (clock.nowMs() > deadlineMs) {
      throw new MalleeError('Unavailable', `the process ${pid} of ${files.socket} does not end`)
    }
    await clock.sleep(POLL_MS)
  }
}

/** Who listens on its socket; null when nobody does. */
export async function tgtdPid(
  exec: Exec,
  files: Pick<TgtdFiles, 'socket'>,
): Promise<number | null> {
  const { stdout } = await exec(['ss', '-Hlxp', 'src', managementSocket(files)])
  const pid = /\("tgtd",pid=(\d+),/.exec(stdout)?.[1]
  return pid === undefined ? null : Number(pid)
}

export async function listTargets(files: Pick<TgtdFiles, 'socket'>): Promise<TgtTarget[]> {
  return parseTargets(await ask(files, { mode: 'target', op: 'show' }))
}

/** Names of all CHAP accounts, bound to a target or not. */
export async function listAccounts(files: Pick<TgtdFiles, 'socket'>): Promise<string[]> {
  return parseAccounts(await ask(files, { mode: 'account', op: 'show' }))
}

/** Without a logical unit, and nobody may log in. Throws NameTaken. */
export async function createTarget(
  files: Pick<TgtdFiles, 'socket'>,
  { tid, iqn }: { readonly tid: number; readonly iqn: string },
): Promise<void> {
  const text = `targetname=${plain(iqn)}`
  await ask(files, { mode: 'target', op: 'create', tid, text })
  for (const one of WRITES) await ask(files, { mode: 'target', op: 'update', tid, text: one })
}

/** Throws Conflict while it has sessions or commands under way, NotFound. */
export async function deleteTarget(files: Pick<TgtdFiles, 'socket'>, tid: number): Promise<void> {
  await ask(files, { mode: 'target', op: 'delete', tid })
}

/**
 * Of a block device it takes none: it makes holes (tgt, usr/bs_rdwr.c), which devices refuse
 * (linux, block/fops.c), and the client would hear of an error.
 */
export function takesDiscards(file: string): boolean {
  return !file.startsWith('/dev/')
}

/**
 * Serves a file through the page cache, which a flush by the initiator empties; what is discarded
 * of a file becomes a hole. Throws CommandFailed when tgtd cannot open it, NameTaken, NotFound.
 */
export async function addLun(
  files: Pick<TgtdFiles, 'socket'>,
  tid: number,
  { lun, file, serial }: NewLun,
): Promise<void> {
  if (!SERIAL.test(serial)) throw new MalleeError('BadArgument', `no serial number: ${serial}`)
  const path = `path=${plain(file)},bstype=rdwr`
  await ask(files, { mode: 'lun', op: 'create', tid, lun, text: path })
  const names = `scsi_sn=${serial},scsi_id=${serial},vendor_id=MALLEE,product_id=EBS`
  const text = `thin_provisioning=${takesDiscards(file) ? 1 : 0},${names}`
  await ask(files, { mode: 'lun', op: 'update', tid, lun, text })
}

/** Throws Conflict while commands of it are under way, NotFound. Sessions of its target stay. */
export async function removeLun(
  files: Pick<TgtdFiles, 'socket'>,
  tid: number,
  lun: number,
): Promise<void> {
  await ask(files, { mode: 'lun', op: 'delete', tid, lun })
}

/** Throws NameTaken when there is one of that name, whatever its secret. */
export async function addAccount(
  files: Pick<TgtdFiles, 'socket'>,
  { user, secret }: { readonly user: string; readonly secret: string },
): Promise<void> {
  const text = `user=${plain(user)},password=${plain(secret)}`
  await ask(files, { mode: 'account', op: 'create', text })
}

/** Also from the targets that it is bound to. Sessions stay. Throws NotFound. */
export async function removeAccount(files: Pick<TgtdFiles, 'socket'>, user: string): Promise<void> {
  await ask(files, { mode: 'account', op: 'delete', text: `user=${plain(user)}` })
}

export async function bindAccount(
  files: Pick<TgtdFiles, 'socket'>,
  tid: number,
  user: string,
): Promise<void> {
  await ask(files, { mode: 'account', op: 'bind', tid, text: `user=${plain(user)}` })
}

/** A target without an account lets its initiators in without CHAP: bind the account first. */
export async function allowInitiator(
  files: Pick<TgtdFiles, 'socket'>,
  tid: number,
  iqn: string,
): Promise<void> {
  const text = `initiator-name=${plain(iqn)}`
  await ask(files, { mode: 'target', op: 'bind', tid, text })
}

/** No new logins of its; sessions stay. Throws NotFound. */
export async function denyInitiator(
  files: Pick<TgtdFiles, 'socket'>,
  tid: number,
  iqn: string,
): Promise<void> {
  const text = `initiator-name=${plain(iqn)}`
  await ask(files, { mode: 'target', op: 'unbind', tid, text })
}

/**
 * Hangs up. The session is shown until the last command that it brought has ended: when it is gone
 * nothing of it will be written any more. Throws NotFound.
 */
export async function closeConnection(
  files: Pick<TgtdFiles, 'socket'>,
  tid: number,
  { sid, cid }: { readonly sid: number; readonly cid: number },
): Promise<void> {
  await ask(files, { mode: 'connection', op: 'delete', tid, sid, cid })
}

function ask(
  files: Pick<TgtdFiles, 'socket'>,
  request: Parameters<typeof askTgtd>[1],
): Promise<string> {
  return askTgtd(managementSocket(files), request)
}

/** Never with the text itself: it may be a secret. */
function plain(text: string): string {
  if (PLAIN.test(text)) return text
  throw new MalleeError('BadArgument', 'tgtd takes no empty text, and none with a comma in it')
}
