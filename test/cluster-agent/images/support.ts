// An image file in memory, and sources that have it: whole, in parts, wrong, or silent.

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Images, type ImagesOptions } from '../../../cluster-agent/images/images.ts'
import type { Source } from '../../../cluster-agent/images/sources.ts'
import {
  CHUNK_BYTES,
  type ChunkList,
  ChunkListMaker,
  chunkLength,
  isChunk,
} from '../../../common/chunk-list.ts'
import { type Clock, systemClock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import type { ImageRef } from '../../../proto/blob.ts'

export interface TestImage {
  readonly bytes: Buffer
  readonly list: ChunkList
  readonly ref: ImageRef
}

/** Chunks of random bytes, `zeros` of zeros, and a short one at the end. */
export function testImage(chunks: number, zeros: readonly number[] = []): TestImage {
  const bytes = randomBytes(chunks * CHUNK_BYTES - 512)
  for (const index of zeros) bytes.fill(0, index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
  const maker = new ChunkListMaker()
  maker.add(bytes)
  const list = maker.end()
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { bytes, list, ref: { sha256, listSha256: list.sha256 } }
}

export interface TestSource extends Source {
  /** Chunks that it was asked for, in order. */
  readonly asked: number[]
  /** How it answers; may change. */
  answer: (index: number, bytes: Buffer, signal: AbortSignal) => Promise<Uint8Array>
}

/** A source of an image that checks as the real ones do. */
export function testSource(
  image: TestImage,
  name: string,
  kind: Source['kind'] = 'parent',
): TestSource {
  const source: TestSource = {
    ...{ name, kind, asked: [] },
    answer: async (_index, bytes) => bytes,
    chunk: async (_ref, list, index, signal) => {
      source.asked.push(index)
      const at = index * CHUNK_BYTES
      const own = image.bytes.subarray(at, at + chunkLength(list, index))
      const bytes = await source.answer(index, own, signal)
      if (isChunk(list, index, bytes)) return bytes
      throw new MalleeError('ImageCorrupt', `chunk ${index} came with other bytes`)
    },
  }
  return source
}

/** Says nothing until the receiver gives up. */
export function silent(_index: number, _bytes: Buffer, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new MalleeError('Unavailable', 'given up')))
  })
}

export const fail = async (): Promise<never> => {
  throw new MalleeError('Unavailable', 'the line is cut')
}

/** Real sleeps, much shorter, on a clock that runs as much faster. */
export function fastClock(factor: number): Clock {
  const startMs = systemClock.nowMs()
  return {
    nowMs: () => startMs + (systemClock.nowMs() - startMs) * factor,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  }
}

export const NEVER = new AbortController().signal

export interface Wish extends Partial<ImagesOptions> {
  readonly sources: readonly Source[]
}

export function openImages(
  t: TestContext,
  images: readonly TestImage[],
  { sources, ...wish }: Wish,
): Images {
  const dir = wish.dir ?? mkdtempSync(join(tmpdir(), 'mallee-images-'))
  const opened = new Images({
    maxBytes: null,
    reserveBytes: 0,
    fetchList: async ({ sha256 }) => {
      const found = images.find(({ ref }) => ref.sha256 === sha256)
      if (found === undefined) throw new MalleeError('NotFound', `no ${sha256}`)
      return found.list
    },
    findSources: async () => sources,
    hasMachines: true,
    chance: () => 0.5,
    clock: systemClock,
    log: silentLog,
    ...wish,
    dir,
  })
  t.after(async () => {
    await opened.close()
    rmSync(dir, { recursive: true, force: true })
  })
  return opened
}

export const wholeOf = (images: Images, { ref }: TestImage) =>
  images.whole(ref.sha256, ref.listSha256)
