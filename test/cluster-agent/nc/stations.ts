// Two hosts of a rack with their switches, joined by a trunk, and stations instead of guests: a
// network of its own behind each port. The first host is the CC, too. For tests with real packets.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { addPorts, type Switch } from '../../../cluster-agent/host/ovs.ts'
import { ensureSwitch } from '../../../cluster-agent/host/switch.ts'
import { tapName } from '../../../cluster-agent/host/tap.ts'
import { keepTrunk } from '../../../cluster-agent/host/trunk.ts'
import { FlowPlanner } from '../../../cluster-agent/nc/flow-plan.ts'
import { FlowTable } from '../../../cluster-agent/nc/flow-table.ts'
import { switchPorts } from '../../../cluster-agent/nc/ports.ts'
import type { NicWanted } from '../../../cluster-agent/nc/wanted.ts'
import { silentLog } from '../../../common/log.ts'
import { reconcileOnce } from '../../../common/reconcile.ts'
import type { Desired } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { gatewayMac } from '../../../topology/plan.ts'
import { joinHosts, type SimulatedHost, startHost } from '../../support/netns.ts'
import { TALK } from './talk.ts'

export const PORTS = ['22', '80', '8080'] as const

/** The number says all: 1 to 9 in the first network, 11 to 19 in the second. */
export interface Station {
  readonly n: number
  readonly home: 0 | 1
  readonly mac: string
  readonly ipv4: string
  readonly ipv6: string
  readonly tag: number
}

export interface Host extends SimulatedHost {
  readonly sw: Switch
  readonly planner: FlowPlanner
  readonly table: FlowTable
}

export function station(n: number, home: 0 | 1 = 0): Station {
  const net = n > 9 ? 2 : 1
  const [last, tag] = [10 + (n % 10), 100 * net]
  const mac = `02:00:00:00:00:${String(n).padStart(2, '0')}`
  return { n, home, mac, ipv4: `10.1.${net}.${last}`, ipv6: `fd10:1:${net}::${last}`, tag }
}

export function nicOf(one: Station, change: Partial<NicWanted> = {}): NicWanted {
  const { n, mac, ipv4, ipv6, tag } = one
  return {
    ...{ id: `eni-${n}`, tap: tapName(mac), mac, ipv4, ipv6, tag, mtu: 1_400 },
    ...{ ipv4More: [], ipv6More: [], groupIds: [], sourceDestCheck: true, deviceIndex: 0 },
    balancer: false,
    ...change,
  }
}

export async function startRack(dir: string, stations: readonly Station[]): Promise<Host[]> {
  const started: SimulatedHost[] = []
  try {
    for (const name of ['one', 'two']) started.push(await startHost(name, dir))
    const [one, two] = started as [SimulatedHost, SimulatedHost]
    await joinHosts([one, 'trunk'], [two, 'trunk'])
    const hosts: Host[] = []
    for (const host of [one, two]) hosts.push(await startSwitch(host))
    await serveGateways(hosts[0] as Host)
    for (const each of stations) await plug(hosts[each.home] as Host, each)
    return hosts
  } catch (error) {
    await Promise.all(started.map((host) => host.stop()))
    throw error
  }
}

async function startSwitch(host: SimulatedHost): Promise<Host> {
  const { exec, paths } = host
  const sw = await ensureSwitch({ exec, paths, machine: { ovs: 'userspace' }, log: silentLog })
  await keepTrunk({ exec, paths, sw, trunk: 'trunk' }, silentLog)
  return { ...host, sw, planner: new FlowPlanner(), table: new FlowTable(exec, sw) }
}

async function serveGateways({ exec, sw }: Host): Promise<void> {
  await exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
  for (const net of [1, 2]) {
    const [name, tag] = [`gw${net}00`, net * 100]
    const mac = gatewayMac(1, 1, tag)
    const externalIds = { mallee: 'gateway' }
    await addPorts(exec, sw, [{ name, tag, mac, mtu: 1_400, internal: true, externalIds }])
    await exec(['ip', 'link', 'set', 'dev', name, 'addrgenmode', 'none', 'up'])
    for (const address of [`10.1.${net}.1/24`, `fd10:1:${net}::1/64`, 'fe80::1/64']) {
      await exec(['ip', 'address', 'add', address, 'dev', name, ...nodad(address)])
    }
  }
}

async function plug({ exec, sw, paths }: Host, one: Station): Promise<void> {
  const [netns, tap] = [`g${one.n}`, tapName(one.mac)]
  await exec(['ip', 'netns', 'add', netns])
  const peer = ['peer', 'name', 'eth0', 'netns', netns, 'address', one.mac, 'mtu', '1400']
  await exec(['ip', 'link', 'add', tap, 'mtu', '1400', 'type', 'veth', ...peer])
  await exec(['ip', 'link', 'set', 'dev', tap, 'addrgenmode', 'none', 'up'])
  const ip = (...line: string[]) => exec(['ip', '-n', netns, ...line])
  await inside({ exec }, one, ['ethtool', '-K', 'eth0', 'tx', 'off'])
  await inside({ exec }, one, ['sysctl', '-qw', 'net.ipv6.conf.eth0.accept_dad=0'])
  await ip('link', 'set', 'lo', 'up')
  await ip('link', 'set', 'eth0', 'up')
  const net = one.tag / 100
  for (const address of [`${one.ipv4}/24`, `${one.ipv6}/64`]) {
    await ip('address', 'add', address, 'dev', 'eth0', ...nodad(address))
  }
  await ip('route', 'add', 'default', 'via', `10.1.${net}.1`)
  await ip('route', 'add', 'default', 'via', `fd10:1:${net}::1`)
  const externalIds = { mallee: 'tap', 'attached-mac': one.mac }
  await addPorts(exec, sw, [{ name: tap, tag: one.tag, externalIds }])
  mkdirSync(paths.stateDir, { recursive: true })
  const serve = ['setsid', '--fork', 'ip', 'netns', 'exec', netns, process.execPath, TALK, 'serve']
  await exec([...serve, ...PORTS], { outputFile: join(paths.stateDir, `${netns}.log`) })
  const listens = ['sh', '-c', `ss -Hltn | grep -c ':${PORTS[2]} '`]
  await until(`station ${one.n} serves`, async () => {
    return (await inside({ exec }, one, listens)).stdout.trim() !== '0'
  })
}

/** Runs a command as the station. */
export function inside(
  { exec }: Pick<Host, 'exec'>,
  { n }: Station,
  argv: readonly string[],
  input = '',
) {
  const options = { okCodes: [0, 1, 2], input }
  return exec(['ip', 'netns', 'exec', `g${n}`, ...argv], options)
}

/** One pass over a host's flows; how many steps it took. */
export async function applyFlows(
  { exec, sw, planner, table }: Host,
  desired: Desired,
  wanted: readonly NicWanted[],
): Promise<number> {
  const flows = planner.plan(desired, await switchPorts({ exec, sw, wanted }))
  return reconcileOnce(table.reconciler(flows), silentLog)
}

function nodad(address: string): string[] {
  return address.includes(':') ? ['nodad'] : []
}
