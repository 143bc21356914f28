// A simulated host: a process namespace of its own with its own network, mounts, /run and /sys. All
// of it ends with its first process, and that one ends when the test's process does.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Paths } from '../../cluster-agent/paths.ts'
import { type Exec, exec } from '../../common/exec.ts'

export interface SimulatedHost {
  readonly name: string
  /** Runs a command inside. */
  readonly exec: Exec
  /** The process id, outside, of the host's first process: what nsenter and ip take. */
  readonly pid: number
  /** Folders that both sides see. */
  readonly paths: Paths
  /** Kills the host's first process; everything in it dies with it. */
  readonly stop: () => Promise<void>
}

// The shell reaps what daemons leave behind, as a real init would; `cat` ends with our pipe.
const INIT = `
mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up || exit 1
sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
exec 3<&0
echo ready
cat <&3 >/dev/null &
wait $!
`

/** Why simulated hosts cannot run here, or null when they can: for `skip`. */
export function whyNoHosts(): string | null {
  if (process.getuid?.() !== 0) return 'needs root'
  return null
}

/** Starts a host; `dir` is a folder of the test's own. */
export async function startHost(name: string, dir: string): Promise<SimulatedHost> {
  const flags = ['--mount', '--net', '--pid', '--ipc', '--uts', '--fork', '--mount-proc']
  const holder = spawn('unshare', [...flags, '--kill-child=SIGKILL', 'sh', '-c', INIT], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(holder, 'exit')
  const [line] = await Promise.race([once(holder.stdout, 'data'), exited])
  if (String(line) !== 'ready\n') throw new Error(`host ${name} did not start`)
  const pid = childOf(holder.pid ?? 0)
  const base = join(dir, name)
  const paths = {
    stateDir: join(base, 'state'),
    runDir: join(base, 'run'),
    configFile: join(base, 'agent.json'),
  }
  mkdirSync(paths.stateDir, { recursive: true })
  mkdirSync(paths.runDir, { recursive: true })
  return {
    name,
    pid,
    paths,
    exec: (argv, options) => exec(['nsenter', `--target=${pid}`, '--all', '--', ...argv], options),
    stop: async () => {
      holder.stdin.end()
      holder.kill('SIGKILL')
      await exited
      rmSync(base, { recursive: true, force: true })
    },
  }
}

/** Joins two hosts by a veth pair: [host, device name] at each end. Both ends are up. */
export async function joinHosts(
  [left, leftName]: readonly [SimulatedHost, string],
  [right, rightName]: readonly [SimulatedHost, string],
): Promise<void> {
  const peer = ['peer', 'name', rightName, 'netns', String(right.pid)]
  await exec([
    ...['ip', 'link', 'add', leftName, 'netns', String(left.pid), 'type', 'veth'],
    ...peer,
  ])
  await left.exec(['ip', 'link', 'set', leftName, 'up'])
  await right.exec(['ip', 'link', 'set', rightName, 'up'])
}

function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0])
}
