// What a CC has for each peer cloud: its device's peers, and the prefixes that may meet there.

import { create } from '@bufbuild/protobuf'
import { PeerLinkSchema } from '../../proto/gen/mallee/v1/border_pb.js'
import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import { resource } from '../../proto/resources.ts'
import { mustCidr } from '../../topology/cidr.ts'
import { ascending } from '../../topology/order.ts'
import { PEER_PORT, TENANT_MTU } from '../../topology/ranges.ts'
import { isBorder, theirBorders } from '../peering/borders.ts'
import { Kept } from '../peering/kept.ts'
import type { Passing } from '../peering/passing.ts'
import { trafficOf } from '../peering/traffic.ts'
import type { PeerRecord } from '../store/peer-records.ts'
import type { View } from '../store/state.ts'
import type { AgentName } from './desired.ts'

/** Every tunnel that leads to the border has them all. */
const sortedOnce = new Kept<readonly Passing[], string[]>()

/** There from when the peer is active: the CC's key is what the other side needs first. */
export function peerLinkAt(view: View, agent: AgentName, number: string): Resource | null {
  const peer = view.all('peer').find((one) => String(one.number) === number)
  const host = view.get('host', agent.rack, agent.host)
  if (peer === undefined || host === null || !isBorder(peer, host)) return null
  const all = trafficOf(view).byPeer.get(peer.number) ?? []
  const here = all.filter(({ pair }) => {
    return pair?.own.rack === agent.rack && pair.own.host === agent.host
  })
  const own = view.get('peer-link', number, agent.rack, agent.host)?.publicKey
  const value = create(PeerLinkSchema, {
    number: peer.number,
    name: peer.terms.name,
    listenPort: PEER_PORT + peer.number,
    // WireGuard takes no peer with the device's own key.
    borders: theirBorders(view, peer.uid)
      .filter(({ publicKey }) => publicKey !== own)
      .map(({ rack, host: name, publicKey, endpoints, linkAddress }) => {
        const carried = here.filter(({ pair }) => pair?.theirs.publicKey === publicKey)
        const allowedIps = sorted(carried.flatMap(({ theirs }) => theirs))
        const border = { rack, host: name, publicKey, linkAddress, allowedIps }
        return { ...border, endpoints: [...endpoints] }
      }),
    translations: translationsOf(here),
    pairs: pairsOf(here),
    bandwidthBitsPerS: BigInt(bandwidthOf(peer)),
    mtu: TENANT_MTU,
  })
  return resource(`peer-link/${number}`, { case: 'peerLink', value })
}

export function peerLinkKeys(view: View): string[] {
  return view.all('peer').map(({ number }) => `peer-link/${number}`)
}

/** The VPCs of peer clouds that a VPC may talk to, with the prefixes that they have here. */
export function remotePeersOf(
  view: View,
  vpc: string,
): { readonly vpcId: string; readonly ipv4Cidrs: string[]; readonly ipv6Cidrs: string[] }[] {
  return (trafficOf(view).byVpc.get(vpc) ?? []).map(({ peer, theirVpc, theirs }) => ({
    vpcId: `${peer.uid}/${theirVpc}`,
    ipv4Cidrs: theirs.filter((cidr) => mustCidr(cidr).family === 4),
    ipv6Cidrs: theirs.filter((cidr) => mustCidr(cidr).family === 6),
  }))
}

/** The prefixes of peer clouds that the other racks reach over this CC. */
export function beyond(view: View, rack: string, host: string): string[] {
  if (view.all('peer').length === 0) return []
  const here = trafficOf(view).byBorder.get(`${rack}/${host}`) ?? []
  return sortedOnce.get(here, [], () => sorted(here.flatMap(({ theirs }) => theirs)))
}

function translationsOf(passing: readonly Passing[]): { own: string; seenAs: string }[] {
  const found = new Map<string, { own: string; seenAs: string }>()
  for (const { own, seenAs } of passing.flatMap(({ blocks }) => blocks)) {
    if (own !== seenAs) found.set(`${own} ${seenAs}`, { own, seenAs })
  }
  return [...found.values()]
}

function pairsOf(passing: readonly Passing[]): { own: string; theirs: string }[] {
  const found = new Map<string, { own: string; theirs: string }>()
  for (const { blocks, theirs } of passing) {
    for (const { own } of blocks) {
      for (const far of theirs) {
        if (mustCidr(own).family !== mustCidr(far).family) continue
        found.set(`${own} ${far}`, { own, theirs: far })
      }
    }
  }
  return [...found.values()]
}

/** The lower of both sides' limits; 0 is none. */
function bandwidthOf({ terms, card }: PeerRecord): number {
  const limits = [terms.limits.bandwidth, card.limits.bandwidth].filter((one) => one > 0)
  return limits.length === 0 ? 0 : Math.min(...limits)
}

function sorted(cidrs: readonly string[]): string[] {
  return [...new Set(cidrs)].sort(ascending)
}
