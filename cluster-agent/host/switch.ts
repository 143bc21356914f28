// The Open vSwitch of this host: the system's when it answers, else daemons of our own under
// <runDir>/ovs that outlive the agent and are adopted by the next one.

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { type Log, silentLog } from '../../common/log.ts'
import type { Machine } from '../../common/machine.ts'
import type { Paths } from '../paths.ts'
import { BRIDGE, OURS, type Switch, vsctl } from './ovs.ts'

const SYSTEM_RUN_DIR = '/run/openvswitch'
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'
const START_TIMEOUT_MS = 30_000

export interface SwitchOptions {
  readonly exec: Exec
  readonly paths: Paths
  readonly machine: Pick<Machine, 'ovs'>
  readonly log: Log
}

/** By host: who looks after its switch now. */
const turns = new WeakMap<Paths, Promise<void>>()

/**
 * A switch that answers and has our bridge. Safe to call in each pass: a daemon that died is
 * started again (its flows are gone then: see `flowsInstalled`); roles that ask at the same time do
 * not start two. Throws NotSupported without Open
 * vSwitch, Conflict when somebody else's bridge has our bridge's name.
 */
export function ensureSwitch(options: SwitchOptions): Promise<Switch> {
  const { paths } = options
  const mine = (turns.get(paths) ?? Promise.resolve()).then(() => ensure(options))
  const over = () => undefined
  turns.set(paths, mine.then(over, over))
  return mine
}

async function ensure(options: SwitchOptions): Promise<Switch> {
  const { exec, machine } = options
  if (machine.ovs === 'missing') {
    throw new MalleeError('NotSupported', 'Open vSwitch is not installed on this host')
  }
  const datapath = machine.ovs === 'kernel' ? 'system' : 'netdev'
  const sw = (await systemAnswers(exec))
    ? systemSwitch(datapath)
    : ownSwitch(options.paths, datapath)
  if (sw.own) await ensureDaemons(options, sw)
  await ensureBridge(exec, sw)
  return sw
}

/** Removes the bridge and all its ports, then our own daemons. For `rack-join leave`. */
export async function stopSwitch(options: Pick<SwitchOptions, 'exec' | 'paths'>): Promise<void> {
  const { exec, paths } = options
  const dir = ownDir(paths)
  if (await systemAnswers(exec)) {
    const sw = systemSwitch('system')
    const mark = await bridgeMark(exec, sw)
    if (mark === 'ours') await vsctl(exec, sw, ['--if-exists', 'del-br', BRIDGE])
  }
  if (!existsSync(dir)) return
  // A vswitchd that died has left its devices; only another one takes them away, with --cleanup.
  await ensureDaemons({ exec, paths, log: silentLog }, ownSwitch(paths, 'netdev'))
  await stopDaemon(exec, join(dir, 'vs'), ['--cleanup'])
  await stopDaemon(exec, join(dir, 'db'), [])
  rmSync(dir, { recursive: true, force: true })
}

// It answers `exit` first and cleans up then, 17 ms for each device.
async function stopDaemon(exec: Exec, base: string, args: readonly string[]): Promise<void> {
  if (!existsSync(`${base}.pid`)) return
  const pid = readFileSync(`${base}.pid`, 'utf8').trim()
  const exit = ['ovs-appctl', '-T', '10', '-t', `${base}.ctl`, 'exit', ...args]
  if ((await exec(exit, { okCodes: [0, 1, 2], timeoutMs: 15_000 })).code !== 0) return
  await exec(['tail', '--follow', '-s', '0.05', `--pid=${pid}`, '/dev/null'], { timeoutMs: 60_000 })
}

function ownDir(paths: Paths): string {
  return join(paths.runDir, 'ovs')
}

async function systemAnswers(exec: Exec): Promise<boolean> {
  const socket = await exec(['test', '-S', join(SYSTEM_RUN_DIR, 'db.sock')], { okCodes: [0, 1] })
  if (socket.code !== 0) return false
  return appctlAnswers(exec, 'ovsdb-server').then(
    async (database) => database && (await appctlAnswers(exec, 'ovs-vswitchd')),
  )
}

