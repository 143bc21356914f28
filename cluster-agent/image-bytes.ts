// Where image bytes come from, and how a CC hands them on to its nodes.

import { createReadStream } from 'node:fs'
import { systemClock } from '../common/clock.ts'
import { MalleeError } from '../common/errors.ts'
import { fetchBlob, type OpenBlob } from '../proto/blob.ts'
import type { HostParts } from './main-parts.ts'
import { type FetchImage, Images } from './nc/images.ts'
import { isParentOf } from './parent.ts'
import { imagesDir } from './paths.ts'

/** Larger files are refused, in bytes. */
const MAX_IMAGE_BYTES = 256 * 2 ** 30
const SAY_EVERY_MIB = 256
const READ_BYTES = 256 << 10

/** From the parent: a CC's from a gateway, a node's from its CC. */
export function imageFetcher({ config, identity, log }: HostParts): FetchImage {
  // The relay to nodes and this host's own instances may want the same file at once.
  const underWay = new Map<string, Promise<void>>()
  return (sha256, toFile) => {
    const known = underWay.get(toFile)
    if (known !== undefined) return known
    const work = fetchFromParents(sha256, toFile).finally(() => underWay.delete(toFile))
    underWay.set(toFile, work)
    return work
  }

  async function fetchFromParents(sha256: string, toFile: string): Promise<void> {
    if (identity === null) throw new MalleeError('BadConfig', 'this host has no certificate')
    let last: unknown = new MalleeError('Unavailable', 'there is no parent to fetch from')
    for (const { host, port } of config.parents) {
      const expect = isParentOf(config)
      let saidMib = 0
      try {
        await fetchBlob({ host, port, identity: identity(), expect }, sha256, toFile, {
          clock: systemClock,
          maxBytes: MAX_IMAGE_BYTES,
          onProgress: (bytes) => {
            const mib = Math.floor(bytes / 2 ** 20)
            if (mib < saidMib + SAY_EVERY_MIB) return
            saidMib = mib
            log.info('image on its way', { sha256, mib })
          },
        })
        return
      } catch (error) {
        last = error
      }
    }
    throw last
  }
}

/** A CC keeps what its nodes fetch: the second node gets it from here. */
export function imageRelay({ paths, log }: HostParts, fetch: FetchImage): OpenBlob {
  const images = new Images({
    dir: imagesDir(paths),
    fetch,
    maxUnusedBytes: Number.MAX_SAFE_INTEGER,
    clock: systemClock,
    log,
  })
  return async (sha256, offset) => {
    const file = await images.ensure(sha256)
    return createReadStream(file, { start: offset, highWaterMark: READ_BYTES })
  }
}
