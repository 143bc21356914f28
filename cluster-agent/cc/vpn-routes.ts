// Routes for tunnels to customers' own devices beside those of subnets: by which tunnel an error
// leaves, and how what comes in by any of them gets to subnets of other racks. By marks, as many
// have the same prefixes behind their devices.

import { covers, formatCidr, mustAddress, mustCidr, single } from '../../topology/cidr.ts'
import { fabricOf, overTransit } from './far-ends.ts'
import { PRIORITY, TRANSIT_TABLE } from './names.ts'
import type { Tenants } from './tenants.ts'
import {
  hostOf,
  prefixesOf,
  VPN_MARK,
  VPN_MARK_MASK,
  vpnDeviceNumber,
  vpnDevicesOf,
} from './vpn-sets.ts'

/** And the device's number: what is behind it, for errors about what came in by it. */
const ERROR_TABLES = 20_000

export function vpnRoutes(
  tenants: Tenants,
  family: 4 | 6,
): { readonly rules: string[]; readonly routes: string[] } {
  const back = backRoutes(tenants, family)
  const rules = back.length === 0 ? [] : [FROM_VPNS]
  const routes = [...back]
  for (const { device, link } of vpnDevicesOf(tenants)) {
    const number = vpnDeviceNumber(device)
    const table = ERROR_TABLES + number
    const mark = `0x${(VPN_MARK + number).toString(16)}`
    rules.push(`pref ${PRIORITY.ownErrors} iif lo fwmark ${mark} lookup ${table}`)
    const inside = formatCidr(single(mustAddress(hostOf(link.farInsideAddress))))
    for (const cidr of prefixesOf([...link.remotePrefixes, inside], family)) {
      const to = cidr.length === 0 ? 'default' : formatCidr(cidr)
      routes.push(`${to} dev ${device} table ${table}`)
    }
  }
  return { rules, routes }
}

const FROM_VPNS =
  `pref ${PRIORITY.fromVpns} fwmark 0x${VPN_MARK.toString(16)}/0x${VPN_MARK_MASK.toString(16)} ` +
  `lookup ${TRANSIT_TABLE}`

// Also to subnets whose own route tables lead to the connection's other tunnel.
function backRoutes({ fabric, tunnels, vpnLinks }: Tenants, family: 4 | 6): string[] {
  const vpcs = vpnLinks.flatMap(({ localPrefixes }) => prefixesOf(localPrefixes, family))
  if (vpcs.length === 0) return []
  return tunnels.flatMap((tunnel) => {
    const far = fabricOf(fabric, tunnel)
    if (far === null) return []
    return tunnel.allowedIps
      .map((one) => mustCidr(one))
      .filter((cidr) => vpcs.some((vpc) => covers(vpc, cidr)))
      .map((cidr) => `${formatCidr(cidr)} ${overTransit(family, far)} table ${TRANSIT_TABLE}`)
  })
}
