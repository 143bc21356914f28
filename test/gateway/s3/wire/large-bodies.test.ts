// Bodies that are hashed on threads, in pieces that are used again: what comes out is what went in,
// whatever the client's chunks are, and what does not fit is refused before the last byte.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { giveBack, PIECE_BYTES } from '../../../../common/lent-bytes.ts'
import { createBody } from '../../../../gateway/s3/wire/body.ts'
import type { ChecksumAlgorithm, S3Body } from '../../../../gateway/s3/wire/call.ts'
import { CHECKSUM_BYTES, startSum } from '../../../../gateway/s3/wire/checksums.ts'
import type { Expected } from '../../../../gateway/s3/wire/expected.ts'

const CHUNK_BYTES = 65_521
const MAX_BYTES = 5 * 2 ** 30
const BODY = randomBytes(3 * PIECE_BYTES + 1)
const OPEN: Expected = {
  ...{ sizeBytes: BODY.length, md5: null, algorithm: null, checksum: null, trailer: null },
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    // As a socket's: nobody else has them.
    yield Buffer.from(new Uint8Array(bytes.subarray(at, at + CHUNK_BYTES)).buffer)
  }
}

/** Gives each piece back as soon as it was looked at. */
async function taken({ bytes }: S3Body): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of bytes) {
    parts.push(Buffer.from(part))
    giveBack(part)
  }
  return Buffer.concat(parts)
}

async function sumOf(algorithm: ChecksumAlgorithm): Promise<string> {
  const sum = await startSum(algorithm)
  sum.update(BODY)
  return sum.base64()
}

const sha256 = createHash('sha256').update(BODY).digest('hex')
const md5Hex = createHash('md5').update(BODY).digest('hex')

for (const algorithm of Object.keys(CHECKSUM_BYTES) as ChecksumAlgorithm[]) {
  test(`a large body is kept with its ${algorithm}, and with a wrong one it is not`, async () => {
    const checksum = await sumOf(algorithm)
    const parts = {
      raw: chunksOf(BODY),
      proof: { kind: 'none' },
      isOurs: true,
      maxBytes: MAX_BYTES,
    } as const
    const body = createBody({ ...parts, expected: { ...OPEN, algorithm, checksum } })
    assert.ok(BODY.equals(await taken(body)))
    assert.deepEqual(body.sums(), { md5Hex, checksum: { algorithm, base64: checksum } })
    const wrong = Buffer.alloc(CHECKSUM_BYTES[algorithm]).toString('base64')
    const expected = { ...OPEN, algorithm, checksum: wrong }
    const other = createBody({ ...parts, raw: chunksOf(BODY), expected })
    await assert.rejects(taken(other), { code: 'BadDigest' })
  })
}

test('many large bodies at once do not get into each other’s pieces', async () => {
  const all = Array.from({ length: 12 }, async (_, n) => {
    const bytes = randomBytes(2 * PIECE_BYTES + n)
    const proof = { kind: 'sha256', hex: createHash('sha256').update(bytes).digest('hex') } as const
    const expected = { ...OPEN, sizeBytes: bytes.length }
    const body = createBody({
      raw: chunksOf(bytes),
      isOurs: true,
      proof,
      expected,
      maxBytes: MAX_BYTES,
    })
    assert.ok(bytes.equals(await taken(body)))
    assert.equal(body.sums().md5Hex, createHash('md5').update(bytes).digest('hex'))
  })
  await Promise.all(all)
})

const FIT = { ...OPEN, hex: sha256, maxBytes: MAX_BYTES }
for (const [what, parts, code] of [
  ['a signature of other bytes', { ...FIT, hex: '0'.repeat(64) }, 'XAmzContentSHA256Mismatch'],
  ['another Content-MD5', { ...FIT, md5: Buffer.alloc(16).toString('base64') }, 'BadDigest'],
  ['a byte too few', { ...FIT, sizeBytes: BODY.length + 1 }, 'IncompleteBody'],
  ['a byte too many', { ...FIT, sizeBytes: BODY.length - 1 }, 'IncompleteBody'],
  ['more than may come', { ...FIT, sizeBytes: null, maxBytes: PIECE_BYTES }, 'EntityTooLarge'],
] as const) {
  test(`a large body with ${what} is refused`, async () => {
    const { hex, maxBytes, ...expected } = parts
    const proof = { kind: 'sha256', hex } as const
    const body = createBody({ raw: chunksOf(BODY), isOurs: true, proof, expected, maxBytes })
    await assert.rejects(taken(body), { code })
    assert.throws(() => body.sums(), RangeError)
  })
}

test('who stops pulling a large body leaves the next one as it is', async () => {
  const parts = {
    proof: { kind: 'none' },
    expected: OPEN,
    isOurs: true,
    maxBytes: MAX_BYTES,
  } as const
  for await (const part of createBody({ ...parts, raw: chunksOf(BODY) }).bytes) {
    assert.ok(BODY.subarray(0, part.length).equals(part))
    break
  }
  assert.ok(BODY.equals(await taken(createBody({ ...parts, raw: chunksOf(BODY) }))))
})
