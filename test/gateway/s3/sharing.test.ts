// Blobs that several objects refer to: a copy is refused or whole, whatever happens to its source
// at the same time, and the bytes go with the last one, whoever takes it away.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { READERS_GRACE_MS } from '../../../gateway/s3/index/garbage.ts'
import { createObjectIndex } from '../../../gateway/s3/index/object-index.ts'
import type { NewObject, Upload, UploadPart } from '../../../gateway/s3/index/objects.ts'
import { workOffGarbage } from '../../../gateway/s3/keeping/garbage.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, copyOf, plain, small } from './index-support.ts'
import { bytesOf, filesIn, type StorageGround, storageOver, written } from './storage-support.ts'

const BYTES = Buffer.alloc(100_000, 'shared')
const ROUNDS = 24
const off = { versioning: 'off' } as const

for (const [name, makerOf] of [
  ['SQLite', sqliteMaker],
  ['Redis', redisMaker],
] as const) {
  describe(`shared blobs over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())

    test('a copy is refused or whole while its source is deleted, replaced or copied', async (t) => {
      const ground = await storageOver(t, await maker.make({ keep: 1 }))
      const { index, store, clock, randomHex, dirs } = ground
      const second = createObjectIndex({ store, clock, randomHex })
      const outcomes = { refused: 0, whole: 0 }
      for (let i = 0; i < ROUNDS; i++) {
        const { version } = await index.put(await written(ground, 'k', BYTES), off)
        const itself = copyOf(version, 'k')
        const other = i % 3 === 1 ? await written(ground, 'k', BYTES.subarray(1)) : itself
        const rival = async (): Promise<unknown> =>
          i % 3 === 0 ? await index.remove(BUCKET, 'k', plain('off')) : await index.put(other, off)
        // The one that begins has a lead of some reads, and at last all the time that it needs.
        const lead = async (first: Promise<unknown>): Promise<void> => {
          if (i >= ROUNDS - 6) await first
          for (let reads = 0; reads < i >> 1; reads++) await store.get('nothing')
        }
        const runs = [rival, () => second.put(copyOf(version, 'copy'), off)]
        if (i % 2 === 0) runs.reverse()
        const begun = runs[0]?.() ?? assert.fail()
        begun.catch(() => undefined)
        await lead(begun)
        const results = await Promise.allSettled([begun, runs[1]?.()])
        await workOff(ground)
        const copy = await index.current(BUCKET, 'copy')
        const refusals = results.filter((one) => one.status === 'rejected')
        for (const { reason } of refusals) assert.equal(reason.code, 'Conflict')
        if (copy === null) assert.ok(refusals.length > 0)
        else assert.ok(BYTES.equals(await bytesOf(ground, copy)))
        outcomes[copy === null ? 'refused' : 'whole'] += 1
        for (const key of ['k', 'copy']) await index.remove(BUCKET, key, plain('off'))
      }
      assert.ok(outcomes.whole >= 3 && outcomes.refused >= 3)
      await workOff(ground)
      await mustBeBare(ground)
      assert.deepEqual(await filesIn(dirs), [])
    })

    test('the last ones are taken away by two gateways at once', async (t) => {
      const ground = await storageOver(t, await maker.make({ keep: 1 }))
      const { index } = ground
      const keys = Array.from({ length: 12 }, (_, i) => `k${i}`)
      const { version } = await index.put(await written(ground, 'k', BYTES), off)
      for (const key of keys) await index.put(copyOf(version, key), off)
      for (const key of ['k', ...keys.slice(1)]) await index.remove(BUCKET, key, plain('off'))
      await Promise.all([workOff(ground), workOff(ground)])
      const left = (await index.current(BUCKET, 'k0')) ?? assert.fail()
      assert.ok(BYTES.equals(await bytesOf(ground, left)))
      const more = await index.put(copyOf(left, 'k1'), off)
      await index.remove(BUCKET, 'k0', plain('off'))
      await Promise.all([workOff(ground), workOff(ground)])
      assert.ok(BYTES.equals(await bytesOf(ground, more.version)))
      await index.remove(BUCKET, 'k1', plain('off'))
      await Promise.all([workOff(ground), workOff(ground)])
      await mustBeBare(ground)
    })

    test('parts of one blob go each for itself', async (t) => {
      const ground = await storageOver(t, await maker.make({ keep: 1 }))
      const { index } = ground
      const { version } = await index.put(await written(ground, 'k', BYTES), off)
      const [part = assert.fail()] = copyOf(version, 'up').parts
      const { uploadId } = await index.uploads.create(small('up', ''))
      for (const number of [1, 1, 2, 3]) {
        await index.uploads.putPart(BUCKET, 'up', uploadId, { ...part, number })
      }
      const build = (of: Upload, parts: readonly UploadPart[]): NewObject => {
        const { inline: _, ...object } = small(of.key, 'x')
        return { ...object, sizeBytes: 2 * BYTES.length, parts: parts.slice(1) }
      }
      const made = await index.uploads.complete(BUCKET, 'up', uploadId, { ...off, build })
      await index.remove(BUCKET, 'k', plain('off'))
      await workOff(ground)
      const whole = Buffer.concat([BYTES, BYTES])
      assert.ok(whole.equals(await bytesOf(ground, made ?? assert.fail())))
      const second = { ...copyOf(made ?? assert.fail(), 'copy'), sizeBytes: BYTES.length }
      const { version: copy } = await index.put({ ...second, parts: second.parts.slice(1) }, off)
      await index.remove(BUCKET, 'up', plain('off'))
      await workOff(ground)
      assert.ok(BYTES.equals(await bytesOf(ground, copy)))
      const late = { ...second, key: 'late', parts: second.parts.slice(0, 1) }
      await assert.rejects(index.put(late, off), { code: 'Conflict' })
      await index.remove(BUCKET, 'copy', plain('off'))
      await workOff(ground)
      await mustBeBare(ground)
    })
  })
}

async function workOff({ store, stores, clock, randomHex, pass }: StorageGround): Promise<void> {
  pass(READERS_GRACE_MS)
  const { trouble } = await workOffGarbage({ store, blobs: stores, clock, randomHex })
  assert.equal(trouble, null)
}

async function mustBeBare({ store, dirs }: StorageGround): Promise<void> {
  assert.deepEqual((await store.list('')).entries, [])
  assert.deepEqual(await filesIn(dirs), [])
}
