// Open vSwitch's commands as values: the ports and the flows of our one bridge. Which daemons
// answer behind a Switch is switch.ts' matter. Every command has a deadline of its own, because
// ovs-vsctl waits for ever for a vswitchd that died.

import { createHash } from 'node:crypto'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'

export const BRIDGE = 'br-int'

/** The external id that marks what is ours, on bridges and ports. */
export const OURS = 'mallee'

export interface Switch {
  /** How ovs-vsctl names the database: `unix:<path>`. */
  readonly db: string
  /** How ovs-ofctl names the bridge: `unix:<path>/br-int.mgmt`. */
  readonly mgmt: string
  /** How ovs-appctl names the vswitchd. */
  readonly ctl: string
  readonly bridge: typeof BRIDGE
  readonly datapath: 'system' | 'netdev'
  /** True when the daemons are ours: they end with `stopSwitch`. */
  readonly own: boolean
}

export interface Port {
  readonly name: string
  /** The VLAN of an access port; null on a trunk, which carries all of them. */
  readonly tag: number | null
  readonly trunk: boolean
  readonly internal: boolean
  /** OpenFlow number; -1 while the switch cannot open the device. */
  readonly ofport: number
  readonly externalIds: Readonly<Record<string, string>>
}

export interface NewPort {
  readonly name: string
  readonly tag: number | null
  /** Made and removed by the switch itself; else the device must exist. */
  readonly internal?: boolean
  readonly mac?: string
  readonly mtu?: number
  readonly externalIds?: Readonly<Record<string, string>>
}

const TIMEOUT_S = 20
const MAX_PORTS_PER_COMMAND = 500
// The kernel takes 17 ms for each internal port that goes: 100 of them stay far from the deadline.
const MAX_DELETES_PER_COMMAND = 100

/** Runs ovs-vsctl on the switch's database; `wait: false` does not wait for vswitchd. */
export async function vsctl(
  exec: Exec,
  sw: Pick<Switch, 'db'>,
  args: readonly string[],
  { wait = true } = {},
): Promise<string> {
  const head = ['ovs-vsctl', `--db=${sw.db}`, `--timeout=${TIMEOUT_S}`]
  if (!wait) head.push('--no-wait')
  const { stdout } = await exec([...head, ...args], { timeoutMs: (TIMEOUT_S + 2) * 1000 })
  return stdout
}

/** The ports of the bridge that carry our mark, by name. */
export async function listPorts(exec: Exec, sw: Switch): Promise<Port[]> {
  const args = [
    ['--format=json'],
    ['--', '--columns=ports', 'list', 'Bridge', sw.bridge],
    ['--', '--columns=_uuid,name,tag,external_ids', 'list', 'Port'],
    ['--', '--columns=name,type,ofport', 'list', 'Interface'],
  ].flat()
  return parsePorts(await vsctl(exec, sw, args))
}

/**
 * Adds ports, or sets those that exist to what is named here; all in one transaction (of at most
 * 500 ports). Returns when vswitchd has made them.
 */
export async function addPorts(exec: Exec, sw: Switch, ports: readonly NewPort[]): Promise<void> {
  for (const some of chunks(ports, MAX_PORTS_PER_COMMAND)) {
    await vsctl(
      exec,
      sw,
      some.flatMap((port) => addPort(sw, port)),
    )
  }
}

/** Deletes ports by name, a hundred per transaction; one that is gone already is no error. */
export async function deletePorts(exec: Exec, sw: Switch, names: readonly string[]): Promise<void> {
  for (const some of chunks(names, MAX_DELETES_PER_COMMAND)) {
    const args = some.flatMap((name) => ['--', '--if-exists', 'del-port', sw.bridge, name])
    await vsctl(exec, sw, args)
  }
}

/**
 * Makes `flows` the bridge's whole table, atomically; what is there already is not touched. A flow
 * of our own in the last table carries their digest, which `flowsInstalled` asks for.
 */
export async function replaceFlows(
  exec: Exec,
  sw: Switch,
  flows: readonly string[],
): Promise<void> {
  const input = `${[...flows, markerFlow(flows)].join('\n')}\n`
  await ofctl(exec, sw, ['--bundle', 'replace-flows', sw.mgmt, '-'], input)
}

/**
 * Whether the table is what `replaceFlows` made of `flows`: a vswitchd that was restarted has none,
 * and forwards nothing until it gets them again.
 */
