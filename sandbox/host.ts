// A host of the sandbox: a machine made of namespaces. It has its own processes, network, mounts,
// /run, /etc/mallee and /var/lib/mallee, so the programs run in it with the flags and paths that
// they have on metal, and know nothing of it. Ends with its first process, and that one with ours.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { systemClock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { type Exec, exec } from '../common/exec.ts'
import type { Log } from '../common/log.ts'
import { netnsName, removeNetns, worldDir } from './claim.ts'

const INIT = join(import.meta.dirname, 'init.sh')
const START_MS = 10_000
const POLL_MS = 5

export interface SandboxHost {
  readonly name: string
  /** The process id of the host's first process, seen from outside: for nsenter and ip. */
  readonly pid: number
  /** For `ip netns` and `ip -n`, outside. */
  readonly netns: string
  /** A folder that both sides see under this path. */
  readonly dir: string
  /** The host's /var/lib/mallee, seen from outside. */
  readonly stateDir: string
  /** Runs a command inside to its end; it is killed, not left behind, when its time is over. */
  readonly exec: Exec
  /** Starts a program inside that we look after. */
  readonly start: (argv: readonly string[], options: StartOptions) => Promise<Started>
  /** As if the power went: every process inside is gone when this resolves. */
  readonly kill: () => Promise<void>
}

export interface HostOptions {
  /** A world that this process has claimed. */
  readonly world: string
  readonly name: string
  readonly log: Log
  /** Names for the host's /etc/hosts, beside its own: address to name. */
  readonly names?: Readonly<Record<string, string>>
}

export interface StartOptions {
  /** Output is appended here. */
  readonly logFile: string
  readonly env?: Readonly<Record<string, string>>
}

export interface Started {
  /** The program's process id, seen from outside. */
  readonly pid: number
  readonly running: () => boolean
  /** Resolves with a sentence on how the program ended. */
  readonly ended: Promise<string>
  /** Signals the program and waits for its end; SIGKILL follows after `graceMs` (10,000). */
  readonly stop: (signal?: NodeJS.Signals, graceMs?: number) => Promise<void>
}

/** Needs root. Throws CommandFailed with what the first process said when it cannot start. */
export async function startHost({ world, name, log, names }: HostOptions): Promise<SandboxHost> {
  const dir = join(worldDir(world), name)
  const netns = netnsName(world, name)
  const stateDir = join(dir, 'state')
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  for (const place of ['/etc/mallee', '/var/lib/mallee']) mkdirSync(place, { recursive: true })
  writeFileSync(join(dir, 'hosts'), hostsFile(name, names ?? {}))

  const own = ['--mount', '--net', '--pid', '--uts', '--ipc', '--mount-proc']
  const argv = [...own, '--fork', '--kill-child=SIGKILL', '/bin/sh', INIT, name, dir]
  // Detached: a Ctrl-C at the terminal is for us, and we end the hosts in order.
  const holder = spawn('unshare', argv, { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  const ended = once(holder, 'exit')
  const complaint = text(holder.stderr)
  const first = await Promise.race([once(holder.stdout, 'data'), ended])
  if (String(first[0]) !== 'ready\n') {
    throw new MalleeError('CommandFailed', `host ${name} did not start: ${await complaint}`)
  }
  const pid = await childOf(holder)
  await exec(['ip', 'netns', 'attach', netns, String(pid)])
  log.debug('host is up', { host: name, pid })

  const enter = ['nsenter', `--target=${pid}`, '--mount', '--net', '--pid', '--uts', '--ipc', '--']
  // nsenter's child is in another process namespace: a killed nsenter would leave it running.
  const inside = [...enter, 'setpriv', '--pdeathsig=KILL', '--']
  return {
    name,
    pid,
    netns,
    dir,
    stateDir,
    exec: (command, options) => exec([...inside, ...command], options),
    start: (command, options) => start([...inside, ...command], options),
    kill: async () => {
      // The first process, not its parent: the parent's end then means that the kernel has ended
      // and reaped everything else in the host.
      if (holder.exitCode === null && holder.signalCode === null) process.kill(pid, 'SIGKILL')
      await ended
      await removeNetns(netns)
      await rm(dir, { recursive: true, force: true })
      log.debug('host is gone', { host: name })
    },
  }
}

async function start(argv: readonly string[], { logFile, env }: StartOptions): Promise<Started> {
  const [program = '', ...args] = argv
  const log = openSync(logFile, 'a', 0o600)
  const child = spawn(program, args, {
    stdio: ['ignore', log, log],
    detached: true,
    env: { PATH: process.env['PATH'], LC_ALL: 'C', ...env },
  })
  closeSync(log)
  const running = () => child.exitCode === null && child.signalCode === null
  const ended = once(child, 'exit').then(([code, signal]) =>
    signal === null ? `exited ${code}` : `was ended by ${signal}`,
  )
  const pid = await childOf(child)
  return {
    pid,
    running,
    ended,
    stop: async (signal = 'SIGTERM', graceMs = 10_000) => {
      if (!running()) return
      process.kill(pid, signal)
      const timer = setTimeout(() => running() && process.kill(pid, 'SIGKILL'), graceMs)
      await ended
      clearTimeout(timer)
    },
  }
}

/** unshare and nsenter fork: what they were asked to run is their one child. */
async function childOf(parent: ChildProcess): Promise<number> {
  const deadline = systemClock.nowMs() + START_MS
  while (parent.exitCode === null && parent.signalCode === null) {
    const children = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8')
    const pid = Number(children.trim().split(' ')[0])
    if (pid > 0) return pid
    if (systemClock.nowMs() > deadline) break
    await systemClock.sleep(POLL_MS)
  }
  throw new MalleeError('CommandFailed', `${parent.spawnargs.join(' ')} started nothing`)
}

function hostsFile(name: string, names: Readonly<Record<string, string>>): string {
  const others = Object.entries(names).map(([address, other]) => `${address} ${other}\n`)
  return `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${name}\n${others.join('')}`
}
