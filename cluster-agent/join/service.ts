// The cluster-agent as a service of the host: a systemd unit where systemd runs, else a process of
// its own with a pid file. Either way guests and switches outlive it.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../common/clock.ts'
import { isThere } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import { type Exec, startDaemon } from '../../common/exec.ts'
import { readAgentConfig } from '../config.ts'
import type { Paths } from '../paths.ts'
import { progressFile } from '../progress.ts'

const UNIT = 'mallee-cluster-agent.service'
const UNIT_FILE = `/etc/systemd/system/${UNIT}`
const PROGRAM = fileURLToPath(new URL('../../bin/cluster-agent', import.meta.url))
const STOP_MS = 20_000

interface Parts {
  readonly exec: Exec
  readonly paths: Paths
  readonly clock: Clock
}

/** Starts the agent, or starts it anew. */
export async function startService({ exec, paths, clock }: Parts): Promise<void> {
  const { simulated } = await readAgentConfig(paths.configFile)
  const kind = simulated ? ['--host', 'simulated'] : []
  const argv = [PROGRAM, ...kind, ...pathFlags(paths)]
  if (await isManaged(paths)) {
    await writeFile(UNIT_FILE, unitText(argv), { mode: 0o644 })
    await exec(['systemctl', 'daemon-reload'])
    await exec(['systemctl', 'enable', UNIT])
    await exec(['systemctl', 'restart', UNIT], { timeoutMs: 60_000 })
    return
  }
  await stopService({ exec, paths, clock })
  await rm(progressFile(paths), { force: true })
  await mkdir(paths.runDir, { recursive: true, mode: 0o755 })
  await mkdir(dirname(logFile(paths)), { recursive: true, mode: 0o700 })
  const pid = startDaemon(argv, { logFile: logFile(paths) })
  await writeFile(pidFile(paths), `${pid} ${await startTime(pid)}\n`, { mode: 0o644 })
}

/** Ends the agent if it runs; waits until it is gone. */
export async function stopService({ exec, paths, clock }: Parts): Promise<void> {
  if (await isManaged(paths)) {
    await exec(['systemctl', 'disable', '--now', UNIT], { okCodes: [0, 1, 5], timeoutMs: 60_000 })
    await rm(UNIT_FILE, { force: true })
    return
  }
  const pid = await runningPid(paths)
  if (pid !== null) {
    process.kill(pid, 'SIGTERM')
    const until = clock.nowMs() + STOP_MS
    while ((await runningPid(paths)) !== null) {
      if (clock.nowMs() > until) {
        throw new MalleeError('CommandTimeout', `cluster-agent (pid ${pid}) did not stop`)
      }
      await clock.sleep(50)
    }
  }
  await rm(pidFile(paths), { force: true })
}

/** The pid of the agent that was started here; null when it does not run. */
export async function runningPid(paths: Paths): Promise<number | null> {
  const text = await readFile(pidFile(paths), 'utf8').catch(() => '')
  const [pid = '', started = ''] = text.trim().split(' ')
  if (!/^\d+$/.test(pid) || (await startTime(Number(pid))) !== started) return null
  return Number(pid)
}

export function logFile(paths: Paths): string {
  return join(paths.stateDir, 'cluster-agent.log')
}

function pidFile(paths: Paths): string {
  return join(paths.runDir, 'cluster-agent.pid')
}

/** Field 22 of /proc/PID/stat (proc(5)): with it a pid is not mistaken for a later process. */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended, whatever its parent thinks.
  return fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

/**
 * systemd looks after a real host's agent. Simulated ones are many on a machine, and its guests.
 */
async function isManaged(paths: Paths): Promise<boolean> {
  const { simulated } = await readAgentConfig(paths.configFile)
  if (simulated) return false
  return isThere('/run/systemd/system')
}

function pathFlags(paths: Paths): string[] {
  const { stateDir, runDir, configFile } = paths
  return ['--state-dir', stateDir, '--run-dir', runDir, '--config', configFile]
}

function unitText(argv: readonly string[]): string {
  return `[Unit]
Description=Mallee cluster agent
After=network-online.target openvswitch-switch.service
Wants=network-online.target

[Service]
ExecStart=${argv.join(' ')}
Restart=always
RestartSec=2
# Guests, tunnels and switches go on when the agent restarts.
KillMode=process

[Install]
WantedBy=multi-user.target
`
}
