// Which racks have something of a VPC, and which VPCs are peers.

import { EVERY_RACK, type PeeringRecord, type SubnetRecord } from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { holdsTunnelTo } from '../vpn/tunnels.ts'

/** Active peerings by VPC. The view hands out the same list until a peering changes. */
const byVpc = new WeakMap<readonly PeeringRecord[], ReadonlyMap<string, readonly PeeringRecord[]>>()

/** Is the subnet in this rack? A stretched one is in all of them that it has a tag in. */
export function isIn(subnet: SubnetRecord, rack: string): boolean {
  return subnet.rack === rack || (subnet.rack === EVERY_RACK && ownTag(subnet, rack) > 0)
}

/** The subnets that a rack has. */
export function subnetsIn(view: View, rack: string): SubnetRecord[] {
  const stretched = view.subnetsOf('rack', EVERY_RACK).filter((one) => isIn(one, rack))
  return [...view.subnetsOf('rack', rack), ...stretched]
}

/** The tag that a subnet has in a rack; 0 where it is not. */
export function tagIn(subnet: SubnetRecord, rack: string): number {
  return isIn(subnet, rack) ? ownTag(subnet, rack) : 0
}

function ownTag({ rackTags, vlanTag }: SubnetRecord, rack: string): number {
  return rackTags[rack] ?? vlanTag
}

export function hasVpc(view: View, rack: string, vpc: string): boolean {
  return view.subnetsOf('vpc', vpc).some((subnet) => isIn(subnet, rack))
}

/** Is the VPC in the rack, or does a CC there hold a tunnel to it? */
export function knowsVpc(view: View, rack: string, vpc: string): boolean {
  return hasVpc(view, rack, vpc) || holdsTunnelTo(view, rack, vpc)
}

/** Does the rack have the VPC or a peer of it? Then packets of its members may come here. */
export function reachesVpc(view: View, rack: string, vpc: string): boolean {
  return [vpc, ...peersOf(view, vpc)].some((one) => hasVpc(view, rack, one))
}

/** VPCs of this cloud with an active peering. */
export function peersOf(view: View, vpc: string): string[] {
  const peers = peeringsOf(view, vpc).map(({ requester, accepter }) =>
    requester.vpc === vpc ? accepter.vpc : requester.vpc,
  )
  return [...new Set(peers)]
}

export function peeringsOf(view: View, vpc: string): readonly PeeringRecord[] {
  const all = view.all('peering')
  const known = byVpc.get(all) ?? activeByVpc(all)
  byVpc.set(all, known)
  return known.get(vpc) ?? []
}

function activeByVpc(all: readonly PeeringRecord[]): Map<string, PeeringRecord[]> {
  const found = new Map<string, PeeringRecord[]>()
  for (const one of all) {
    // What another cloud calls its VPC may well be the id of one that is here.
    if (one.state !== 'active' || one.remote !== undefined) continue
    for (const { vpc } of [one.requester, one.accepter]) {
      found.set(vpc, [...(found.get(vpc) ?? []), one])
    }
  }
  return found
}