async function appctlAnswers(exec: Exec, target: string): Promise<boolean> {
  const argv = ['ovs-appctl', '-T', '5', '-t', target, 'version']
  return (await exec(argv, { okCodes: [0, 1, 2, 142] })).code === 0
}

function systemSwitch(datapath: Switch['datapath']): Switch {
  return {
    db: `unix:${join(SYSTEM_RUN_DIR, 'db.sock')}`,
    mgmt: `unix:${join(SYSTEM_RUN_DIR, `${BRIDGE}.mgmt`)}`,
    ctl: 'ovs-vswitchd',
    bridge: BRIDGE,
    datapath,
    own: false,
  }
}

function ownSwitch(paths: Paths, datapath: Switch['datapath']): Switch {
  const dir = ownDir(paths)
  return {
    db: `unix:${join(dir, 'db.sock')}`,
    mgmt: `unix:${join(dir, `${BRIDGE}.mgmt`)}`,
    ctl: join(dir, 'vs.ctl'),
    bridge: BRIDGE,
    datapath,
    own: true,
  }
}

async function ensureDaemons(
  { exec, paths, log }: Pick<SwitchOptions, 'exec' | 'paths' | 'log'>,
  sw: Switch,
): Promise<void> {
  const dir = ownDir(paths)
  const at = (name: string) => join(dir, name)
  const env = { OVS_RUNDIR: dir, OVS_DBDIR: dir, OVS_LOGDIR: dir }
  const start = async (name: string, argv: readonly string[]) => {
    log.info('daemon start', { name })
    const detached = ['--detach', '--no-chdir', '-vconsole:off', '-vsyslog:off']
    await exec(['setsid', ...argv, ...detached], {
      env,
      timeoutMs: START_TIMEOUT_MS,
      outputFile: at('start.log'),
    })
  }
  const files = (name: string) =>
    [
      `--unixctl=${at(`${name}.ctl`)}`,
      `--pidfile=${at(`${name}.pid`)}`,
      `--log-file=${at(`${name}.log`)}`,
    ] as const

  mkdirSync(dir, { recursive: true, mode: 0o700 })
  if (!(await appctlAnswers(exec, at('db.ctl')))) {
    if (!existsSync(at('conf.db'))) await exec(['ovsdb-tool', 'create', at('conf.db'), SCHEMA])
    const remote = `--remote=punix:${at('db.sock')}`
    await start('ovsdb-server', ['ovsdb-server', at('conf.db'), remote, ...files('db')])
    await vsctl(exec, sw, ['init'], { wait: false })
  }
  if (!(await appctlAnswers(exec, sw.ctl))) {
    await start('ovs-vswitchd', ['ovs-vswitchd', sw.db, ...files('vs')])
  }
}

async function bridgeMark(exec: Exec, sw: Switch): Promise<'none' | 'ours' | 'foreign'> {
  const args = ['--format=json', '--columns=name,external_ids', 'list', 'Bridge']
  const table = JSON.parse(await vsctl(exec, sw, args)) as { data: [string, [string, unknown]][] }
  const row = table.data.find(([name]) => name === BRIDGE)
  if (row === undefined) return 'none'
  return JSON.stringify(row[1]).includes(`["${OURS}",`) ? 'ours' : 'foreign'
}

async function ensureBridge(exec: Exec, sw: Switch): Promise<void> {
  const mark = await bridgeMark(exec, sw)
  if (mark === 'foreign') {
    throw new MalleeError('Conflict', `the bridge ${BRIDGE} exists and is not Mallee's`)
  }
  if (mark === 'ours') return
  const add = ['--', '--may-exist', 'add-br', BRIDGE, '--', 'set', 'Bridge', BRIDGE]
  const columns = [
    `datapath_type=${sw.datapath}`,
    // No flows, no forwarding: a switch without its port security must not guess.
    'fail_mode=secure',
    'protocols=OpenFlow13,OpenFlow15',
    'mcast_snooping_enable=false',
    `external_ids:${OURS}=1`,
  ]
  await vsctl(exec, sw, [...add, ...columns])
}
