// A node's server for its neighbours: chunks of images that are here, for hosts of the same rack
// and nobody else. The CC is told what there is, and tells who asks.

import { chance, systemClock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { isForServers } from '../../common/pki.ts'
import { Loop } from '../../common/reconcile.ts'
import { type BlobEnd, blobService } from '../../proto/blob.ts'
import { announce } from '../../proto/neighbours.ts'
import { RenewableServer } from '../../proto/renewable-server.ts'
import { address } from '../../proto/service.ts'
import type { TlsIdentity } from '../../proto/tls.ts'
import type { AgentConfig } from '../config.ts'
import { isParentOf } from '../parent.ts'
import type { RackImages } from './rack-images.ts'

export interface NeighbourServerParts {
  readonly config: AgentConfig
  /** The newest. */
  readonly identity: () => TlsIdentity
  readonly images: RackImages
  readonly admit: BlobEnd['admit']
  readonly log: Log
}

export interface NeighbourServer {
  /** Where it serves; 0 while it does not. */
  readonly port: () => number
  /** There is another certificate: opens the server anew with it. */
  readonly renewed: () => void
  readonly close: () => Promise<void>
}

const ANNOUNCE_EVERY_MS = 15_000
const ANNOUNCE_MS = 5_000

/** A port that cannot be had is no trouble of the host: its neighbours fetch elsewhere. */
export function startNeighbourServer(parts: NeighbourServerParts): NeighbourServer {
  const { config, identity, images, admit, log } = parts
  const clock = systemClock
  const server = new RenewableServer({
    sessionAddress: address(config.listenHost, config.sessionPort),
    joinAddress: null,
    sessionServices: [blobService({ ...images.end, admit })],
    joinServices: [],
    identity,
    log,
  })
  const loop = new Loop({
    name: 'neighbours',
    pass: async () => {
      // Until it is renewed, such a node only fetches.
      if (!isForServers(identity().certificatePem)) return
      await server.ensure()
      await tell()
    },
    everyMs: ANNOUNCE_EVERY_MS,
    // What gRPC says of a CC that is late has the milliseconds in it.
    mayBeOut: true,
    clock,
    chance,
    log,
  })
  loop.start()
  return {
    port: () => server.ports().sessionPort,
    renewed: () => loop.wake(),
    close: async () => {
      await loop.stop()
      await server.close()
    },
  }

  async function tell(): Promise<void> {
    const [parent] = config.parents
    if (parent === undefined) return
    const held = new Map((await images.images.held()).map((one) => [one.sha256, one.whole]))
    const { sessionPort } = server.ports()
    await images.links.use(parent, isParentOf(config), (client) =>
      announce(client, sessionPort, held, clock.nowMs() + ANNOUNCE_MS),
    )
  }
}
