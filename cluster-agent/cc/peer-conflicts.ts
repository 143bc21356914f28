// Prefixes of peer clouds that are this host's own surroundings: the gateway does not know them,
// and led into a tunnel the host would lose its neighbours.

import type { PeerLink } from '../../proto/gen/mallee/v1/border_pb.js'
import { mustCidr, overlaps, parseLooseCidr } from '../../topology/cidr.ts'
import type { Link } from '../host/ip.ts'
import { GATEWAY_PORTS, STRETCH_DEVICES, TUNNEL_DEVICE } from './names.ts'

interface HostNetwork {
  readonly device: string
  readonly cidr: string
}

/** The peers' devices begin like the one of the tunnels. */
const OURS = [TUNNEL_DEVICE.replace(/\d+$/, ''), GATEWAY_PORTS, STRETCH_DEVICES, 'lo']

/** What the host is itself a neighbour in. */
export function hostNetworks(links: readonly Link[]): HostNetwork[] {
  return links
    .filter(({ name }) => !OURS.some((one) => name.startsWith(one)))
    .flatMap(({ name, addresses }) =>
      addresses.filter(({ scope }) => scope !== 'link').map(({ cidr }) => ({ device: name, cidr })),
    )
}

/** By prefix what is the matter with it, for people. */
export function conflictsOf(
  { borders }: PeerLink,
  hosts: readonly HostNetwork[],
): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const prefix of borders.flatMap(({ allowedIps }) => allowedIps)) {
    for (const { device, cidr } of hosts) {
      const network = parseLooseCidr(cidr)
      if (!network.ok || !overlaps(network.value, mustCidr(prefix))) continue
      const sentence = `${prefix} overlaps ${cidr} of ${device} on this host, nothing of it passes`
      found.set(prefix, sentence)
    }
  }
  return found
}
