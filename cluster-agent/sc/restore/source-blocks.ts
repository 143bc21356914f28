// What a volume begins as: the blocks of a snapshot, each checked before anybody sees it.

import { MalleeError } from '../../../common/errors.ts'
import {
  ENTRIES_PER_PAGE,
  type ManifestRoot,
  SNAPSHOT_BLOCK_BYTES,
} from '../../../common/snapshot-manifest.ts'
import { findPage, type LoadPage, loadPage, type PageRef } from '../../../common/snapshot-walk.ts'
import type { SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'
import { pagesFrom, readRoot } from '../../../proto/snapshot-reading.ts'
import { sha256 } from '../snapshots/sha256.ts'
import type { SnapshotSource } from '../volumes/wanted.ts'

/** Of a leaf: has the volume bytes at that number, or is it zeroes there? */
export interface Held {
  readonly has: (number: number) => boolean
}

/** What a volume begins as. Its methods throw as SourceBlocks does. */
export interface RestoreBlocks {
  /** With the size of what comes, from the volume's beginning. */
  readonly source: SnapshotSource
  /** They are the snapshot's own: others may refer to them by its manifest. */
  readonly isSame: boolean
  readonly leaf: (number: number) => Promise<Held>
  /** Null for what is in the volume's file as it is: zeroes. */
  readonly block: (index: number) => Promise<Uint8Array | null>
}

/** The digests of a leaf's blocks, by their number in it. */
type Leaf = ReadonlyMap<number, string>

const NO_BLOCKS: Leaf = new Map()
/** In memory: of 4 GiB. Each takes some 150 KB. */
const MAX_LEAVES = 8
const MAX_BRANCHES = 2

/** All methods throw what the end throws, and DataCorrupt for what is not what it should be. */
export class SourceBlocks implements RestoreBlocks {
  readonly source: SnapshotSource
  readonly isSame = true
  readonly #end: SnapshotBlocksEnd
  readonly #leaves = new Map<number, Promise<Leaf>>()
  readonly #pages: LoadPage
  #root: Promise<ManifestRoot> | null = null

  constructor(source: SnapshotSource, end: SnapshotBlocksEnd) {
    this.source = source
    this.#end = end
    const branches = new Map<string, ReturnType<LoadPage>>()
    const load = pagesFrom(end)
    this.#pages = (page) =>
      page.kind === 'leaf'
        ? load(page)
        : recent(branches, page.sha256, MAX_BRANCHES, () => load(page))
  }

  /** What is in it; empty for zeroes. */
  leaf(number: number): Promise<Leaf> {
    return recent(this.#leaves, number, MAX_LEAVES, async () => {
      const page = await this.#leafRef(number)
      if (page === null) return NO_BLOCKS
      const { entries } = await loadPage(this.#pages, page)
      return new Map(entries.map((one) => [one.number, one.sha256]))
    })
  }

  /** Null for zeroes. */
  async block(index: number): Promise<Uint8Array | null> {
    const leaf = await this.leaf(Math.floor(index / ENTRIES_PER_PAGE))
    const digest = leaf.get(index % ENTRIES_PER_PAGE)
    if (digest === undefined) return null
    const bytes = Buffer.from(await this.#end.block(index))
    if (bytes.length === SNAPSHOT_BLOCK_BYTES && (await sha256(bytes)) === digest) return bytes
    const what = `block ${index} of ${this.source.snapshot}`
    throw new MalleeError('DataCorrupt', `${what} came with bytes that are not ${digest}`)
  }

  async #leafRef(number: number): Promise<PageRef | null> {
    this.#root ??= readRoot(this.#end, this.source.manifest)
    try {
      return await findPage(await this.#root, 'leaf', number, this.#pages)
    } catch (error) {
      this.#root = null
      throw error
    }
  }
}

/** What is known already, or is loaded now; what fails is loaded again the next time. */
function recent<K, T>(
  known: Map<K, Promise<T>>,
  key: K,
  most: number,
  load: () => Promise<T>,
): Promise<T> {
  const found = known.get(key)
  if (found !== undefined) return found
  const loading = load()
  known.set(key, loading)
  loading.catch(() => known.delete(key))
  for (const oldest of known.keys()) if (known.size > most) known.delete(oldest)
  return loading
}
