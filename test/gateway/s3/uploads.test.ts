// Uploads in parts, over both stores: parts that are replaced, completed, repeated, given up.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type {
  NewObject,
  ObjectPart,
  Upload,
  UploadPart,
} from '../../../gateway/s3/index/objects.ts'
import { MAX_PARTS } from '../../../gateway/s3/index/uploads.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, blobOf, type IndexGround, indexOver, small } from './index-support.ts'

const PART_BYTES = 5 << 20
/** Parts that are put at a time. */
const TOGETHER = 500

for (const [name, makerOf] of [
  ['SQLite', sqliteMaker],
  ['Redis', redisMaker],
] as const) {
  describe(`uploads over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())
    const fresh = async (): Promise<IndexGround> => indexOver(await maker.make({ keep: 1 }))

    test('parts come in any order, and are replaced', async () => {
      const { index, store } = await fresh()
      const { uploads } = index
      const { uploadId } = await uploads.create(upload('a'))
      for (const number of [2, 10_000, 1, 2]) {
        const taken = await uploads.putPart(BUCKET, 'a', uploadId, part(number))
        assert.equal(taken?.number, number)
      }
      const first = await uploads.parts(uploadId, { after: 0, limit: 2 })
      assert.deepEqual([first.entries.map(({ number }) => number), first.more], [[1, 2], true])
      const rest = await uploads.parts(uploadId, { after: 2, limit: 2 })
      assert.deepEqual([rest.entries.map(({ number }) => number), rest.more], [[10_000], false])
      const garbage = await store.list('garbage/')
      assert.equal(garbage.entries.length, 1, 'the first second part')
      assert.equal(await uploads.putPart(BUCKET, 'b', uploadId, part(1)), null)
      assert.equal(await uploads.putPart(BUCKET, 'a', 'no-such-upload', part(1)), null)
      await assert.rejects(uploads.putPart(BUCKET, 'a', uploadId, part(MAX_PARTS + 1)), RangeError)
    })

    test('a complete makes the object once, of the parts that it chooses', async () => {
      const { index } = await fresh()
      const { uploads } = index
      const { uploadId } = await uploads.create(upload('a'))
      for (const number of [1, 2, 3]) await uploads.putPart(BUCKET, 'a', uploadId, part(number))
      const complete = () => {
        const build = (of: Upload, parts: readonly UploadPart[]): NewObject =>
          whole(of, [parts[0], parts[2]] as UploadPart[])
        return uploads.complete(BUCKET, 'a', uploadId, { versioning: 'enabled', build })
      }
      const version = await complete()
      assert.deepEqual(
        version?.parts.map(({ number }) => number),
        [1, 3],
      )
      assert.equal(version?.partsCount, 2)
      assert.deepEqual(await index.current(BUCKET, 'a'), version)
      assert.equal(await uploads.get(BUCKET, 'a', uploadId), null)
      assert.equal(await uploads.putPart(BUCKET, 'a', uploadId, part(1)), null)
      assert.deepEqual(await complete(), version, 'a repeated call has the same answer')
      await index.put(small('a', 'x'), { versioning: 'enabled' })
      assert.equal(await complete(), null)
      assert.deepEqual(await index.version(BUCKET, 'a', version?.versionId ?? ''), version)
    })

    test('a complete that is refused leaves the upload, and a check is asked', async () => {
      const { index } = await fresh()
      const { uploads } = index
      const { uploadId } = await uploads.create(upload('a'))
      await uploads.putPart(BUCKET, 'a', uploadId, part(1))
      await index.put(small('a', 'x'), { versioning: 'off' })
      const refuse = (): never => {
        throw new Error('refused')
      }
      const options = { versioning: 'off', build: whole } as const
      const tries = [{ build: refuse }, { check: refuse }, { build: short }]
      for (const one of tries) {
        const wrong = uploads.complete(BUCKET, 'a', uploadId, { ...options, ...one })
        await assert.rejects(wrong, /refused|pieces/)
      }
      assert.equal((await index.current(BUCKET, 'a'))?.etag, 'x')
      const done = await uploads.complete(BUCKET, 'a', uploadId, options)
      assert.equal(done?.etag, 'whole')
    })

    test('a part that is replaced while an upload completes is in the object or not at all', async () => {
      const { index } = await fresh()
      const { uploads } = index
      for (let round = 0; round < 10; round++) {
        const key = `k${round}`
        const { uploadId } = await uploads.create(upload(key))
        const before = await uploads.putPart(BUCKET, key, uploadId, part(1))
        const options = { versioning: 'off', build: whole } as const
        const [done, replaced] = await Promise.all([
          uploads.complete(BUCKET, key, uploadId, options),
          uploads.putPart(BUCKET, key, uploadId, part(1)),
        ])
        assert.deepEqual(done?.parts[0]?.blob, (replaced ?? before)?.blob)
      }
    })

    test(`an upload of ${MAX_PARTS} parts becomes one object`, async () => {
      const { index, store } = await fresh()
      const { uploads } = index
      const { uploadId } = await uploads.create(upload('a'))
      for (let n = 1; n <= MAX_PARTS; n += TOGETHER) {
        const numbers = Array.from({ length: TOGETHER }, (_, i) => n + i)
        await Promise.all(numbers.map((each) => uploads.putPart(BUCKET, 'a', uploadId, part(each))))
      }
      const options = { versioning: 'off', build: whole } as const
      const version = await uploads.complete(BUCKET, 'a', uploadId, options)
      assert.equal(version?.parts.length, MAX_PARTS)
      assert.deepEqual((await index.current(BUCKET, 'a'))?.parts, version?.parts)
      const { entries } = await index.list(BUCKET, { prefix: '', after: '', limit: 1 })
      assert.equal(entries[0]?.partsCount, MAX_PARTS)
      assert.ok(JSON.stringify(entries[0]).length < 1_000, 'a list reads no parts')
      const rows = (await store.list('manifest/')).entries.length
      assert.ok(rows > 1 && rows <= 10)
    })

    test('uploads are listed by key and age, and gone when they are given up', async () => {
      const { index, pass } = await fresh()
      const { uploads } = index
      const made: string[] = []
      for (const key of ['b', 'a', 'b', 'a/b']) {
        pass(1)
        made.push((await uploads.create(upload(key))).uploadId)
      }
      const [b, a, second, below] = made
      const found: [string, string][] = []
      for (let more = true; more; ) {
        const [afterKey, afterUpload] = found.at(-1) ?? ['', null]
        const page = await uploads.list(BUCKET, { prefix: '', afterKey, afterUpload, limit: 1 })
        found.push(...page.entries.map((one): [string, string] => [one.key, one.uploadId]))
        more = page.more
      }
      assert.deepEqual(found, [
        ['a', a],
        ['a/b', below],
        ['b', b],
        ['b', second],
      ])
      const after = { prefix: 'b', afterKey: 'b', afterUpload: null, limit: 10 }
      assert.deepEqual((await uploads.list(BUCKET, after)).entries, [])
      assert.equal(await uploads.abort(BUCKET, 'b', b ?? ''), true)
      assert.equal(await uploads.abort(BUCKET, 'b', b ?? ''), false)
      const rest = await uploads.list(BUCKET, { ...after, afterKey: '' })
      assert.deepEqual(
        rest.entries.map(({ uploadId }) => uploadId),
        [second],
      )
    })
  })
}

function upload(key: string) {
  return { bucket: BUCKET, key, owner: '111111111111', headers: {}, metadata: {} }
}

function part(number: number): ObjectPart {
  const etag = 'd41d8cd98f00b204e9800998ecf8427e'
  return { number, blob: blobOf(PART_BYTES), sizeBytes: PART_BYTES, etag }
}

function whole(of: Upload, parts: readonly UploadPart[]): NewObject {
  const { inline: _, ...object } = small(of.key, 'whole')
  return { ...object, sizeBytes: parts.length * PART_BYTES, parts }
}

function short(of: Upload, parts: readonly UploadPart[]): NewObject {
  return { ...whole(of, parts), sizeBytes: 1 }
}
