// How a blob looks where it is stored: the bytes, a CRC-32 of each block of them, and a footer that
// says how many bytes there are. All CRCs begin with the blob's id, so that one in the place of
// another is found out too. docs/s3-storage.md has the layout.

import { crc32 } from 'node:zlib'
import { MalleeError } from '../errors.ts'
import type { ByteRange } from './blobs.ts'

export const BLOCK_BYTES = 64 << 10
const MAGIC = 'MalleeB1'
const CRC_BYTES = 4
/** Magic, size (64 bits), bytes of a block, CRC of the table, nothing, CRC of all that. */
export const FOOTER_BYTES = 32
const FOOTER = { size: 8, block: 16, table: 20, crc: 28 } as const

/** How long a blob's file is, in bytes. */
export function fileBytesOf(sizeBytes: number): number {
  return sizeBytes + blockCount(sizeBytes) * CRC_BYTES + FOOTER_BYTES
}

/**
 * What the footer of a blob's file says that has so many bytes. Throws DataCorrupt when it is none,
 * or another file's.
 */
export function readFooter(
  id: string,
  footer: Buffer,
  fileBytes: number,
): { size: number; tableBytes: number } {
  const isWhole =
    footer.toString('latin1', 0, MAGIC.length) === MAGIC &&
    footer.readUInt32LE(FOOTER.crc) === crc32(footer.subarray(0, FOOTER.crc), crc32(id)) &&
    footer.readUInt32LE(FOOTER.block) === BLOCK_BYTES
  if (!isWhole) throw corrupt(id, `has no footer at byte ${fileBytes - FOOTER_BYTES}`)
  const size = Number(footer.readBigUInt64LE(FOOTER.size))
  if (fileBytesOf(size) !== fileBytes) {
    throw corrupt(id, `has ${fileBytes} bytes in its file instead of ${fileBytesOf(size)}`)
  }
  return { size, tableBytes: blockCount(size) * CRC_BYTES }
}

/** Throws DataCorrupt when the table of CRCs is not the footer's. */
export function checkTable(id: string, sums: Buffer, footer: Buffer): void {
  if (crc32(sums, crc32(id)) !== footer.readUInt32LE(FOOTER.table)) {
    throw corrupt(id, 'has a damaged table of checksums')
  }
}

/** Throws DataCorrupt that names the first block that is damaged; `piece` begins with `first`. */
export function checkBlocks(id: string, piece: Uint8Array, first: number, sums: Buffer): void {
  const seed = crc32(id)
  for (let at = 0; at < piece.length; at += BLOCK_BYTES) {
    const block = first + at / BLOCK_BYTES
    const sum = crc32(piece.subarray(at, at + BLOCK_BYTES), seed)
    if (sum !== sums.readUInt32LE(block * CRC_BYTES)) {
      throw corrupt(id, `is damaged in block ${block} (from byte ${block * BLOCK_BYTES})`)
    }
  }
}

/** What follows the bytes. */
export function endOf(id: string, sizeBytes: number, sums: Buffer): Buffer[] {
  const footer = Buffer.alloc(FOOTER_BYTES)
  footer.write(MAGIC, 'latin1')
  footer.writeBigUInt64LE(BigInt(sizeBytes), FOOTER.size)
  footer.writeUInt32LE(BLOCK_BYTES, FOOTER.block)
  footer.writeUInt32LE(crc32(sums, crc32(id)), FOOTER.table)
  footer.writeUInt32LE(crc32(footer.subarray(0, FOOTER.crc), crc32(id)), FOOTER.crc)
  return sums.length === 0 ? [footer] : [sums, footer]
}

/** The CRC of each block, of bytes that come in pieces of any size. */
export class BlockSums {
  readonly #seed: number
  #sums = Buffer.alloc(CRC_BYTES)
  #blocks = 0
  #crc: number
  #filled = 0

  constructor(id: string) {
    this.#seed = crc32(id)
    this.#crc = this.#seed
  }

  add(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      const taken = Math.min(BLOCK_BYTES - this.#filled, chunk.length - at)
      this.#crc = crc32(chunk.subarray(at, at + taken), this.#crc)
      this.#filled += taken
      at += taken
      if (this.#filled === BLOCK_BYTES) this.#next()
    }
  }

  end(): Buffer {
    if (this.#filled > 0) this.#next()
    return this.#sums.subarray(0, this.#blocks * CRC_BYTES)
  }

  #next(): void {
    const at = this.#blocks * CRC_BYTES
    if (at === this.#sums.length) {
      this.#sums = Buffer.concat([this.#sums, Buffer.alloc(this.#sums.length)])
    }
    this.#sums.writeUInt32LE(this.#crc, at)
    this.#blocks += 1
    this.#crc = this.#seed
    this.#filled = 0
  }
}

/**
 * Which bytes of a blob of `size` are asked for (everything without a range), and `from` where `to`
 * the blocks are that have them. Throws RangeError.
 */
export function rangeIn(
  id: string,
  size: number,
  range: ByteRange | null,
): ByteRange & { readonly from: number; readonly to: number } {
  const { start, end } = range ?? { start: 0, end: size }
  if (start < 0 || start > end || end > size) {
    throw new RangeError(`bytes ${start} to ${end} of blob ${id}, which has ${size}`)
  }
  return { start, end, ...blocksOf({ start, end }, size) }
}

/** Where the blocks begin and end that have bytes of the range; nothing for an empty one. */
export function blocksOf(
  { start, end }: ByteRange,
  sizeBytes: number,
): { readonly from: number; readonly to: number } {
  if (start >= end) return { from: 0, to: 0 }
  const from = Math.floor(start / BLOCK_BYTES) * BLOCK_BYTES
  return { from, to: Math.min(sizeBytes, Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES) }
}

function blockCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES)
}

export function corrupt(id: string, what: string): MalleeError {
  return new MalleeError('DataCorrupt', `blob ${id} ${what}`)
}
