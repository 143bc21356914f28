// Reads the one file of a tar stream, as GNU tar and Python write it: names are not looked at,
// holes of GNU's old sparse format are filled (GNU tar manual, "Basic Tar Format", "Old GNU
// Format").

import { MalleeError } from '../../common/errors.ts'
import { ByteReader } from './byte-reader.ts'

const BLOCK = 512
/** Of GNU's long names and of pax, which come before the file. */
const MAX_EXTRAS = 8
const MAX_EXTRA_BYTES = 1 << 20
/** Zeros after the file: the end mark, filled up to whatever size of records. */
const MAX_TAIL_BYTES = 1 << 20
const ZEROS = Buffer.alloc(64 << 10)
const HEAD_SPARSE = { at: 386, count: 4, extendedAt: 482 }
const MORE_SPARSE = { at: 0, count: 21, extendedAt: 504 }
/** Runs of bytes between holes. */
const MAX_RUNS = 1_000_000

interface Run {
  readonly offset: number
  readonly length: number
}

/** What the stream holds besides the file, in bytes, is at most this. */
export const MAX_TAR_EXTRA_BYTES = MAX_EXTRAS * (MAX_EXTRA_BYTES + BLOCK) + MAX_TAIL_BYTES

/**
 * The bytes of the file. Throws BadArgument when there is not one regular file of that size, and
 * what the stream throws.
 */
export async function* untarOne(
  stream: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(stream)
  try {
    const { head, paxSize } = await fileHead(reader)
    const packed = paxSize ?? numberAt(head, 124, 12)
    const isSparse = head[156] === 'S'.charCodeAt(0)
    const runs = isSparse ? await sparseRuns(reader, head) : [{ offset: 0, length: packed }]
    const real = isSparse ? numberAt(head, 483, 12) : packed
    if (real !== sizeBytes) throw bad(`its file has ${real} bytes, the manifest says ${sizeBytes}`)
    if (runs.reduce((sum, { length }) => sum + length, 0) !== packed) throw bad('its holes are odd')
    let at = 0
    for (const { offset, length } of runs) {
      if (offset < at || offset + length > real) throw bad('its holes are odd')
      yield* zeros(offset - at)
      yield* reader.bytes(length)
      at = offset + length
    }
    yield* zeros(real - at)
    await skipTail(reader, (BLOCK - (packed % BLOCK)) % BLOCK)
  } finally {
    await reader.close()
  }
}

/** The header of the file, past what only says more about it. */
async function fileHead(reader: ByteReader): Promise<{ head: Buffer; paxSize: number | null }> {
  let paxSize: number | null = null
  for (let extras = 0; extras <= MAX_EXTRAS; extras++) {
    const head = await reader.take(BLOCK)
    checkHead(head)
    const type = String.fromCharCode(head[156] ?? 0)
    if (type === '0' || type === '\0' || type === 'S') return { head, paxSize }
    if (!'LKxg'.includes(type)) throw bad(`it holds a thing of the type ${JSON.stringify(type)}`)
    const length = numberAt(head, 124, 12)
    if (length > MAX_EXTRA_BYTES) throw bad(`it has a name of ${length} bytes`)
    const text = (await reader.take(Math.ceil(length / BLOCK) * BLOCK)).toString(
      'latin1',
      0,
      length,
    )
    if (type !== 'x') continue
    if (text.includes(' GNU.sparse.')) throw bad('its holes are in the format of pax')
    const size = /(?:^|\n)\d+ size=(\d{1,15})\n/.exec(text)?.[1]
    if (size !== undefined) paxSize = Number(size)
  }
  throw bad('it holds no file')
}

function checkHead(head: Buffer): void {
  let sum = 0
  for (const [i, byte] of head.entries()) sum += i >= 148 && i < 156 ? 32 : byte
  if (sum !== numberAt(head, 148, 8)) throw bad('it is no tar file')
}

async function sparseRuns(reader: ByteReader, head: Buffer): Promise<Run[]> {
  const runs: Run[] = []
  let [block, where] = [head, HEAD_SPARSE]
  for (;;) {
    for (let i = 0; i < where.count; i++) {
      const at = where.at + i * 24
      const [offset, length] = [numberAt(block, at, 12), numberAt(block, at + 12, 12)]
      // The last one, of no bytes, is where the file ends.
      if (length > 0) runs.push({ offset, length })
    }
    if (block[where.extendedAt] === 0) return runs
    if (runs.length > MAX_RUNS) throw bad(`it has more than ${MAX_RUNS} holes`)
    block = await reader.take(BLOCK)
    where = MORE_SPARSE
  }
}

/** Octal text, or the high bit set and big-endian bytes. */
function numberAt(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length)
  if (((field[0] ?? 0) & 0x80) !== 0) {
    const value = Number(field.readBigUInt64BE(length - 8))
    if (field[0] !== 0x80 || !Number.isSafeInteger(value)) throw bad('it has a number out of range')
    return value
  }
  const text = field
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trim()
  if (!/^[0-7]{0,12}$/.test(text)) throw bad('it has a number that is none')
  return text === '' ? 0 : Number.parseInt(text, 8)
}

async function skipTail(reader: ByteReader, padding: number): Promise<void> {
  await reader.take(padding)
  let tail = 0
  for await (const bytes of reader.rest()) {
    tail += bytes.length
    if (tail > MAX_TAIL_BYTES || bytes.some((byte) => byte !== 0)) {
      throw bad('something follows its file')
    }
  }
}

function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length) {
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length))
  }
}

function bad(why: string): MalleeError {
  return new MalleeError('BadArgument', `the bundle's tar file cannot be used: ${why}`)
}
