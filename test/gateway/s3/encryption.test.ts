// Encrypted bytes at rest: every range of every size is what was written, and what was changed,
// moved, left out or is of something else is noticed before a byte of it is given.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { BlobStore, ByteRange } from '../../../common/blobs/blobs.ts'
import { chance, randomHex } from '../../../common/clock.ts'
import { lend } from '../../../common/lent-bytes.ts'
import {
  CHUNK_BYTES,
  openBytes,
  plainSize,
  sealBytes,
  sealedSize,
} from '../../../gateway/s3/encryption/chunks.ts'
import { createDataKeys, customerKey, isProven } from '../../../gateway/s3/encryption/data-keys.ts'
import type { ObjectVersion } from '../../../gateway/s3/index/objects.ts'
import { MAX_INLINE_BYTES } from '../../../gateway/s3/index/writing.ts'
import { bytesOf, takeBytes, WHOLE } from '../../../gateway/s3/objects/bytes.ts'
import { newEncryption, type Sealing } from '../../../gateway/s3/objects/encryption.ts'
import type { S3Error } from '../../../gateway/s3/wire/error.ts'
import { inPieces } from './storage-support.ts'

const PLACE = { bucket: 'b', key: 'k', number: WHOLE }
const TAG_BYTES = sealedSize(0)
const BLOCK_BYTES = CHUNK_BYTES + TAG_BYTES

function cloudKey(): { id: string; key: ReturnType<typeof customerKey>['key'] } {
  return { id: randomHex(4), key: customerKey(randomBytes(32)).key }
}

const keys = createDataKeys(cloudKey(), randomHex)

async function joined(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const got: Uint8Array[] = []
  for await (const one of bytes) got.push(one)
  return Buffer.concat(got)
}

function sealed(bytes: Uint8Array, key: ReturnType<typeof cloudKey>['key'], piece = 5_000) {
  return joined(sealBytes(spoilt(inPieces(bytes, piece)), key))
}

/** What a store gives of a blob with these bytes, in pieces of odd sizes. */
function reading(stored: Uint8Array, asked: ByteRange[] = [], piece = 70_001) {
  return (range: ByteRange): AsyncIterable<Uint8Array> => {
    asked.push(range)
    return spoilt(inPieces(stored.subarray(range.start, range.end), piece))
  }
}

/** Pieces that are spoilt as soon as they are given back, as somebody else has them then. */
async function* spoilt(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const one of pieces) {
    const piece = Uint8Array.from(one)
    yield lend(piece, () => piece.fill(0xff))
  }
}

const refuse = (chunk: number): Error => new Error(`chunk ${chunk}`)

const AROUND = [0, 1, 2].flatMap((chunks) =>
  [-1, 0, 1].map((more) => Math.max(0, chunks * CHUNK_BYTES + more)),
)

test('any range of any size is what was encrypted, and only its chunks are read', async () => {
  const random = (below: number): number => Math.floor(chance() * below)
  const sizes = [...new Set(AROUND), ...Array.from({ length: 12 }, () => random(5 * CHUNK_BYTES))]
  for (const size of sizes) {
    const plain = randomBytes(size)
    const { key } = keys.fresh(PLACE, null)
    const stored = await sealed(plain, key, 1 + random(2 * CHUNK_BYTES))
    assert.equal(stored.length, sealedSize(size))
    assert.equal(plainSize(stored.length), size)
    assert.equal(size > 64 && stored.includes(plain.subarray(0, 32)), false)
    for (let round = 0; round < 8 && size > 0; round++) {
      const start = round === 0 ? 0 : random(size)
      const end = round === 0 ? size : start + 1 + random(size - start)
      const asked: ByteRange[] = []
      const read = reading(stored, asked, 1 + random(2 * BLOCK_BYTES))
      const got = await joined(openBytes(read, size, key, { start, end }, refuse))
      assert.ok(got.equals(plain.subarray(start, end)), `${start} to ${end} of ${size}`)
      const first = Math.floor(start / CHUNK_BYTES) * BLOCK_BYTES
      const last = Math.min(Math.ceil(end / CHUNK_BYTES) * BLOCK_BYTES, stored.length)
      assert.deepEqual(asked, [{ start: first, end: last }])
    }
  }
})

