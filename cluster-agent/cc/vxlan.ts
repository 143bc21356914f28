// What joins this rack's networks to other racks beside the routes of the main table: the transit
// device, and a device for each stretched network. Owns every VXLAN device of our names with its
// entries and its port. Nothing is learned, nothing is flooded: every MAC and address is told.

import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { RouteKind } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { formatAddress, mustAddress } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { linkLocalOf } from '../../topology/plan.ts'
import { never } from '../../topology/result.ts'
import { readOffloads, setOffloads } from '../host/ethtool.ts'
import { ipBatch } from '../host/ip.ts'
import { addPorts, deletePorts, listPorts, OURS, type Switch } from '../host/ovs.ts'
import {
  bridgeBatch,
  listForwarding,
  listNeighbours,
  listVxlans,
  type VxlanEntry,
  type VxlanLink,
} from '../host/vxlan.ts'
import { fabricOf, TRANSIT_VNI, transitHop, vxlanMac } from './far-ends.ts'
import { stretchDevice, TRANSIT_DEVICE, VXLAN_MARK, VXLAN_PORT } from './names.ts'
import type { Tenants } from './tenants.ts'

/** VXLAN in IPv6 takes 70 bytes of what the tunnels carry (RFC 7348 and 8200). */
const OVERHEAD = 70

export interface VxlanDesired {
  readonly links: readonly VxlanLink[]
  /** VLAN tags of the switch's ports, by device. */
  readonly ports: ReadonlyMap<string, number>
  readonly forwarding: readonly VxlanEntry[]
  readonly neighbours: readonly VxlanEntry[]
}

export type VxlanStep =
  | { readonly kind: 'unplug'; readonly names: readonly string[] }
  | { readonly kind: 'ip'; readonly lines: readonly string[] }
  | { readonly kind: 'whole'; readonly name: string }
  | { readonly kind: 'bridge'; readonly lines: readonly string[] }
  | { readonly kind: 'plug'; readonly name: string; readonly tag: number }

export function vxlanReconciler(
  { exec, sw, log }: { readonly exec: Exec; readonly sw: Switch; readonly log: Log },
  desired: VxlanDesired,
): Reconciler<VxlanDesired, VxlanStep> {
  return {
    name: 'vxlan',
    observe: () => observe(exec, sw),
    plan: (seen) => planVxlan(desired, seen),
    apply,
  }

  async function apply(step: VxlanStep): Promise<void> {
    switch (step.kind) {
      case 'unplug':
        return deletePorts(exec, sw, step.names)
      case 'ip':
        return ipBatch(exec, step.lines)
      case 'whole':
        if (sw.datapath === 'netdev') await finishFrames(exec, step.name, log)
        return
      case 'bridge':
        return bridgeBatch(exec, step.lines)
      case 'plug':
        return addPorts(exec, sw, [
          { name: step.name, tag: step.tag, externalIds: { [OURS]: VXLAN_MARK } },
        ])
      default:
        return never(step)
    }
  }
}

/** Removes the devices; the switch forgets their ports when it ends. */
export async function removeVxlans(exec: Exec): Promise<void> {
  const names = (await listVxlans(exec)).map(({ name }) => name).filter(isOurs)
  await ipBatch(
    exec,
    names.map((name) => `link delete dev ${name}`),
  )
}

/** `local` is this CC's address in the fabric, `mtu` that of the tunnels. */
export function vxlanDesired(
  tenants: Tenants,
  { local, mtu }: { readonly local: string; readonly mtu: number },
): VxlanDesired {
  const links: VxlanLink[] = []
  const ports = new Map<string, number>()
  const forwarding: VxlanEntry[] = []
  const neighbours: VxlanEntry[] = []
  const device = (name: string, vni: number, bytes: number): VxlanLink => {
    const mac = vxlanMac(local, vni)
    return { name, vni, local, port: VXLAN_PORT, mac, mtu: bytes, up: true }
  }
  if (needsTransit(tenants)) {
    links.push(device(TRANSIT_DEVICE, TRANSIT_VNI, mtu - OVERHEAD))
    for (const far of farEnds(tenants)) {
      const mac = vxlanMac(far, TRANSIT_VNI)
      forwarding.push({ device: TRANSIT_DEVICE, mac, address: far })
      neighbours.push({ device: TRANSIT_DEVICE, mac, address: transitHop(far) })
    }
  }
  for (const network of tenants.networks.filter(({ stretched }) => stretched)) {
    const name = stretchDevice(network.vlanTag)
    links.push(device(name, network.vni, Math.min(network.mtu, mtu - OVERHEAD)))
    ports.set(name, network.vlanTag)
    for (const station of tenants.stations.filter(({ networkId }) => networkId === network.id)) {
      const mac = station.mac.toLowerCase()
      forwarding.push({ device: name, mac, address: canonical(station.fabricAddress) })
      // Also by what it calls itself on the link: neighbours look there before they send.
      for (const address of [...station.addresses, linkLocalOf(mac)]) {
        neighbours.push({ device: name, mac, address: canonical(address) })
      }
    }
  }
  return { links, ports, forwarding, neighbours }
}

