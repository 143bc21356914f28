// Streams of storage of a rack's nodes at its CC, which passes each on to the gateway.

import type * as grpc from '@grpc/grpc-js'
import { MalleeError } from '../../common/errors.ts'
import { type Offered, offerLane } from '../../proto/storage.ts'
import { joinLanes } from '../../proto/storage-lane.ts'

/** Of all nodes together. */
const MAX_RELAYED = 384

export interface RelayParts {
  readonly rack: string
  /** Is that the key of a host of this rack? */
  readonly isMember: (host: string, keyFingerprint: string) => boolean
  /** Of the session with the gateway; null when there is none. */
  readonly connection: () => grpc.Client | null
}

/** Takes a node's stream. */
export function relayOffers({ rack, isMember, connection }: RelayParts) {
  let relayed = 0
  return async ({ peer, keyFingerprint, host, lane }: Offered): Promise<void> => {
    const isOwn = peer.kind === 'host' && peer.rack === rack && peer.host === host
    if (!isOwn || !peer.roles.includes('sc') || !isMember(host, keyFingerprint)) {
      throw new MalleeError('NotAllowed', `${host} is no host of rack ${rack} with the role sc`)
    }
    if (relayed >= MAX_RELAYED) {
      throw new MalleeError('TooManyRequests', `${MAX_RELAYED} streams of storage are passed on`)
    }
    const parent = connection()
    if (parent === null) throw new MalleeError('Unavailable', `rack ${rack} has no session`)
    relayed += 1
    void joinLanes(lane, offerLane(parent, host)).finally(() => {
      relayed -= 1
    })
  }
}
