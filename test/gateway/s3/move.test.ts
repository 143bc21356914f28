// A bucket moves from one store of bytes to another while it is read and written: all of it is
// there at any time, and nothing stays behind.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { READERS_GRACE_MS } from '../../../gateway/s3/index/garbage.ts'
import type { NewObject, Upload, UploadPart } from '../../../gateway/s3/index/objects.ts'
import { workOffGarbage } from '../../../gateway/s3/keeping/garbage.ts'
import { moveBucket } from '../../../gateway/s3/keeping/move.ts'
import { sqliteMaker } from '../store/stores.ts'
import { BUCKET, copyOf, small } from './index-support.ts'
import { bytesOf, filesIn, flip, look, twoStores, uploaded, written } from './storage-support.ts'

const BYTES = Buffer.alloc(100_000, 'moved')
const never = new AbortController().signal

const maker = await sqliteMaker()
after(() => maker.stop())

const want = ({ sizeBytes }: { sizeBytes: number }) => Buffer.alloc(sizeBytes, 'moved')

test('a bucket moves whole, and back, and what it was is garbage', async (t) => {
  const ground = await twoStores(t, await maker.make({ keep: 1 }))
  const { index, store, stores, clock, randomHex, dirs, other, pass } = ground
  await index.put(await written(ground, 'plain', BYTES), { versioning: 'off' })
  for (let i = 0; i < 3; i++) {
    await index.put(await written(ground, 'versions', BYTES), { versioning: 'enabled' })
  }
  await index.put(small('small', 'moved'), { versioning: 'off' })
  await uploaded(ground, 'parts', { bytes: BYTES, count: 25 })
  await index.put(
    { ...(await written(ground, 'k', BYTES)), bucket: 'other' },
    { versioning: 'off' },
  )
  const before = await look(ground, want)
  const parts = { store, blobs: stores, clock, randomHex, log: silentLog }
  const moved = await moveBucket(parts, BUCKET, 'engine', never)
  assert.deepEqual(moved, { blobs: 29, bytes: 29 * BYTES.length, failed: 0, trouble: null })
  assert.deepEqual(await moveBucket(parts, BUCKET, 'engine', never), {
    blobs: 0,
    bytes: 0,
    failed: 0,
    trouble: null,
  })
  assert.deepEqual(await look(ground, want), { keys: before.keys, where: new Set(['engine']) })
  assert.equal((await filesIn(dirs)).length, 30, 'readers have their time')
  pass(READERS_GRACE_MS)
  assert.equal((await workOffGarbage({ store, blobs: stores, clock, randomHex })).trouble, null)
  assert.equal((await filesIn(dirs)).length, 1, 'the one of the other bucket')
  assert.equal((await filesIn([other])).length, 29)
  await moveBucket(parts, BUCKET, 'local', never)
  assert.deepEqual(await look(ground, want), { keys: before.keys, where: new Set(['local']) })
  await assert.rejects(moveBucket(parts, BUCKET, 'moon', never), { code: 'StoreUnavailable' })
})

