// Blobs in an S3 engine: another cloud of ours stands for it. What is written comes back, nothing
// that changed is given, and nothing is left of what was not written to its end.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import type { BlobRef } from '../../common/blobs/blobs.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import { openEngine } from '../../gateway/s3/blobs/engine.ts'
import { parseEngineUrl } from '../../gateway/s3/blobs/engine-client.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'

const BLOCK_BYTES = 64 << 10
const PART_BYTES = 8 << 20
const SIZES = [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 9]

const cloud = await startCloud(lastFirst({ after }))
const { accessKeyId, secretAccessKey, region } = cloud.init
const s3 = new S3({
  endpoint: `http://127.0.0.1:${cloud.config.apiPort}`,
  region,
  credentials: { accessKeyId, secretAccessKey },
  forcePathStyle: true,
})
after(() => s3.destroy())
const Bucket = 'engine'
await s3.createBucket({ Bucket })
const secret = encodeURIComponent(secretAccessKey)
const host = `127.0.0.1:${cloud.config.apiPort}`
const address = parseEngineUrl(`http://${accessKeyId}:${secret}@${host}/${Bucket}?region=${region}`)
const engine = openEngine({ name: 'engine', address, clock: systemClock, randomHex })
after(() => engine.close())

for (const size of SIZES) {
  test(`a blob of ${size} bytes comes back, whole and in ranges`, async () => {
    const bytes = randomBytes(size)
    const ref = await engine.write(inPieces(bytes))
    assert.deepEqual({ ...ref, id: '' }, { store: 'engine', id: '', sizeBytes: size })
    assert.ok(bytes.equals(await all(ref)))
    assert.equal(await engine.verify(ref.id), size)
    const edges = [0, 1, BLOCK_BYTES, PART_BYTES, size - 1, size]
    for (const start of edges.filter((one) => one >= 0 && one <= size)) {
      const end = Math.min(size, start + BLOCK_BYTES + 3)
      assert.ok(bytes.subarray(start, end).equals(await all(ref, { start, end })))
    }
    await assert.rejects(all(ref, { start: 0, end: size + 1 }), RangeError)
    assert.ok((await ids()).includes(ref.id))
    await engine.delete(ref.id)
    await engine.delete(ref.id)
    assert.deepEqual(await ids(), [])
    await assert.rejects(all(ref), { code: 'NotFound' })
  })
}

test('a list goes over all pages, with times and sizes', async () => {
  const written = await Promise.all(
    Array.from({ length: 5 }, () => engine.write(inPieces(Buffer.from('x')))),
  )
  const found = []
  for await (const one of engine.list()) found.push(one)
  assert.deepEqual(found.map(({ id }) => id).sort(), written.map(({ id }) => id).sort())
  for (const { sizeBytes, writtenAtMs } of found) {
    assert.equal(sizeBytes, 1 + 4 + 32)
    assert.ok(Math.abs(writtenAtMs - systemClock.nowMs()) < 60_000)
  }
  for (const { id } of written) await engine.delete(id)
})

test('a blob that the engine changed is not given', async () => {
  const bytes = randomBytes(3 * BLOCK_BYTES)
  const ref = await engine.write(inPieces(bytes))
  const other = await engine.write(inPieces(bytes))
  const Key = `blobs/${ref.id}`
  const { Body } = await s3.getObject({ Bucket, Key })
  const stored = Buffer.from((await Body?.transformToByteArray()) ?? [])
  for (const at of [BLOCK_BYTES + 5, 3 * BLOCK_BYTES, stored.length - 1]) {
    const changed = Buffer.from(stored)
    changed[at] = (changed[at] ?? 0) ^ 1
    await s3.putObject({ Bucket, Key, Body: changed })
    await assert.rejects(all(ref), { code: 'DataCorrupt' })
  }
  await s3.putObject({ Bucket, Key, Body: stored.subarray(100) })
  await assert.rejects(all(ref), { code: 'DataCorrupt' })
  await s3.copyObject({ Bucket, Key, CopySource: `${Bucket}/blobs/${other.id}` })
  await assert.rejects(all(ref), { code: 'DataCorrupt' })
  for (const { id } of [ref, other]) await engine.delete(id)
})

test('what the writer throws comes through, and nothing is left', async () => {
  const trouble = new Error('the client went away')
  for (const pieces of [1, 200]) {
    async function* broken(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < pieces; i++) yield Buffer.alloc(BLOCK_BYTES)
      throw trouble
    }
    await assert.rejects(engine.write(broken()), trouble)
  }
  assert.deepEqual(await ids(), [])
  assert.equal((await s3.listMultipartUploads({ Bucket })).Uploads, undefined)
})

test('an upload that nobody ends is given up, and nothing of others', async () => {
  const keys = [`blobs/${randomHex(16)}`, `blobs/${randomHex(16)}`, 'blobs/other', 'elsewhere']
  for (const Key of keys) await s3.createMultipartUpload({ Bucket, Key })
  const left = async (): Promise<unknown[]> => {
    const { Uploads = [] } = await s3.listMultipartUploads({ Bucket })
    return Uploads.map(({ Key }) => Key)
  }
  await engine.abandon?.(systemClock.nowMs() - 60_000)
  assert.deepEqual(await left(), keys.toSorted())
  await engine.abandon?.(systemClock.nowMs() + 60_000)
  assert.deepEqual(await left(), ['blobs/other', 'elsewhere'])
})

test('an engine that is away or refuses says so without its secret', async () => {
  const ref = await engine.write(inPieces(Buffer.from('x')))
  const wrong = { ...address, secret: 'wrong' }
  const stranger = openEngine({ name: 'engine', address: wrong, clock: systemClock, randomHex })
  const refused = { code: 'StoreUnavailable', message: /answered SignatureDoesNotMatch/ }
  await assert.rejects(stranger.write(inPieces(Buffer.from('x'))), refused)
  stranger.close()
  await cloud.stop()
  await assert.rejects(all(ref), { code: 'StoreUnavailable', message: /ECONNREFUSED/ })
  await cloud.start()
  assert.equal((await all(ref)).toString(), 'x')
})

for (const text of ['', 'http://host/bucket', 'ftp://a:b@host/bucket', 'http://a:geheim@host/']) {
  test(`${text || 'an empty text'} is no address of an engine`, () => {
    assert.throws(
      () => parseEngineUrl(text),
      (error: Error) => !error.message.includes('geheim'),
    )
  })
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000)
}

async function all(ref: BlobRef, range?: { start: number; end: number }): Promise<Buffer> {
  const got: Uint8Array[] = []
  for await (const chunk of engine.read(ref, range)) got.push(chunk)
  return Buffer.concat(got)
}

async function ids(): Promise<string[]> {
  const found: string[] = []
  for await (const { id } of engine.list()) found.push(id)
  return found
}