export function planVxlan(desired: VxlanDesired, seen: VxlanDesired): VxlanStep[] {
  const steps: VxlanStep[] = []
  const byName = new Map(desired.links.map((link) => [link.name, link]))
  const have = new Map(seen.links.map((link) => [link.name, link]))
  const unplug = [...seen.ports.keys()].filter((name) => !desired.ports.has(name)).sort(ascending)
  if (unplug.length > 0) steps.push({ kind: 'unplug', names: unplug })
  const remade = new Set<string>()
  const lines: string[] = []
  for (const link of seen.links) {
    const wanted = byName.get(link.name)
    if (wanted !== undefined && sameTunnel(wanted, link)) continue
    lines.push(`link delete dev ${link.name}`)
    remade.add(link.name)
  }
  const made: string[] = []
  for (const link of desired.links) {
    const old = have.get(link.name)
    const there = old !== undefined && !remade.has(link.name)
    if (!there) made.push(link.name)
    lines.push(...linkLines(link, there ? old : null))
  }
  if (lines.length > 0) steps.push({ kind: 'ip', lines })
  for (const name of made) if (desired.ports.has(name)) steps.push({ kind: 'whole', name })
  // What goes with its device needs no line.
  const kept = (entry: VxlanEntry): boolean => byName.has(entry.device) && !remade.has(entry.device)
  const bridge = entryLines(desired.forwarding, seen.forwarding.filter(kept), fdbLine)
  if (bridge.length > 0) steps.push({ kind: 'bridge', lines: bridge })
  const neighbours = entryLines(desired.neighbours, seen.neighbours.filter(kept), neighbourLine)
  if (neighbours.length > 0) steps.push({ kind: 'ip', lines: neighbours })
  // Last: what comes in by a port finds everything told.
  for (const [name, tag] of desired.ports) {
    if (seen.ports.get(name) !== tag || made.includes(name)) steps.push({ kind: 'plug', name, tag })
  }
  return steps
}

function linkLines(link: VxlanLink, old: VxlanLink | null): string[] {
  const { name, vni, local, port, mac, mtu } = link
  const lines: string[] = []
  if (old === null) {
    const how = `local ${local} dstport ${port} nolearning proxy`
    lines.push(`link add dev ${name} address ${mac} type vxlan id ${vni} ${how}`)
    lines.push(`link set dev ${name} addrgenmode none`)
  } else if (old.mac !== mac) {
    lines.push(`link set dev ${name} address ${mac}`)
  }
  if (old?.mtu !== mtu) lines.push(`link set dev ${name} mtu ${mtu}`)
  if (old?.up !== true) lines.push(`link set dev ${name} up`)
  return lines
}

function entryLines(
  wanted: readonly VxlanEntry[],
  have: readonly VxlanEntry[],
  line: (verb: 'replace' | 'del', entry: VxlanEntry) => string,
): string[] {
  const key = ({ device, mac, address }: VxlanEntry): string => `${device} ${mac} ${address}`
  const wantedKeys = new Set(wanted.map(key))
  const haveKeys = new Set(have.map(key))
  return [
    ...have.filter((one) => !wantedKeys.has(key(one))).map((one) => line('del', one)),
    ...wanted.filter((one) => !haveKeys.has(key(one))).map((one) => line('replace', one)),
  ]
}

function fdbLine(verb: 'replace' | 'del', { device, mac, address }: VxlanEntry): string {
  return `fdb ${verb} ${mac} dev ${device} dst ${address}`
}

function neighbourLine(verb: 'replace' | 'del', { device, mac, address }: VxlanEntry): string {
  const what = verb === 'del' ? '' : ` lladdr ${mac} nud permanent`
  return `neigh ${verb} ${address} dev ${device}${what}`
}

function sameTunnel(a: VxlanLink, b: VxlanLink): boolean {
  return a.vni === b.vni && a.local === b.local && a.port === b.port
}

// What comes in by a tunnel of a VPN connection may be for subnets that send theirs by the other.
function needsTransit({ own, foreign, vpnLinks, tunnels }: Tenants): boolean {
  if (foreign.length > 0 || (vpnLinks.length > 0 && tunnels.length > 0)) return true
  return own.some(({ routes }) => routes.some(({ kind }) => kind === RouteKind.RACK))
}

function farEnds({ fabric, tunnels }: Tenants): string[] {
  return tunnels.flatMap((tunnel) => fabricOf(fabric, tunnel) ?? [])
}

function canonical(address: string): string {
  return formatAddress(mustAddress(address))
}

function isOurs(name: string): boolean {
  return name === TRANSIT_DEVICE || /^vx\d{1,4}$/.test(name)
}

async function observe(exec: Exec, sw: Switch): Promise<VxlanDesired> {
  const [links, ports] = await Promise.all([listVxlans(exec), listPorts(exec, sw)])
  const ours = links.filter(({ name }) => isOurs(name))
  const names = new Set(ours.map(({ name }) => name))
  const marked = ports.filter(({ externalIds }) => externalIds[OURS] === VXLAN_MARK)
  // Two more commands only on hosts that have such devices.
  const [forwarding, neighbours] =
    ours.length === 0 ? [[], []] : await Promise.all([listForwarding(exec), listNeighbours(exec)])
  return {
    links: ours,
    ports: new Map(marked.map(({ name, tag }) => [name, tag ?? 0])),
    forwarding: forwarding.filter(({ device }) => names.has(device)),
    neighbours: neighbours.filter(({ device }) => names.has(device)),
  }
}

// The userspace data path takes frames as they pass by: they must be whole.
async function finishFrames(exec: Exec, name: string, log: Log): Promise<void> {
  const on = Object.entries(await readOffloads(exec, name)).filter(([, value]) => value)
  const off = Object.fromEntries(on.map(([feature]) => [feature, false]))
  await setOffloads(exec, name, off).catch((error: unknown) =>
    log.warn('offloads of a VXLAN device', { name, error }),
  )
}
