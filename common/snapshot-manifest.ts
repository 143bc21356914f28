// A snapshot's manifest: which block of the volume has which content. Three levels, so that a
// snapshot shares with the one before whatever did not change: the root lists branches, a branch
// lists leaves, a leaf lists blocks. All are named by the SHA-256 of their bytes; a manifest is the
// name of its root. Zeroes are absent at every level. One content has one form:
//   root      16 bytes  magic
//              8        the volume's size, in bytes
//             38        per branch, ascending: its number (2), how many blocks are below it (4),
//                       its SHA-256 (32)
//   branch    16 bytes  magic
//             38        per leaf, as above; numbers count from 0 in each branch
//   leaf      16 bytes  magic
//             34        per block, ascending: its number in the leaf (2), its SHA-256 (32)
// All numbers are big-endian. Going through a manifest: snapshot-walk.ts; making one:
// snapshot-build.ts.

import { createHash } from 'node:crypto'
import { MalleeError } from './errors.ts'

/** Of every block; those of EBS direct APIs, too. */
export const SNAPSHOT_BLOCK_BYTES = 512 << 10
/** Blocks of a leaf, and leaves of a branch. */
export const ENTRIES_PER_PAGE = 1024
/** EC2's largest volume (64 TiB), and 16 MiB more that an encrypted one has on its SC. */
export const MAX_SNAPSHOT_BYTES = 2 ** 46 + 2 ** 24
const BLOCKS_PER_BRANCH = ENTRIES_PER_PAGE * ENTRIES_PER_PAGE
const MAX_BRANCHES = Math.ceil(MAX_SNAPSHOT_BYTES / SNAPSHOT_BLOCK_BYTES / BLOCKS_PER_BRANCH)

const MAGIC = {
  root: Buffer.from('MALLEE-SNAP-R-1\n', 'latin1'),
  branch: Buffer.from('MALLEE-SNAP-B-1\n', 'latin1'),
  leaf: Buffer.from('MALLEE-SNAP-L-1\n', 'latin1'),
} as const
const MAGIC_BYTES = 16
const SIZE_BYTES = 8
const NUMBER_BYTES = 2
const COUNT_BYTES = 4
const DIGEST_BYTES = 32
const ENTRY_BYTES = {
  root: NUMBER_BYTES + COUNT_BYTES + DIGEST_BYTES,
  branch: NUMBER_BYTES + COUNT_BYTES + DIGEST_BYTES,
  leaf: NUMBER_BYTES + DIGEST_BYTES,
} as const
/** How many blocks may be below one entry. */
const MOST_BELOW = { root: BLOCKS_PER_BRANCH, branch: ENTRIES_PER_PAGE, leaf: 1 } as const

/** Of the largest page or root. */
export const MAX_PAGE_BYTES = MAGIC_BYTES + ENTRIES_PER_PAGE * ENTRY_BYTES.branch

type Kind = keyof typeof MAGIC
export type PageKind = 'branch' | 'leaf'

/** What a page or a root lists. */
export interface PageEntry {
  /** In its page, from 0. */
  readonly number: number
  /** Lower-case hex. */
  readonly sha256: string
  /** Below it; of a block 1. */
  readonly blocks: number
}

export interface ManifestPage {
  readonly kind: PageKind
  /** Ascending; one at least. */
  readonly entries: readonly PageEntry[]
}

export interface ManifestRoot {
  /** Of the volume; a multiple of SNAPSHOT_BLOCK_BYTES. */
  readonly sizeBytes: number
  /** Ascending; none for a volume of zeroes. */
  readonly entries: readonly PageEntry[]
}

/** Bytes and their name. */
export interface Sealed {
  readonly sha256: string
  readonly bytes: Uint8Array
}

