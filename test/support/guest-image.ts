// The real guest image, built once for all tests and kept below .cache.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ChunkList, ChunkListMaker } from '../../common/chunk-list.ts'
import { exec } from '../../common/exec.ts'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const BUILD_MS = 300_000

export interface GuestImage {
  readonly file: string
  readonly sha256: string
  readonly list: ChunkList
}

/** Builds the image if none fits. The script has a lock: test files may ask at the same time. */
export async function guestImage(): Promise<GuestImage> {
  const dir = join(ROOT, '.cache', 'guest')
  await mkdir(dir, { recursive: true })
  await exec([join(ROOT, 'setup', 'guest-image.sh'), dir], { timeoutMs: BUILD_MS })
  const file = join(dir, 'guest.raw')
  const hash = createHash('sha256')
  const maker = new ChunkListMaker()
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk)
    maker.add(chunk)
  }
  return { file, sha256: hash.digest('hex'), list: maker.end() }
}
