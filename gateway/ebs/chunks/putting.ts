// Takes in blocks, pages and roots, and blocks of snapshots that are being put together.

import { MalleeError } from '../../../common/errors.ts'
import {
  blocksIn,
  decodePage,
  decodeRoot,
  isZeroBlock,
  type PageEntry,
  type Sealed,
  SNAPSHOT_BLOCK_BYTES,
  sha256Of,
} from '../../../common/snapshot-manifest.ts'
import { blockCountOf, type LoadPage, lastBlock } from '../../../common/snapshot-walk.ts'
import type { Draft } from '../../s3/index/commits.ts'
import { damageOfSnapshots } from './damage.ts'
import { holdIn } from './holds.ts'
import {
  COUNTING,
  discardBlobs,
  distinct,
  type Item,
  LEASE_MS,
  leased,
  momentOf,
  once,
  putItem,
  readItem,
  release,
  taken,
} from './items.ts'
import { keep } from './keep.ts'
import { damagedKey, type ItemKind, itemKey } from './keys.ts'
import type { ChunkParts } from './parts.ts'

export interface StagedRow {
  /** Null for zeroes. */
  readonly sha256: string | null
  /** Of the block as its client knows it, where that is not what is kept. */
  readonly digest?: string
  readonly sinceMs: number
}

/** Those of some blocks that are to be put; the others are kept for the snapshot meanwhile. */
export async function missingBlocks(
  parts: ChunkParts,
  snapshot: string,
  sha256s: readonly string[],
): Promise<readonly string[]> {
  const { store, commits, clock } = parts
  const wanted = distinct(sha256s)
  const soonMs = clock.nowMs() + LEASE_MS / 2
  const states = await Promise.all(
    wanted.map(async (sha256) => {
      const [row, damage] = await Promise.all([
        store.get(itemKey('block', sha256)),
        store.get(damagedKey('block', sha256)),
      ])
      if (row === null || damage !== null) return { sha256, isMissing: true, isExpiring: false }
      const { idle } = JSON.parse(row.value) as Item
      const isLent = idle !== undefined && (idle.lessee !== snapshot || idle.untilMs < soonMs)
      return { sha256, isMissing: false, isExpiring: isLent }
    }),
  )
  const expiring = states.flatMap(({ sha256, isExpiring }) => (isExpiring ? [sha256] : []))
  if (expiring.length > 0) {
    await commits.commit(COUNTING, async (draft) => {
      const items = await Promise.all(expiring.map((one) => readItem(draft, 'block', one)))
      for (const [i, sha256] of expiring.entries()) {
        const item = items[i] ?? null
        // One that went meanwhile is found missing with the page that lists it.
        if (item === null) continue
        putItem(draft, 'block', sha256, item, leased(item, snapshot, clock.nowMs()))
      }
    })
  }
  return states.flatMap(({ sha256, isMissing }) => (isMissing ? [sha256] : []))
}

/** Throws DataCorrupt for other bytes than it says, BadArgument for zeroes or another length. */
export async function putBlock(parts: ChunkParts, snapshot: string, block: Sealed): Promise<void> {
  checkBlock(block)
  await keep(parts, 'block', block, 1, {
    about: block.sha256,
    change: async (_draft, item) => ({ item: leased(item, snapshot, parts.clock.nowMs()) }),
  })
}

/**
 * Returns what it lists and is not there; then it is not kept. Throws BadMessage for what is no
 * page.
 */
export async function putPage(
  parts: ChunkParts,
  snapshot: string,
  bytes: Uint8Array,
): Promise<readonly string[]> {
  const { kind, entries } = decodePage(bytes)
  const below = kind === 'leaf' ? 'block' : 'leaf'
  const lacks = await lacking(parts, below, entries)
  if (lacks.length > 0) return lacks
  const page = { sha256: sha256Of(bytes), bytes }
  return await keep(parts, kind, page, blocksIn({ entries }), {
    about: COUNTING,
    change: async (draft, item, isNew) => {
      const missing = isNew ? await take(draft, below, entries) : []
      if (missing.length > 0) return { item: null, value: missing }
      return { item: leased(item, snapshot, parts.clock.nowMs()), value: missing }
    },
  })
}

/**
 * As putPage; the snapshot holds it then, instead of its base. Throws Conflict as holdIn, and
 * BadMessage for blocks behind the volume's end.
 */
