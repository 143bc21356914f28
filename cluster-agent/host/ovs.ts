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
  /** Empty while there is no device. */
  readonly mac: string
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
    ['--', '--columns=name,type,ofport,mac_in_use', 'list', 'Interface'],
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
 * of our own in the last table carries their digest, which `readMarker` finds.
 */
export async function replaceFlows(
  exec: Exec,
  sw: Switch,
  flows: readonly string[],
  digest: bigint = flowsDigest(flows),
): Promise<void> {
  const input = `${[...flows, markerFlow(digest)].join('\n')}\n`
  await ofctl(exec, ['--bundle', 'replace-flows', sw.mgmt, '-'], input)
}

/** Removes flows by their exact matches and adds others, atomically; `digest` is of all then. */
export async function changeFlows(
  exec: Exec,
  sw: Switch,
  change: { readonly remove: readonly string[]; readonly add: readonly string[] },
  digest: bigint,
): Promise<void> {
  const lines = [
    ...change.remove.map((match) => `delete_strict ${match}`),
    ...[...change.add, markerFlow(digest)].map((flow) => `add ${flow}`),
  ]
  await ofctl(exec, ['--bundle', 'add-flows', sw.mgmt, '-'], `${lines.join('\n')}\n`)
}

/** What the marker says of the flows, null without one, and how many they are. */
export async function readMarker(
  exec: Exec,
  sw: Switch,
): Promise<{ readonly digest: bigint | null; readonly count: number }> {
  const marker = await ofctl(exec, ['dump-flows', sw.mgmt, `table=${MARKER_TABLE}`])
  const cookie = /cookie=0x1([0-9a-f]{15}),/.exec(marker)?.[1]
  const aggregate = await ofctl(exec, ['dump-aggregate', sw.mgmt])
  const count = Number(/flow_count=(\d+)/.exec(aggregate)?.[1] ?? 0)
  return { digest: cookie === undefined ? null : BigInt(`0x${cookie}`), count: count - 1 }
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
  const { digest, count } = await readMarker(exec, sw)
  return digest === flowsDigest(flows) && count === flows.length
}

/** Sends frames, as hex, straight out of ports. */
export async function sendFrames(
  exec: Exec,
  sw: Switch,
  frames: readonly { readonly ofport: number; readonly frame: string }[],
): Promise<void> {
  const lines = frames.map(
    ({ ofport, frame }) => `packet-out in_port=controller,packet=${frame},actions=output:${ofport}`,
  )
  await ofctl(exec, ['bundle', sw.mgmt, '-'], `${lines.join('\n')}\n`)
}

/** In any order the same, and added to by `addDigests`: a change need not read all flows again. */
export function flowsDigest(flows: readonly string[]): bigint {
  return addDigests(
    flows.map((flow) => createHash('sha256').update(flow).digest().readBigUInt64BE() >> 4n),
  )
}

export function addDigests(digests: readonly bigint[]): bigint {
  return digests.reduce((sum, digest) => (sum + digest) % (1n << DIGEST_BITS), 0n)
}

/** Forgets the connections of ports that are new: their numbers may have been others' before. */
export async function forgetConnections(
  exec: Exec,
  sw: Switch,
  ofports: readonly number[],
): Promise<void> {
  const flush = ['ovs-appctl', '-T', '10', '-t', sw.ctl, 'dpctl/flush-conntrack']
  for (const ofport of ofports) {
    const zone = `zone=${ofport}`
    // Open vSwitch 3.1 refuses the data path's name, and needs it only where there are several.
    const { code } = await exec([...flush, zone], { okCodes: [0, 2], timeoutMs: 12_000 })
    if (code !== 0) await exec([...flush, `${sw.datapath}@ovs-${sw.datapath}`, zone])
  }
}

/** The installed flows as ovs-ofctl writes them, without counters and our marker, sorted. */
export async function dumpFlows(exec: Exec, sw: Switch): Promise<string[]> {
  const text = await ofctl(exec, ['--no-stats', 'dump-flows', sw.mgmt])
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.includes(`table=${MARKER_TABLE},`))
    .sort()
}

// --no-names: else ovs-ofctl first downloads a megabyte of table features.
async function ofctl(exec: Exec, args: readonly string[], input?: string): Promise<string> {
  const head = ['ovs-ofctl', '-O', 'OpenFlow15', '--no-names', `--timeout=${TIMEOUT_S}`]
  const options = { timeoutMs: (TIMEOUT_S + 2) * 1000, maxBytes: 64 << 20 }
  const { stdout } = await exec([...head, ...args], {
    ...options,
    ...(input === undefined ? {} : { input }),
  })
  return stdout
}

const MARKER_TABLE = 253
const DIGEST_BITS = 60n

// A leading 1: ovs-ofctl prints no leading zeros.
function markerFlow(digest: bigint): string {
  const cookie = `0x1${digest.toString(16).padStart(15, '0')}`
  return `table=${MARKER_TABLE},priority=0,cookie=${cookie},actions=drop`
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
  const details = new Map(interfaces.data.map(([name, ...detail]) => [name, detail]))
  return ports.data
    .filter(([uuid]) => uuids(uuid).some((one) => onBridge.has(one)))
    .map(([, name, tag, ids]) => {
      const [type, ofport, mac] = details.get(name) ?? []
      const vlan = typeof tag === 'number' ? tag : null
      return {
        name: String(name),
        tag: vlan,
        trunk: vlan === null,
        internal: type === 'internal',
        mac: typeof mac === 'string' ? mac : '',
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
