// Where a load balancer's node lives: a network namespace, joined to the switch by a veth pair
// whose outer end is the port. Owns every namespace with our prefix and what is in it of ip's.

import type { Exec } from '../../../common/exec.ts'
import type { Log } from '../../../common/log.ts'
import { type Reconciler, reconcileOnce } from '../../../common/reconcile.ts'
import { bodies, bodyAt, type Desired } from '../../../proto/resources.ts'
import { mustCidr } from '../../../topology/cidr.ts'
import { never } from '../../../topology/result.ts'
import { guardReconciler } from '../../host/guard.ts'
import {
  ipBatch,
  type Link,
  listDefaultRoutes,
  listLinks,
  type Route,
  readSysctls,
  writeSysctls,
} from '../../host/ip.ts'
import { addNetns, deleteNetns, inNetns, listNetns } from '../../host/netns.ts'
import { deletePorts, type Switch } from '../../host/ovs.ts'
import { INSIDE, isNodeDevice, NETNS_PREFIX, netnsName, nodeDevice } from './names.ts'

export interface NodeLink {
  readonly interfaceId: string
  readonly netns: string
  readonly device: string
  readonly mac: string
  readonly mtu: number
  /** With length. */
  readonly addresses: readonly string[]
  readonly gateways: readonly string[]
  /** Does the node pass packets on? HAProxy needs nothing of it, UDP does. */
  readonly forwards: boolean
}

export interface InsideSeen {
  readonly link: Link | null
  readonly routes: readonly Route[]
  readonly settings: ReadonlyMap<string, string>
}

export interface LinksSeen {
  /** Ours, by name. */
  readonly netns: ReadonlyMap<string, InsideSeen>
  /** The outer ends, by name. */
  readonly devices: ReadonlyMap<string, Link>
}

export type LinkStep =
  | { readonly kind: 'add'; readonly netns: string }
  | { readonly kind: 'unplug'; readonly device: string }
  | { readonly kind: 'plug'; readonly link: NodeLink }
  | { readonly kind: 'outside'; readonly lines: readonly string[] }
  | {
      readonly kind: 'settings'
      readonly netns: string
      readonly values: ReadonlyMap<string, string>
    }
  | { readonly kind: 'inside'; readonly netns: string; readonly lines: readonly string[] }
  | { readonly kind: 'remove'; readonly netns: string }

export interface LinksOptions {
  readonly exec: Exec
  readonly sw: Switch
  readonly log: Log
}

/** The links of a host's nodes; `forwards` says which of them pass packets on. */
export function nodeLinks(
  desired: Desired,
  host: string,
  forwards: (interfaceId: string) => boolean,
): NodeLink[] {
  return bodies(desired, 'interface').flatMap((nic): NodeLink[] => {
    if (!nic.balancer || nic.host !== host) return []
    const network = bodyAt(desired, `network/${nic.networkId}`, 'network')
    if (network === null) return []
    const { ipv4Cidr, ipv4Gateway, ipv6Cidr, ipv6Gateway, mtu } = network
    const within = (addresses: readonly string[], cidr: string) =>
      addresses.filter((one) => one !== '').map((one) => `${one}/${mustCidr(cidr).length}`)
    const ipv4 = ipv4Cidr === '' ? [] : within([nic.ipv4, ...nic.ipv4More], ipv4Cidr)
    const ipv6 = ipv6Cidr === '' ? [] : within([nic.ipv6, ...nic.ipv6More], ipv6Cidr)
    const { id: interfaceId, mac } = nic
    return [
      {
        ...{ interfaceId, netns: netnsName(interfaceId), device: nodeDevice(mac), mac, mtu },
        addresses: [...ipv4, ...ipv6],
        gateways: [
          ...(ipv4.length > 0 ? [ipv4Gateway] : []),
          ...(ipv6.length > 0 ? [ipv6Gateway] : []),
        ],
        forwards: forwards(interfaceId),
      },
    ]
  })
}

/** The outer ends that are there, by name. */
export async function listVeths(exec: Exec): Promise<string[]> {
  return (await listLinks(exec)).map(({ name }) => name).filter(isNodeDevice)
}

/** Keeps the host's kernel away from what nodes send. */
export async function guardNodes({ exec, sw, log }: LinksOptions): Promise<void> {
  if (sw.datapath !== 'netdev') return
  const guard = guardReconciler({ exec, group: 'nodes', ports: () => listVeths(exec) })
  await reconcileOnce(guard, log)
}

