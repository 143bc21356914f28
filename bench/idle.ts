// What hosts take that have nothing to do: their agents' processor time, with that of the programs
// that they start, and how many these are. Each host has its roles, an instance and a volume.

import { DEFAULT_PATHS } from '../cluster-agent/paths.ts'
import { type AgentProgress, progressFile } from '../cluster-agent/progress.ts'
import { systemClock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import type { HostPlan } from '../sandbox/plan.ts'
import type { World } from '../sandbox/world.ts'
import { BenchVolumes } from './ebs-volumes.ts'
import type { Emit } from './harness.ts'
import { clientOf, imageIsWhole, launch } from './instances.ts'
import { planOf, say, withWorld } from './worlds.ts'

const BENCH = 'idle'
const CAPACITY = '8,4096,100'
const HOSTS: readonly (readonly [HostPlan, ...HostPlan[]])[] = [
  [
    { name: 'a1', roles: ['cc'] },
    { name: 'a2', roles: ['sc'] },
    { name: 'a3', roles: ['nc'], capacity: CAPACITY },
  ],
  [{ name: 'b1', roles: ['cc', 'sc', 'nc'], capacity: CAPACITY }],
]
const PLAN = planOf(
  'bench-idle',
  HOSTS.map((hosts, index) => ({ name: 'ab'.charAt(index), joinsOver: 'ipv4', hosts })),
)
/** Where a guest is, and its volume. */
const GUESTS = [
  { host: 'a3', rack: 'a' },
  { host: 'b1', rack: 'b' },
]
const DEVICE = '/dev/sdf'
const SETTLE_MS = 15_000
const MEASURE_MS = 60_000
/** Per minute, of one host: 2 % of a processor, and a program a second. */
const GOAL = { cpuS: 1.2, programs: 60 }

interface Reading {
  readonly atMs: number
  readonly cpuS: number
  /** Of the host's process namespace: grows with every process and thread. */
  readonly lastPid: number
}

export function run(emit: Emit): Promise<void> {
  return withWorld(PLAN, async (world, signal) => {
    const client = clientOf(world)
    try {
      const volumes = new BenchVolumes(world, client, signal)
      for (const { host, rack } of GUESTS) {
        const { id } = await launch(world, host, client, signal)
        await imageIsWhole(world, host, signal)
        await volumes.attach(await volumes.create(rack, 1), id, DEVICE)
      }
    } finally {
      client.destroy()
    }
    await systemClock.sleep(SETTLE_MS, signal)
    await Promise.all(HOSTS.flat().map((host) => measureHost(emit, world, host, signal)))
  })
}

async function measureHost(
  emit: Emit,
  world: World,
  { name, roles }: HostPlan,
  signal: AbortSignal,
): Promise<void> {
  const pid = await agentOf(world, name)
  const first = await read(world, name, pid)
  const again = await read(world, name, pid)
  await systemClock.sleep(MEASURE_MS, signal)
  signal.throwIfAborted()
  const last = await read(world, name, pid)
  const minutes = (last.atMs - again.atMs) / 60_000
  const cpuS = (last.cpuS - again.cpuS) / minutes
  // What the reading itself starts is not the agent's.
  const own = again.lastPid - first.lastPid
  const programs = Math.max(0, last.lastPid - again.lastPid - own) / minutes
  const who = `an idle host with ${roles.join(', ')}`
  say(`${name}: ${cpuS.toFixed(2)} s, ${programs.toFixed(0)} programs a minute`)
  const line = { bench: BENCH, higher_is_better: false }
  const value = { cpuS: Number(cpuS.toFixed(2)), programs: Math.round(programs) }
  const cpuCase = `processor time of the agent of ${who}, per minute`
  emit({ ...line, case: cpuCase, unit: 's', value: value.cpuS, goal: GOAL.cpuS })
  const programsCase = `programs that ${who} starts, per minute`
  emit({ ...line, case: programsCase, unit: '', value: value.programs, goal: GOAL.programs })
}

async function agentOf(world: World, name: string): Promise<number> {
  const { stdout } = await world.host(name).exec(['cat', progressFile(DEFAULT_PATHS)])
  return (JSON.parse(stdout) as AgentProgress).pid
}

async function read(world: World, name: string, pid: number): Promise<Reading> {
  const host = world.host(name)
  // One program says both: what it takes is then the same each time.
  const files = ['/proc/loadavg', `/proc/${pid}/stat`]
  const { stdout } = await host.exec(['cat', ...files])
  const [load = '', stat = ''] = stdout.trim().split('\n')
  // After the name in brackets, which may hold spaces (proc(5)): utime, stime, cutime, cstime.
  const ticks = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 16).map(Number)
  const lastPid = Number(load.split(' ').at(-1))
  if (ticks.length < 4) throw new MalleeError('NotFound', `${name} has no agent ${pid}`)
  const cpuS = ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_S
  return { atMs: performance.now(), cpuS, lastPid }
}

/** USER_HZ, on all that Linux runs on with Node. */
const TICKS_PER_S = 100
