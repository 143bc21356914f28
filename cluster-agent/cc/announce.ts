// What this CC answers for on the public side: local routes for public IPv4 addresses (the kernel
// answers ARP for those), proxies for instances' IPv6 addresses. And the addresses of the services
// for instances. Owns the local routes and the proxies of our protocol number.

import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { RouteKind } from '../../proto/gen/mallee/v1/tenants_pb.js'
import { formatAddress, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { never } from '../../topology/result.ts'
import { ipBatch, listLinks, listProxies, readSysctls, writeSysctls } from '../host/ip.ts'
import { listTables } from '../host/ip-tables.ts'
import { noteOriginals } from '../host/originals.ts'
import type { Paths } from '../paths.ts'
import { announcedIpv4 } from './edge-sets.ts'
import {
  DNS_IPV4,
  DNS_IPV6,
  gatewayPort,
  METADATA_IPV4,
  METADATA_IPV6,
  ROUTE_PROTOCOL,
  SERVICE_DEVICE,
} from './names.ts'
import { networkWith, routesOf, type Tenants } from './tenants.ts'
import { slashed } from './underlay.ts'

export interface Announced {
  /** As `ip route add` takes them. */
  readonly locals: readonly string[]
  /** The device of IPv6 proxies; null without a public side. */
  readonly device: string | null
  readonly proxies: readonly string[]
}

export interface AnnounceSeen {
  readonly locals: readonly string[]
  readonly proxies: readonly { readonly address: string; readonly device: string }[]
  /** Addresses with length on the device of the services. */
  readonly services: readonly string[]
  /** The value of the kernel's setting on the public device. */
  readonly proxyNdp: string | null
}

export type AnnounceStep =
  | { readonly kind: 'ip'; readonly lines: readonly string[] }
  | { readonly kind: 'proxy-ndp'; readonly key: string; readonly was: string }
  | { readonly kind: 'tell'; readonly device: string; readonly addresses: readonly string[] }

const SERVICES = [
  `${METADATA_IPV4}/32`,
  `${DNS_IPV4}/32`,
  `${METADATA_IPV6}/128`,
  `${DNS_IPV6}/128`,
]
const TELL_AT_ONCE = 16

export function announceReconciler(
  { exec, paths, log }: { readonly exec: Exec; readonly paths: Paths; readonly log: Log },
  tenants: Tenants,
): Reconciler<AnnounceSeen, AnnounceStep> {
  const desired = announcedOf(tenants)
  return {
    name: 'announce',
    observe: () => observe(exec, desired.device),
    plan: (seen) => planAnnounce(desired, seen),
    apply,
  }

  async function apply(step: AnnounceStep): Promise<void> {
    switch (step.kind) {
      case 'ip':
        return ipBatch(exec, step.lines)
      case 'proxy-ndp':
        await noteOriginals(paths, { sysctls: { [step.key]: step.was } })
        return writeSysctls(exec, new Map([[step.key, '1']]))
      case 'tell':
        // Nobody waits for it: who has no entry yet asks by himself.
        void tell(exec, step).catch((error: unknown) => log.warn('arping', { error }))
        return
      default:
        return never(step)
    }
  }
}

/** Takes all of it away; kernel settings come back with the originals. */
export async function removeAnnounced(exec: Exec): Promise<void> {
  const locals = await readLocals(exec)
  const services = await readServices(exec)
  const proxies = (await listProxies(exec)).filter(({ protocol }) => protocol === ROUTE_PROTOCOL)
  await ipBatch(exec, [
    ...locals.map((line) => `route del ${line} proto ${ROUTE_PROTOCOL}`),
    ...proxies.map(({ address, device }) => `neigh del proxy ${address} dev ${device}`),
    ...services.map((cidr) => `address del ${cidr} dev ${SERVICE_DEVICE}`),
  ])
}

/** What shall be announced; an address of an interface that is not here is nobody's. */
export function announcedOf(tenants: Tenants): Announced {
  const { publicSide, nats, networks } = tenants
  const local = (address: string, device: string): string =>
    `local ${formatAddress(mustAddress(address))}/32 dev ${device} table local`
  const device = publicSide?.device ?? null
  const locals = device === null ? [] : announcedIpv4(tenants).map((one) => local(one, device))
  for (const { privateIp } of nats) {
    const network = privateIp === '' ? null : networkWith(networks, privateIp)
    if (network !== null) locals.push(local(privateIp, gatewayPort(network.vlanTag)))
  }
  const proxies = device === null ? [] : reachedIpv6(tenants)
  return { locals: unique(locals), device, proxies: unique(proxies) }
}

export function planAnnounce(desired: Announced, seen: AnnounceSeen): AnnounceStep[] {
  const steps: AnnounceStep[] = []
  const { device } = desired
  const fresh = desired.locals.filter((line) => !seen.locals.includes(line))
  const proxied = new Set(seen.proxies.map((one) => `${one.address} dev ${one.device}`))
  const wanted = new Set(desired.proxies.map((address) => `${address} dev ${device}`))
  const lines = [
    ...SERVICES.filter((cidr) => !seen.services.includes(cidr)).map(
      (cidr) => `address add ${cidr} dev ${SERVICE_DEVICE}${cidr.includes(':') ? ' nodad' : ''}`,
    ),
    // First those that go: an address may have moved to another device.
    ...seen.locals
      .filter((line) => !desired.locals.includes(line))
      .map((line) => `route del ${line} proto ${ROUTE_PROTOCOL}`),
    ...fresh.map((line) => `route add ${line} proto ${ROUTE_PROTOCOL}`),
    ...[...proxied].filter((one) => !wanted.has(one)).map((one) => `neigh del proxy ${one}`),
    ...[...wanted]
      .filter((one) => !proxied.has(one))
      .map((one) => `neigh add proxy ${one} protocol ${ROUTE_PROTOCOL}`),
  ]
  if (lines.length > 0) steps.push({ kind: 'ip', lines })
  if (device !== null && wanted.size > 0 && seen.proxyNdp !== null && seen.proxyNdp !== '1') {
    steps.push({ kind: 'proxy-ndp', key: proxyNdp(device), was: seen.proxyNdp })
  }
  const addresses = fresh
    .filter((line) => line.includes(` dev ${device} `))
    .map((line) => line.replace(/^local (.*)\/32 .*$/, '$1'))
  if (device !== null && addresses.length > 0) steps.push({ kind: 'tell', device, addresses })
  return steps
}

/** Instances' IPv6 addresses in subnets that the internet may reach. */
function reachedIpv6(tenants: Tenants): string[] {
  const tags = new Set(
    tenants.own
      .filter((routing) => routesOf(routing, 6).some(({ kind }) => leadsOutside(kind)))
      .map(({ vlanTag }) => vlanTag),
  )
  const networks = new Set(
    tenants.networks.filter(({ vlanTag }) => tags.has(vlanTag)).map(({ id }) => id),
  )
  return tenants.interfaces
    .filter(({ networkId }) => networks.has(networkId))
    .flatMap(({ ipv6, ipv6More }) => [ipv6, ...ipv6More])
    .flatMap((given) => {
      if (given === '') return []
      // A prefix of one's own has no one address to answer for.
      if (given.includes('/')) return [formatAddress({ family: 6, value: mustCidr(given).base })]
      return [formatAddress(mustAddress(given))]
    })
}

// Answers to those who may only go out must come in as well.
function leadsOutside(kind: RouteKind): boolean {
  return kind === RouteKind.INTERNET || kind === RouteKind.EGRESS_ONLY
}

async function observe(exec: Exec, device: string | null): Promise<AnnounceSeen> {
  const [locals, services, all] = await Promise.all([
    readLocals(exec),
    readServices(exec),
    listProxies(exec),
  ])
  const proxies = all.filter(({ protocol }) => protocol === ROUTE_PROTOCOL)
  const settings = device === null ? new Map() : await readSysctls(exec, [proxyNdp(device)])
  const setting: string | undefined = [...settings.values()][0]
  return { locals, proxies, services, proxyNdp: setting ?? null }
}

async function readLocals(exec: Exec): Promise<string[]> {
  const routes = await listTables(exec, 4, ROUTE_PROTOCOL)
  return routes.filter(({ table }) => table === 'local').map(({ line }) => line)
}

async function readServices(exec: Exec): Promise<string[]> {
  const device = (await listLinks(exec)).find(({ name }) => name === SERVICE_DEVICE)
  const have = (device?.addresses ?? []).map(({ cidr }) => cidr)
  return SERVICES.filter((cidr) => have.includes(cidr))
}

async function tell(
  exec: Exec,
  { device, addresses }: { readonly device: string; readonly addresses: readonly string[] },
): Promise<void> {
  for (let from = 0; from < addresses.length; from += TELL_AT_ONCE) {
    const some = addresses.slice(from, from + TELL_AT_ONCE)
    const argv = ['arping', '-q', '-U', '-c', '2', '-I', device, '-s']
    await Promise.all(some.map((one) => exec([...argv, one, one], { okCodes: [0, 1] })))
  }
}

function proxyNdp(device: string): string {
  return `net.ipv6.conf.${slashed(device)}.proxy_ndp`
}

function unique(all: readonly string[]): string[] {
  return [...new Set(all)].sort(ascending)
}
