// What a gateway asks of an SC beside bytes to read. Answers are checked: the other end is another
// machine.

import { crc32 } from 'node:zlib'
import { fileBytesOf } from '../../../common/blobs/blob-format.ts'
import type { BlobRef, StoredBlob } from '../../../common/blobs/blobs.ts'
import { isBlobId } from '../../../common/blobs/disk.ts'
import type { BlobPage } from '../../../proto/gen/mallee/v1/storage_pb.js'
import { MAX_BLOB_BYTES } from '../../../proto/storage.ts'
import { away, expect, next, send, type Turn, TurnPulse, watched, wrong } from './turn.ts'

/** What is sent at a time. */
const CHUNK_BYTES = 256 << 10
/** From the last byte of a write until it is durable. */
const SYNC_MS = 120_000
const MAX_PAGE = 1_000

/**
 * Resolves when the bytes survive a power cut there. Throws what the iterable throws, StoreFull,
 * StoreUnavailable, RackAway; nothing is left then, or what is left is the sweep's.
 */
export function askWrite(
  turn: Turn,
  bytes: AsyncIterable<Uint8Array>,
): Promise<Pick<BlobRef, 'id' | 'sizeBytes'>> {
  return watched(turn, async (pulse) => {
    const { lane, clock } = turn
    await send(turn, { case: 'write', value: {} })
    // It may refuse while the bytes are on their way.
    const answered = expect(turn, pulse, 'written')
    answered.catch(() => undefined)
    const refused = new AbortController()
    answered.catch(() => refused.abort())
    let [size, sum] = [0, 0]
    for await (const chunk of pulse.pausedFor(bytes)) {
      for (let at = 0; at < chunk.length; at += CHUNK_BYTES) {
        const data = chunk.subarray(at, at + CHUNK_BYTES)
        if (refused.signal.aborted) await answered
        await send(turn, { case: 'data', value: data }).catch(() => answered)
        pulse.heard()
        sum = crc32(data, sum)
        size += data.length
      }
    }
    const end = { sizeBytes: BigInt(size), crc32: sum }
    await send(turn, { case: 'end', value: end }).catch(() => answered)
    const late = new AbortController()
    void clock.sleep(SYNC_MS, late.signal).then(() => {
      if (!late.signal.aborted) lane.close(away(turn, `is not done after ${SYNC_MS} ms`))
    })
    try {
      const { id, sizeBytes } = await answered
      if (isBlobId(id) && sizeBytes === BigInt(size)) return { id, sizeBytes: size }
      throw wrong(turn, `wrote ${sizeBytes} bytes as ${id} of ${size}`)
    } finally {
      late.abort()
    }
  })
}

/** Throws StoreUnavailable, RackAway. */
export async function askDelete(turn: Turn, id: string): Promise<void> {
  await watched(turn, async (pulse) => {
    await send(turn, { case: 'delete', value: { id } })
    await expect(turn, pulse, 'done')
  })
}

/** Throws as BlobStore.verify, and RackAway. */
export function askVerify(turn: Turn, id: string): Promise<number> {
  return watched(turn, async (pulse) => {
    await send(turn, { case: 'verify', value: { id } })
    const { sizeBytes } = await expect(turn, pulse, 'verified')
    return countIn(turn, sizeBytes, MAX_BLOB_BYTES)
  })
}

/** Throws StoreUnavailable, RackAway. */
export async function* askList(turn: Turn): AsyncGenerator<StoredBlob> {
  const pulse = new TurnPulse(turn)
  let isWhole = false
  try {
    await send(turn, { case: 'list', value: {} })
    for (;;) {
      const { body } = await next(turn, pulse)
      if (body.case === 'done') break
      if (body.case !== 'page') throw wrong(turn, `answered a list with ${body.case}`)
      pulse.pause()
      for (const { id, sizeBytes, writtenAtMs } of checkPage(turn, body.value)) {
        const size = countIn(turn, sizeBytes, fileBytesOf(MAX_BLOB_BYTES))
        yield { id, sizeBytes: size, writtenAtMs: Number(writtenAtMs) }
      }
      pulse.go()
    }
    isWhole = true
  } finally {
    pulse.stop()
    if (!isWhole) turn.lane.close()
  }
}

function checkPage(turn: Turn, { blobs }: BlobPage): BlobPage['blobs'] {
  if (blobs.length > MAX_PAGE) throw wrong(turn, `listed ${blobs.length} blobs at a time`)
  const bad = blobs.find(({ id }) => !isBlobId(id))
  if (bad === undefined) return blobs
  throw wrong(turn, `listed ${JSON.stringify(bad.id.slice(0, 64))}, which is no blob`)
}

function countIn(turn: Turn, given: bigint, most: number): number {
  if (given <= BigInt(most)) return Number(given)
  throw wrong(turn, `speaks of ${given} bytes, at most ${most} can be`)
}
