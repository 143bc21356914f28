// Tap devices with ip(8): the host's end of an instance's interface. They persist, so a machine
// finds its own again.

import type { Exec } from '../../common/exec.ts'

export interface Tap {
  readonly name: string
  readonly mtu: number
}

/** What taps of ours start with; 12 characters with the MAC's last ten digits (IFNAMSIZ is 16). */
const PREFIX = 'mt'

/** The tap of an interface. MACs are 02: and 40 bits that no other in the cloud has. */
export function tapName(mac: string): string {
  return `${PREFIX}${mac.replaceAll(':', '').slice(2)}`
}

/** The taps of ours on this host, by name. */
export async function listTaps(exec: Exec): Promise<Tap[]> {
  const { stdout } = await exec(['ip', '-json', '-details', 'link', 'show'])
  const links = JSON.parse(stdout || '[]') as Link[]
  return links
    .filter(({ ifname, linkinfo }) => linkinfo?.info_kind === 'tun' && OURS.test(ifname))
    .map(({ ifname, mtu }) => ({ name: ifname, mtu }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** How many frames came from the guest, by tap. */
export async function tapCounts(exec: Exec): Promise<Map<string, number>> {
  const { stdout } = await exec(['ip', '-json', '-statistics', 'link', 'show'])
  const links = JSON.parse(stdout || '[]') as Link[]
  const taps = links.filter(({ ifname }) => OURS.test(ifname))
  return new Map(taps.map(({ ifname, stats64 }) => [ifname, stats64?.rx?.packets ?? 0]))
}

/** Makes taps, or sets the MTU of those that exist; each is up and without addresses. */
export async function addTaps(
  exec: Exec,
  taps: readonly Tap[],
  existing: ReadonlySet<string>,
): Promise<void> {
  for (const { name, mtu } of taps) {
    if (!existing.has(name)) await exec(['ip', 'tuntap', 'add', 'dev', name, 'mode', 'tap'])
    // No link-local address: the host must not speak in a tenant's network.
    const quiet = ['addrgenmode', 'none', 'mtu', String(mtu), 'up']
    await exec(['ip', 'link', 'set', 'dev', name, ...quiet])
  }
}

/** Deletes a tap that exists. */
export async function deleteTap(exec: Exec, name: string): Promise<void> {
  await exec(['ip', 'link', 'delete', 'dev', name])
}

const OURS = new RegExp(`^${PREFIX}[0-9a-f]{10}$`)

interface Link {
  readonly ifname: string
  readonly mtu: number
  readonly linkinfo?: { readonly info_kind?: string }
  readonly stats64?: { readonly rx?: { readonly packets?: number } }
}
