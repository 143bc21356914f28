// The file of a blob on a disk (blob-format.ts): written once, each block checked when it is read.

import { type FileHandle, open } from 'node:fs/promises'
import {
  BLOCK_BYTES,
  BlockSums,
  checkBlocks,
  checkTable,
  corrupt,
  endOf,
  FOOTER_BYTES,
  readFooter,
} from './blob-format.ts'
import type { ByteRange } from './blobs.ts'

/** What goes to the disk, and what comes from it, at a time. */
const PIECE_BYTES = 1 << 20
/** Buffers of one write; the kernel takes 1,024 (IOV_MAX). */
const MAX_BUFFERS = 256

/**
 * Writes a new file and syncs its content, and its name by `syncName`. Returns how many bytes the
 * blob has. Throws what the file system or the iterable throws; the caller removes the file.
 */
export async function writeBlobFile(
  file: string,
  id: string,
  bytes: AsyncIterable<Uint8Array>,
  syncName: () => Promise<void>,
): Promise<number> {
  const handle = await open(file, 'wx', 0o600)
  // One piece is on its way to the disk while the next one arrives.
  let writing: Promise<void> = Promise.resolve()
  try {
    const sums = new BlockSums(id)
    let piece: Uint8Array[] = []
    let pieceBytes = 0
    let written = 0
    const flush = async (): Promise<void> => {
      await writing
      writing = writeAll(handle, piece, written)
      writing.catch(() => undefined)
      written += pieceBytes
      piece = []
      pieceBytes = 0
    }
    for await (const chunk of bytes) {
      if (chunk.length === 0) continue
      sums.add(chunk)
      piece.push(chunk)
      pieceBytes += chunk.length
      if (pieceBytes >= PIECE_BYTES || piece.length >= MAX_BUFFERS) await flush()
    }
    const sizeBytes = written + pieceBytes
    piece.push(...endOf(id, sizeBytes, sums.end()))
    await flush()
    await writing
    const synced = await Promise.allSettled([handle.datasync(), syncName()])
    for (const one of synced) if (one.status === 'rejected') throw one.reason
    return sizeBytes
  } finally {
    await writing.catch(() => undefined)
    await handle.close()
  }
}

/**
 * The bytes of a range, each block of it checked before a byte of it is given. Throws DataCorrupt
 * and what the file system throws.
 */
export async function* readBlobFile(
  file: string,
  { id, sizeBytes }: { readonly id: string; readonly sizeBytes: number | null },
  range: ByteRange | null,
): AsyncGenerator<Uint8Array> {
  const handle = await open(file, 'r')
  let ahead: Promise<Uint8Array> | null = null
  try {
    const { size, sums } = await readEnd(handle, id)
    if (sizeBytes !== null && size !== sizeBytes) {
      throw corrupt(id, `has ${size} bytes and not ${sizeBytes}`)
    }
    const { start, end } = range ?? { start: 0, end: size }
    if (start < 0 || start > end || end > size) {
      throw new RangeError(`bytes ${start} to ${end} of blob ${id}, which has ${size}`)
    }
    const stop = Math.min(size, Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES)
    const readAt = (at: number): Promise<Uint8Array> => {
      const reading = readPiece(handle, id, at, Math.min(PIECE_BYTES, stop - at))
      reading.catch(() => undefined)
      return reading
    }
    let at = Math.floor(start / BLOCK_BYTES) * BLOCK_BYTES
    if (at < end) ahead = readAt(at)
    while (ahead !== null) {
      const piece: Uint8Array = await ahead
      const next = at + piece.length
      ahead = next < stop ? readAt(next) : null
      checkBlocks(id, piece, at / BLOCK_BYTES, sums)
      yield piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at))
      at = next
    }
  } finally {
    await ahead?.catch(() => undefined)
    await handle.close()
  }
}

async function readPiece(
  handle: FileHandle,
  id: string,
  at: number,
  length: number,
): Promise<Uint8Array> {
  const piece = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(piece, filled, length - filled, at + filled)
    if (bytesRead === 0) throw corrupt(id, `ends at byte ${at + filled}`)
    filled += bytesRead
  }
  return piece
}

async function readEnd(handle: FileHandle, id: string): Promise<{ size: number; sums: Buffer }> {
  const { size: fileBytes } = await handle.stat()
  if (fileBytes < FOOTER_BYTES) throw corrupt(id, `is cut short at ${fileBytes} bytes`)
  const footer = await bytesAt(handle, id, fileBytes - FOOTER_BYTES, FOOTER_BYTES)
  const { size, tableBytes } = readFooter(id, footer, fileBytes)
  const sums = await bytesAt(handle, id, size, tableBytes)
  checkTable(id, sums, footer)
  return { size, sums }
}

async function bytesAt(
  handle: FileHandle,
  id: string,
  at: number,
  length: number,
): Promise<Buffer> {
  const piece = await readPiece(handle, id, at, length)
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
}

/** A disk that gets full takes a part of what it is given, and says so only in the result. */
async function writeAll(
  handle: FileHandle,
  buffers: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let left = buffers
  let at = position
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at)
    at += bytesWritten
    left = without(left, bytesWritten)
  }
}

function without(buffers: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let left = bytes
  for (const [i, buffer] of buffers.entries()) {
    if (left < buffer.length) return [buffer.subarray(left), ...buffers.slice(i + 1)]
    left -= buffer.length
  }
  return []
}
