// Snapshots' bytes of a rack's hosts at its CC, which asks the gateway for each of them what it
// asks. How much is under way is bounded by the service (proto/snapshot-blocks.ts).

import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import {
  remoteSnapshotBlocks,
  type SnapshotBlocksDoor,
  type SnapshotBlocksEnd,
} from '../../proto/snapshot-blocks.ts'
import { peerIdentity, type SecuredCall } from '../../proto/tls.ts'

export interface SnapshotLink {
  /** Of the session with the parent; null when there is none. */
  readonly connection: () => grpc.Client | null
  readonly clock: Clock
}

/** The bytes of a snapshot as this host reaches them. All throw Unavailable without a session. */
export function snapshotBlocksFor(
  { connection, clock }: SnapshotLink,
  host: string,
  snapshotId: string,
): SnapshotBlocksEnd {
  const now = (): SnapshotBlocksEnd => {
    const parent = connection()
    if (parent === null) throw new MalleeError('Unavailable', 'there is no session with the parent')
    return remoteSnapshotBlocks(parent, { host, snapshotId }, clock)
  }
  return {
    missing: async (sha256s) => await now().missing(sha256s),
    putBlock: async (block) => await now().putBlock(block),
    putPage: async (bytes) => await now().putPage(bytes),
    putRoot: async (bytes) => await now().putRoot(bytes),
    root: async () => await now().root(),
    page: async (kind, number) => await now().page(kind, number),
    block: async (index) => await now().block(index),
  }
}

/** Lets nodes ask, each for itself. `admit` returns the caller's name or throws NotAllowed. */
export function relaySnapshotBlocks(
  link: SnapshotLink,
  admit: (call: SecuredCall) => string,
): SnapshotBlocksDoor {
  return {
    open: (call, { host, snapshotId }) => {
      const peer = peerIdentity(call)
      const isStoring = peer.kind === 'host' && peer.roles.includes('sc')
      if (isStoring && admit(call) === host) return snapshotBlocksFor(link, host, snapshotId)
      throw new MalleeError('NotAllowed', `only ${host} itself, with the role sc, may ask that`)
    },
  }
}
