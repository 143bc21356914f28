// The storage of objects keeps itself in order: space comes back, and no sooner than it may; what
// is damaged is found, and whose it is.

import assert from 'node:assert/strict'
import { rename, rm } from 'node:fs/promises'
import { after, before, describe, type TestContext, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { READERS_GRACE_MS } from '../../../gateway/s3/index/garbage.ts'
import type { NewObject, Upload, UploadPart } from '../../../gateway/s3/index/objects.ts'
import { countGarbage, workOffGarbage } from '../../../gateway/s3/keeping/garbage.ts'
import { ORPHAN_AGE_MS, sweepOrphans } from '../../../gateway/s3/keeping/orphans.ts'
import { damageOf, INDEX, lastRound, scrub } from '../../../gateway/s3/keeping/scrub.ts'
import { scrubIndex } from '../../../gateway/s3/keeping/scrub-index.ts'
import { measureUsage } from '../../../gateway/s3/keeping/usage.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, copyOf, plain, small } from './index-support.ts'
import {
  bytesOf,
  filesIn,
  flip,
  type StorageGround,
  storageOver,
  written,
  writtenAt,
} from './storage-support.ts'

const BYTES = Buffer.alloc(200_000, 'object')
const RESTED_MS = 60_000
const never = new AbortController().signal

for (const [name, makerOf] of [
  ['SQLite', sqliteMaker],
  ['Redis', redisMaker],
] as const) {
  describe(`storage over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())
    const fresh = async (t: TestContext, disks = 1): Promise<StorageGround> =>
      await storageOver(t, await maker.make({ keep: 1 }), { disks })

    test('bytes of a replaced object stay for its readers, and then go', async (t) => {
      const ground = await fresh(t)
      const { index, dirs, pass, stores, store, clock, randomHex } = ground
      const parts = { store, blobs: stores, clock, randomHex }
      const old = await index.put(await written(ground, 'a', BYTES), { versioning: 'off' })
      const reading = ground.blobs.read(old.version.parts[0]?.blob ?? assert.fail())
      await index.put(await written(ground, 'a', BYTES), { versioning: 'off' })
      pass(READERS_GRACE_MS - 1)
      assert.deepEqual(await workOffGarbage(parts), { entries: 0, blobs: 0, trouble: null })
      let bytes = 0
      for await (const chunk of reading) bytes += chunk.length
      assert.equal(bytes, BYTES.length)
      pass(1)
      assert.deepEqual(await workOffGarbage(parts), { entries: 1, blobs: 1, trouble: null })
      assert.equal((await filesIn(dirs)).length, 1)
      await index.remove(BUCKET, 'a', plain('off'))
      pass(READERS_GRACE_MS)
      await workOffGarbage(parts)
      assert.deepEqual(await filesIn(dirs), [])
      assert.deepEqual((await store.list('')).entries, [], 'not a row is left')
    })

    test('all parts of uploads go when they are given up, replaced, not chosen, or deleted', async (t) => {
      const ground = await fresh(t)
      const { index, dirs, pass, stores, store, clock, randomHex } = ground
      const { uploads } = index
      const begin = async (key: string, numbers: readonly number[]): Promise<string> => {
        const { uploadId } = await uploads.create(small(key, ''))
        for (const number of numbers) {
          const [part] = (await written(ground, key, BYTES)).parts
          assert.ok(part)
          await uploads.putPart(BUCKET, key, uploadId, { ...part, number })
        }
        return uploadId
      }
      const given = await begin('given-up', [1, 2])
      const done = await begin('done', [1, 2, 2, 3])
      assert.equal((await filesIn(dirs)).length, 6)
      assert.equal(await uploads.abort(BUCKET, 'given-up', given), true)
      const build = (of: Upload, all: readonly UploadPart[]): NewObject => {
        const { inline: _, ...object } = small(of.key, 'x')
        return { ...object, sizeBytes: 2 * BYTES.length, parts: all.slice(1) }
      }
      const version = await uploads.complete(BUCKET, 'done', done, { versioning: 'off', build })
      assert.ok(version)
      const parts = { store, blobs: stores, clock, randomHex }
      for (let pass = 0; pass < 2; pass++) {
        assert.equal((await workOffGarbage(parts)).trouble, null)
        assert.equal((await filesIn(dirs)).length, 2)
        assert.ok(Buffer.concat([BYTES, BYTES]).equals(await bytesOf(ground, version)))
      }
      await index.remove(BUCKET, 'done', plain('off'))
      pass(READERS_GRACE_MS)
      await workOffGarbage(parts)
      assert.deepEqual(await filesIn(dirs), [])
      assert.deepEqual((await store.list('')).entries, [])
    })

    test('garbage on a disk that is away waits for it, and other garbage does not', async (t) => {
      const ground = await fresh(t, 2)
      const { index, dirs, pass, stores, store, clock, randomHex } = ground
      const [first = ''] = dirs
      for (let i = 0; i < 30; i++) {
        const object = await written(ground, `${i}`, BYTES.subarray(0, 20_000))
        await index.put(object, { versioning: 'off' })
        await index.remove(BUCKET, `${i}`, plain('off'))
      }
      const on = (await filesIn([first])).length
      assert.ok(on > 0 && on < 30)
      pass(READERS_GRACE_MS)
      await rename(first, `${first}-away`)
      const parts = { store, blobs: stores, clock, randomHex }
      const worked = await workOffGarbage(parts)
      assert.match(String(worked.trouble), /gone|away/)
      assert.equal(await countGarbage(store, 1_000), on)
      await rename(`${first}-away`, first)
      pass(RESTED_MS)
      assert.deepEqual(await workOffGarbage(parts), { entries: on, blobs: on, trouble: null })
      assert.deepEqual(await filesIn(dirs), [])
    })

    test('a blob of nobody goes after a day, and no commit can have it then', async (t) => {
      const ground = await fresh(t)
      const { index, dirs, store, clock, randomHex, blobs, pass, stores } = ground
      const parts = { store, clock, randomHex, log: silentLog }
      const kept = await index.put(await written(ground, 'kept', BYTES), { versioning: 'off' })
      const late = await written(ground, 'late', BYTES)
      await writtenAt(await filesIn(dirs), clock.nowMs() - ORPHAN_AGE_MS)
      const young = await sweepOrphans(parts, blobs, never)
      assert.deepEqual([young.blobs, young.orphans], [2, 0])
      pass(1)
      const swept = await sweepOrphans(parts, blobs, never)
      assert.deepEqual([swept.orphans, swept.orphanBytes], [1, swept.bytes / 2])
      await assert.rejects(index.put(late, { versioning: 'off' }), { code: 'Conflict' })
      assert.equal(await index.current(BUCKET, 'late'), null)
      assert.ok(BYTES.equals(await bytesOf(ground, kept.version)))
      pass(ORPHAN_AGE_MS)
      await workOffGarbage({ store, blobs: stores, clock, randomHex })
      assert.equal((await store.list('blob/')).entries.length, 1, 'the row of the other one')
    })

    test('the scrubber finds what is damaged or gone, and forgets what is well again', async (t) => {
      const ground = await fresh(t)
      const { index, dirs, store, clock, randomHex, blobs } = ground
      const pace = async (): Promise<void> => undefined
      const parts = { store, clock, randomHex, log: silentLog, pace }
      const refs = new Map<string, string>()
      for (const key of ['well', 'rotten', 'gone', 'old']) {
        const object = await written(ground, key, BYTES)
        const { version } = await index.put(object, { versioning: 'off' })
        refs.set(key, version.parts[0]?.blob.id ?? '')
      }
      const fileOf = async (key: string): Promise<string> =>
        (await filesIn(dirs)).find((one) => one.endsWith(refs.get(key) ?? '-')) ?? assert.fail()
      const rotten = (await index.current(BUCKET, 'rotten')) ?? assert.fail()
      await index.put(copyOf(rotten, 'its copy'), { versioning: 'off' })
      await flip(await fileOf('rotten'), 100_000)
      await rm(await fileOf('gone'))
      const round = await scrub(parts, blobs)
      assert.deepEqual(
        [round.blobs, round.skipped, round.after],
        [4, 0, [...refs.values()].sort()[3]],
      )
      const damage = await damageOf(store, 'local')
      assert.deepEqual(damage.map(({ key }) => key).sort(), ['gone', 'its copy', 'rotten'])
      for (const { key, bucket, blob, what } of damage) {
        assert.deepEqual([bucket, blob], [BUCKET, refs.get(key) ?? refs.get('rotten')])
        assert.match(what, key === 'gone' ? /is not in/ : /damaged in block 1 /)
      }
      await flip(await fileOf('rotten'), 100_000)
      await index.put(await written(ground, 'gone', BYTES), { versioning: 'off' })
      await scrub(parts, blobs)
      const still = (await damageOf(store, 'local')).map(({ key }) => key)
      assert.deepEqual(still, ['gone'], 'its garbage is not worked off yet')
      ground.pass(READERS_GRACE_MS)
      await workOffGarbage({ ...parts, blobs: ground.stores })
      assert.deepEqual(await damageOf(store, 'local'), [])
    })

    test('a round of the scrubber goes on where it was', async (t) => {
      const ground = await fresh(t)
      const { index, store, clock, blobs } = ground
      for (let i = 0; i < 150; i++) {
        await index.put(await written(ground, `${i}`, BYTES.subarray(0, 10)), { versioning: 'off' })
      }
      let left = 120
      const seen: number[] = []
      const stop = new Error('the gateway stops')
      const pace = async (bytes: number): Promise<void> => {
        if (left-- === 0) throw stop
        seen.push(bytes)
      }
      await assert.rejects(scrub({ store, clock, log: silentLog, pace }, blobs), stop)
      assert.equal((await lastRound(store, 'local'))?.endedAtMs, null)
      assert.equal(seen.length, 120)
      await scrub({ store, clock, log: silentLog, pace }, blobs)
      assert.equal(seen.length, 170, 'the first 100 are not read again')
      assert.equal((await lastRound(store, 'local'))?.blobs, 150)
    })

    test('bytes in the index that changed are not given, and are found', async (t) => {
      const { index, store, clock } = await fresh(t)
      const rows: { key: string; value: string }[] = []
      for (const key of ['a', 'b', 'well', 'old']) {
        await index.put(small(key, `${key} ${key}`), { versioning: 'enabled' })
        const all = (await store.list('inline/')).entries
        rows.push(all.find((one) => !rows.some((row) => row.key === one.key)) ?? assert.fail())
      }
      const [a, b, , old] = rows
      assert.ok(a && b && old)
      // One in the place of another, one changed, and one from before there were checksums.
      const changed = b.value.replace(/.(?==*$)/, (last) => (last === 'A' ? 'Q' : 'A'))
      const bare = old.value.slice(old.value.indexOf(':') + 1)
      await store.txn(
        [],
        [
          { put: a.key, value: b.value },
          { put: b.key, value: changed },
          { put: old.key, value: bare },
        ],
      )
      for (const key of ['a', 'b']) {
        await assert.rejects(index.read(BUCKET, key, null), { code: 'DataCorrupt' })
      }
      const whole = await index.read(BUCKET, 'old', null)
      assert.equal(String(whole?.inline), 'old old')
      const pace = async (): Promise<void> => undefined
      const round = await scrubIndex({ store, clock, log: silentLog, pace })
      assert.equal(round.blobs, 4)
      const damage = await damageOf(store, INDEX)
      assert.deepEqual(damage.map(({ bucket, key }) => [bucket, key]).sort(), [
        [BUCKET, 'a'],
        [BUCKET, 'b'],
      ])
      await store.txn([], [{ put: a.key, value: a.value }, { del: b.key }])
      await scrubIndex({ store, clock, log: silentLog, pace })
      assert.deepEqual(await damageOf(store, INDEX), [])
    })

    test('usage counts every version once', async (t) => {
      const ground = await fresh(t)
      const { index, store, clock } = ground
      await index.put(small('plain', 'four'), { versioning: 'off' })
      for (const etag of ['1', '22']) await index.put(small('a', etag), { versioning: 'enabled' })
      await index.put(await written(ground, 'a', BYTES), { versioning: 'enabled' })
      await index.put(small('plain', 'fi'), { versioning: 'enabled' })
      await index.remove(BUCKET, 'plain', plain('enabled'))
      await index.put({ ...small('b', 'other'), bucket: 'b1' }, { versioning: 'off' })
      const usage = await measureUsage(store, clock, never)
      assert.deepEqual([...usage].sort(), [
        [BUCKET, counted(1, 4, 200_009, 4, 9)],
        ['b1', counted(1, 0, 5, 1, 5)],
      ])
    })
  })
}

function counted(
  objects: number,
  olderVersions: number,
  bytes: number,
  inlineObjects: number,
  inlineBytes: number,
) {
  return { objects, olderVersions, bytes, inlineObjects, inlineBytes }
}
