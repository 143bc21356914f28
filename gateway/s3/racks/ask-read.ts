// Bytes of a blob from an SC. Nothing of what comes is believed: blocks are checked here, against
// CRCs that were made with the blob's id.

import {
  BLOCK_BYTES,
  blocksOf,
  checkBlocks,
  checkTable,
  corrupt,
  FOOTER_BYTES,
  fileBytesOf,
  readFooter,
} from '../../../common/blobs/blob-format.ts'
import type { BlobRef, ByteRange } from '../../../common/blobs/blobs.ts'
import { MAX_DATA_BYTES } from '../../../proto/storage.ts'
import { expect, send, type Turn, TurnPulse, wrong } from './turn.ts'

/** Throws as BlobStore.read, and RackAway. */
export async function* askRead(
  turn: Turn,
  { id, sizeBytes }: Pick<BlobRef, 'id' | 'sizeBytes'>,
  { start, end }: ByteRange,
): AsyncGenerator<Uint8Array> {
  const pulse = new TurnPulse(turn)
  let isWhole = false
  try {
    const value = { id, start: BigInt(start), end: BigInt(end) }
    await send(turn, { case: 'read', value })
    const sums = sumsIn(id, sizeBytes, (await expect(turn, pulse, 'blobEnd')).end)
    const { from, to } = blocksOf({ start, end }, sizeBytes)
    let at = from
    for await (const blocks of inBlocks(turn, pulse, to - from)) {
      checkBlocks(id, blocks, at / BLOCK_BYTES, sums)
      const wanted = blocks.subarray(Math.max(0, start - at), Math.min(blocks.length, end - at))
      at += blocks.length
      pulse.pause()
      yield wanted
      pulse.go()
    }
    await expect(turn, pulse, 'done')
    isWhole = true
  } finally {
    pulse.stop()
    // Its rest is for nobody.
    if (!isWhole) turn.lane.close()
  }
}

/** Whole blocks, `bytes` in all, of data that comes in pieces. */
async function* inBlocks(turn: Turn, pulse: TurnPulse, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes
  let held: Uint8Array[] = []
  let heldBytes = 0
  while (left > 0) {
    const data = await expect(turn, pulse, 'data')
    if (data.length === 0 || data.length > MAX_DATA_BYTES || heldBytes + data.length > left) {
      throw wrong(turn, `sent ${data.length} bytes where ${left - heldBytes} are left`)
    }
    held.push(data)
    heldBytes += data.length
    const whole = heldBytes === left ? left : heldBytes - (heldBytes % BLOCK_BYTES)
    if (whole === 0) continue
    const all = held.length === 1 ? data : Buffer.concat(held)
    held = whole === all.length ? [] : [all.subarray(whole)]
    heldBytes -= whole
    left -= whole
    yield all.subarray(0, whole)
  }
}

/** The CRC of each block. Throws DataCorrupt. */
function sumsIn(id: string, sizeBytes: number, given: Uint8Array): Buffer {
  const end = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
  const tableAt = end.length - FOOTER_BYTES
  if (tableAt < 0) throw corrupt(id, `has an end of ${end.length} bytes`)
  const footer = end.subarray(tableAt)
  const { tableBytes } = readFooter(id, footer, fileBytesOf(sizeBytes))
  if (tableBytes !== tableAt) throw corrupt(id, `has CRCs of ${tableAt} bytes, not ${tableBytes}`)
  // A copy: the message that it is part of may be gone before the last block has come.
  const sums = Buffer.from(end.subarray(0, tableAt))
  checkTable(id, sums, footer)
  return sums
}
