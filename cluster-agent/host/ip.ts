// ip(8) as values: links with their addresses, routes of one device, and batches of changes. Also
// sysctl(8), whose keys belong to links.

import { isIP } from 'node:net'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'

export interface Link {
  readonly name: string
  /** Lower case; empty for a link without one (WireGuard). */
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  readonly addresses: readonly LinkAddress[]
}

export interface LinkAddress {
  /** With prefix length, as ip writes it: `10.0.1.1/24`, `fd00::1/64`. */
  readonly cidr: string
  readonly family: 4 | 6
  readonly scope: string
}

export interface Route {
  /** With prefix length; `0.0.0.0/0` or `::/0` for the default route. */
  readonly destination: string
  readonly device: string
  readonly protocol: string
  /** The router; empty on the link itself. */
  readonly gateway: string
  /** Absent without one of its own. */
  readonly mtu?: number
}

export interface Proxy {
  readonly address: string
  readonly device: string
  /** Whose it is; 0 when nobody said so. */
  readonly protocol: number
}

const MAX_BYTES = 64 << 20
const BATCH_TIMEOUT_MS = 60_000

/** All links with their addresses. */
export async function listLinks(exec: Exec): Promise<Link[]> {
  const argv = ['ip', '-json', 'address', 'show']
  return parseLinks((await exec(argv, { maxBytes: MAX_BYTES })).stdout)
}

/** The names of the XFRM interfaces; none where the kernel knows no such. */
export async function listXfrmLinks(exec: Exec): Promise<string[]> {
  const argv = ['ip', '-json', 'link', 'show', 'type', 'xfrm']
  const { stdout } = await exec(argv, { maxBytes: MAX_BYTES, okCodes: [0, 1, 2] })
  return rows(stdout).map((row) => text(row['ifname']))
}

export function parseLinks(stdout: string): Link[] {
  return rows(stdout).map((row) => ({
    name: text(row['ifname']),
    mac: text(row['address']).toLowerCase(),
    mtu: Number(row['mtu'] ?? 0),
    up: Array.isArray(row['flags']) && row['flags'].includes('UP'),
    addresses: (Array.isArray(row['addr_info']) ? (row['addr_info'] as Row[]) : []).map((one) => ({
      cidr: `${text(one['local'])}/${Number(one['prefixlen'])}`,
      family: one['family'] === 'inet6' ? 6 : 4,
      scope: text(one['scope']),
    })),
  }))
}

/** The routes of both families in the main table that leave by one device. */
export async function listRoutes(exec: Exec, device: string): Promise<Route[]> {
  return await bothFamilies(exec, ['route', 'show', 'dev', device], device)
}

/** Addresses that the host answers for in IPv6 neighbour discovery, though they are elsewhere. */
export async function listProxies(exec: Exec): Promise<Proxy[]> {
  const argv = ['ip', '-6', '-json', 'neigh', 'show', 'proxy']
  const { stdout } = await exec(argv, { maxBytes: MAX_BYTES })
  return rows(stdout).map((row) => ({
    address: text(row['dst']),
    device: text(row['dev']),
    protocol: Number(row['protocol'] ?? 0),
  }))
}

/** The default routes of both families. */
export async function listDefaultRoutes(exec: Exec): Promise<Route[]> {
  return await bothFamilies(exec, ['route', 'show', 'default'], '')
}

async function bothFamilies(exec: Exec, args: readonly string[], device: string): Promise<Route[]> {
  const found: Route[] = []
  for (const family of [4, 6] as const) {
    const argv = ['ip', '-json', `-${family}`, ...args]
    // Exits 1 when the device is not there: no routes.
    const { stdout, code } = await exec(argv, { maxBytes: MAX_BYTES, okCodes: [0, 1] })
    if (code === 0) found.push(...parseRoutes(stdout, family, device))
  }
  return found
}

export function parseRoutes(stdout: string, family: 4 | 6, device: string): Route[] {
  const whole = family === 4 ? '0.0.0.0/0' : '::/0'
  return rows(stdout).map((row) => {
    const destination = text(row['dst'])
    return {
      destination: destination === 'default' ? whole : withLength(destination),
      device: text(row['dev']) || device,
      protocol: text(row['protocol']),
      gateway: text(row['gateway']),
      ...mtuOf(row['metrics']),
    }
  })
}

/** A prefix with its length: ip and wg leave it out, or not, for single addresses. */
export function withLength(prefix: string): string {
  return prefix.includes('/') ? prefix : `${prefix}/${isIP(prefix) === 4 ? 32 : 128}`
}

/**
 * Runs lines of ip's own commands (`address add … dev …`), in one process; it stops at the first
 * line that fails. No line may begin with an option.
 */
export async function ipBatch(exec: Exec, lines: readonly string[], family?: 4 | 6): Promise<void> {
  if (lines.length === 0) return
  const bad = lines.find((line) => /[\n\r\\"'#]/.test(line))
  if (bad !== undefined) throw new MalleeError('BadArgument', `not a line for ip: ${bad}`)
  // Only rules need to be told their family: addresses say it of themselves.
  await exec(['ip', ...(family === undefined ? [] : [`-${family}`]), '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    timeoutMs: BATCH_TIMEOUT_MS,
  })
}

/** The values of kernel settings by key; keys that do not exist are left out. */
export async function readSysctls(
  exec: Exec,
  keys: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (keys.length === 0) return new Map()
  const { stdout } = await exec(['sysctl', '--ignore', ...keys], { okCodes: [0, 255] })
  const pairs = [...stdout.matchAll(/^(\S+) = (.*)$/gm)]
  return new Map(pairs.map(([, key = '', value = '']) => [key, value.trim()]))
}

export async function writeSysctls(exec: Exec, values: ReadonlyMap<string, string>): Promise<void> {
  if (values.size === 0) return
  await exec(['sysctl', '--quiet', '--write', ...[...values].map(([k, v]) => `${k}=${v}`)])
}

type Row = Readonly<Record<string, unknown>>

function rows(stdout: string): Row[] {
  // ip prints nothing, or objects without content, where there is nothing to say.
  if (stdout.trim() === '') return []
  return (JSON.parse(stdout) as Row[]).filter((row) => Object.keys(row).length > 0)
}

function mtuOf(metrics: unknown): { mtu?: number } {
  const [first] = Array.isArray(metrics) ? (metrics as Row[]) : []
  return typeof first?.['mtu'] === 'number' ? { mtu: first['mtu'] } : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
