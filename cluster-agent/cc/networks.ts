// The gateway of each tenant network: an internal port of the switch with the network's tag and the
// network's first addresses. Owns every port with the gateway mark and every address on them.

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import type { Network } from '../../proto/gen/mallee/v1/desired_pb.js'
import { formatAddress, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { gatewayMac } from '../../topology/plan.ts'
import { never } from '../../topology/result.ts'
import { ipBatch, type Link, listLinks, readSysctls, writeSysctls } from '../host/ip.ts'
import { addPorts, deletePorts, listPorts, type NewPort, OURS, type Switch } from '../host/ovs.ts'
import { GATEWAY_MARK, gatewayPort } from './names.ts'

/** The same on every gateway port of every rack: what routers' advertisements come from. */
const LINK_LOCAL = 'fe80::1/64'

export interface GatewayPort {
  readonly name: string
  readonly tag: number
  readonly mac: string
  readonly mtu: number
  /** With length. */
  readonly addresses: readonly string[]
}

export interface NetworksSeen {
  /** Ports with the gateway mark, with their tags. */
  readonly ports: ReadonlyMap<string, number | null>
  readonly links: ReadonlyMap<string, Link>
  /** Ports that would listen to router advertisements. */
  readonly listening: readonly string[]
}

export type NetworkStep =
  | { readonly kind: 'add'; readonly ports: readonly NewPort[] }
  | { readonly kind: 'quiet'; readonly names: readonly string[] }
  | { readonly kind: 'ip'; readonly lines: readonly string[] }
  | { readonly kind: 'delete'; readonly names: readonly string[] }

/** What a network's gateway is on the host that `host` names. */
export function gatewayOf(
  network: Network,
  host: { readonly rackIndex: number; readonly hostIndex: number },
): GatewayPort {
  const addresses = [
    network.ipv4Cidr === '' ? null : within(network.ipv4Gateway, network.ipv4Cidr),
    network.ipv6Cidr === '' ? null : within(network.ipv6Gateway, network.ipv6Cidr),
    LINK_LOCAL,
  ].filter((address) => address !== null)
  return {
    name: gatewayPort(network.vlanTag),
    tag: network.vlanTag,
    mac: gatewayMac(host.rackIndex, host.hostIndex, network.vlanTag),
    mtu: network.mtu,
    addresses,
  }
}

export function networksReconciler(
  { exec, sw }: { readonly exec: Exec; readonly sw: Switch },
  desired: readonly GatewayPort[],
): Reconciler<NetworksSeen, NetworkStep> {
  return { name: 'networks', observe, plan: (seen) => planNetworks(desired, seen), apply }

  async function observe(): Promise<NetworksSeen> {
    const ports = new Map(
      (await listPorts(exec, sw))
        .filter(({ externalIds }) => externalIds[OURS] === GATEWAY_MARK)
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

  async function apply(step: NetworkStep): Promise<void> {
    switch (step.kind) {
      case 'add':
        return addPorts(exec, sw, step.ports)
      case 'quiet':
        return writeSysctls(exec, new Map(step.names.map((name) => [acceptRa(name), '0'])))
      case 'ip':
        return ipBatch(exec, step.lines)
      case 'delete':
        return deletePorts(exec, sw, step.names)
      default:
        return never(step)
    }
  }
}

export function planNetworks(
  desired: readonly GatewayPort[],
  { ports, links, listening }: NetworksSeen,
): NetworkStep[] {
  const steps: NetworkStep[] = []
  const byName = new Map(desired.map((port) => [port.name, port]))
  const add = desired.filter((port) => !isThere(port, ports, links))
  if (add.length > 0) steps.push({ kind: 'add', ports: add.map(newPort) })
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
  port: GatewayPort,
  ports: NetworksSeen['ports'],
  links: NetworksSeen['links'],
): boolean {
  const link = links.get(port.name)
  return ports.get(port.name) === port.tag && link?.mac === port.mac && link.mtu === port.mtu
}

function newPort({ name, tag, mac, mtu }: GatewayPort): NewPort {
  return { name, tag, mac, mtu, internal: true, externalIds: { [OURS]: GATEWAY_MARK } }
}

function linkLines({ name, addresses }: GatewayPort, link: Link | null): string[] {
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

function acceptRa(name: string): string {
  return `net.ipv6.conf.${name}.accept_ra`
}

// As the kernel writes it: else we would add, in each pass, an address that is there.
function within(address: string, cidr: string): string {
  return `${formatAddress(mustAddress(address))}/${mustCidr(cidr).length}`
}