test('copies move each to a blob of its own, and what others share stays', async (t) => {
  const ground = await twoStores(t, await maker.make({ keep: 1 }))
  const { index, store, stores, clock, randomHex, dirs, other, pass } = ground
  const { version } = await index.put(await written(ground, 'k', BYTES), { versioning: 'off' })
  await index.put(copyOf(version, 'copy'), { versioning: 'off' })
  const away = { ...copyOf(version, 'k'), bucket: 'other' }
  await index.put(away, { versioning: 'off' })
  const { uploadId } = await index.uploads.create(small('twice', ''))
  const [part] = copyOf(version, 'twice').parts
  for (const number of [1, 2]) {
    await index.uploads.putPart(BUCKET, 'twice', uploadId, { ...(part ?? assert.fail()), number })
  }
  const build = (of: Upload, parts: readonly UploadPart[]): NewObject => {
    const { inline: _, ...object } = small(of.key, 'x')
    return { ...object, sizeBytes: 2 * BYTES.length, parts }
  }
  await index.uploads.complete(BUCKET, 'twice', uploadId, { versioning: 'off', build })
  assert.equal((await filesIn(dirs)).length, 1)
  const parts = { store, blobs: stores, clock, randomHex, log: silentLog }
  const moved = await moveBucket(parts, BUCKET, 'engine', never)
  assert.deepEqual([moved.blobs, moved.trouble], [4, null])
  // What was read before the move cannot be copied after it.
  await assert.rejects(index.put(copyOf(version, 'late'), { versioning: 'off' }), {
    code: 'Conflict',
  })
  const { keys, where } = await look(ground, want)
  assert.deepEqual([keys.length, ...where], [3, 'engine'])
  pass(READERS_GRACE_MS)
  const garbage = { store, blobs: stores, clock, randomHex }
  assert.equal((await workOffGarbage(garbage)).trouble, null)
  assert.deepEqual([(await filesIn(dirs)).length, (await filesIn([other])).length], [1, 4])
  const left = (await index.current('other', 'k')) ?? assert.fail()
  assert.ok(BYTES.equals(await bytesOf(ground, left)))
  for (const one of ['k', 'copy', 'twice', 'late']) {
    await index.remove(BUCKET, one, { versioning: 'off', versionId: null, owner: '' })
  }
  await index.remove('other', 'k', { versioning: 'off', versionId: null, owner: '' })
  pass(READERS_GRACE_MS)
  assert.equal((await workOffGarbage(garbage)).trouble, null)
  assert.deepEqual(await filesIn([...dirs, other]), [])
  assert.deepEqual((await store.list('')).entries, [])
})

test('what is locked is locked where it moves to', async (t) => {
  const ground = await twoStores(t, await maker.make({ keep: 1 }))
  const { index, store, stores, clock, randomHex } = ground
  const retention = { mode: 'COMPLIANCE', untilMs: clock.nowMs() + 60_000 } as const
  const object = { ...(await written(ground, 'k', BYTES)), retention, legalHold: true }
  const { version } = await index.put(object, { versioning: 'enabled' })
  const parts = { store, blobs: stores, clock, randomHex, log: silentLog }
  await moveBucket(parts, BUCKET, 'engine', never)
  assert.deepEqual((await look(ground, want)).where, new Set(['engine']))
  const { versionId } = version
  const moved = await index.version(BUCKET, 'k', versionId)
  assert.deepEqual([moved?.retention, moved?.legalHold], [retention, true])
  const removal = { versioning: 'enabled', owner: '', versionId } as const
  await assert.rejects(index.remove(BUCKET, 'k', removal), { code: 'NotAllowed' })
})

test('what is written and deleted while a bucket moves is as its writers left it', async (t) => {
  const ground = await twoStores(t, await maker.make({ keep: 1 }))
  const { index, store, stores, clock, randomHex, dirs, other, pass } = ground
  for (let i = 0; i < 40; i++)
    await index.put(await written(ground, `k${i}`, BYTES), { versioning: 'off' })
  const parts = { store, blobs: stores, clock, randomHex, log: silentLog }
  const rivals = Array.from({ length: 40 }, async (_, i) => {
    if (i % 3 === 0) await index.put(await written(ground, `k${i}`, BYTES), { versioning: 'off' })
    if (i % 3 === 1) {
      await index.remove(BUCKET, `k${i}`, { versioning: 'off', versionId: null, owner: '' })
    }
  })
  await Promise.all([moveBucket(parts, BUCKET, 'engine', never), ...rivals])
  await moveBucket(parts, BUCKET, 'engine', never)
  const { keys, where } = await look(ground, want)
  assert.equal(keys.length, 27)
  assert.deepEqual([...where], ['engine'])
  pass(READERS_GRACE_MS)
  await workOffGarbage({ store, blobs: stores, clock, randomHex })
  assert.deepEqual([(await filesIn(dirs)).length, (await filesIn([other])).length], [0, 27])
})

test('a damaged object stays where it is, and the others move', async (t) => {
  const ground = await twoStores(t, await maker.make({ keep: 1 }))
  const { index, store, stores, clock, randomHex, dirs, other } = ground
  for (const key of ['a', 'b'])
    await index.put(await written(ground, key, BYTES), { versioning: 'off' })
  const [file = ''] = await filesIn(dirs)
  await flip(file, 70_000)
  const parts = { store, blobs: stores, clock, randomHex, log: silentLog }
  const { blobs, failed } = await moveBucket(parts, BUCKET, 'engine', never)
  assert.deepEqual([blobs, failed, (await filesIn([other])).length], [1, 1, 1])
})
