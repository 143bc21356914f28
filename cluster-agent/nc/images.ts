// Images on this host by digest: fetched once, checked, then never changed. Instances' disks are
// overlays on them.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../common/clock.ts'
import { isThere } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'

/** Brings the file of a digest to a path, checked and synced. */
export type FetchImage = (sha256: string, toFile: string) => Promise<void>

export interface ImagesOptions {
  readonly dir: string
  readonly fetch: FetchImage
  /** Unused images beyond so many bytes are removed, the longest unused first. */
  readonly maxUnusedBytes: number
  readonly clock: Clock
  readonly log: Log
}

/** The image cache of a host. Several callers of one digest wait for one fetch. */
export class Images {
  readonly #options: ImagesOptions
  readonly #underWay = new Map<string, Promise<string>>()
  readonly #checked = new Set<string>()

  constructor(options: ImagesOptions) {
    this.#options = options
  }

  /** The file of an image, fetched if it is not here or not what it should be. */
  ensure(sha256: string): Promise<string> {
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      return Promise.reject(new MalleeError('BadArgument', `${sha256} is no SHA-256`))
    }
    const known = this.#underWay.get(sha256)
    if (known !== undefined) return known
    const work = this.#bring(sha256).finally(() => this.#underWay.delete(sha256))
    this.#underWay.set(sha256, work)
    return work
  }

  /** Removes what no instance uses, beyond the limit. */
  async evict(inUse: ReadonlySet<string>): Promise<void> {
    const { dir, maxUnusedBytes, log } = this.#options
    const names = await readdir(dir).catch(() => [])
    const unused: { name: string; bytes: number; usedAtMs: number }[] = []
    for (const name of names) {
      if (!/^[0-9a-f]{64}$/.test(name) || inUse.has(name) || this.#underWay.has(name)) continue
      const found = await stat(join(dir, name))
      unused.push({ name, bytes: found.blocks * 512, usedAtMs: found.atimeMs })
    }
    unused.sort((a, b) => b.usedAtMs - a.usedAtMs)
    let bytes = 0
    for (const one of unused) {
      bytes += one.bytes
      if (bytes <= maxUnusedBytes) continue
      log.info('image evicted', { sha256: one.name })
      this.#checked.delete(one.name)
      await rm(join(dir, one.name), { force: true })
    }
  }

  async #bring(sha256: string): Promise<string> {
    const { dir, fetch, clock, log } = this.#options
    const file = join(dir, sha256)
    await mkdir(dir, { recursive: true, mode: 0o700 })
    if (!this.#checked.has(sha256) && (await isThere(file)) && (await digestOf(file)) !== sha256) {
      log.error('cached image is corrupt, fetching it again', { sha256 })
      await rm(file)
    }
    if (!(await isThere(file))) {
      log.info('fetching image', { sha256 })
      await fetch(sha256, file)
      await chmod(file, 0o400)
    }
    this.#checked.add(sha256)
    const now = new Date(clock.nowMs())
    await utimes(file, now, (await stat(file)).mtime)
    return file
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}
