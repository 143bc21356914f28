// The gateway of each tenant network: an internal port of the switch with the network's tag and the
// network's first addresses.

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import type { Network } from '../../proto/gen/mallee/v1/desired_pb.js'
import { formatAddress, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { gatewayMac } from '../../topology/plan.ts'
import {
  type AccessPort,
  type AccessPortStep,
  type AccessPortsSeen,
  accessPortsReconciler,
} from '../host/access-ports.ts'
import type { Switch } from '../host/ovs.ts'
import { GATEWAY_MARK, gatewayPort } from './names.ts'

/** The same on every gateway port of every rack: what routers' advertisements come from. */
const LINK_LOCAL = 'fe80::1/64'

/** What a network's gateway is on the host that `host` names. */
export function gatewayOf(
  network: Network,
  host: { readonly rackIndex: number; readonly hostIndex: number },
): AccessPort {
  const addresses = [
    network.ipv4Cidr === '' ? null : within(network.ipv4Gateway, network.ipv4Cidr),
    network.ipv6Cidr === '' ? null : within(network.ipv6Gateway, network.ipv6Cidr),
    LINK_LOCAL,
  ].filter((address) => address !== null)
  return {
    name: gatewayPort(network.vlanTag),
    tag: network.vlanTag,
    mac: gatewayMac(host.rackIndex, host.hostIndex, network.vlanTag),
    mtu: network.mtu,
    addresses,
  }
}

export function networksReconciler(
  { exec, sw }: { readonly exec: Exec; readonly sw: Switch },
  desired: readonly AccessPort[],
): Reconciler<AccessPortsSeen, AccessPortStep> {
  return accessPortsReconciler({ exec, sw, name: 'networks', mark: GATEWAY_MARK }, desired)
}

// As the kernel writes it: else we would add, in each pass, an address that is there.
function within(address: string, cidr: string): string {
  return `${formatAddress(mustAddress(address))}/${mustCidr(cidr).length}`
}
