// What may pass between this rack and peer clouds, as sets and maps of the packet filter: own
// blocks as they are here, and on the wire by what the other side sees them.

import type { PeerLink } from '../../proto/gen/mallee/v1/border_pb.js'
import { mustCidr } from '../../topology/cidr.ts'
import { type EdgeSet, edgeSet } from './edge-sets.ts'
import { peerDevice } from './names.ts'
import { bare } from './prefixes.ts'

export function borderSets(links: readonly PeerLink[]): EdgeSet[] {
  return ([4, 6] as const).flatMap((family) => {
    const address = `ipv${family}_addr`
    const isIn = (cidr: string): boolean => mustCidr(cidr).family === family
    const pairs = links.flatMap((link) => {
      const seenAs = new Map(link.translations.map(({ own, seenAs: as }) => [own, as]))
      return link.pairs
        .filter(({ own, theirs }) => isIn(own) && isIn(theirs))
        .map(({ own, theirs }) => ({
          device: `"${peerDevice(link.number)}"`,
          own: bare(mustCidr(own)),
          seenAs: bare(mustCidr(seenAs.get(own) ?? own)),
          theirs: bare(mustCidr(theirs)),
        }))
    })
    const moved = pairs.filter(({ own, seenAs }) => own !== seenAs)
    const set = `type ifname . ${address} . ${address}\n    flags interval`
    const map = `type ifname . ${address} : interval ${address}\n    flags interval`
    return [
      edgeSet(
        `border${family}`,
        set,
        pairs.map(({ device, own, theirs }) => `${device} . ${theirs} . ${own}`),
      ),
      edgeSet(
        `wire${family}`,
        set,
        pairs.map(({ device, seenAs, theirs }) => `${device} . ${theirs} . ${seenAs}`),
      ),
      edgeSet(
        `seen_as${family}`,
        map,
        moved.map(({ device, own, seenAs }) => `${device} . ${own} : ${seenAs}`),
      ),
      edgeSet(
        `meant${family}`,
        map,
        moved.map(({ device, own, seenAs }) => `${device} . ${seenAs} : ${own}`),
      ),
    ]
  })
}