export async function flowsInstalled(
  exec: Exec,
  sw: Switch,
  flows: readonly string[],
): Promise<boolean> {
  const marker = await ofctl(exec, sw, ['dump-flows', sw.mgmt, `table=${MARKER_TABLE}`])
  if (!marker.includes(`cookie=${flowsCookie(flows)},`)) return false
  const aggregate = await ofctl(exec, sw, ['dump-aggregate', sw.mgmt])
  return aggregate.includes(`flow_count=${flows.length + 1}\n`)
}

/** The installed flows as ovs-ofctl writes them, without counters and our marker, sorted. */
export async function dumpFlows(exec: Exec, sw: Switch): Promise<string[]> {
  const text = await ofctl(exec, sw, ['--no-stats', 'dump-flows', sw.mgmt])
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.includes(`table=${MARKER_TABLE},`))
    .sort()
}

// --no-names: else ovs-ofctl first downloads a megabyte of table features.
async function ofctl(
  exec: Exec,
  _sw: Switch,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const head = ['ovs-ofctl', '-O', 'OpenFlow15', '--no-names', `--timeout=${TIMEOUT_S}`]
  const options = { timeoutMs: (TIMEOUT_S + 2) * 1000, maxBytes: 64 << 20 }
  const { stdout } = await exec([...head, ...args], {
    ...options,
    ...(input === undefined ? {} : { input }),
  })
  return stdout
}

const MARKER_TABLE = 253

function markerFlow(flows: readonly string[]): string {
  return `table=${MARKER_TABLE},priority=0,cookie=${flowsCookie(flows)},actions=drop`
}

function flowsCookie(flows: readonly string[]): string {
  const digest = createHash('sha256').update(flows.join('\n')).digest('hex').slice(0, 15)
  // A leading 1: ovs-ofctl prints no leading zeros.
  return `0x1${digest}`
}

function addPort(sw: Switch, port: NewPort): string[] {
  const tag = port.tag === null ? '[]' : String(port.tag)
  const ids = { ...port.externalIds, [OURS]: port.externalIds?.[OURS] ?? '1' }
  const args = ['--', '--may-exist', 'add-port', sw.bridge, port.name]
  args.push('--', 'set', 'Port', port.name, `tag=${tag}`)
  for (const [key, value] of Object.entries(ids)) {
    args.push(`external_ids:${key}=${JSON.stringify(value)}`)
  }
  const wanted: string[] = []
  if (port.internal) wanted.push('type=internal')
  if (port.mac !== undefined) wanted.push(`mac=${JSON.stringify(port.mac)}`)
  if (port.mtu !== undefined) wanted.push(`mtu_request=${port.mtu}`)
  if (wanted.length > 0) args.push('--', 'set', 'Interface', port.name, ...wanted)
  return args
}

interface Table {
  readonly headings: readonly string[]
  readonly data: readonly (readonly unknown[])[]
}

/** The three tables that `listPorts` asks for, each one line of JSON (RFC 7047, section 5.1). */
export function parsePorts(stdout: string): Port[] {
  const tables = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Table)
  const [bridges, ports, interfaces] = tables
  if (bridges === undefined || ports === undefined || interfaces === undefined) {
    throw new MalleeError('CommandFailed', 'ovs-vsctl printed fewer tables than asked for')
  }
  const onBridge = new Set(bridges.data.flatMap(([members]) => uuids(members)))
  const details = new Map(interfaces.data.map(([name, type, ofport]) => [name, { type, ofport }]))
  return ports.data
    .filter(([uuid]) => uuids(uuid).some((one) => onBridge.has(one)))
    .map(([, name, tag, ids]) => {
      const { type, ofport } = details.get(name) ?? { type: '', ofport: -1 }
      const vlan = typeof tag === 'number' ? tag : null
      return {
        name: String(name),
        tag: vlan,
        trunk: vlan === null,
        internal: type === 'internal',
        ofport: typeof ofport === 'number' ? ofport : -1,
        externalIds: pairs(ids),
      }
    })
    .filter(({ externalIds }) => OURS in externalIds)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function uuids(value: unknown): string[] {
  if (!Array.isArray(value)) return []
  if (value[0] === 'uuid') return [String(value[1])]
  return value[0] === 'set' ? (value[1] as unknown[]).flatMap(uuids) : []
}

function pairs(value: unknown): Record<string, string> {
  if (!Array.isArray(value) || value[0] !== 'map') return {}
  return Object.fromEntries(value[1] as [string, string][])
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  const found: T[][] = []
  for (let at = 0; at < all.length; at += size) found.push(all.slice(at, at + size))
  return found
}
