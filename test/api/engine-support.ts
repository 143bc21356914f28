// What every S3 engine must do for blobs: what is written comes back, nothing that changed is
// given, and nothing is left of what was not written to its end.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { S3 } from '@aws-sdk/client-s3'
import type { BlobRef, BlobStore, ByteRange } from '../../common/blobs/blobs.ts'
import { randomHex, systemClock } from '../../common/clock.ts'
import {
  audit,
  BELOW,
  bring,
  chunksOver,
  contentOf,
  sweepAll,
} from '../gateway/ebs/chunks/support.ts'
import { sqliteMaker } from '../gateway/store/stores.ts'

const BLOCK_BYTES = 64 << 10
const PART_BYTES = 8 << 20
const SIZES = [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 9]

export interface EngineUnderTest {
  readonly engine: BlobStore
  /** A client of the engine itself. */
  readonly s3: S3
  /** Where the engine's blobs are, and nothing else. */
  readonly Bucket: string
}

/** Registers the tests; each leaves the bucket as it was, but for uploads of others. */
export function testEngine({ engine, s3, Bucket }: EngineUnderTest): void {
  for (const size of SIZES) {
    test(`a blob of ${size} bytes comes back, whole and in ranges`, async () => {
      const bytes = randomBytes(size)
      const ref = await engine.write(inPieces(bytes))
      assert.deepEqual({ ...ref, id: '' }, { store: 'engine', id: '', sizeBytes: size })
      assert.ok(bytes.equals(await allOf(engine, ref)))
      assert.equal(await engine.verify(ref.id), size)
      const edges = [0, 1, BLOCK_BYTES, PART_BYTES, size - 1, size]
      for (const start of edges.filter((one) => one >= 0 && one <= size)) {
        const end = Math.min(size, start + BLOCK_BYTES + 3)
        assert.ok(bytes.subarray(start, end).equals(await allOf(engine, ref, { start, end })))
      }
      await assert.rejects(allOf(engine, ref, { start: 0, end: size + 1 }), RangeError)
      assert.ok((await idsIn(engine)).includes(ref.id))
      await engine.delete(ref.id)
      await engine.delete(ref.id)
      assert.deepEqual(await idsIn(engine), [])
      await assert.rejects(allOf(engine, ref), { code: 'NotFound' })
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
      await assert.rejects(allOf(engine, ref), { code: 'DataCorrupt' })
    }
    await s3.putObject({ Bucket, Key, Body: stored.subarray(100) })
    await assert.rejects(allOf(engine, ref), { code: 'DataCorrupt' })
    await s3.copyObject({ Bucket, Key, CopySource: `${Bucket}/blobs/${other.id}` })
    await assert.rejects(allOf(engine, ref), { code: 'DataCorrupt' })
    for (const { id } of [ref, other]) await engine.delete(id)
  })

  test('snapshots lie there, shared and counted, and go with the last one', async (t) => {
    const maker = await sqliteMaker(BELOW)
    t.after(() => maker.stop())
    const ground = await chunksOver(t, await maker.make({ keep: 1 }), engine)
    const first = await bring(ground, 'snap-a', { 0: 1, 1500: 2 })
    const second = await bring(ground, 'snap-b', { 0: 3 }, first)
    assert.equal((await idsIn(engine)).length, 10, 'three blocks, three leaves, and the rest twice')
    await ground.snapshots.dropManifest('snap-a')
    assert.deepEqual(await contentOf(ground, second), { 0: 3, 1500: 2 })
    await audit(ground)
    await ground.snapshots.dropManifest('snap-b')
    await sweepAll(ground)
    assert.deepEqual(await idsIn(engine), [])
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
    assert.deepEqual(await idsIn(engine), [])
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
}

export async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000)
}

export async function allOf(engine: BlobStore, ref: BlobRef, range?: ByteRange): Promise<Buffer> {
  const got: Uint8Array[] = []
  for await (const chunk of engine.read(ref, range)) got.push(chunk)
  return Buffer.concat(got)
}

async function idsIn(engine: BlobStore): Promise<string[]> {
  const found: string[] = []
  for await (const { id } of engine.list()) found.push(id)
  return found
}
