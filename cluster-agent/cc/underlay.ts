// The host's own network as the CC finds it: which families reach the world, on which addresses
// other racks can reach us, and what must be switched on to route for tenants.

import type { Exec } from '../../common/exec.ts'
import {
  type Link,
  type LinkAddress,
  listDefaultRoutes,
  listLinks,
  type Route,
} from '../host/ip.ts'
import type { Reachable } from './endpoints.ts'
import { TUNNEL_DEVICE } from './names.ts'

export interface Underlay {
  readonly reachable: Reachable
  /** Global addresses of the links that default routes leave by, IPv6 first; without length. */
  readonly addresses: readonly string[]
  /** Where the default routes of the host lead, for a CC that was told of no other public side. */
  readonly publicSide: PublicSide | null
  /** Links whose IPv6 default route comes from router advertisements. */
  readonly advertised: readonly string[]
}

/** Where tenants meet the world: a device and the routers behind it. */
export interface PublicSide {
  readonly device: string
  /** Null without that family. */
  readonly ipv4NextHop: string | null
  readonly ipv6NextHop: string | null
}

export async function readUnderlay(exec: Exec): Promise<Underlay> {
  return underlayOf(await listLinks(exec), await listDefaultRoutes(exec))
}

export function underlayOf(links: readonly Link[], defaults: readonly Route[]): Underlay {
  const outward = new Set(defaults.map(({ device }) => device))
  outward.delete(TUNNEL_DEVICE)
  const addresses = links
    .filter(({ name }) => outward.has(name))
    .flatMap((link) => link.addresses.filter(isGlobal))
    .sort((a, b) => b.family - a.family)
  return {
    reachable: {
      ipv4: addresses.some(({ family }) => family === 4),
      ipv6: addresses.some(({ family }) => family === 6),
    },
    addresses: addresses.map(({ cidr }) => cidr.slice(0, cidr.indexOf('/'))),
    publicSide: publicSideOf(defaults),
    advertised: defaults
      .filter(({ destination, protocol }) => destination === '::/0' && protocol === 'ra')
      .map(({ device }) => device),
  }
}

function publicSideOf(defaults: readonly Route[]): PublicSide | null {
  const through = (destination: string, device: string | null): Route | null =>
    defaults.find(
      (one) =>
        one.destination === destination &&
        one.gateway !== '' &&
        one.device !== TUNNEL_DEVICE &&
        (device === null || one.device === device),
    ) ?? null
  const ipv4 = through('0.0.0.0/0', null)
  const ipv6 = through('::/0', ipv4?.device ?? null)
  const device = ipv4?.device ?? ipv6?.device
  if (device === undefined) return null
  return { device, ipv4NextHop: ipv4?.gateway ?? null, ipv6NextHop: ipv6?.gateway ?? null }
}

/** `address:port` as wg writes it, for what the CC reports of itself. */
export function endpointsAt(addresses: readonly string[], port: number): string[] {
  return addresses.map((address) =>
    address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
  )
}

/** The kernel settings that routing for tenants needs. */
export function forwardingSysctls({ advertised }: Underlay): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>()
  // First: a host that forwards no longer listens to advertisements, and would lose its own default
  // route, unless it is told to (2: although forwarding is on).
  for (const device of advertised) wanted.set(`net.ipv6.conf.${slashed(device)}.accept_ra`, '2')
  wanted.set('net.ipv4.ip_forward', '1')
  wanted.set('net.ipv6.conf.all.forwarding', '1')
  return wanted
}

/** A link's name inside of a sysctl key: a dot in it is written as a slash (sysctl(8)). */
export function slashed(device: string): string {
  return device.replaceAll('.', '/')
}

function isGlobal({ scope }: LinkAddress): boolean {
  return scope === 'global'
}
