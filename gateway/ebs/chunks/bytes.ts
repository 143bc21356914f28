// Bytes of blocks, pages and roots in the stores of blobs. They are checked against their SHA-256
// whenever they are read; what is damaged is noted, and never given away.

import { codeOf, MalleeError, messageOf } from '../../../common/errors.ts'
import {
  decodePage,
  decodeRoot,
  type ManifestPage,
  type ManifestRoot,
} from '../../../common/snapshot-manifest.ts'
import { readBlob } from './blobs.ts'
import { noteDamage } from './damage.ts'
import type { Item } from './items.ts'
import { type ItemKind, itemKey } from './keys.ts'
import type { ChunkParts } from './parts.ts'
import type { ByteSource } from './reads.ts'

/** Pages that are kept decoded, of at most some 200 KB each. */
const MAX_PAGES = 64
const MAX_ROOTS = 64

/**
 * All bytes of an item. Throws NotFound when there is none, DataCorrupt when it is damaged,
 * StoreUnavailable when that cannot be said.
 */
export async function readItemBytes(
  parts: ChunkParts,
  kind: ItemKind,
  sha256: string,
): Promise<Uint8Array> {
  for (let before = ''; ; ) {
    const row = await parts.store.get(itemKey(kind, sha256))
    if (row === null) throw new MalleeError('NotFound', `no ${kind} ${sha256} of a snapshot`)
    const { blob } = JSON.parse(row.value) as Item
    try {
      return await readBlob(parts.storeOf(blob.store), blob, sha256)
    } catch (error) {
      const code = codeOf(error)
      if (code !== 'DataCorrupt' && code !== 'NotFound') throw error
      // Somebody may have put it anew, or have let it go, meanwhile.
      if (before === blob.id) throw await damaged(parts, kind, sha256, error)
      before = blob.id
    }
  }
}

async function damaged(
  parts: ChunkParts,
  kind: ItemKind,
  sha256: string,
  cause: unknown,
): Promise<MalleeError> {
  parts.metrics.snapshotReadRefused()
  await noteDamage(parts, kind, sha256, messageOf(cause))
  const sentence = `${kind} ${sha256} of a snapshot is damaged: ${messageOf(cause)}`
  return new MalleeError('DataCorrupt', sentence, { cause })
}

/** Reads through a small memory of pages and roots, which never change. */
export function byteSource(parts: ChunkParts): ByteSource {
  const pages = new Recent<ManifestPage>(MAX_PAGES)
  const roots = new Recent<ManifestRoot>(MAX_ROOTS)
  return {
    root: (manifest) =>
      roots.get(manifest, async () => decodeRoot(await readItemBytes(parts, 'root', manifest))),
    loadPage: ({ kind, sha256 }) =>
      pages.get(sha256, async () => decodePage(await readItemBytes(parts, kind, sha256))),
    block: (sha256) => readItemBytes(parts, 'block', sha256),
  }
}

/** What was asked for last. Failures are not kept. */
class Recent<T> {
  readonly #most: number
  readonly #kept = new Map<string, Promise<T>>()

  constructor(most: number) {
    this.#most = most
  }

  get(name: string, make: () => Promise<T>): Promise<T> {
    const known = this.#kept.get(name)
    const value = known ?? make()
    this.#kept.delete(name)
    this.#kept.set(name, value)
    if (known !== undefined) return value
    value.catch(() => {
      if (this.#kept.get(name) === value) this.#kept.delete(name)
    })
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > this.#most && oldest !== undefined) this.#kept.delete(oldest)
    return value
  }
}
