// The cables of the sandbox: veth pairs between hosts, an internet that routes IPv4 and IPv6
// between the sites at its edge, and switches that pass tagged frames.

import { exec } from '../common/exec.ts'
import type { Log } from '../common/log.ts'
import { type SandboxHost, startHost } from './host.ts'

const DEFAULT_MTU = 1500

/** One end of a cable: a host and the name of the network device there. */
export interface End {
  readonly host: SandboxHost
  readonly device: string
}

/**
 * The LAN on which racks announce public addresses, with the internet as its router. Out of the
 * blocks for documentation (RFC 5737, RFC 3849).
 */
export const PUBLIC_LAN = {
  device: 'pub0',
  bridge: 'public',
  pool: '203.0.113.0/24',
  router4: '203.0.113.1',
  router6: '2001:db8:ffff::1',
} as const

/** A host's uplink to the internet. */
export interface Uplink {
  readonly device: string
  readonly ipv4: string
  readonly ipv6: string
}

/** Joins two hosts by a cable; both ends are up. */
export async function cable(left: End, right: End, mtu = DEFAULT_MTU): Promise<void> {
  const near = ['add', left.device, 'mtu', `${mtu}`, 'type', 'veth']
  const far = ['peer', 'name', right.device, 'mtu', `${mtu}`, 'netns', right.host.netns]
  // From outside: only there do both namespaces have names.
  await exec(['ip', '-n', left.host.netns, 'link', ...near, ...far])
  await left.host.exec(['ip', 'link', 'set', left.device, 'up'])
  await right.host.exec(['ip', 'link', 'set', right.device, 'up'])
}

/** A host that forwards packets and is nobody's gateway yet. */
export async function startInternet(world: string, log: Log): Promise<SandboxHost> {
  const internet = await startHost({ world, name: 'internet', log })
  await internet.exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
  return internet
}

/** Makes the public LAN a network of the internet's router. */
export async function makePublicLan(internet: SandboxHost): Promise<void> {
  const { bridge, router4, router6 } = PUBLIC_LAN
  await internet.exec(['ip', 'link', 'add', bridge, 'mtu', `${DEFAULT_MTU}`, 'type', 'bridge'])
  await internet.exec(['ip', 'link', 'set', bridge, 'up'])
  await setAddresses({ host: internet, device: bridge }, [`${router4}/24`, `${router6}/64`])
}

/** The own address of rack `index`, from 1, on the public LAN: at the end of its block. */
export function publicAddress(index: number): string {
  return `203.0.113.${255 - index}`
}

/** Plugs a rack's edge into the public LAN. */
export async function plugPublic(
  host: SandboxHost,
  internet: SandboxHost,
  index: number,
): Promise<void> {
  const { device, bridge } = PUBLIC_LAN
  await plug({ host, device }, { host: internet, device: bridge })
  const ipv6 = `2001:db8:ffff::${index.toString(16)}00`
  await setAddresses({ host, device }, [`${publicAddress(index)}/24`, `${ipv6}/64`])
}

/**
 * The address of a site's host at the internet's edge, `index` from 1 to 255. Out of the blocks for
 * benchmarks and documentation (RFC 2544, RFC 3849): neither can be a tenant's.
 */
export function uplinkOf(index: number): Uplink {
  const hex = index.toString(16)
  return { device: 'eth0', ipv4: `198.18.${index}.2`, ipv6: `2001:db8:${hex}::2` }
}

/** Gives a host its own /24 and /64 at the internet, and default routes to it. */
export async function connect(
  host: SandboxHost,
  internet: SandboxHost,
  index: number,
  mtu = DEFAULT_MTU,
): Promise<Uplink> {
  const { device, ipv4, ipv6 } = uplinkOf(index)
  const port = `to-${host.name}`.slice(0, 15)
  const router4 = ipv4.replace(/2$/, '1')
  const router6 = ipv6.replace(/2$/, '1')
  await cable({ host, device }, { host: internet, device: port }, mtu)
  await setAddresses({ host: internet, device: port }, [`${router4}/24`, `${router6}/64`])
  await setAddresses({ host, device }, [`${ipv4}/24`, `${ipv6}/64`])
  await host.exec(['ip', 'route', 'add', 'default', 'via', router4])
  await host.exec(['ip', '-6', 'route', 'add', 'default', 'via', router6])
  return { device, ipv4, ipv6 }
}

export async function setAddresses(
  { host, device }: End,
  addresses: readonly string[],
): Promise<void> {
  for (const address of addresses) {
    const nodad = address.includes(':') ? ['nodad'] : []
    await host.exec(['ip', 'address', 'add', address, 'dev', device, ...nodad])
  }
}

/** A switch with one bridge for each name; bridges are not joined. Tagged frames pass unchanged. */
export async function startSwitch(
  { world, name, log }: { world: string; name: string; log: Log },
  bridges: readonly string[],
  mtu = DEFAULT_MTU,
): Promise<SandboxHost> {
  const host = await startHost({ world, name, log })
  // As a switch, it has no IPv6 of its own to announce on the trunk.
  await host.exec(['sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1'])
  for (const bridge of bridges) {
    // A bridge of one's own, without spanning tree, forwards from the first frame on.
    await host.exec(['ip', 'link', 'add', bridge, 'mtu', `${mtu}`, 'type', 'bridge'])
    await host.exec(['ip', 'link', 'set', bridge, 'up'])
  }
  return host
}

/** Plugs a host's device into a bridge of a switch. */
export async function plug(end: End, bridge: End, mtu = DEFAULT_MTU): Promise<void> {
  const port = `${bridge.device}-${end.host.name}`.slice(0, 15)
  await cable(end, { host: bridge.host, device: port }, mtu)
  await bridge.host.exec(['ip', 'link', 'set', port, 'master', bridge.device])
  // A veth hands over packets larger than its MTU and without checksums, as no cable does; a
  // userspace switch behind it drops those.
  for (const { host, device } of [end, { host: bridge.host, device: port }]) {
    await host.exec([
      'ethtool',
      '-K',
      device,
      'tx',
      'off',
      'gso',
      'off',
      'tso',
      'off',
      'gro',
      'off',
    ])
  }
}
