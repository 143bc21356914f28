// strongSwan's charon (charon-systemd(8), strongswan.conf(5)) as a daemon that outlives us: one of
// our own with its own settings and management socket. It keeps nothing over a restart.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../common/clock.ts'
import { readIfThere, writeDurably } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Backend } from '../../common/machine.ts'
import type { Paths } from '../paths.ts'

export interface CharonFiles {
  readonly config: string
  /** VICI. */
  readonly socket: string
  readonly log: string
}

interface CharonParts {
  readonly exec: Exec
  readonly clock: Clock
}

const PROGRAM = 'charon-systemd'
const START_MS = 10_000
const STOP_MS = 5_000
const POLL_MS = 20
/** RFC 7296, section 2, and 2.23 with a NAT between. */
const PORTS = [500, 4500] as const
/** struct sockaddr_un has 108 bytes with the end. */
const MAX_SOCKET_CHARS = 107
/** A request is given up after 2 + 2.8 + 3.9 + 5.5 seconds (retransmit_timeout × base ^ n). */
export const CHARON_PATIENCE_S = 15

/**
 * Without the kernel's IPsec it makes a route for each policy, whatever it is told: in a table of
 * its own, to which no packet comes, as none has this mark.
 */
const ROUTES = { table: 9_998, priority: 32_768, mark: '0x6d6c7377' } as const

export function charonFiles({ runDir }: Pick<Paths, 'runDir'>): CharonFiles {
  return {
    config: join(runDir, 'charon.conf'),
    socket: join(runDir, 'charon.vici'),
    log: join(runDir, 'charon.log'),
  }
}

/**
 * Its settings. Nothing of the host's own strongSwan is read: whatever Debian's files switch on or
 * off, this has what tunnels with pre-shared keys need, and makes no routes that lead anywhere.
 */
export function charonConfig(files: CharonFiles, ipsec: Exclude<Backend, 'missing'>): string {
  const isKernel = ipsec === 'kernel'
  const kernels = isKernel ? 'kernel-netlink' : 'kernel-libipsec kernel-netlink'
  return `# Made by Mallee; changes are overwritten.
${PROGRAM} {
  load = random nonce openssl kdf ${kernels} socket-default vici
  install_routes = no
  install_virtual_ip = no
  routing_table = ${isKernel ? 0 : ROUTES.table}
  routing_table_prio = ${ROUTES.priority}
  retransmit_timeout = 2.0
  retransmit_base = 1.4
  retransmit_tries = 3
  plugins {
    vici {
      socket = unix://${files.socket}
    }
    kernel-libipsec {
      allow_peer_ts = yes
    }
    kernel-netlink {
      roam_events = no
      fwmark = ${ROUTES.mark}
    }
  }
  journal {
    default = -1
  }
  filelog {
    mallee {
      path = ${files.log}
      append = yes
      default = 1
      enc = 0
      net = 0
      flush_line = yes
      ike_name = yes
      time_format = %Y-%m-%dT%H:%M:%S
    }
  }
}
`
}

/** Who listens on its socket; null when nobody does. */
export async function charonPid(
  exec: Exec,
  { socket }: Pick<CharonFiles, 'socket'>,
): Promise<number | null> {
  const { stdout } = await exec(['ss', '-Hlxp', 'src', socket])
  const pid = new RegExp(`\\("${PROGRAM}",pid=(\\d+),`).exec(stdout)?.[1]
  return pid === undefined ? null : Number(pid)
}

/**
 * Its pid: of one that runs with these settings, else of a new one. Throws Unavailable that names
 * who else has the ports, CommandTimeout with its last words, BadConfig.
 */
export async function ensureCharon(
  parts: CharonParts,
  files: CharonFiles,
  config: string,
): Promise<number> {
  const running = await charonPid(parts.exec, files)
  if (running !== null) {
    if ((await readIfThere(files.config)) === config) return running
    await stopCharon(parts, files)
  }
  if (files.socket.length > MAX_SOCKET_CHARS) {
    const most = `the path ${files.socket} has more than ${MAX_SOCKET_CHARS} characters`
    throw new MalleeError('BadConfig', `${most}, too many for a socket`)
  }
  await checkPorts(parts.exec)
  await writeDurably(files.config, config)
  return startCharon(parts, files)
}

/** Ends it, with all tunnels, of which it tells their other ends. Throws Unavailable. */
export async function stopCharon(parts: CharonParts, files: CharonFiles): Promise<void> {
  const pid = await charonPid(parts.exec, files)
  if (pid !== null) {
    await parts.exec(['kill', String(pid)], { okCodes: [0, 1] })
    if (!(await hasEnded(parts, pid))) {
      await parts.exec(['kill', '-KILL', String(pid)], { okCodes: [0, 1] })
      if (!(await hasEnded(parts, pid))) {
        throw new MalleeError('Unavailable', `the process ${pid} of ${files.socket} does not end`)
      }
    }
  }
  // One that was killed leaves them.
  for (const family of ['-4', '-6']) {
    const rule = ['priority', String(ROUTES.priority), 'lookup', String(ROUTES.table)]
    await parts.exec(['ip', family, 'rule', 'delete', ...rule], { okCodes: [0, 2] })
  }
  await rm(files.config, { force: true })
  await rm(files.socket, { force: true })
}

/** The TUN device of a charon without the kernel's IPsec, whatever it is called. */
export async function charonDevice(exec: Exec, pid: number): Promise<string | null> {
  const argv = ['grep', '-rhs', '^iff:', `/proc/${pid}/fdinfo`]
  const { stdout } = await exec(argv, { okCodes: [0, 1, 2] })
  return /^iff:\s+(\S+)$/m.exec(stdout)?.[1] ?? null
}

async function startCharon({ exec, clock }: CharonParts, files: CharonFiles): Promise<number> {
  // A session of its own: it must not get the agent's signals.
  await exec(['setsid', '--fork', PROGRAM], {
    env: { STRONGSWAN_CONF: files.config },
    outputFile: files.log,
  })
  const deadlineMs = clock.nowMs() + START_MS
  for (;;) {
    const pid = await charonPid(exec, files)
    if (pid !== null) return pid
    if (clock.nowMs() > deadlineMs) {
      const said = (await readIfThere(files.log))?.trim().split('\n').at(-1) ?? ''
      const late = `${PROGRAM} does not answer ${START_MS / 1000} s after its start: ${said}`
      throw new MalleeError('CommandTimeout', late)
    }
    await clock.sleep(POLL_MS)
  }
}

async function checkPorts(exec: Exec): Promise<void> {
  for (const port of PORTS) {
    const { stdout } = await exec(['ss', '-Hlunp', 'src', `:${port}`])
    const [, name, pid] = /\("([^"]*)",pid=(\d+),/.exec(stdout) ?? []
    if (name === undefined) continue
    const who = `${name} (process ${pid}) has UDP port ${port} already`
    const hint = name.startsWith('charon') ? ': systemctl disable --now strongswan' : ''
    throw new MalleeError('Unavailable', `${who}${hint}`)
  }
}

async function hasEnded({ exec, clock }: CharonParts, pid: number): Promise<boolean> {
  const deadlineMs = clock.nowMs() + STOP_MS
  for (;;) {
    const { code } = await exec(['test', '-e', `/proc/${pid}`], { okCodes: [0, 1] })
    if (code !== 0) return true
    if (clock.nowMs() > deadlineMs) return false
    await clock.sleep(POLL_MS)
  }
}
