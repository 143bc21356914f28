// Snapshots' bytes over the storage of objects: everything that may be done with them.

import { codeOf, MalleeError, messageOf } from '../../../common/errors.ts'
import type { PageKind } from '../../../common/snapshot-manifest.ts'
import { findPage } from '../../../common/snapshot-walk.ts'
import { byteSource, readItemBytes } from './bytes.ts'
import { dropManifest, holdBase, holdManifest } from './holds.ts'
import { stagedKey } from './keys.ts'
import type { ChunkParts } from './parts.ts'
import { missingBlocks, putBlock, putPage, putRoot, stageBlock } from './putting.ts'
import { snapshotReads } from './reads.ts'
import type { SnapshotBytes, SnapshotUploads } from './snapshot-bytes.ts'
import { completeStaged, stagedBlocks } from './staged.ts'

/** `dropped` is called when there may be something to sweep. */
export function createSnapshotBytes(
  parts: ChunkParts,
  dropped: () => void = () => undefined,
): SnapshotBytes & SnapshotUploads {
  const source = byteSource(parts)
  const reads = snapshotReads(source)
  return {
    ...reads,
    readBlock: async (manifest, index) =>
      await named(manifest, `block ${index}`, () => reads.readBlock(manifest, index)),
    rootBytes: async (manifest) =>
      await named(manifest, 'the root', () => readItemBytes(parts, 'root', manifest)),
    pageBytes: async (manifest, kind: PageKind, number) =>
      await named(manifest, `${kind} ${number}`, async () => {
        const ref = await findPage(await source.root(manifest), kind, number, source.loadPage)
        return ref === null ? null : await readItemBytes(parts, kind, ref.sha256)
      }),
    missing: (snapshot, sha256s) => missingBlocks(parts, snapshot, sha256s),
    putBlock: (snapshot, block) => putBlock(parts, snapshot, block),
    putPage: (snapshot, bytes) => putPage(parts, snapshot, bytes),
    putRoot: (snapshot, bytes) => putRoot(parts, source.loadPage, snapshot, bytes),
    stageBlock: (snapshot, index, bytes, digest) =>
      stageBlock(parts, { at: stagedKey(snapshot, index), digest }, bytes),
    stagedBlocks: (snapshot) => stagedBlocks(parts, snapshot),
    completeStaged: (snapshot, base, sizeBytes) =>
      completeStaged(parts, source, snapshot, { base, sizeBytes }),
    holdManifest: (manifest, snapshot) => holdManifest(parts, manifest, snapshot),
    holdBase: (manifest, snapshot) => holdBase(parts, manifest, snapshot),
    dropManifest: async (snapshot) => {
      await dropManifest(parts, snapshot)
      dropped()
    },
  }
}

/** What is damaged is said with where it is in the snapshot. */
async function named<T>(manifest: string, what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (codeOf(error) !== 'DataCorrupt') throw error
    const sentence = `${what} of the snapshot with manifest ${manifest} cannot be read`
    throw new MalleeError('DataCorrupt', `${sentence}: ${messageOf(error)}`, { cause: error })
  }
}