test('what was changed, moved, cut or is of another key is noticed, and not given', async () => {
  const size = 2 * CHUNK_BYTES + 100
  const plain = randomBytes(size)
  const { key } = keys.fresh(PLACE, null)
  const stored = await sealed(plain, key)
  const whole = { start: 0, end: size }
  const chunk = (at: number): Buffer => stored.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES)
  const turned = (at: number): Buffer => {
    const bytes = Buffer.from(stored)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
    return bytes
  }
  const twoChunks = await sealed(plain.subarray(0, 2 * CHUNK_BYTES), key)
  for (const [what, bytes, wrong, claimed = size] of [
    ['a bit of the first chunk', turned(7), 0],
    ['a bit of a tag', turned(BLOCK_BYTES - 1), 0],
    ['a bit of the second chunk', turned(BLOCK_BYTES + 9), 1],
    ['the last bit', turned(stored.length - 1), 2],
    ['two chunks in each other’s place', Buffer.concat([chunk(1), chunk(0), chunk(2)]), 0],
    ['a chunk twice', Buffer.concat([chunk(0), chunk(0), chunk(2)]), 1],
    ['no last chunk', stored.subarray(0, 2 * BLOCK_BYTES), 2],
    ['a cut last chunk', stored.subarray(0, -1), 2],
    ['a tag cut away', stored.subarray(0, 2 * BLOCK_BYTES + 3), 2],
    ['no last chunk and a size to fit', stored, 1, 2 * CHUNK_BYTES],
    ['the end of a shorter one', Buffer.concat([twoChunks, chunk(2)]), 1],
    ['another key', await sealed(plain, keys.fresh(PLACE, null).key), 0],
  ] as const) {
    const given: Uint8Array[] = []
    const range = { start: 0, end: claimed }
    const opening = async (): Promise<void> => {
      for await (const one of openBytes(reading(bytes), claimed, key, range, refuse)) {
        given.push(one)
      }
    }
    await assert.rejects(opening, { message: `chunk ${wrong}` }, what)
    const good = Buffer.concat(given)
    assert.ok(good.equals(plain.subarray(0, wrong * CHUNK_BYTES)), what)
  }
  assert.ok((await joined(openBytes(reading(stored), size, key, whole, refuse))).equals(plain))
})

test('a key opens for its place only, under its own master key, or with its own customer’s', () => {
  const customer = customerKey(randomBytes(32))
  for (const by of [null, customer]) {
    const { key, sealed: text } = keys.fresh(PLACE, by)
    assert.ok(keys.open(text, PLACE, by).equals(key))
    assert.doesNotMatch(text, new RegExp(key.export().toString('base64url')))
    for (const other of [{ bucket: 'c' }, { key: 'j' }, { number: WHOLE + 1 }]) {
      const opening = () => keys.open(text, { ...PLACE, ...other }, by)
      assert.throws(opening, { code: 'DataCorrupt', message: /is of something else$/ })
    }
    const [id, wrapped = ''] = text.split('.')
    const turned = wrapped.replace(/./, (first) => (first === 'A' ? 'B' : 'A'))
    for (const bad of [`${id}.`, `${id}.AAAA`, `${id}.${wrapped.slice(1)}`, `${id}.${turned}`]) {
      assert.throws(() => keys.open(bad, PLACE, by), { code: 'DataCorrupt' }, bad)
    }
  }
  const ofCustomer = keys.fresh(PLACE, customer).sealed
  const other = customerKey(randomBytes(32))
  assert.throws(() => keys.open(ofCustomer, PLACE, other), { code: 'DataCorrupt' })
  assert.throws(() => keys.open(ofCustomer, PLACE, null), { message: /the key customer, which is/ })
  const { sealed: text } = keys.fresh(PLACE, null)
  const elsewhere = createDataKeys(cloudKey(), randomHex)
  const message = `the key of part 1 of b/k is sealed with the key ${text.split('.')[0]}, which is not here`
  assert.throws(() => elsewhere.open(text, PLACE, null), { code: 'DataCorrupt', message })
})

test('a proof knows its key, and no two of one key are alike', () => {
  const bytes = randomBytes(32)
  const [one, same] = [customerKey(Buffer.from(bytes)), customerKey(Buffer.from(bytes))]
  const proofs = [keys.proofOf(one), keys.proofOf(one)]
  assert.notDeepEqual(proofs[0], proofs[1])
  for (const proof of proofs) {
    assert.ok(isProven(proof, same))
    assert.ok(!isProven(proof, customerKey(randomBytes(32))))
  }
})

