// The file of a blob on a disk (blob-format.ts): written once, each block checked when it is read.

import { type FileHandle, open } from 'node:fs/promises'
import { giveBack, lend, PIECE_BYTES, putPiece, takePiece } from '../lent-bytes.ts'
import {
  BLOCK_BYTES,
  BlockSums,
  checkBlocks,
  checkTable,
  corrupt,
  endOf,
  FOOTER_BYTES,
  rangeIn,
  readFooter,
} from './blob-format.ts'
import type { ByteRange } from './blobs.ts'

/** What goes to the disk at a time. */
const WRITE_BYTES = 1 << 20
/** Buffers of one write; the kernel takes 1,024 (IOV_MAX). */
const MAX_BUFFERS = 256
/** What is written until the disk is told to begin: then the last sync does not take long. */
const SYNC_BYTES = 16 << 20
/** Such syncs of all writers at once: each holds a thread that others could write with. */
const MAX_EARLY_SYNCS = 2
/** Pieces that are read before they are asked for. */
const READS_AHEAD = 2
/** What is shorter gets a buffer of its own. */
const SMALL_BYTES = PIECE_BYTES >> 2

let earlySyncs = 0

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
  // One piece is on its way to the disk while the next one arrives, and one sync beside it.
  let writing: Promise<void> = Promise.resolve()
  let syncing: Promise<void> = Promise.resolve()
  try {
    const sums = new BlockSums(id)
    let piece: Uint8Array[] = []
    let [pieceBytes, written, synced] = [0, 0, 0]
    const flush = async (): Promise<void> => {
      await writing
      if (written - synced >= SYNC_BYTES && earlySyncs < MAX_EARLY_SYNCS) {
        await syncing
        syncing = syncEarly(handle)
        syncing.catch(() => undefined)
        synced = written
      }
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
      if (pieceBytes >= WRITE_BYTES || piece.length >= MAX_BUFFERS) await flush()
    }
    const sizeBytes = written + pieceBytes
    piece.push(...endOf(id, sizeBytes, sums.end()))
    await flush()
    await writing
    await syncing
    const ends = await Promise.allSettled([handle.datasync(), syncName()])
    for (const one of ends) if (one.status === 'rejected') throw one.reason
    return sizeBytes
  } finally {
    await Promise.allSettled([writing, syncing])
    await handle.close()
  }
}

async function syncEarly(handle: FileHandle): Promise<void> {
  earlySyncs += 1
  try {
    await handle.datasync()
  } finally {
    earlySyncs -= 1
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
  const ahead: Promise<Uint8Array>[] = []
  try {
    const { size, sums } = await readEnd(handle, id)
    if (sizeBytes !== null && size !== sizeBytes) {
      throw corrupt(id, `has ${size} bytes and not ${sizeBytes}`)
    }
    const { start, end, from, to } = rangeIn(id, size, range)
    let next = from
    for (let at = from; at < to; ) {
      while (next < to && ahead.length <= READS_AHEAD) {
        const reading = readPiece(handle, id, next, Math.min(PIECE_BYTES, to - next))
        reading.catch(() => undefined)
        ahead.push(reading)
        next += PIECE_BYTES
      }
      const piece: Uint8Array = (await ahead[0]) ?? new Uint8Array(0)
      checkBlocks(id, piece, at / BLOCK_BYTES, sums)
      void ahead.shift()
      const wanted = piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at))
      at += piece.length
      yield lend(wanted, () => giveBack(piece))
    }
  } finally {
    for (const one of await Promise.allSettled(ahead)) {
      if (one.status === 'fulfilled') giveBack(one.value)
    }
    await handle.close()
  }
}

/** What is given back of it goes into the pool again. Throws DataCorrupt where the file ends. */
export async function readPiece(
  handle: FileHandle,
  id: string,
  at: number,
  length: number,
): Promise<Uint8Array> {
  if (length < SMALL_BYTES) return await bytesAt(handle, id, at, length)
  const whole = takePiece()
  const piece = whole.subarray(0, length)
  await fill(handle, id, at, piece)
  return lend(piece, () => putPiece(whole))
}

async function fill(handle: FileHandle, id: string, at: number, piece: Uint8Array): Promise<void> {
  let filled = 0
  while (filled < piece.length) {
    const left = piece.length - filled
    const { bytesRead } = await handle.read(piece, filled, left, at + filled)
    if (bytesRead === 0) throw corrupt(id, `ends at byte ${at + filled}`)
    filled += bytesRead
  }
}

/** How many bytes the blob has, and what its footer vouches for: the CRC of each block. */
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
  const bytes = Buffer.allocUnsafeSlow(length)
  await fill(handle, id, at, bytes)
  return bytes
}

/**
 * A disk that gets full takes a part of what it is given, and says so only in the result. What was
 * lent goes back.
 */
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
  for (const buffer of buffers) giveBack(buffer)
}

function without(buffers: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let left = bytes
  for (const [i, buffer] of buffers.entries()) {
    if (left < buffer.length) return [buffer.subarray(left), ...buffers.slice(i + 1)]
    left -= buffer.length
  }
  return []
}
