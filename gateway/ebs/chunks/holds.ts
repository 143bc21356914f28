// Which snapshot has which manifest.

import { MalleeError } from '../../../common/errors.ts'
import type { Draft } from '../../s3/index/commits.ts'
import {
  COUNTING,
  discardBlobs,
  type Item,
  momentOf,
  once,
  putItem,
  readItem,
  release,
  taken,
} from './items.ts'
import { heldKey, holderKey, STAGED, stagedParts, stagedPrefix } from './keys.ts'
import type { ChunkParts } from './parts.ts'
import type { StagedRow } from './putting.ts'

/** A snapshot has one manifest. Before it is complete, it may hold that of its base. */
export interface HeldRow {
  readonly manifest: string
  readonly isBase?: true
  readonly sinceMs: number
}

const PAGE = 500

/**
 * Has a snapshot hold a root, whose item is returned as it is then; its base goes. Throws Conflict
 * when it has another manifest already.
 */
export async function holdIn(
  parts: Pick<ChunkParts, 'clock' | 'randomHex'>,
  draft: Draft,
  snapshot: string,
  { manifest, item }: { readonly manifest: string; readonly item: Item },
): Promise<Item> {
  const moment = momentOf(parts)
  const before = await draft.read<HeldRow>(heldKey(snapshot))
  const isSame = before?.manifest === manifest
  if (before !== null && before.isBase !== true) {
    if (isSame) return item
    throw new MalleeError('Conflict', `${snapshot} has the manifest ${before.manifest} already`)
  }
  const row: HeldRow = { manifest, sinceMs: moment.nowMs }
  draft.put(heldKey(snapshot), row)
  draft.put(holderKey(manifest, snapshot), {})
  if (before !== null && !isSame) await release(draft, 'root', once([before.manifest]), moment)
  return isSame ? item : taken(item)
}

/** As SnapshotHolds.holdManifest. */
export async function holdManifest(
  parts: ChunkParts,
  manifest: string,
  snapshot: string,
): Promise<void> {
  await parts.commits.commit(COUNTING, async (draft) => {
    const before = await rootOf(draft, manifest)
    const after = await holdIn(parts, draft, snapshot, { manifest, item: before })
    putItem(draft, 'root', manifest, before, after)
  })
}

/** As SnapshotUploads.holdBase. */
export async function holdBase(
  parts: ChunkParts,
  manifest: string,
  snapshot: string,
): Promise<void> {
  await parts.commits.commit(COUNTING, async (draft) => {
    const held = await draft.read<HeldRow>(heldKey(snapshot))
    if (held !== null && (held.isBase !== true || held.manifest === manifest)) return
    const moment = momentOf(parts)
    const before = await rootOf(draft, manifest)
    const row: HeldRow = { manifest, isBase: true, sinceMs: moment.nowMs }
    draft.put(heldKey(snapshot), row)
    putItem(draft, 'root', manifest, before, taken(before))
    if (held !== null) await release(draft, 'root', once([held.manifest]), moment)
  })
}

/** The manifest that a snapshot has; null as long as it has none of its own. */
export async function manifestHeld(
  { store }: Pick<ChunkParts, 'store'>,
  snapshot: string,
): Promise<string | null> {
  const row = await store.get(heldKey(snapshot))
  const held = row === null ? null : (JSON.parse(row.value) as HeldRow)
  return held === null || held.isBase === true ? null : held.manifest
}

/** As SnapshotHolds.dropManifest. */
export async function dropManifest(parts: ChunkParts, snapshot: string): Promise<void> {
  await parts.commits.commit(COUNTING, async (draft) => {
    const held = await draft.read<HeldRow>(heldKey(snapshot))
    if (held === null) return
    draft.delete(heldKey(snapshot))
    draft.delete(holderKey(held.manifest, snapshot))
    await release(draft, 'root', once([held.manifest]), momentOf(parts))
  })
  await unstage(parts, snapshot)
}

/** Nothing is staged for a snapshot any more. */
export async function unstage(parts: ChunkParts, snapshot: string): Promise<void> {
  for (;;) {
    const page = await parts.store.list(stagedPrefix(snapshot), { limit: PAGE })
    if (page.entries.length === 0) return
    await parts.commits.commit(COUNTING, async (draft) => {
      const rows = await Promise.all(
        page.entries.map(async ({ key }) => ({ key, row: await draft.read<StagedRow>(key) })),
      )
      const times = new Map<string, number>()
      for (const { key, row } of rows) {
        if (row === null) continue
        draft.delete(key)
        if (row.sha256 !== null) times.set(row.sha256, (times.get(row.sha256) ?? 0) + 1)
      }
      const moment = momentOf(parts)
      discardBlobs(draft, await release(draft, 'block', times, moment), moment)
    })
  }
}

/** The snapshots for which something is staged, and since when, of each one block. */
export async function* snapshotsStaged({
  store,
}: Pick<ChunkParts, 'store'>): AsyncGenerator<{ snapshot: string; sinceMs: number }> {
  for (let after = STAGED; ; ) {
    const [first] = (await store.list(STAGED, { after, limit: 1 })).entries
    if (first === undefined) return
    const { snapshot } = stagedParts(first.key)
    yield { snapshot, sinceMs: (JSON.parse(first.value) as StagedRow).sinceMs }
    after = `${stagedPrefix(snapshot)}~`
  }
}

async function rootOf(draft: Draft, manifest: string): Promise<Item> {
  const item = await readItem(draft, 'root', manifest)
  if (item !== null) return item
  throw new MalleeError('NotFound', `no snapshot has the manifest ${manifest}`)
}
