// The folder of images on disk: whole files by digest, those on their way, and their chunk lists.

import { mkdir, readdir, readFile, rm, stat, statfs, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChunkList, parseChunkList } from '../../common/chunk-list.ts'
import { writeDurably } from '../../common/durable-file.ts'
import type { ImageRef } from '../../proto/blob.ts'

/** What is kept of one image, whole or not. */
export interface KeptImage {
  readonly sha256: string
  readonly whole: boolean
  /** On disk. */
  readonly bytes: number
  readonly usedAtMs: number
}

const DIGEST = /^([0-9a-f]{64})(?:\.(partial|chunks|have))?$/
const BLOCK_BYTES = 512
const USED_MS = 60_000

export class ImageFolder {
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
  }

  path(sha256: string): string {
    return join(this.#dir, sha256)
  }

  async make(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 })
  }

  async isWhole(sha256: string): Promise<boolean> {
    return stat(this.path(sha256)).then(
      () => true,
      () => false,
    )
  }

  /** The list that was kept; null when there is none, or another one than is meant. */
  async list({ sha256, listSha256 }: ImageRef): Promise<ChunkList | null> {
    try {
      const list = parseChunkList(await readFile(`${this.path(sha256)}.chunks`))
      return list.sha256 === listSha256 ? list : null
    } catch {
      return null
    }
  }

  async keepList(sha256: string, list: ChunkList): Promise<void> {
    await writeDurably(`${this.path(sha256)}.chunks`, list.bytes)
  }

  /** Everything that lies here. */
  async kept(): Promise<KeptImage[]> {
    const found = new Map<string, { whole: boolean; bytes: number; usedAtMs: number }>()
    for (const name of await readdir(this.#dir).catch(() => [])) {
      const [, sha256, part] = DIGEST.exec(name) ?? []
      if (sha256 === undefined) continue
      const seen = await stat(join(this.#dir, name)).catch(() => null)
      if (seen === null) continue
      const one = found.get(sha256) ?? { whole: false, bytes: 0, usedAtMs: 0 }
      const isBytes = part === undefined || part === 'partial'
      found.set(sha256, {
        whole: one.whole || part === undefined,
        bytes: one.bytes + seen.blocks * BLOCK_BYTES,
        usedAtMs: isBytes ? Math.max(one.usedAtMs, seen.atimeMs) : one.usedAtMs,
      })
    }
    return [...found].map(([sha256, one]) => ({ sha256, ...one }))
  }

  /** Notes that an image was used just now: the last time decides who has to go. */
  async used(sha256: string, nowMs: number): Promise<void> {
    for (const file of [this.path(sha256), `${this.path(sha256)}.partial`]) {
      const found = await stat(file).catch(() => null)
      // Once a minute is as good as every time.
      if (found === null || Math.abs(nowMs - found.atimeMs) < USED_MS) continue
      await utimes(file, new Date(nowMs), found.mtime)
    }
  }

  async remove(sha256: string): Promise<void> {
    for (const end of ['', '.partial', '.have', '.chunks']) {
      await rm(`${this.path(sha256)}${end}`, { force: true })
    }
  }

  /** What the disk has left, and all of it, in bytes. */
  async disk(): Promise<{ readonly freeBytes: number; readonly allBytes: number }> {
    const { bsize, bavail, blocks } = await statfs(this.#dir)
    return { freeBytes: bavail * bsize, allBytes: blocks * bsize }
  }
}