test('a key’s bytes are wiped where it was made of them', () => {
  const bytes = randomBytes(32)
  const { key } = customerKey(bytes)
  assert.ok(bytes.equals(Buffer.alloc(32)))
  assert.ok(!key.export().equals(bytes))
})

for (const size of [0, 1, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1]) {
  test(`an object of ${size} bytes is kept encrypted and read again, but not when changed`, async () => {
    const plain = randomBytes(size)
    const dataKey = keys.fresh(PLACE, null)
    const held = new Map<string, Buffer>()
    const store: Pick<BlobStore, 'write' | 'read'> = {
      write: async (bytes) => {
        const stored = await joined(bytes)
        held.set('1', stored)
        return { store: 'held', id: '1', sizeBytes: stored.length }
      },
      read: ({ id }, range) => {
        if (range === undefined) throw new Error('all of it was asked for')
        return reading(held.get(id) ?? Buffer.alloc(0))(range)
      },
    }
    const taken = await takeBytes(store, inPieces(plain), dataKey)
    assert.equal(taken.sizeBytes, size)
    const { inline = null, ...kept } = taken
    assert.equal(inline?.length ?? 0, size > MAX_INLINE_BYTES ? 0 : size)
    const version = { ...PLACE, ...kept, encryption: { by: 'cloud' } } as unknown as ObjectVersion
    const parts = { storeOf: () => store as BlobStore, sealing: { keys } as Sealing }
    const read = (bytes: Uint8Array | null, range = { start: 0, end: size }) =>
      joined(bytesOf(parts, { version, inline: bytes }, range, null))
    assert.ok((await read(inline)).equals(plain))
    if (size === 0) return
    assert.ok((await read(inline, { start: 0, end: 1 })).equals(plain.subarray(0, 1)))
    const bytes = inline ?? held.get('1') ?? Buffer.alloc(0)
    bytes[0] = (bytes[0] ?? 0) ^ 1
    const code = 'DataCorrupt'
    await assert.rejects(read(inline), { code, message: /of b\/k is not what was encrypted$/ })
  })
}

const raw = randomBytes(32)
const given = {
  SSECustomerAlgorithm: 'AES256',
  SSECustomerKey: raw.toString('base64'),
  SSECustomerKeyMD5: customerKey(Buffer.from(raw)).md5,
}
const arrival = { sourceIp: '', userAgent: '', region: '', nowMs: 0 }

for (const [change, code, message] of [
  [{ SSECustomerAlgorithm: undefined }, 'InvalidArgument', /a valid encryption algorithm/],
  [{ SSECustomerAlgorithm: 'AES128' }, 'InvalidEncryptionAlgorithmError', /Supported value/],
  [{ SSECustomerKey: undefined }, 'InvalidArgument', /an appropriate secret key/],
  [{ SSECustomerKeyMD5: undefined }, 'InvalidArgument', /client calculated MD5/],
  [{ SSECustomerKeyMD5: 'AAAAAAAAAAAAAAAAAAAAAA==' }, 'InvalidArgument', /did not match/],
  [{ SSECustomerKey: raw.toString('hex') }, 'InvalidArgument', /The secret key was invalid/],
  [{ SSECustomerKey: raw.subarray(1).toString('base64') }, 'InvalidArgument', /key was invalid/],
  [{ SSECustomerKey: '' }, 'InvalidArgument', /The secret key was invalid/],
] as const) {
  test(`a customer’s key is refused with ${JSON.stringify(change)}`, () => {
    const input = { ...given, ...change }
    const sealing = { keys, byDefault: false, overHttp: false }
    const reading = () =>
      newEncryption(sealing, {}, { input, arrival: { ...arrival, secure: true } })
    assert.throws(reading, (error: S3Error) => {
      assert.equal(error.code, code)
      assert.match(error.message, message)
      assert.doesNotMatch(JSON.stringify(error), new RegExp(raw.toString('hex').slice(0, 20)))
      return true
    })
  })
}

test('a customer’s key comes over TLS, or the operator says that it need not', () => {
  for (const [secure, overHttp, isTaken] of [
    [true, false, true],
    [false, true, true],
    [false, false, false],
  ] as const) {
    const call = { input: given, arrival: { ...arrival, secure } }
    const reading = () => newEncryption({ keys, byDefault: false, overHttp }, {}, call)
    if (isTaken) assert.equal(reading().customer?.md5, given.SSECustomerKeyMD5)
    else assert.throws(reading, { code: 'InvalidRequest', message: /over a secure connection/ })
  }
})
