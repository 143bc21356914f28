// The devices by which packets of IPsec tunnels come and go: an XFRM interface for each,
// `mallee-v<number>`, or the one TUN device of a charon that does without the kernel's IPsec.

import type { Exec } from '../../common/exec.ts'
import type { VpnLink } from '../../proto/gen/mallee/v1/border_pb.js'
import { formatCidr, mustCidr, nthAddress, single } from '../../topology/cidr.ts'
import { ipBatch, type Link, listLinks, listXfrmLinks } from '../host/ip.ts'
import { charonDevice } from '../host/strongswan.ts'
import { vpnDevice, vpnNumber } from './names.ts'

interface Wanted {
  readonly device: string
  readonly addresses: readonly string[]
  readonly mtu: number
}

/** Removes XFRM interfaces of all links but those with these numbers. */
export async function removeXfrmDevices(
  exec: Exec,
  numbers: ReadonlySet<number>,
): Promise<string[]> {
  const removed: string[] = []
  for (const name of await listXfrmLinks(exec)) {
    const number = vpnNumber(name)
    if (number === null || numbers.has(number)) continue
    await exec(['ip', 'link', 'delete', 'dev', name], { okCodes: [0, 1] })
    removed.push(name)
  }
  return removed
}

/** The link's own. */
export async function ensureXfrmDevice(exec: Exec, link: VpnLink): Promise<string> {
  const device = vpnDevice(link.number)
  const there = (await listLinks(exec)).find(({ name }) => name === device)
  if (there === undefined) {
    const id = ['if_id', String(link.number)]
    await exec(['ip', 'link', 'add', 'dev', device, 'type', 'xfrm', ...id])
  }
  const wanted = { device, addresses: [link.insideAddress], mtu: link.mtu }
  await ipBatch(exec, linesOf(wanted, there ?? null))
  return device
}

/**
 * The device of charon's process, with what all links need; null when it has none. Its name is the
 * kernel's choice, `ipsec0` or the next one that is free, and charon knows it by no other.
 */
export async function ensureSharedDevice(
  exec: Exec,
  pid: number,
  links: readonly VpnLink[],
): Promise<string | null> {
  const device = await charonDevice(exec, pid)
  if (device === null) return null
  const there = (await listLinks(exec)).find(({ name }) => name === device) ?? null
  const addresses = links.flatMap(({ insideAddress, localPrefixes }) => [
    insideAddress,
    ...localPrefixes.map(anchorIn),
  ])
  const mtu = Math.min(...links.map((link) => link.mtu))
  await ipBatch(exec, linesOf({ device, addresses: [...new Set(addresses)], mtu }, there))
  return device
}

/**
 * strongSwan's own IPsec has no policy for a block that no address of the host is in (its NEWS,
 * 5.9.12). The first of a VPC's block is never an instance's.
 */
function anchorIn(cidr: string): string {
  return formatCidr(single(nthAddress(mustCidr(cidr), 0)))
}

/** What is missing of a device; no routes but those of its own addresses. */
export function linesOf({ device, addresses, mtu }: Wanted, link: Link | null): string[] {
  const lines: string[] = []
  const have = (link?.addresses ?? []).map(({ cidr }) => cidr)
  const wanted = addresses.filter((cidr) => cidr !== '')
  // No link-local address of the kernel's: a neighbour of nobody, and each time another one.
  if (link?.up !== true) lines.push(`link set dev ${device} addrgenmode none`)
  if (link?.mtu !== mtu) lines.push(`link set dev ${device} mtu ${mtu}`)
  if (link?.up !== true) lines.push(`link set dev ${device} up`)
  for (const cidr of wanted) {
    // Not for what else the host sends: it would be the first address that is found. Of a narrower
    // scope it is none for strongSwan.
    const how = cidr.includes(':') ? 'nodad' : 'scope site'
    if (!have.includes(cidr)) lines.push(`address add ${cidr} dev ${device} ${how}`)
  }
  for (const cidr of have) {
    if (!wanted.includes(cidr)) lines.push(`address del ${cidr} dev ${device}`)
  }
  return lines
}
