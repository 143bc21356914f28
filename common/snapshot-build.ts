// A new manifest (snapshot-manifest.ts) from an older one and what has changed since. Only pages in
// which something changed are made anew: what this costs is what changed.

import { MalleeError } from './errors.ts'
import {
  blocksIn,
  ENTRIES_PER_PAGE,
  encodePage,
  encodeRoot,
  type ManifestRoot,
  type PageEntry,
  type PageKind,
  type Sealed,
} from './snapshot-manifest.ts'
import { blockCountOf, type LoadPage, loadPage, pageRef } from './snapshot-walk.ts'

/** A block as it is now. */
export interface BlockChange {
  readonly index: number
  /** Null: zeroes. */
  readonly sha256: string | null
}

export interface NewPage extends Sealed {
  readonly kind: PageKind
}

export interface NewRoot extends Sealed {
  readonly root: ManifestRoot
}

/** Changes of an array, for `buildManifest`. */
export async function* inOrder(changes: Iterable<BlockChange>): AsyncGenerator<BlockChange> {
  yield* [...changes].sort((a, b) => a.index - b.index)
}

/**
 * Yields every page that may be new, what it lists always before it, and returns the root. `base`
 * may be null for a snapshot of zeroes; a volume may have grown since. A page that comes out as it
 * was in the base is not yielded. One leaf and one branch are in memory at a time.
 * `changes` are ascending by index, each index once. Throws BadArgument when they are not or lie
 * behind the volume's end, and what `load` throws for the base's pages.
 */
export async function* buildManifest(
  base: ManifestRoot | null,
  sizeBytes: number,
  changes: AsyncIterable<BlockChange>,
  load: LoadPage,
): AsyncGenerator<NewPage, NewRoot> {
  if (base !== null && base.sizeBytes > sizeBytes) {
    throw new MalleeError('BadArgument', `a volume shrank from ${base.sizeBytes} to ${sizeBytes}`)
  }
  const roots = editOf('branch', base)
  let branches: Edit | null = null
  let leaf: Edit | null = null
  let before = -1
  const count = blockCountOf({ sizeBytes })
  for await (const { index, sha256 } of changes) {
    if (!Number.isInteger(index) || index <= before || index >= count) {
      const what = `block ${index} comes after ${before} of ${count} blocks`
      throw new MalleeError('BadArgument', `a change of a manifest is out of place: ${what}`)
    }
    before = index
    const leafNumber = Math.floor(index / ENTRIES_PER_PAGE)
    const branchNumber = Math.floor(leafNumber / ENTRIES_PER_PAGE)
    if (leaf !== null && leaf.number !== leafNumber) {
      if (branches !== null) yield* ended(leaf, branches)
      leaf = null
    }
    if (branches !== null && branches.number !== branchNumber) {
      yield* ended(branches, roots)
      branches = null
    }
    branches ??= await opened(roots, branchNumber, branchNumber, load)
    leaf ??= await opened(branches, leafNumber % ENTRIES_PER_PAGE, leafNumber, load)
    put(leaf, index % ENTRIES_PER_PAGE, sha256 === null ? null : { sha256, blocks: 1 })
  }
  if (leaf !== null && branches !== null) yield* ended(leaf, branches)
  if (branches !== null) yield* ended(branches, roots)
  const root: ManifestRoot = { sizeBytes, entries: entriesOf(roots) }
  return { ...encodeRoot(root), root }
}

/** A page, or the root, that is being made. */
interface Edit {
  /** Of what it lists. */
  readonly below: PageKind | 'block'
  /** Of all its kind, and in the page above. */
  readonly number: number
  readonly place: number
  readonly was: string | null
  readonly entries: Map<number, PageEntry>
}

function editOf(
  below: Edit['below'],
  page: { readonly entries: readonly PageEntry[] } | null,
  where: Pick<Edit, 'number' | 'place' | 'was'> = { number: 0, place: 0, was: null },
): Edit {
  const entries = new Map(page?.entries.map((one) => [one.number, one]))
  return { ...where, below, entries }
}

async function opened(above: Edit, place: number, number: number, load: LoadPage): Promise<Edit> {
  const kind = above.below === 'branch' ? 'branch' : 'leaf'
  const entry = above.entries.get(place)
  const ref = entry === undefined ? null : pageRef(kind, above.number, entry)
  const page = ref === null ? null : await loadPage(load, ref)
  const below = kind === 'branch' ? 'leaf' : 'block'
  return editOf(below, page, { number, place, was: entry?.sha256 ?? null })
}

function* ended(edit: Edit, above: Edit): Generator<NewPage> {
  const kind = edit.below === 'leaf' ? 'branch' : 'leaf'
  const entries = entriesOf(edit)
  if (entries.length === 0) {
    put(above, edit.place, null)
    return
  }
  const page = encodePage({ kind, entries })
  put(above, edit.place, { sha256: page.sha256, blocks: blocksIn({ entries }) })
  if (page.sha256 !== edit.was) yield { kind, ...page }
}

function put(edit: Edit, number: number, entry: Omit<PageEntry, 'number'> | null): void {
  if (entry === null) edit.entries.delete(number)
  else edit.entries.set(number, { number, ...entry })
}

function entriesOf({ entries }: Edit): PageEntry[] {
  return [...entries.values()].sort((a, b) => a.number - b.number)
}
