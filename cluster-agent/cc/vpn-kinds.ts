// The kinds of tunnels to customers' own devices that a CC makes.

import { IpsecVpns, type IpsecVpnsOptions } from './ipsec-vpns.ts'
import type { VpnKind, VpnKindName } from './vpn-kind.ts'
import type { WgDevicesOptions } from './wg-devices.ts'
import { WgVpns } from './wg-vpns.ts'

export function vpnKinds(
  options: WgDevicesOptions & IpsecVpnsOptions,
): ReadonlyMap<VpnKindName, VpnKind> {
  return new Map<VpnKindName, VpnKind>([
    ['wireguard', new WgVpns(options)],
    ['ipsec', new IpsecVpns(options)],
  ])
}
