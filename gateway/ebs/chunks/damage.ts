// Bytes of snapshots that were found to be others, or gone: noted until they were put anew or are
// not needed any more, with the snapshots that have them.

import { codeOf } from '../../../common/errors.ts'
import {
  decodePage,
  decodeRoot,
  ENTRIES_PER_PAGE,
  type ManifestPage,
  type ManifestRoot,
} from '../../../common/snapshot-manifest.ts'
import { readBlob } from './blobs.ts'
import type { Item } from './items.ts'
import { DAMAGE, damagedKey, holderPrefix, type ItemKind, itemKey, itemPrefix } from './keys.ts'
import type { ChunkParts } from './parts.ts'

const PAGE = 1_000
/** Snapshots that are named of each damage. */
const MAX_NAMED = 100

export interface SnapshotDamage {
  readonly kind: ItemKind
  readonly sha256: string
  readonly what: string
  readonly foundAtMs: number
  /** Those that had it when it was found, and the first block of each that cannot be read. */
  readonly snapshots: readonly { readonly id: string; readonly block: number }[]
}

/** Unless it is noted already, or nobody needs it any more. */
export async function noteDamage(
  parts: ChunkParts,
  kind: ItemKind,
  sha256: string,
  what: string,
): Promise<void> {
  const { store, clock, log } = parts
  const at = damagedKey(kind, sha256)
  const row = await store.get(itemKey(kind, sha256))
  if (row === null || (await store.get(at)) !== null) return
  const snapshots = await snapshotsWith(parts, kind, sha256)
  const found: SnapshotDamage = { kind, sha256, what, foundAtMs: clock.nowMs(), snapshots }
  await store.txn(
    [{ key: itemKey(kind, sha256), version: row.version }],
    [{ put: at, value: JSON.stringify(found) }],
  )
  log.error('snapshot damaged', { ...found })
  parts.metrics.setSnapshotDamage((await damageOfSnapshots(parts)).length)
}

/** At most 1,000. */
export async function damageOfSnapshots({
  store,
}: Pick<ChunkParts, 'store'>): Promise<readonly SnapshotDamage[]> {
  const { entries } = await store.list(DAMAGE, { limit: PAGE })
  return entries.map(({ value }) => JSON.parse(value) as SnapshotDamage)
}

/** Goes through all manifests, each page once; what cannot be read has nothing. */
async function snapshotsWith(
  parts: ChunkParts,
  kind: ItemKind,
  sha256: string,
): Promise<SnapshotDamage['snapshots']> {
  const { store } = parts
  /** The first block below each page that needs it, counted within the page; null for none. */
  const seen = new Map<string, number | null>([[`${kind} ${sha256}`, 0]])

  async function firstIn(of: ItemKind, name: string): Promise<number | null> {
    const known = seen.get(`${of} ${name}`)
    if (known !== undefined || of === 'block') return known ?? null
    const found = await firstBelow(of, await readListing(parts, of, name))
    seen.set(`${of} ${name}`, found)
    return found
  }

  async function firstBelow(of: ItemKind, page: ManifestPage | ManifestRoot | null) {
    const below = of === 'leaf' ? 'block' : of === 'branch' ? 'leaf' : 'branch'
    const each = of === 'leaf' ? 1 : of === 'branch' ? ENTRIES_PER_PAGE : ENTRIES_PER_PAGE ** 2
    for (const { number, sha256: name } of page?.entries ?? []) {
      const first = await firstIn(below, name)
      if (first !== null) return number * each + first
    }
    return null
  }

  const named: { id: string; block: number }[] = []
  for (let after = itemPrefix('root'); ; ) {
    const page = await store.list(itemPrefix('root'), { after, limit: PAGE })
    for (const { key } of page.entries) {
      const manifest = key.slice(itemPrefix('root').length)
      const block = await firstIn('root', manifest)
      if (block === null) continue
      const holders = await store.list(holderPrefix(manifest), { limit: MAX_NAMED })
      const ids = holders.entries.map((one) => one.key.slice(holderPrefix(manifest).length))
      named.push(...ids.map((id) => ({ id, block })))
      if (named.length >= MAX_NAMED) return named.slice(0, MAX_NAMED)
    }
    after = page.entries.at(-1)?.key ?? after
    if (!page.more) return named
  }
}

async function readListing(
  parts: ChunkParts,
  kind: ItemKind,
  sha256: string,
): Promise<ManifestPage | ManifestRoot | null> {
  const row = await parts.store.get(itemKey(kind, sha256))
  if (row === null) return null
  try {
    const { blob } = JSON.parse(row.value) as Item
    const bytes = await readBlob(parts.storeOf(blob.store), blob, sha256)
    return kind === 'root' ? decodeRoot(bytes) : decodePage(bytes)
  } catch (error) {
    // It is named by itself when somebody or the scrubber comes to it.
    if (codeOf(error) === null) throw error
    return null
  }
}
