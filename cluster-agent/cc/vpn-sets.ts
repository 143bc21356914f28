// What may pass between VPCs and customers' own devices, as sets and maps of the packet filter.

import type { VpnLink } from '../../proto/gen/mallee/v1/border_pb.js'
import { type Cidr, mustCidr } from '../../topology/cidr.ts'
import { type EdgeSet, edgeSet, markText } from './edge-sets.ts'
import { vpnNumber } from './names.ts'
import { bare, without } from './prefixes.ts'
import type { Tenants } from './tenants.ts'

/** And a device's number: on packets that came in by it. */
export const VPN_MARK = 0x6d76_0000
export const VPN_MARK_MASK = 0xffff_0000
/** Of links and services of a network itself: nothing that is behind a device. */
const NEVER = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32'].map(mustCidr)

/** Links that have their device, with it. */
export interface VpnDevice {
  readonly device: string
  readonly link: VpnLink
}

export function vpnDevicesOf({
  vpnLinks,
  vpnDevices,
}: Pick<Tenants, 'vpnLinks' | 'vpnDevices'>): VpnDevice[] {
  return vpnLinks.flatMap((link) => {
    const device = vpnDevices.get(link.number)
    return device === undefined ? [] : [{ device, link }]
  })
}

/** 0 is the one that all tunnels of a kind share. */
export function vpnDeviceNumber(device: string): number {
  return vpnNumber(device) ?? 0
}

export function vpnSets(tenants: Tenants): EdgeSet[] {
  const all = vpnDevicesOf(tenants)
  const never = [...NEVER, mustCidr(tenants.fabric)]
  return [
    ...([4, 6] as const).map((family) => {
      const address = `ipv${family}_addr`
      const head = `type ifname . ${address} . ${address}\n    flags interval`
      return edgeSet(`vpn${family}`, head, triplesOf(all, family, never))
    }),
    edgeSet('vpn_ends', 'type ifname . ipv4_addr . ipv4_addr', endsOf(all)),
    edgeSet(
      'vpn_own',
      'type ifname . ipv4_addr . ipv4_addr\n    flags interval',
      all.flatMap(({ device, link }) =>
        prefixesOf(link.localPrefixes, 4).map(
          (own) => `"${device}" . ${hostOf(link.farInsideAddress)} . ${bare(own)}`,
        ),
      ),
    ),
    edgeSet(
      'vpn_marks',
      'type ifname : mark',
      all.map(({ device }) => `"${device}" : ${markText(VPN_MARK + vpnDeviceNumber(device))}`),
    ),
  ]
}

/**
 * Device, prefix behind it, block of the VPC. Without what is the VPC's own: that wins. A set takes
 * no two that overlap, also of two links that share a device.
 */
function triplesOf(all: readonly VpnDevice[], family: 4 | 6, never: readonly Cidr[]): string[] {
  const shares = all.flatMap(({ device, link }) =>
    prefixesOf(link.localPrefixes, family).map((own) => ({ device, own: bare(own), link })),
  )
  const bySide = Map.groupBy(shares, ({ device, own }) => `${device} ${own}`)
  return [...bySide.values()].flatMap((some) => {
    const holes = some.flatMap(({ link }) => prefixesOf(link.localPrefixes, family))
    const theirs = some.flatMap(({ link }) => prefixesOf(link.remotePrefixes, family))
    return theirs.flatMap((cidr) => {
      const longer = theirs.filter(({ length }) => length > cidr.length)
      const parts = without(cidr, [...never, ...holes, ...longer])
      return some
        .slice(0, 1)
        .flatMap(({ device, own }) => parts.map((part) => `"${device}" . ${bare(part)} . ${own}`))
    })
  })
}

/** The device's address inside of the tunnel, and this side's. */
function endsOf(all: readonly VpnDevice[]): string[] {
  return all.map(({ device, link: { insideAddress, farInsideAddress } }) =>
    [`"${device}"`, hostOf(farInsideAddress), hostOf(insideAddress)].join(' . '),
  )
}

export function prefixesOf(cidrs: readonly string[], family: 4 | 6): Cidr[] {
  return cidrs.map((cidr) => mustCidr(cidr)).filter((cidr) => cidr.family === family)
}

/** An address without its length. */
export function hostOf(address: string): string {
  return address.replace(/\/.*$/, '')
}
