// Chunk lists: what they say of a file, and what is none.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  CHUNK_BYTES,
  ChunkListMaker,
  chunkLength,
  isChunk,
  isZeroChunk,
  parseChunkList,
} from '../../common/chunk-list.ts'

/** Data, a chunk of zeros, and a short end. */
const FILE = Buffer.concat([
  randomBytes(CHUNK_BYTES),
  Buffer.alloc(CHUNK_BYTES),
  randomBytes(1_000),
])

function listOf(bytes: Uint8Array, pieceBytes: number) {
  const maker = new ChunkListMaker()
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    maker.add(bytes.subarray(at, at + pieceBytes))
  }
  return maker.end()
}

test('a list is the same in whatever pieces its file comes', () => {
  const list = listOf(FILE, FILE.length)
  for (const piece of [777, 65_536, CHUNK_BYTES, CHUNK_BYTES + 1]) {
    assert.equal(listOf(FILE, piece).sha256, list.sha256)
  }
  assert.equal(list.sha256, createHash('sha256').update(list.bytes).digest('hex'))
  assert.deepEqual([list.sizeBytes, list.count], [FILE.length, 3])
  assert.deepEqual(parseChunkList(list.bytes), list)
})

test('it knows its chunks from other bytes, and which are zeros', () => {
  const list = listOf(FILE, FILE.length)
  for (let index = 0; index < list.count; index++) {
    const at = index * CHUNK_BYTES
    const chunk = FILE.subarray(at, at + chunkLength(list, index))
    assert.ok(isChunk(list, index, chunk))
    assert.equal(isZeroChunk(list, index), index === 1)
    const other = Buffer.from(chunk)
    other[500] = (other[500] ?? 0) ^ 1
    assert.ok(!isChunk(list, index, other))
    assert.ok(!isChunk(list, index, chunk.subarray(1)))
  }
})

test('what is no list is refused', () => {
  const { bytes } = listOf(FILE, FILE.length)
  const wrongMagic = Buffer.from(bytes)
  wrongMagic[0] = 0
  const empty = Buffer.from(bytes.subarray(0, 24))
  empty.writeBigUInt64BE(0n, 16)
  const huge = Buffer.from(bytes)
  huge.writeBigUInt64BE(2n ** 63n, 16)
  const wrong = [Buffer.alloc(0), bytes.subarray(0, 10), bytes.subarray(0, -1), wrongMagic]
  for (const one of [...wrong, Buffer.concat([bytes, Buffer.alloc(32)]), empty, huge]) {
    assert.throws(() => parseChunkList(one), { code: 'ImageCorrupt' })
  }
})