export function linksReconciler(
  options: LinksOptions,
  wanted: readonly NodeLink[],
): Reconciler<LinksSeen, LinkStep> {
  const { exec, sw } = options
  return { name: 'balancer-links', observe, plan: (seen) => planLinks(wanted, seen), apply }

  async function observe(): Promise<LinksSeen> {
    const netns = new Map<string, InsideSeen>()
    for (const name of await listNetns(exec, NETNS_PREFIX)) netns.set(name, await look(name))
    const links = (await listLinks(exec)).filter(({ name }) => isNodeDevice(name))
    return { netns, devices: new Map(links.map((link) => [link.name, link])) }
  }

  async function look(name: string): Promise<InsideSeen> {
    const inside = inNetns(exec, name)
    const link = (await listLinks(inside)).find((one) => one.name === INSIDE) ?? null
    const settings = await readSysctls(inside, Object.keys(settingsOf(false)))
    return { link, routes: await listDefaultRoutes(inside), settings }
  }

  async function apply(step: LinkStep): Promise<void> {
    switch (step.kind) {
      case 'add':
        return addNetns(exec, step.netns)
      case 'unplug':
        return unplug(step.device)
      case 'plug':
        return plug(step.link)
      case 'outside':
        // Before the first frame: the host would answer for its own addresses.
        await guardNodes(options)
        return ipBatch(exec, step.lines)
      case 'settings':
        return writeSysctls(inNetns(exec, step.netns), step.values)
      case 'inside':
        return ipBatch(inNetns(exec, step.netns), step.lines)
      case 'remove':
        return deleteNetns(exec, step.netns)
      default:
        return never(step)
    }
  }

  /** It may go by itself: the kernel takes its own time for what was in a namespace. */
  async function unplug(device: string): Promise<void> {
    try {
      await ipBatch(exec, [`link delete dev ${device}`])
    } catch (error) {
      if ((await listVeths(exec)).includes(device)) throw error
    }
  }

  async function plug({ device, netns, mac, mtu }: NodeLink): Promise<void> {
    // The switch would go on with the device of that name which is no more.
    await deletePorts(exec, sw, [device])
    const peer = `peer name ${INSIDE} netns ${netns} address ${mac} mtu ${mtu}`
    await ipBatch(exec, [`link add ${device} mtu ${mtu} type veth ${peer}`])
    // The userspace data path takes frames as they are: without their checksums TCP would hang.
    if (sw.datapath !== 'netdev') return
    await inNetns(exec, netns)(['ethtool', '-K', INSIDE, 'tx', 'off'])
  }
}

export function planLinks(wanted: readonly NodeLink[], { netns, devices }: LinksSeen): LinkStep[] {
  const steps: LinkStep[] = []
  const named = new Set(wanted.map((link) => link.netns))
  const used = new Set(wanted.map(({ device }) => device))
  for (const device of devices.keys()) if (!used.has(device)) steps.push({ kind: 'unplug', device })
  for (const name of netns.keys()) if (!named.has(name)) steps.push({ kind: 'remove', netns: name })
  for (const link of wanted) {
    const seen = netns.get(link.netns)
    const { device } = link
    if (seen === undefined) steps.push({ kind: 'add', netns: link.netns })
    const plugged = seen?.link?.mac === link.mac && devices.has(device)
    if (!plugged && devices.has(device)) steps.push({ kind: 'unplug', device })
    if (!plugged) steps.push({ kind: 'plug', link })
    const values = changedSettings(link, plugged ? seen : undefined)
    if (values.size > 0) steps.push({ kind: 'settings', netns: link.netns, values })
    const outer = plugged ? devices.get(device) : undefined
    if (outer?.mtu !== link.mtu || !outer.up) {
      // No link-local address: the host must not speak in a tenant's network.
      const line = `link set dev ${device} addrgenmode none mtu ${link.mtu} up`
      steps.push({ kind: 'outside', lines: [line] })
    }
    const lines = insideLines(link, plugged ? seen : undefined)
    if (lines.length > 0) steps.push({ kind: 'inside', netns: link.netns, lines })
  }
  return steps
}

function insideLines(
  { mtu, addresses, gateways }: NodeLink,
  seen: InsideSeen | undefined,
): string[] {
  const { link = null, routes = [] } = seen ?? {}
  const there = (link?.addresses ?? []).filter(({ scope }) => scope === 'global')
  const known = new Set(there.map(({ cidr }) => cidr))
  const ways = new Set(routes.map(({ gateway }) => gateway))
  return [
    ...(link?.mtu === mtu && link.up ? [] : [`link set dev ${INSIDE} mtu ${mtu} up`]),
    ...addresses
      .filter((cidr) => !known.has(cidr))
      .map((cidr) => `address add ${cidr} dev ${INSIDE}${cidr.includes(':') ? ' nodad' : ''}`),
    ...[...known]
      .filter((cidr) => !addresses.includes(cidr))
      .map((cidr) => `address delete ${cidr} dev ${INSIDE}`),
    ...gateways
      .filter((gateway) => !ways.has(gateway))
      .map((gateway) => `route replace default via ${gateway} dev ${INSIDE}`),
  ]
}

function changedSettings(
  { forwards }: NodeLink,
  seen: InsideSeen | undefined,
): ReadonlyMap<string, string> {
  const all = Object.entries(settingsOf(forwards))
  return new Map(all.filter(([key, value]) => seen?.settings.get(key) !== value))
}

/** It has its addresses from us: it listens to no router, and sends nobody elsewhere. */
function settingsOf(forwards: boolean): Readonly<Record<string, string>> {
  const forwarding = forwards ? '1' : '0'
  return {
    'net.ipv4.ip_forward': forwarding,
    // Connections to one target are no more than these.
    'net.ipv4.ip_local_port_range': '1024\t65535',
    'net.ipv6.conf.all.forwarding': forwarding,
    'net.ipv4.conf.all.send_redirects': '0',
    [`net.ipv4.conf.${INSIDE}.send_redirects`]: '0',
    'net.ipv4.conf.all.rp_filter': '0',
    [`net.ipv4.conf.${INSIDE}.rp_filter`]: '0',
    [`net.ipv4.conf.${INSIDE}.accept_redirects`]: '0',
    [`net.ipv6.conf.${INSIDE}.accept_redirects`]: '0',
    [`net.ipv6.conf.${INSIDE}.accept_ra`]: '0',
    [`net.ipv6.conf.${INSIDE}.accept_dad`]: '0',
  }
}
