// Questions about snapshots' bytes, answered by going through manifests as far as they need.

import type { ManifestRoot } from '../../../common/snapshot-manifest.ts'
import { blocksFrom, differences, findBlock, type LoadPage } from '../../../common/snapshot-walk.ts'
import type { BlockPage, SnapshotReads } from './snapshot-bytes.ts'

/** Where they come from, checked. All throw NotFound, DataCorrupt. */
export interface ByteSource {
  readonly root: (manifest: string) => Promise<ManifestRoot>
  readonly loadPage: LoadPage
  readonly block: (sha256: string) => Promise<Uint8Array>
}

export function snapshotReads({ root, loadPage, block }: ByteSource): SnapshotReads {
  return {
    root,
    loadPage,
    readBlock: async (manifest, index) => {
      const sha256 = await findBlock(await root(manifest), index, loadPage)
      return sha256 === null ? null : await block(sha256)
    },
    listBlocks: async (manifest, from, max) =>
      await take(blocksFrom(await root(manifest), from, loadPage), max),
    listChanged: async (before, after, from, max) => {
      const old = before === null ? null : await root(before)
      return await take(differences(old, await root(after), from, loadPage), max)
    },
  }
}

async function take<T extends { readonly index: number }>(
  all: AsyncIterable<T>,
  max: number,
): Promise<BlockPage<T>> {
  const blocks: T[] = []
  for await (const one of all) {
    if (blocks.length === max) return { blocks, next: one.index }
    blocks.push(one)
  }
  return { blocks, next: null }
}
