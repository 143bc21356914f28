// Ports of the switch through which the host itself is in a VLAN: internal ones with a tag, and the
// host's addresses on them. Owns every port of one mark and every address on those.

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { ascending } from '../../topology/order.ts'
import { never } from '../../topology/result.ts'
import { ipBatch, type Link, listLinks, readSysctls, writeSysctls } from './ip.ts'
import { addPorts, deletePorts, listPorts, type NewPort, OURS, type Switch } from './ovs.ts'

export interface AccessPort {
  readonly name: string
  readonly tag: number
  readonly mac: string
  readonly mtu: number
  /** With length. */
  readonly addresses: readonly string[]
}

export interface AccessPortsSeen {
  /** Ports with the mark, with their tags. */
  readonly ports: ReadonlyMap<string, number | null>
  readonly links: ReadonlyMap<string, Link>
  /** Ports that would listen to router advertisements. */
  readonly listening: readonly string[]
}

export type AccessPortStep =
  | { readonly kind: 'add'; readonly ports: readonly AccessPort[] }
  | { readonly kind: 'quiet'; readonly names: readonly string[] }
  | { readonly kind: 'ip'; readonly lines: readonly string[] }
  | { readonly kind: 'delete'; readonly names: readonly string[] }

export interface AccessPortsOptions {
  readonly exec: Exec
  readonly sw: Switch
  /** Of the reconciler. */
  readonly name: string
  /** The external id of the ports that it owns. */
  readonly mark: string
}

export function accessPortsReconciler(
  { exec, sw, name, mark }: AccessPortsOptions,
  desired: readonly AccessPort[],
): Reconciler<AccessPortsSeen, AccessPortStep> {
  return { name, observe, plan: (seen) => planAccessPorts(desired, seen), apply }

  async function observe(): Promise<AccessPortsSeen> {
    const ports = new Map(
      (await listPorts(exec, sw))
        .filter(({ externalIds }) => externalIds[OURS] === mark)
        .map(({ name, tag }) => [name, tag]),
    )
    const links = new Map(
      (await listLinks(exec))
        .filter(({ name }) => ports.has(name))
        .map((link) => [link.name, link]),
    )
    const keys = new Map([...links.keys()].map((name) => [acceptRa(name), name]))
    const values = await readSysctls(exec, [...keys.keys()])
    const listening = [...keys].filter(([key]) => values.get(key) !== '0').map(([, name]) => name)
    return { ports, links, listening }
  }

  function newPort(port: AccessPort): NewPort {
    const { name, tag, mac, mtu } = port
    return { name, tag, mac, mtu, internal: true, externalIds: { [OURS]: mark } }
  }

  async function apply(step: AccessPortStep): Promise<void> {
    switch (step.kind) {
      case 'add':
        return addPorts(exec, sw, step.ports.map(newPort))
      case 'quiet':
        return writeSysctls(exec, new Map(step.names.flatMap(settingsOf)))
      case 'ip':
        return ipBatch(exec, step.lines)
      case 'delete':
        return deletePorts(exec, sw, step.names)
      default:
        return never(step)
    }
  }
}

export function planAccessPorts(
  desired: readonly AccessPort[],
  { ports, links, listening }: AccessPortsSeen,
): AccessPortStep[] {
  const steps: AccessPortStep[] = []
  const byName = new Map(desired.map((port) => [port.name, port]))
  const add = desired.filter((port) => !isThere(port, ports, links))
  if (add.length > 0) steps.push({ kind: 'add', ports: add })
  const added = new Set(add.filter(({ name }) => !links.has(name)).map(({ name }) => name))
  // Before they come up: an address that a guest advertised would become the source of our answers.
  const quiet = [...added, ...listening.filter((name) => byName.has(name))]
  if (quiet.length > 0) steps.push({ kind: 'quiet', names: quiet.sort(ascending) })
  const lines = desired.flatMap((port) => linkLines(port, links.get(port.name) ?? null))
  if (lines.length > 0) steps.push({ kind: 'ip', lines })
  const gone = [...ports.keys()].filter((name) => !byName.has(name)).sort(ascending)
  if (gone.length > 0) steps.push({ kind: 'delete', names: gone })
  return steps
}

function isThere(
  port: AccessPort,
  ports: AccessPortsSeen['ports'],
  links: AccessPortsSeen['links'],
): boolean {
  const link = links.get(port.name)
  return ports.get(port.name) === port.tag && link?.mac === port.mac && link.mtu === port.mtu
}

function linkLines({ name, addresses }: AccessPort, link: Link | null): string[] {
  const lines: string[] = []
  // IPv6 makes link-local addresses of its own when a link comes up; ours is the only one.
  if (!link?.up) lines.push(`link set dev ${name} addrgenmode none`)
  const have = new Set(link?.addresses.map(({ cidr }) => cidr))
  for (const address of addresses) {
    const nodad = address.includes(':') ? ' nodad' : ''
    if (!have.has(address)) lines.push(`address add ${address} dev ${name}${nodad}`)
  }
  for (const address of have) {
    if (!addresses.includes(address)) lines.push(`address del ${address} dev ${name}`)
  }
  if (!link?.up) lines.push(`link set dev ${name} up`)
  return lines
}

/** Besides, neighbours who know the addresses by another host's port hear of this one. */
function settingsOf(name: string): [string, string][] {
  return [
    [acceptRa(name), '0'],
    [`net.ipv4.conf.${name}.arp_notify`, '1'],
    [`net.ipv6.conf.${name}.ndisc_notify`, '1'],
  ]
}

function acceptRa(name: string): string {
  return `net.ipv6.conf.${name}.accept_ra`
}