export async function putRoot(
  parts: ChunkParts,
  loadPage: LoadPage,
  snapshot: string,
  bytes: Uint8Array,
): Promise<readonly string[]> {
  const manifest = decodeRoot(bytes)
  const { entries } = manifest
  const lacks = await lacking(parts, 'branch', entries)
  if (lacks.length > 0) return lacks
  const last = await lastBlock(manifest, loadPage)
  if (last !== null && last >= blockCountOf(manifest)) {
    const what = `block ${last} of a volume of ${manifest.sizeBytes} bytes`
    throw new MalleeError('BadMessage', `a manifest lists ${what}`)
  }
  const root = { sha256: sha256Of(bytes), bytes }
  return await keep(parts, 'root', root, blocksIn({ entries }), {
    about: COUNTING,
    change: async (draft, item, isNew) => {
      const missing = isNew ? await take(draft, 'branch', entries) : []
      if (missing.length > 0) return { item: null, value: missing }
      const held = { manifest: root.sha256, item }
      return { item: await holdIn(parts, draft, snapshot, held), value: missing }
    },
  })
}

interface StageWish {
  /** The key of its row. */
  readonly at: string
  /** As the row has it. */
  readonly digest: string | undefined
}

/** Notes a block of a snapshot that is being put together, which refers to it from now on. */
export async function stageBlock(
  parts: ChunkParts,
  wish: StageWish,
  bytes: Uint8Array,
): Promise<string> {
  const sha256 = sha256Of(bytes)
  if (isZeroBlock(bytes)) {
    await parts.commits.commit(COUNTING, (draft) => stage(parts, draft, wish, null))
    return sha256
  }
  checkLength(bytes)
  await keep(parts, 'block', { sha256, bytes }, 1, {
    about: COUNTING,
    // Or whoever puts it could tell by the time it takes whether somebody else has the same.
    isAlwaysWritten: true,
    change: async (draft, item) => {
      const isSame = (await stage(parts, draft, wish, sha256)) === sha256
      return { item: isSame ? item : taken(item) }
    },
  })
  return sha256
}

/** Returns what was staged there before, to which nobody refers for it any more. */
async function stage(
  parts: ChunkParts,
  draft: Draft,
  { at, digest }: StageWish,
  sha256: string | null,
): Promise<string | null> {
  const before = (await draft.read<StagedRow>(at))?.sha256 ?? null
  if (before === sha256 && before !== null) return before
  const moment = momentOf(parts)
  if (before !== null) {
    discardBlobs(draft, await release(draft, 'block', once([before]), moment), moment)
  }
  const known = digest === undefined ? {} : { digest }
  const row: StagedRow = { sha256, ...known, sinceMs: moment.nowMs }
  draft.put(at, row)
  return before
}

/** One more refers to each; those that are not there, and then nothing is to be written. */
async function take(
  draft: Draft,
  kind: ItemKind,
  entries: readonly PageEntry[],
): Promise<readonly string[]> {
  const blocks = new Map(entries.map((one) => [one.sha256, one.blocks]))
  const sha256s = [...blocks.keys()]
  const items = await Promise.all(sha256s.map((one) => readItem(draft, kind, one)))
  const missing = sha256s.filter((_, i) => (items[i] ?? null) === null)
  if (missing.length > 0) return missing
  for (const [i, sha256] of sha256s.entries()) {
    const item = items[i]
    if (item === undefined || item === null) continue
    if (item.blocks !== blocks.get(sha256)) {
      const says = `${blocks.get(sha256)} instead of ${item.blocks}`
      throw new MalleeError(
        'BadMessage',
        `a manifest says of ${kind} ${sha256} that it has ${says}`,
      )
    }
    putItem(draft, kind, sha256, item, taken(item))
  }
  return []
}

/** What is not there, or is damaged. Looked at before bytes are written, and not binding. */
async function lacking(
  parts: ChunkParts,
  kind: ItemKind,
  entries: readonly PageEntry[],
): Promise<readonly string[]> {
  const damage = new Set((await damageOfSnapshots(parts)).map((one) => one.sha256))
  const sha256s = distinct(entries.map((one) => one.sha256))
  const rows = await Promise.all(sha256s.map((one) => parts.store.get(itemKey(kind, one))))
  return sha256s.filter((one, i) => (rows[i] ?? null) === null || damage.has(one))
}

function checkLength({ length }: Uint8Array): void {
  if (length === SNAPSHOT_BLOCK_BYTES) return
  const wanted = `a block of a snapshot has ${SNAPSHOT_BLOCK_BYTES} bytes`
  throw new MalleeError('BadArgument', `${wanted}, not ${length}`)
}

function checkBlock({ sha256, bytes }: Sealed): void {
  checkLength(bytes)
  if (isZeroBlock(bytes)) throw new MalleeError('BadArgument', 'a block of zeroes is not put')
  if (sha256Of(bytes) === sha256) return
  throw new MalleeError('DataCorrupt', `a block came with bytes that are not ${sha256}`)
}
