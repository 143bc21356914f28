// Snapshots' bytes of a gateway in memory, for what is over them.

import { MalleeError } from '../../common/errors.ts'
import { buildManifest, inOrder } from '../../common/snapshot-build.ts'
import {
  blocksIn,
  decodeRoot,
  isZeroBlock,
  SNAPSHOT_BLOCK_BYTES,
  sha256Of,
} from '../../common/snapshot-manifest.ts'
import { snapshotReads } from '../../gateway/ebs/chunks/reads.ts'
import type { SnapshotBytes } from '../../gateway/ebs/chunks/snapshot-bytes.ts'
import { type MemoryBlocks, memoryBlocks } from './snapshot-blocks.ts'

const ZEROES_SHA256 = sha256Of(Buffer.alloc(SNAPSHOT_BLOCK_BYTES))

export interface MemorySnapshots extends SnapshotBytes {
  /** What is kept. */
  readonly memory: MemoryBlocks
}

export function memorySnapshots(memory: MemoryBlocks = memoryBlocks()): MemorySnapshots {
  const { bytes, manifests, load } = memory
  const staged = new Map<string, Map<number, string | null>>()
  const digests = new Map<string, string>()

  function get(sha256: string): Uint8Array {
    const found = bytes.get(sha256)
    if (found === undefined) throw new MalleeError('NotFound', `no bytes ${sha256}`)
    if (sha256Of(found) === sha256) return found
    throw new MalleeError('DataCorrupt', `${sha256} has other bytes`)
  }
  const root = async (manifest: string) => decodeRoot(get(manifest))
  return {
    memory,
    ...snapshotReads({ root, loadPage: load, block: async (sha256) => get(sha256) }),
    stageBlock: async (snapshot, index, data, digest) => {
      const sha256 = sha256Of(data)
      const all = staged.get(snapshot) ?? new Map<number, string | null>()
      staged.set(snapshot, all.set(index, isZeroBlock(data) ? null : sha256))
      if (!isZeroBlock(data)) bytes.set(sha256, Uint8Array.from(data))
      if (digest !== undefined) digests.set(`${snapshot}/${index}`, digest)
      return sha256
    },
    stagedBlocks: async (snapshot) => {
      const blocks = [...(staged.get(snapshot) ?? [])].sort(([a], [b]) => a - b)
      const each = blocks.map(([index, sha256]) =>
        Buffer.from(digests.get(`${snapshot}/${index}`) ?? sha256 ?? ZEROES_SHA256, 'hex'),
      )
      const checksum = Buffer.from(sha256Of(Buffer.concat(each)), 'hex').toString('base64')
      return { count: blocks.length, checksum }
    },
    completeStaged: async (snapshot, base, sizeBytes) => {
      const changes = [...(staged.get(snapshot) ?? [])]
      const ordered = inOrder(changes.map(([index, sha256]) => ({ index, sha256 })))
      const from = base === null ? null : await root(base)
      const making = buildManifest(from, sizeBytes, ordered, load)
      for (;;) {
        const { done, value } = await making.next()
        bytes.set(value.sha256, value.bytes)
        if (!done) continue
        manifests.set(snapshot, value.sha256)
        const dataBytes = blocksIn(value.root) * SNAPSHOT_BLOCK_BYTES
        return { manifest: value.sha256, dataBytes }
      }
    },
    holdManifest: async (manifest, snapshot) => {
      get(manifest)
      manifests.set(snapshot, manifest)
    },
    dropManifest: async (snapshot) => {
      manifests.delete(snapshot)
      staged.delete(snapshot)
    },
  }
}

/** For imports that bring no disk into a snapshot. */
export function importBytes() {
  return { blobsDir: '/nonexistent', snapshotBytes: memorySnapshots() }
}
