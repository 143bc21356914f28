// VXLAN devices of the kernel as values: ip-link(8) makes them, bridge(8) has where each MAC is,
// the neighbour table has which MAC an address has.

import type { Exec } from '../../common/exec.ts'

export interface VxlanLink {
  readonly name: string
  readonly vni: number
  readonly local: string
  readonly port: number
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
}

/** `mac dev name dst address`, as bridge and ip take it apart. */
export interface VxlanEntry {
  readonly device: string
  readonly mac: string
  /** The far end, or the address that the MAC has. */
  readonly address: string
}

interface LinkRow {
  readonly ifname?: string
  readonly address?: string
  readonly mtu?: number
  readonly flags?: readonly string[]
  readonly linkinfo?: {
    readonly info_data?: {
      readonly id?: number
      readonly local?: string
      readonly local6?: string
      readonly port?: number
    }
  }
}

interface EntryRow {
  readonly mac?: string
  readonly lladdr?: string
  readonly ifname?: string
  readonly dev?: string
  readonly dst?: string
}

const MAX_BYTES = 64 << 20
const BATCH_TIMEOUT_MS = 60_000

export async function listVxlans(exec: Exec): Promise<VxlanLink[]> {
  const argv = ['ip', '-json', '-details', 'link', 'show', 'type', 'vxlan']
  return parseVxlans((await exec(argv, { maxBytes: MAX_BYTES })).stdout)
}

export function parseVxlans(stdout: string): VxlanLink[] {
  return rows<LinkRow>(stdout).map(({ ifname = '', address = '', mtu = 0, flags, linkinfo }) => {
    const data = linkinfo?.info_data
    return {
      name: ifname,
      vni: data?.id ?? 0,
      local: data?.local6 ?? data?.local ?? '',
      port: data?.port ?? 0,
      mac: address.toLowerCase(),
      mtu,
      up: flags?.includes('UP') ?? false,
    }
  })
}

/** Where MACs are, over all devices. */
export async function listForwarding(exec: Exec): Promise<VxlanEntry[]> {
  const { stdout } = await exec(['bridge', '-json', 'fdb', 'show'], { maxBytes: MAX_BYTES })
  return parseEntries(stdout)
}

/** The permanent neighbours of both families, over all devices. */
export async function listNeighbours(exec: Exec): Promise<VxlanEntry[]> {
  const argv = ['ip', '-json', 'neigh', 'show', 'nud', 'permanent']
  return parseEntries((await exec(argv, { maxBytes: MAX_BYTES })).stdout)
}

export function parseEntries(stdout: string): VxlanEntry[] {
  return rows<EntryRow>(stdout).flatMap(({ mac, lladdr, ifname, dev, dst }) => {
    const device = ifname ?? dev
    const address = mac ?? lladdr
    if (device === undefined || address === undefined || dst === undefined) return []
    return [{ device, mac: address.toLowerCase(), address: dst }]
  })
}

/** Lines as bridge(8) reads them, in one process. */
export async function bridgeBatch(exec: Exec, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return
  const input = `${lines.join('\n')}\n`
  await exec(['bridge', '-batch', '-'], { input, timeoutMs: BATCH_TIMEOUT_MS })
}

function rows<T>(stdout: string): T[] {
  // ip and bridge print nothing, or objects without content, where there is nothing to say.
  if (stdout.trim() === '') return []
  return (JSON.parse(stdout) as T[]).filter((row) => Object.keys(row as object).length > 0)
}
