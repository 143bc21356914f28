// The file of a blob as it is, for somebody elsewhere who checks it there: its end first, then the
// blocks of a range.

import { open } from 'node:fs/promises'
import { readPiece } from './blob-file.ts'
import { corrupt, FOOTER_BYTES, rangeIn, readFooter } from './blob-format.ts'
import type { ByteRange } from './blobs.ts'

/** What is read at a time. */
const PIECE_BYTES = 256 << 10

/**
 * First what follows the bytes (the CRCs and the footer), then the whole blocks of the range in
 * pieces that begin with a block. Throws DataCorrupt for a file without a footer, RangeError for a
 * range that the blob does not have, and what the file system throws.
 */
export async function* readRawFile(
  file: string,
  id: string,
  range: ByteRange,
): AsyncGenerator<Uint8Array> {
  const handle = await open(file, 'r')
  let ahead: Promise<Uint8Array> | null = null
  try {
    const { size: fileBytes } = await handle.stat()
    if (fileBytes < FOOTER_BYTES) throw corrupt(id, `is cut short at ${fileBytes} bytes`)
    const footerAt = fileBytes - FOOTER_BYTES
    const footer = Buffer.from(await readPiece(handle, id, footerAt, FOOTER_BYTES))
    const { size, tableBytes } = readFooter(id, footer, fileBytes)
    const { from, to } = rangeIn(id, size, range)
    yield await readPiece(handle, id, size, tableBytes + FOOTER_BYTES)
    const readAt = (at: number): Promise<Uint8Array> => {
      const reading = readPiece(handle, id, at, Math.min(PIECE_BYTES, to - at))
      reading.catch(() => undefined)
      return reading
    }
    if (from < to) ahead = readAt(from)
    for (let at = from; ahead !== null; ) {
      const piece: Uint8Array = await ahead
      at += piece.length
      ahead = at < to ? readAt(at) : null
      yield piece
    }
  } finally {
    await ahead?.catch(() => undefined)
    await handle.close()
  }
}
