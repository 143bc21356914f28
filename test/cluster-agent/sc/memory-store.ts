// A store of snapshots in memory that fails when told so, and counts.

import type { SnapshotId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { decodeRoot, SNAPSHOT_BLOCK_BYTES } from '../../../common/snapshot-manifest.ts'
import { blocksFrom } from '../../../common/snapshot-walk.ts'
import type { SnapshotBlocksEnd } from '../../../proto/snapshot-blocks.ts'
import { memoryBlocks } from '../../support/snapshot-blocks.ts'

export class MemoryStore {
  readonly blocks = memoryBlocks()
  /** Runs before everything that is asked; throws what the store would. */
  before: (what: keyof SnapshotBlocksEnd) => void = () => undefined
  blocksSent = 0

  readonly endOf = (id: SnapshotId): SnapshotBlocksEnd => {
    const end = this.blocks.end(id)
    const asked = <T>(what: keyof SnapshotBlocksEnd, run: () => Promise<T>): Promise<T> => {
      try {
        this.before(what)
      } catch (error) {
        return Promise.reject(error)
      }
      return run()
    }
    return {
      missing: (digests) => asked('missing', () => end.missing(digests)),
      putBlock: (block) =>
        asked('putBlock', async () => {
          await end.putBlock(block)
          this.blocksSent += 1
        }),
      putPage: (bytes) => asked('putPage', () => end.putPage(bytes)),
      putRoot: (bytes) => asked('putRoot', () => end.putRoot(bytes)),
      root: () => asked('root', () => end.root()),
      page: (kind, number) => asked('page', () => end.page(kind, number)),
      block: (index) => asked('block', () => end.block(index)),
    }
  }

  /** All bytes of a snapshot. */
  async bytesOf(manifest: string): Promise<Buffer> {
    const { bytes: kept, load } = this.blocks
    const root = decodeRoot(kept.get(manifest) ?? new Uint8Array())
    const bytes = Buffer.alloc(root.sizeBytes)
    for await (const { index, sha256 } of blocksFrom(root, 0, load)) {
      bytes.set(kept.get(sha256) ?? [], index * SNAPSHOT_BLOCK_BYTES)
    }
    return bytes
  }
}