/** Lower-case hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Is that a SHA-256 in lower-case hex? */
export function isSha256(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

const ZEROES = Buffer.alloc(SNAPSHOT_BLOCK_BYTES)

/** Is that a block of zeroes, which manifests do not list? */
export function isZeroBlock(bytes: Uint8Array): boolean {
  return bytes.length === SNAPSHOT_BLOCK_BYTES && ZEROES.equals(bytes)
}

/** How many blocks of a volume are not zeroes. */
export function blocksIn({ entries }: Pick<ManifestPage | ManifestRoot, 'entries'>): number {
  return entries.reduce((sum, { blocks }) => sum + blocks, 0)
}

/** Throws BadArgument for what decodePage would not take. */
export function encodePage({ kind, entries }: ManifestPage): Sealed {
  checkEntries(kind, entries, ENTRIES_PER_PAGE, 'BadArgument')
  if (entries.length === 0) throw new MalleeError('BadArgument', `a ${kind} without entries`)
  return sealed(Buffer.concat([MAGIC[kind], entriesBytes(kind, entries)]))
}

/** Throws BadMessage for what is no page. */
export function decodePage(bytes: Uint8Array): ManifestPage {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const kind = (['leaf', 'branch'] as const).find((one) => beginsWith(given, MAGIC[one]))
  if (kind === undefined) throw noSuch(given, 'page')
  const entries = entriesIn(kind, given.subarray(MAGIC_BYTES), ENTRIES_PER_PAGE)
  if (entries.length === 0) throw noSuch(given, kind)
  return { kind, entries }
}

/** Throws BadArgument for what decodeRoot would not take. */
export function encodeRoot({ sizeBytes, entries }: ManifestRoot): Sealed {
  checkSize(sizeBytes, 'BadArgument')
  checkEntries('root', entries, branchesOf(sizeBytes), 'BadArgument')
  const size = Buffer.alloc(SIZE_BYTES)
  size.writeBigUInt64BE(BigInt(sizeBytes))
  return sealed(Buffer.concat([MAGIC.root, size, entriesBytes('root', entries)]))
}

/** Throws BadMessage for what is no root. */
export function decodeRoot(bytes: Uint8Array): ManifestRoot {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headBytes = MAGIC_BYTES + SIZE_BYTES
  if (given.length < headBytes || !beginsWith(given, MAGIC.root)) throw noSuch(given, 'root')
  const sizeBytes = Number(given.readBigUInt64BE(MAGIC_BYTES))
  checkSize(sizeBytes, 'BadMessage')
  return { sizeBytes, entries: entriesIn('root', given.subarray(headBytes), branchesOf(sizeBytes)) }
}

function branchesOf(sizeBytes: number): number {
  const blocks = sizeBytes / SNAPSHOT_BLOCK_BYTES
  return Math.min(MAX_BRANCHES, Math.ceil(blocks / BLOCKS_PER_BRANCH))
}

function checkSize(sizeBytes: number, code: 'BadArgument' | 'BadMessage'): void {
  const isWhole = sizeBytes > 0 && sizeBytes % SNAPSHOT_BLOCK_BYTES === 0
  if (isWhole && sizeBytes <= MAX_SNAPSHOT_BYTES) return
  const wanted = `a multiple of ${SNAPSHOT_BLOCK_BYTES} up to ${MAX_SNAPSHOT_BYTES}`
  throw new MalleeError(code, `the size of a snapshot's volume is ${wanted}, not ${sizeBytes}`)
}

function checkEntries(
  kind: Kind,
  entries: readonly PageEntry[],
  limit: number,
  code: 'BadArgument' | 'BadMessage',
): void {
  let before = -1
  for (const { number, sha256, blocks } of entries) {
    const isNext = Number.isInteger(number) && number > before && number < limit
    const isCounted = Number.isInteger(blocks) && blocks >= 1 && blocks <= MOST_BELOW[kind]
    if (!isNext || !isCounted || !isSha256(sha256)) {
      const what = `${number} with ${blocks} blocks after ${before}, below ${limit}`
      throw new MalleeError(code, `a ${kind} of a manifest lists ${what}`)
    }
    before = number
  }
}

function entriesBytes(kind: Kind, entries: readonly PageEntry[]): Buffer {
  const each = ENTRY_BYTES[kind]
  const bytes = Buffer.alloc(entries.length * each)
  for (const [i, { number, sha256, blocks }] of entries.entries()) {
    const at = i * each
    bytes.writeUInt16BE(number, at)
    if (kind !== 'leaf') bytes.writeUInt32BE(blocks, at + NUMBER_BYTES)
    bytes.write(sha256, at + each - DIGEST_BYTES, 'hex')
  }
  return bytes
}

function entriesIn(kind: Kind, bytes: Buffer, limit: number): PageEntry[] {
  const each = ENTRY_BYTES[kind]
  const count = bytes.length / each
  if (!Number.isInteger(count) || count > limit) throw noSuch(bytes, kind)
  const entries = Array.from({ length: count }, (_, i): PageEntry => {
    const at = i * each
    return {
      number: bytes.readUInt16BE(at),
      blocks: kind === 'leaf' ? 1 : bytes.readUInt32BE(at + NUMBER_BYTES),
      sha256: bytes.toString('hex', at + each - DIGEST_BYTES, at + each),
    }
  })
  checkEntries(kind, entries, limit, 'BadMessage')
  return entries
}

function beginsWith(bytes: Buffer, magic: Buffer): boolean {
  return bytes.subarray(0, MAGIC_BYTES).equals(magic)
}

function noSuch({ length }: Uint8Array, what: string): MalleeError {
  return new MalleeError('BadMessage', `${length} bytes are no ${what} of a snapshot's manifest`)
}

function sealed(bytes: Uint8Array): Sealed {
  return { sha256: sha256Of(bytes), bytes }
}
