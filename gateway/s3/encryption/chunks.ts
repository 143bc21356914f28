// Bytes of objects as they are encrypted at rest: chunks of AES-256-GCM (NIST SP 800-38D), each of
// which can be read by itself. The nonce of a chunk is its number and whether it is the last one,
// as a key is used for one blob only: so none can be left out, moved, or come from elsewhere.

import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import type { ByteRange } from '../../../common/blobs/blobs.ts'
import { giveBack } from '../../../common/lent-bytes.ts'

const CIPHER = 'aes-256-gcm'
const TAG_BYTES = 16
const NONCE_BYTES = 12
/** A chunk with its tag: a block of a blob's file, so that reading one is reading the other. */
const SEALED_CHUNK_BYTES = 64 << 10
/** What is in a chunk, but for the last one. */
export const CHUNK_BYTES = SEALED_CHUNK_BYTES - TAG_BYTES

/** What so many bytes are when they are encrypted. Also nothing has one chunk. */
export function sealedSize(sizeBytes: number): number {
  return sizeBytes + TAG_BYTES * (lastChunkOf(sizeBytes) + 1)
}

/** The other way. */
export function plainSize(sealedBytes: number): number {
  return sealedBytes - TAG_BYTES * Math.max(1, Math.ceil(sealedBytes / SEALED_CHUNK_BYTES))
}

/** Encrypts with a key that nothing else was and will be encrypted with. */
export async function* sealBytes(
  bytes: AsyncIterable<Uint8Array>,
  key: KeyObject,
): AsyncGenerator<Uint8Array> {
  let number = 0
  let pieces: Uint8Array[] = []
  /** What has nothing left that is not in the next chunk. */
  let spent: Uint8Array[] = []
  let room = CHUNK_BYTES
  const seal = (isLast: boolean): Buffer[] => {
    const sealed = sealChunk(key, number++, isLast, pieces)
    for (const one of spent) giveBack(one)
    ;[pieces, spent, room] = [[], [], CHUNK_BYTES]
    return sealed
  }
  for await (const piece of bytes) {
    for (let at = 0; at < piece.length; ) {
      // A full one waits until it is known not to be the last.
      if (room === 0) yield* seal(false)
      const part = piece.subarray(at, at + room)
      pieces.push(part)
      room -= part.length
      at += part.length
    }
    spent.push(piece)
  }
  yield* seal(true)
}

/**
 * A range of what was encrypted, of `sizeBytes` in all; only the chunks that have some of it are
 * read. `refuse` makes the error for a chunk that is not as it was written; nothing of it is given.
 */
export async function* openBytes(
  read: (range: ByteRange) => AsyncIterable<Uint8Array>,
  sizeBytes: number,
  key: KeyObject,
  { start, end }: ByteRange,
  refuse: (chunk: number) => Error,
): AsyncGenerator<Uint8Array> {
  const last = lastChunkOf(sizeBytes)
  const to = Math.floor((end - 1) / CHUNK_BYTES)
  let number = Math.floor(start / CHUNK_BYTES)
  const range = {
    start: number * SEALED_CHUNK_BYTES,
    end: Math.min((to + 1) * SEALED_CHUNK_BYTES, sealedSize(sizeBytes)),
  }
  for await (const chunk of inChunks(read(range))) {
    const plain = openChunk(key, number, number === last, chunk)
    if (plain === null) throw refuse(number)
    const at = number * CHUNK_BYTES
    yield plain.subarray(Math.max(0, start - at), end - at)
    number++
  }
  if (number <= to) throw refuse(number)
}

/** One chunk that is all there is, with its tag behind it. At most CHUNK_BYTES. */
export function sealWhole(key: KeyObject, bytes: readonly Uint8Array[]): Buffer {
  return Buffer.concat(sealChunk(key, 0, true, bytes))
}

/** Null when it is not what was sealed. */
export function openWhole(key: KeyObject, sealed: Uint8Array): Buffer | null {
  return openChunk(key, 0, true, sealed)
}

function lastChunkOf(sizeBytes: number): number {
  return Math.max(0, Math.ceil(sizeBytes / CHUNK_BYTES) - 1)
}

/** In pieces, which nobody needs in one. */
function sealChunk(
  key: KeyObject,
  number: number,
  isLast: boolean,
  pieces: readonly Uint8Array[],
): Buffer[] {
  const cipher = createCipheriv(CIPHER, key, nonceOf(number, isLast), { authTagLength: TAG_BYTES })
  const sealed = pieces.map((piece) => cipher.update(piece))
  cipher.final()
  return [...sealed, cipher.getAuthTag()]
}

function openChunk(
  key: KeyObject,
  number: number,
  isLast: boolean,
  sealed: Uint8Array,
): Buffer | null {
  if (sealed.length < TAG_BYTES) return null
  const nonce = nonceOf(number, isLast)
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const plain = decipher.update(sealed.subarray(0, -TAG_BYTES))
  try {
    decipher.final()
    return plain
  } catch {
    plain.fill(0)
    return null
  }
}

function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeUIntBE(number, 5, 6)
  nonce[NONCE_BYTES - 1] = isLast ? 1 : 0
  return nonce
}

/**
 * Chunks as they are stored, from pieces that begin with one, and which are given back. The last
 * may be short. Each is good until the next one is asked for.
 */
async function* inChunks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let begun: Uint8Array[] = []
  let missing = SEALED_CHUNK_BYTES
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + missing)
      at += part.length
      missing -= part.length
      if (missing > 0) {
        // Outlives the piece that it is of.
        begun.push(Buffer.from(part))
        continue
      }
      yield begun.length === 0 ? part : Buffer.concat([...begun, part])
      begun = []
      missing = SEALED_CHUNK_BYTES
    }
    giveBack(piece)
  }
  if (begun.length > 0) yield Buffer.concat(begun)
}
