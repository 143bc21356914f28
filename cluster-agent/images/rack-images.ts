// The images of a host as its rack sees them: where they come from, and what is served of them.

import type { ChunkList } from '../../common/chunk-list.ts'
import { chance, systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { type BlobEnd, fetchChunk, fetchChunkList, type ImageRef } from '../../proto/blob.ts'
import { askNeighbours, type Neighbour } from '../../proto/neighbours.ts'
import { address } from '../../proto/service.ts'
import type { Endpoint } from '../../proto/session-client.ts'
import type { Expect } from '../../proto/tls.ts'
import type { HostParts } from '../main-parts.ts'
import { isParentOf } from '../parent.ts'
import { imagesDir } from '../paths.ts'
import { Holders } from './holders.ts'
import { Images } from './images.ts'
import { Links } from './links.ts'
import { readStream } from './partial-file.ts'
import type { Source } from './sources.ts'

/** Of one chunk: who is slower is asked for fewer at a time, and again. */
const CHUNK_MS = 30_000
const LIST_MS = 30_000
const ASK_MS = 5_000
const RESERVE_BYTES = 256 << 20

export interface RackImages {
  readonly images: Images
  readonly links: Links
  /** What nodes said that they have; used by a CC. */
  readonly holders: Holders
  /** What is served: a CC fetches what it lacks, a node does not. */
  readonly end: Omit<BlobEnd, 'admit'>
  readonly close: () => Promise<void>
}

export function openRackImages({ config, paths, identity, log }: HostParts): RackImages {
  const clock = systemClock
  const links = new Links(() => {
    if (identity === null) throw new MalleeError('BadConfig', 'this host has no certificate')
    return identity()
  }, clock)
  const isCc = config.roles.includes('cc')
  const isParent = isParentOf(config)
  const holders = new Holders(clock)
  const images = new Images({
    dir: imagesDir(paths),
    maxBytes: config.imageCacheGib === null ? null : config.imageCacheGib * 2 ** 30,
    reserveBytes: RESERVE_BYTES,
    fetchList,
    findSources: async (ref) => [...(await neighboursOf(ref)).map(neighbour), ...parents()],
    hasMachines: config.roles.includes('nc'),
    chance,
    clock,
    log,
  })
  return {
    images,
    links,
    holders,
    end: {
      open: async (sha256, offset) => {
        if (await images.isWhole(sha256)) return readStream(images.path(sha256), offset)
        throw new MalleeError('NotSupported', `${config.host} gives images in chunks`)
      },
      chunkList: (ref) => images.chunkList(ref, isCc),
      chunk: (ref, index, signal) => images.chunk(ref, index, isCc, signal),
    },
    close: async () => {
      await images.close()
      links.close()
    },
  }

  /** From the first parent that has it. */
  async function fetchList(ref: ImageRef): Promise<ChunkList> {
    let last: unknown = new MalleeError('Unavailable', 'there is no parent to fetch from')
    for (const parent of config.parents) {
      try {
        const deadline = clock.nowMs() + LIST_MS
        return await links.use(parent, isParent, (client) => fetchChunkList(client, ref, deadline))
      } catch (error) {
        last = error
      }
    }
    throw last
  }

  function parents(): Source[] {
    return config.parents.map((parent) => source('parent', parent, isParent))
  }

  function neighbour({ host, address: at, port }: Neighbour): Source {
    const { cloud, rack } = config
    const expect: Expect = (peer) =>
      peer.kind === 'host' && peer.cloud === cloud && peer.rack === rack && peer.host === host
    return source('neighbour', { host: at, port }, expect)
  }

  function source(kind: Source['kind'], at: Endpoint, expect: Expect): Source {
    return {
      kind,
      name: `${kind} ${address(at.host, at.port)}`,
      chunk: (ref, list, index, signal) =>
        links.use(at, expect, (client) =>
          fetchChunk(client, ref, list, index, clock.nowMs() + CHUNK_MS, signal),
        ),
    }
  }

  /** Nodes ask their CC, which knows by itself; it asks nodes only for what they have all of. */
  async function neighboursOf({ sha256 }: ImageRef): Promise<readonly Neighbour[]> {
    if (isCc) return holders.of(sha256, config.host).filter(({ whole }) => whole)
    const [parent] = config.parents
    if (parent === undefined) return []
    const deadline = clock.nowMs() + ASK_MS
    return links
      .use(parent, isParent, (client) => askNeighbours(client, sha256, deadline))
      .catch(() => [])
  }
}
