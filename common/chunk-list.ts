// The chunk list of an image file: its size and the SHA-256 of each MiB of it. Whoever trusts the
// list's own digest can check every chunk by itself, from whomever it came.
//   16 bytes   magic
//    8 bytes   the file's size, big-endian
//   32 bytes   per chunk: its SHA-256, all zeros for a chunk of zeros, which is never sent

import { createHash, type Hash } from 'node:crypto'
import { MalleeError } from './errors.ts'

/** The last chunk of a file may be shorter. */
export const CHUNK_BYTES = 1 << 20
/** Of the largest file, 256 GiB. */
export const MAX_LIST_BYTES = 24 + (2 ** 38 / CHUNK_BYTES) * 32

const MAGIC = Buffer.from('MALLEE-CHUNKS-1\n', 'latin1')
const HEAD_BYTES = MAGIC.length + 8
const DIGEST_BYTES = 32
const NO_DIGEST = Buffer.alloc(DIGEST_BYTES)
const ZEROS = Buffer.alloc(CHUNK_BYTES)

export interface ChunkList {
  readonly sizeBytes: number
  readonly count: number
  /** As it lies on disk and goes over the wire. */
  readonly bytes: Uint8Array
  /** Of `bytes`, in hex. */
  readonly sha256: string
}

/** Makes a list of a file's bytes as they pass by. */
export class ChunkListMaker {
  readonly #digests: Buffer[] = []
  #sizeBytes = 0
  #filled = 0
  #zeros = true
  #hash: Hash = createHash('sha256')

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + CHUNK_BYTES - this.#filled)
      this.#hash.update(part)
      this.#zeros &&= isZeros(part)
      this.#filled += part.length
      at += part.length
      if (this.#filled === CHUNK_BYTES) this.#endChunk()
    }
    this.#sizeBytes += bytes.length
  }

  /** Nothing can be added after it. */
  end(): ChunkList {
    if (this.#filled > 0) this.#endChunk()
    const head = Buffer.alloc(HEAD_BYTES)
    MAGIC.copy(head)
    head.writeBigUInt64BE(BigInt(this.#sizeBytes), MAGIC.length)
    return parseChunkList(Buffer.concat([head, ...this.#digests]))
  }

  #endChunk(): void {
    const digest = this.#hash.digest()
    this.#digests.push(this.#zeros ? NO_DIGEST : digest)
    this.#hash = createHash('sha256')
    this.#filled = 0
    this.#zeros = true
  }
}

/** Throws ImageCorrupt for what is no list. */
export function parseChunkList(bytes: Uint8Array): ChunkList {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isHeaded = given.length >= HEAD_BYTES && given.subarray(0, MAGIC.length).equals(MAGIC)
  const sizeBytes = isHeaded ? Number(given.readBigUInt64BE(MAGIC.length)) : -1
  const count = Math.ceil(sizeBytes / CHUNK_BYTES)
  if (sizeBytes < 1 || given.length !== HEAD_BYTES + count * DIGEST_BYTES) {
    throw new MalleeError('ImageCorrupt', `${given.length} bytes are no chunk list`)
  }
  const sha256 = createHash('sha256').update(given).digest('hex')
  return { sizeBytes, count, bytes: given, sha256 }
}

export function isZeroChunk(list: ChunkList, index: number): boolean {
  return NO_DIGEST.equals(digestAt(list, index))
}

/** Bytes of a chunk: CHUNK_BYTES but for the last one. */
export function chunkLength({ sizeBytes }: ChunkList, index: number): number {
  return Math.min(CHUNK_BYTES, sizeBytes - index * CHUNK_BYTES)
}

/** The chunks in which so many bytes from an offset on are; at least one byte. */
export function chunksOf(offset: number, length: number): number[] {
  const first = Math.floor(offset / CHUNK_BYTES)
  const last = Math.floor((offset + length - 1) / CHUNK_BYTES)
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

/** Are these the bytes of that chunk? */
export function isChunk(list: ChunkList, index: number, bytes: Uint8Array): boolean {
  if (bytes.length !== chunkLength(list, index)) return false
  if (isZeroChunk(list, index)) return isZeros(bytes)
  return createHash('sha256').update(bytes).digest().equals(digestAt(list, index))
}

function digestAt({ bytes }: ChunkList, index: number): Uint8Array {
  const at = HEAD_BYTES + index * DIGEST_BYTES
  return bytes.subarray(at, at + DIGEST_BYTES)
}

function isZeros(bytes: Uint8Array): boolean {
  return ZEROS.subarray(0, bytes.length).equals(bytes)
}
