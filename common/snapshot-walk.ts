// Ways through a manifest (snapshot-manifest.ts). Pages are loaded when somebody gets to them, so
// that a question about one block, or what differs between two snapshots, costs no more than that.

import { MalleeError } from './errors.ts'
import {
  ENTRIES_PER_PAGE,
  type ManifestPage,
  type ManifestRoot,
  type PageEntry,
  type PageKind,
  SNAPSHOT_BLOCK_BYTES,
} from './snapshot-manifest.ts'

/** A page of a manifest, and where in the manifest it is. */
export interface PageRef {
  readonly kind: PageKind
  /** Of all branches or all leaves that the volume has room for, from 0. */
  readonly number: number
  readonly sha256: string
  /** That it says are below it. */
  readonly blocks: number
}

/** Throws what reading it throws; the bytes are those of `sha256` then. */
export type LoadPage = (page: PageRef) => Promise<ManifestPage>

/** A block of the volume that is not zeroes. */
export interface BlockRef {
  /** Of the volume, from 0; its bytes begin at index * SNAPSHOT_BLOCK_BYTES. */
  readonly index: number
  readonly sha256: string
}

/** A block that two snapshots have differently; null is zeroes, or behind a volume's end. */
export interface ChangedBlock {
  readonly index: number
  readonly before: string | null
  readonly after: string | null
}

/** How many blocks a volume of that size has. */
export function blockCountOf({ sizeBytes }: Pick<ManifestRoot, 'sizeBytes'>): number {
  return sizeBytes / SNAPSHOT_BLOCK_BYTES
}

/** What a page is that an entry names; `above` is the number of the page that has the entry. */
export function pageRef(kind: PageKind, above: number, entry: PageEntry): PageRef {
  const { sha256, blocks } = entry
  const number = kind === 'branch' ? entry.number : above * ENTRIES_PER_PAGE + entry.number
  return { kind, number, sha256, blocks }
}

/** The page of that number; null when it is all zeroes. Throws what `load` throws. */
export async function findPage(
  root: ManifestRoot,
  kind: PageKind,
  number: number,
  load: LoadPage,
): Promise<PageRef | null> {
  const above = kind === 'branch' ? number : Math.floor(number / ENTRIES_PER_PAGE)
  const branch = root.entries.find((one) => one.number === above)
  if (branch === undefined) return null
  const ref = pageRef('branch', 0, branch)
  if (kind === 'branch') return ref
  const { entries } = await loadPage(load, ref)
  const leaf = entries.find((one) => one.number === number % ENTRIES_PER_PAGE)
  return leaf === undefined ? null : pageRef('leaf', above, leaf)
}

/** The SHA-256 of a block; null when it is zeroes. Throws what `load` throws. */
export async function findBlock(
  root: ManifestRoot,
  index: number,
  load: LoadPage,
): Promise<string | null> {
  const leaf = await findPage(root, 'leaf', Math.floor(index / ENTRIES_PER_PAGE), load)
  if (leaf === null) return null
  const { entries } = await loadPage(load, leaf)
  return entries.find((one) => one.number === index % ENTRIES_PER_PAGE)?.sha256 ?? null
}

/** The index of the last block that is not zeroes; null without one. Throws what `load` throws. */
export async function lastBlock(root: ManifestRoot, load: LoadPage): Promise<number | null> {
  const branch = root.entries.at(-1)
  if (branch === undefined) return null
  const leaf = (await loadPage(load, pageRef('branch', 0, branch))).entries.at(-1)
  if (leaf === undefined) return null
  const ref = pageRef('leaf', branch.number, leaf)
  const last = (await loadPage(load, ref)).entries.at(-1)
  return ref.number * ENTRIES_PER_PAGE + (last?.number ?? 0)
}

/** All blocks from an index on, ascending. Throws what `load` throws. */
export async function* blocksFrom(
  root: ManifestRoot,
  from: number,
  load: LoadPage,
): AsyncGenerator<BlockRef> {
  for await (const { index, after } of differences(null, root, from, load)) {
    if (after !== null) yield { index, sha256: after }
  }
}

/**
 * The blocks from an index on that two snapshots have differently, ascending; null is a snapshot of
 * zeroes. What both have alike is not loaded. Throws what `load` throws.
 */
export async function* differences(
  before: ManifestRoot | null,
  after: ManifestRoot | null,
  from: number,
  load: LoadPage,
): AsyncGenerator<ChangedBlock> {
  for (const branch of pairs(before, after, 0, leavesFor(from) / ENTRIES_PER_PAGE)) {
    const [old, now] = await pagesOf('branch', 0, branch, load)
    for (const leaf of pairs(old, now, branch.number, leavesFor(from))) {
      const [a, b] = await pagesOf('leaf', branch.number, leaf, load)
      const first = (branch.number * ENTRIES_PER_PAGE + leaf.number) * ENTRIES_PER_PAGE
      for (const { number, before: was, after: is } of pairs(a, b, 0, 0)) {
        const index = first + number
        if (index < from) continue
        yield { index, before: was?.sha256 ?? null, after: is?.sha256 ?? null }
      }
    }
  }
}

/**
 * Loads a page and looks whether it is what it is listed as. Throws DataCorrupt when it is of
 * another kind or has another number of blocks below, and what `load` throws.
 */
export async function loadPage(load: LoadPage, ref: PageRef): Promise<ManifestPage> {
  const page = await load(ref)
  const blocks = page.entries.reduce((sum, one) => sum + one.blocks, 0)
  if (page.kind === ref.kind && blocks === ref.blocks) return page
  const what = `${ref.kind} ${ref.sha256} of a manifest is a ${page.kind} with ${blocks} blocks`
  throw new MalleeError('DataCorrupt', `${what} instead of ${ref.blocks}`)
}

interface Pair {
  readonly number: number
  readonly before?: PageEntry
  readonly after?: PageEntry
}

type Listing = Pick<ManifestPage, 'entries'> | null

/** Entries that are not alike, ascending, from `from` on, of the page with the number `above`. */
function* pairs(a: Listing, b: Listing, above: number, from: number): Generator<Pair> {
  const [old, now] = [a?.entries ?? [], b?.entries ?? []]
  const first = Math.floor(from) - above * ENTRIES_PER_PAGE
  for (let [i, j] = [0, 0]; i < old.length || j < now.length; ) {
    const [before, after] = [old[i], now[j]]
    const number = Math.min(before?.number ?? Infinity, after?.number ?? Infinity)
    const [inOld, inNow] = [before?.number === number, after?.number === number]
    if (inOld) i++
    if (inNow) j++
    if (number < first || (inOld && inNow && before?.sha256 === after?.sha256)) continue
    yield { number, ...(inOld && { before }), ...(inNow && { after }) }
  }
}

async function pagesOf(
  kind: PageKind,
  above: number,
  { before, after }: Pair,
  load: LoadPage,
): Promise<readonly [Listing, Listing]> {
  const of = (entry: PageEntry | undefined): Promise<Listing> =>
    entry === undefined ? Promise.resolve(null) : loadPage(load, pageRef(kind, above, entry))
  return await Promise.all([of(before), of(after)])
}

/** The number of the leaf that has a block. */
function leavesFor(index: number): number {
  return Math.floor(index / ENTRIES_PER_PAGE)
}
