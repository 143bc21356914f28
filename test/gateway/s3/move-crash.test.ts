// The gateway dies at any step of a bucket's move to another store of bytes: every object is there
// byte for byte all the time, the next process ends the move, and all space comes back.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { openLocalBlobs } from '../../../common/blobs/local.ts'
import { silentLog } from '../../../common/log.ts'
import type { ObjectVersion } from '../../../gateway/s3/index/objects.ts'
import { workOffGarbage } from '../../../gateway/s3/keeping/garbage.ts'
import { type Moved, moveBucket } from '../../../gateway/s3/keeping/move.ts'
import { ORPHAN_AGE_MS, sweepOrphans } from '../../../gateway/s3/keeping/orphans.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, plain, small } from './index-support.ts'
import { mortalProcess } from './mortal.ts'
import {
  filesIn,
  look,
  type TwoStores,
  twoStores,
  uploaded,
  written,
  writtenAt,
} from './storage-support.ts'

const BLOB_BYTES = 100_000
const PART_COUNT = 2
/** Of the bucket: `plain`, two versions of `versions`, and the parts. */
const BLOBS = 3 + PART_COUNT
/** For one blob: its file is made, written, and synced with its folder. */
const STEPS_OF_BLOB = 4
/** It is committed, and somebody hears of it. */
const STEPS_OF_COMMIT = 2
const OBJECTS = 4
/** A move has not many more. */
const MAX_STEPS = 2 * (BLOBS * STEPS_OF_BLOB + OBJECTS * STEPS_OF_COMMIT)
/** In memory where there is such a folder: which bytes are synced is looked at by this test. */
const BELOW = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const never = new AbortController().signal

for (const [name, makerOf, isPowerCut] of [
  ['SQLite', () => sqliteMaker(BELOW), true],
  ['Redis', redisMaker, false],
] as const) {
  const how = isPowerCut ? 'a power cut' : 'a kill'
  describe(`${how} over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())

    test('at any step of a move harms no object, and the move ends later', async (t) => {
      const store = await maker.make({ keep: 1 })
      const process = await mortalProcess(t, await spareFolder(t))
      const ground = await filled(t, store)
      const { keys } = await look(ground, want)
      let from = { name: 'local', dir: `${ground.dirs[0]}` }
      let to = { name: 'engine', dir: ground.other }
      let [steps, isDone] = [0, false]
      for (; !isDone && steps < MAX_STEPS; steps++) {
        const where = `dead at step ${steps}`
        process.dieAt(steps)
        isDone = await move({ ...(await reopened(ground)), store: process.store(store) }, to.name)
        process.revive()
        if (isPowerCut) for (const { dir } of [from, to]) process.cutPower(dir)
        const next = await reopened(ground)
        assert.deepEqual((await look(next, want)).keys, keys, where)
        // Half of the bucket may be there, and the rest goes on; then nothing is left behind.
        assert.ok(await move(next, to.name), where)
        assert.deepEqual(await look(next, want), { keys, where: new Set([to.name]) }, where)
        await clean(next)
        assert.deepEqual(await filesIn([from.dir]), [], where)
        assert.equal((await filesIn([to.dir])).length, BLOBS, where)
        ;[from, to] = [to, from]
      }
      assert.ok(isDone && steps > BLOBS * STEPS_OF_BLOB, `${steps} steps`)
      await empty(await reopened(ground))
      assert.deepEqual((await store.list('')).entries, [])
    })
  })
}

async function spareFolder(t: TestContext): Promise<string> {
  const spare = await mkdtemp(join(BELOW, 'mallee-spare-'))
  t.after(() => rm(spare, { recursive: true, force: true }))
  return spare
}

async function filled(t: TestContext, store: Store): Promise<TwoStores> {
  const ground = await twoStores(t, store, { below: BELOW })
  const put = async (key: string, versioning: 'off' | 'enabled') =>
    await ground.index.put(await written(ground, key, bytesFor(key, BLOB_BYTES)), { versioning })
  await put('plain', 'off')
  for (let i = 0; i < 2; i++) await put('versions', 'enabled')
  await uploaded(ground, 'parts', { bytes: bytesFor('parts', BLOB_BYTES), count: PART_COUNT })
  await ground.index.put(small('small', 'small'), { versioning: 'off' })
  return ground
}

/** The length is a multiple of each key's: parts have the same bytes as the whole. */
function bytesFor(key: string, length: number): Buffer {
  return Buffer.alloc(length, key)
}

function want({ key, sizeBytes }: ObjectVersion): Buffer {
  return bytesFor(key, sizeBytes)
}

/** The next process over the same disks. */
async function reopened(ground: TwoStores): Promise<TwoStores> {
  const { clock, randomHex, dirs, other } = ground
  const parts = { clock, randomHex, log: silentLog }
  const known = `${other}.known.json`
  const blobs = await openLocalBlobs({ ...parts, name: 'local', dirs, known })
  const engine = await openLocalBlobs({ ...parts, name: 'engine', dirs: [other], known })
  return { ...ground, blobs, stores: new Map([blobs, engine].map((one) => [one.name, one])) }
}

/** Whether all of it is there now. */
async function move(ground: TwoStores, to: string): Promise<boolean> {
  const { store, stores: blobs, clock, randomHex } = ground
  const parts = { store, blobs, clock, randomHex, log: silentLog }
  const dead = (error: unknown): Pick<Moved, 'failed'> => {
    assert.match(String(error), /dead/)
    return { failed: 1 }
  }
  return (await moveBucket(parts, BUCKET, to, never).catch(dead)).failed === 0
}

async function clean(ground: TwoStores): Promise<void> {
  const { store, stores, clock, randomHex, dirs, other, pass } = ground
  await writtenAt(await filesIn([...dirs, other]), clock.nowMs())
  pass(ORPHAN_AGE_MS + 1)
  for (const blobs of stores.values()) {
    await sweepOrphans({ store, clock, randomHex, log: silentLog }, blobs, never)
  }
  assert.equal((await workOffGarbage({ store, blobs: stores, clock, randomHex })).trouble, null)
}

async function empty(ground: TwoStores): Promise<void> {
  for (const name of (await look(ground, want)).keys) {
    const [key = '', versionId = ''] = name.split(' ')
    await ground.index.remove(BUCKET, key, { ...plain('enabled'), versionId })
  }
  // Once more for the rows that condemn blobs.
  for (let i = 0; i < 2; i++) await clean(ground)
}
