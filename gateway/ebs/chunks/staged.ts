// Snapshots that are put together block by block (EBS direct APIs), in any order: what was staged
// is in rows by index, and becomes a manifest at the end.

import { createHash } from 'node:crypto'
import { MalleeError } from '../../../common/errors.ts'
import { buildManifest } from '../../../common/snapshot-build.ts'
import {
  blocksIn,
  type ManifestRoot,
  SNAPSHOT_BLOCK_BYTES,
  sha256Of,
} from '../../../common/snapshot-manifest.ts'
import { manifestHeld, unstage } from './holds.ts'
import { stagedParts, stagedPrefix } from './keys.ts'
import type { ChunkParts } from './parts.ts'
import { putPage, putRoot, type StagedRow } from './putting.ts'
import type { ByteSource } from './reads.ts'
import type { CompletedBytes, StagedBlocks } from './snapshot-bytes.ts'

const PAGE = 1_000
const ZEROES_SHA256 = sha256Of(Buffer.alloc(SNAPSHOT_BLOCK_BYTES))

export async function stagedBlocks(
  { store }: Pick<ChunkParts, 'store'>,
  snapshot: string,
): Promise<StagedBlocks> {
  const all = createHash('sha256')
  let count = 0
  for (let after = stagedPrefix(snapshot); ; ) {
    const page = await store.list(stagedPrefix(snapshot), { after, limit: PAGE })
    count += page.entries.length
    for (const { value } of page.entries) {
      const { sha256, digest } = JSON.parse(value) as StagedRow
      all.update(digest ?? sha256 ?? ZEROES_SHA256, 'hex')
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more) return { count, checksum: all.digest('base64') }
  }
}

/** As StagedSnapshots.completeStaged. */
export async function completeStaged(
  parts: ChunkParts,
  source: Pick<ByteSource, 'root' | 'loadPage'>,
  snapshot: string,
  { base, sizeBytes }: { readonly base: string | null; readonly sizeBytes: number },
): Promise<CompletedBytes> {
  const held = await manifestHeld(parts, snapshot)
  const manifest = held ?? (await build(parts, source, snapshot, { base, sizeBytes }))
  await unstage(parts, snapshot)
  return { manifest, dataBytes: dataBytesOf(await source.root(manifest)) }
}

async function build(
  parts: ChunkParts,
  { root, loadPage }: Pick<ByteSource, 'root' | 'loadPage'>,
  snapshot: string,
  { base, sizeBytes }: { readonly base: string | null; readonly sizeBytes: number },
): Promise<string> {
  const from = base === null ? null : await root(base)
  const making = buildManifest(from, sizeBytes, stagedIn(parts, snapshot), loadPage)
  for (;;) {
    const { done, value } = await making.next()
    const missing = done
      ? await putRoot(parts, loadPage, snapshot, value.bytes)
      : await putPage(parts, snapshot, value.bytes)
    if (missing.length > 0) {
      // What was staged is referred to, and the base is held: only damage does this.
      const what = `${missing.length} blocks or pages of it, ${missing[0]} for one, are damaged`
      throw new MalleeError('DataCorrupt', `${snapshot} cannot be completed: ${what}`)
    }
    if (done) return value.sha256
  }
}

async function* stagedIn({ store }: ChunkParts, snapshot: string) {
  for (let after = stagedPrefix(snapshot); ; ) {
    const page = await store.list(stagedPrefix(snapshot), { after, limit: PAGE })
    for (const { key, value } of page.entries) {
      const { sha256 } = JSON.parse(value) as StagedRow
      yield { index: stagedParts(key).index, sha256 }
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more) return
  }
}

function dataBytesOf(root: ManifestRoot): number {
  return blocksIn(root) * SNAPSHOT_BLOCK_BYTES
}
