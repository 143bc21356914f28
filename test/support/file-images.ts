// The images of a host whose only source is files of this machine.

import { open } from 'node:fs/promises'
import { Images } from '../../cluster-agent/images/images.ts'
import type { Source } from '../../cluster-agent/images/sources.ts'
import { CHUNK_BYTES, type ChunkList, chunkLength } from '../../common/chunk-list.ts'
import { chance, systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { type Log, silentLog } from '../../common/log.ts'
import type { ImageRef } from '../../proto/blob.ts'

export interface ImageFile {
  readonly file: string
  readonly list: ChunkList
}

interface FileImagesOptions {
  readonly log?: Log
  /** Waited for before each chunk. */
  readonly before?: Source['chunk']
  readonly reserveBytes?: number
  readonly maxBytes?: number
}

export function fileImages(
  files: ImageFile | readonly ImageFile[],
  dir: string,
  { log = silentLog, before, reserveBytes = 0, maxBytes }: FileImagesOptions = {},
): Images {
  const all = [files].flat()
  const named = ({ listSha256 }: ImageRef): ImageFile => {
    const found = all.find(({ list }) => list.sha256 === listSha256)
    if (found === undefined) throw new Error(`there is no file with the list ${listSha256}`)
    return found
  }
  const source: Source = {
    ...{ name: 'files', kind: 'parent' },
    chunk: async (ref, of, index, signal) => {
      await before?.(ref, of, index, signal)
      const { file, list } = named(ref)
      const handle = await open(file, 'r')
      try {
        const bytes = Buffer.alloc(chunkLength(list, index))
        await handle.read(bytes, 0, bytes.length, index * CHUNK_BYTES)
        return bytes
      } finally {
        await handle.close()
      }
    },
  }
  return new Images({
    ...{ dir, reserveBytes, hasMachines: true, chance, clock: systemClock, log },
    maxBytes: maxBytes ?? null,
    fetchList: async (ref) => named(ref).list,
    findSources: async () => [source],
  })
}

export interface Gate {
  readonly before: Source['chunk']
  /** Chunks that are asked for and held back. */
  readonly waiting: () => readonly number[]
  readonly release: () => void
}

/** Holds back chunks until it is released; who asks may give up. */
export function gate(holds: (index: number) => boolean): Gate {
  const waiting = new Set<number>()
  const released = Promise.withResolvers<void>()
  return {
    waiting: () => [...waiting],
    release: () => released.resolve(),
    before: async (_ref, _list, index, signal) => {
      if (!holds(index)) return new Uint8Array()
      waiting.add(index)
      const gone = new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new MalleeError('Unavailable', 'given up')))
      })
      await Promise.race([released.promise, gone]).finally(() => waiting.delete(index))
      return new Uint8Array()
    },
  }
}
