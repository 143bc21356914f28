// The gateway dies at any step of a write: what was acknowledged is there byte for byte, what was
// not is there whole or not at all, and all space comes back. Over both stores; with what the page
// cache held, and with what it had not given to the disk yet gone.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { READERS_GRACE_MS } from '../../../gateway/s3/index/garbage.ts'
import type { NewObject, Upload, UploadPart } from '../../../gateway/s3/index/objects.ts'
import { workOffGarbage } from '../../../gateway/s3/keeping/garbage.ts'
import { ORPHAN_AGE_MS, sweepOrphans } from '../../../gateway/s3/keeping/orphans.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { all, BUCKET, copyOf, indexOver, plain, small } from './index-support.ts'
import { mortalProcess } from './mortal.ts'
import {
  bytesOf,
  filesIn,
  type StorageGround,
  storageOver,
  written,
  writtenAt,
} from './storage-support.ts'

const KEY = 'k'
const OTHER = 'other'
const BLOB_BYTES = 200_000
/** Steps that nothing of these has more of. */
const MAX_STEPS = 100
/** In memory where there is such a folder: which bytes are synced is looked at by this test. */
const BELOW = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const never = new AbortController().signal

/** What the key holds: in the index when it begins with `i`, else in one blob or several. */
type Content = string | null

interface Act {
  readonly name: string
  readonly before: Content
  readonly after: Content
  /** What a write over a blob cannot do with fewer steps. */
  readonly atLeast: number
  readonly prepare?: (ground: StorageGround) => Promise<unknown>
  readonly run: (ground: StorageGround, prepared: string) => Promise<unknown>
}

const ACTS: readonly Act[] = [
  { name: 'a small PUT', before: null, after: 'i1', atLeast: 2, run: (on) => put(on, 'i1') },
  { name: 'a large PUT', before: null, after: 'b1', atLeast: 6, run: (on) => put(on, 'b1') },
  { name: 'a replacement', before: 'b1', after: 'b2', atLeast: 6, run: (on) => put(on, 'b2') },
  { name: 'a smaller one', before: 'b1', after: 'i2', atLeast: 2, run: (on) => put(on, 'i2') },
  {
    name: 'a delete',
    ...{ before: 'b1', after: null, atLeast: 2 },
    run: ({ index }) => index.remove(BUCKET, KEY, plain('off')),
  },
  {
    name: 'a part',
    ...{ before: 'i1', after: 'i1', atLeast: 6 },
    prepare: upload,
    run: (on, uploadId) => putPart(on, uploadId, 3),
  },
  {
    name: 'a complete',
    ...{ before: 'b1', after: 'c', atLeast: 2 },
    prepare: upload,
    run: ({ index }, uploadId) => {
      const build = (of: Upload, parts: readonly UploadPart[]): NewObject => {
        const { inline: _, ...object } = small(of.key, 'c')
        return { ...object, sizeBytes: 2 * BLOB_BYTES, parts: parts.slice(0, 2) }
      }
      return index.uploads.complete(BUCKET, KEY, uploadId, { versioning: 'off', build })
    },
  },
  {
    name: 'an abort',
    ...{ before: 'b1', after: 'b1', atLeast: 2 },
    prepare: upload,
    run: ({ index }, uploadId) => index.uploads.abort(BUCKET, KEY, uploadId),
  },
  {
    name: 'a pass over garbage',
    ...{ before: 'b2', after: 'b2', atLeast: 8 },
    prepare: async (on) => {
      const uploadId = await upload(on)
      await on.index.uploads.abort(BUCKET, KEY, uploadId)
      await put(on, 'b2')
      on.pass(READERS_GRACE_MS)
      return uploadId
    },
    run: workOff,
  },
  {
    name: 'a copy',
    ...{ before: 'b1', after: 'b2', atLeast: 2 },
    prepare: (on) => put(on, 'b2', OTHER),
    run: (on) => copy(on, OTHER, KEY),
  },
  {
    name: 'a copy over its source',
    ...{ before: 'b1', after: 'b1', atLeast: 2 },
    run: (on) => copy(on, KEY, KEY),
  },
  {
    name: 'a copied part',
    ...{ before: 'i1', after: 'i1', atLeast: 2 },
    prepare: async (on) => {
      await put(on, 'b2', OTHER)
      return await upload(on)
    },
    run: async ({ index }, uploadId) => {
      const version = (await index.current(BUCKET, OTHER)) ?? assert.fail()
      const [part] = copyOf(version, KEY).parts
      await index.uploads.putPart(BUCKET, KEY, uploadId, { ...(part ?? assert.fail()), number: 3 })
    },
  },
  {
    name: 'a delete of who had a blob first',
    ...{ before: 'b1', after: null, atLeast: 6 },
    prepare: (on) => copy(on, KEY, OTHER),
    run: removeAndWorkOff,
  },
  {
    name: 'a delete of a copy',
    ...{ before: 'b1', after: null, atLeast: 6 },
    prepare: async (on) => {
      await put(on, 'b1', OTHER)
      await copy(on, OTHER, KEY)
      on.pass(READERS_GRACE_MS)
      await workOff(on)
    },
    run: removeAndWorkOff,
  },
  {
    name: 'a delete of the last one that has a blob',
    ...{ before: 'b1', after: null, atLeast: 7 },
    prepare: async (on) => {
      await put(on, 'b1', OTHER)
      await copy(on, OTHER, KEY)
      await copy(on, KEY, KEY)
      await on.index.remove(BUCKET, OTHER, plain('off'))
      on.pass(READERS_GRACE_MS)
      await workOff(on)
    },
    run: removeAndWorkOff,
  },
  {
    name: 'a sweep of orphans',
    ...{ before: 'b1', after: 'b1', atLeast: 3 },
    prepare: async (on) => {
      await written(on, KEY, whole('b2'))
      await writtenAt(await filesIn(on.dirs), on.clock.nowMs())
      on.pass(ORPHAN_AGE_MS + 1)
      return ''
    },
    run: ({ store, clock, randomHex, blobs }) =>
      sweepOrphans({ store, clock, randomHex, log: silentLog }, blobs, never),
  },
]

for (const [name, makerOf, powerCuts] of [
  ['SQLite', () => sqliteMaker(BELOW), [false, true]],
  ['Redis', redisMaker, [true]],
] as const) {
  describe(`a death over ${name}`, () => {
    let maker: StoreMaker
    let spare: string
    before(async () => {
      maker = await makerOf()
      spare = await mkdtemp(join(BELOW, 'mallee-spare-'))
    })
    after(async () => {
      await maker.stop()
      await rm(spare, { recursive: true, force: true })
    })

    for (const isPowerCut of powerCuts) {
      for (const act of ACTS) {
        const how = isPowerCut ? 'a power cut' : 'a kill'
        test(`${how} at any step of ${act.name} leaves all or nothing`, async (t) => {
          const store = await maker.make({ keep: 1 })
          const process = await mortalProcess(t, spare)
          const ground = await storageOver(t, store, { below: BELOW })
          const mortalStore = process.store(store)
          let steps = 0
          for (; steps < MAX_STEPS; steps++) {
            await put(ground, act.before)
            const prepared = `${await act.prepare?.(ground)}`
            process.dieAt(steps)
            const dying = over(ground, mortalStore)
            const acknowledged = await act.run(dying, prepared).then(
              () => true,
              (error: unknown) => {
                assert.match(String(error), /dead/)
                return false
              },
            )
            process.revive()
            if (isPowerCut) for (const dir of ground.dirs) process.cutPower(dir)
            const where = `dead at step ${steps} of ${act.name}`
            await check(ground, acknowledged ? [act.after] : [act.before, act.after], where)
            await clean(ground, where)
            if (acknowledged) break
          }
          assert.ok(steps >= act.atLeast && steps < MAX_STEPS, `${steps} steps`)
        })
      }
    }
  })
}

/** The next process over the same disks, and another store. */
function over(ground: StorageGround, store: Store): StorageGround {
  return { ...ground, index: indexOver(store).index, store }
}

async function put(ground: StorageGround, content: Content, key = KEY): Promise<void> {
  if (content === null) return
  const object = content.startsWith('i')
    ? small(key, content)
    : await written(ground, key, whole(content))
  await ground.index.put({ ...object, etag: content }, { versioning: 'off' })
}

async function copy({ index }: StorageGround, from: string, to: string): Promise<void> {
  const version = (await index.current(BUCKET, from)) ?? assert.fail()
  await index.put(copyOf(version, to), { versioning: 'off' })
}

async function removeAndWorkOff(ground: StorageGround): Promise<void> {
  await ground.index.remove(BUCKET, KEY, plain('off'))
  ground.pass(READERS_GRACE_MS)
  await workOff(ground)
}

async function workOff({ store, stores, clock, randomHex }: StorageGround): Promise<void> {
  const { trouble } = await workOffGarbage({ store, blobs: stores, clock, randomHex })
  if (trouble !== null) throw trouble
}

async function upload(ground: StorageGround): Promise<string> {
  const { uploadId } = await ground.index.uploads.create(small(KEY, ''))
  for (const number of [1, 2, 3]) await putPart(ground, uploadId, number)
  return uploadId
}

async function putPart(ground: StorageGround, uploadId: string, number: number): Promise<void> {
  const [part] = (await written(ground, KEY, whole('c').subarray(0, BLOB_BYTES))).parts
  assert.ok(part)
  await ground.index.uploads.putPart(BUCKET, KEY, uploadId, { ...part, number })
}

function whole(content: string): Buffer {
  if (content.startsWith('i')) return Buffer.from(content)
  return Buffer.alloc((content === 'c' ? 2 : 1) * BLOB_BYTES, content)
}

async function check(
  ground: StorageGround,
  allowed: readonly Content[],
  where: string,
): Promise<void> {
  const version = await ground.index.current(BUCKET, KEY)
  const content = version?.etag ?? null
  assert.ok(allowed.includes(content), `${where}: ${content}`)
  for (const entry of (await ground.index.list(BUCKET, all())).entries) {
    const bytes = await bytesOf(ground, entry)
    assert.ok(whole(entry.etag).equals(bytes), `${where}: other bytes of ${entry.key}`)
  }
}

/** Deletes all that is there; then nothing is there. */
async function clean(ground: StorageGround, where: string): Promise<void> {
  const { index, store, clock, randomHex, blobs, dirs, pass } = ground
  for (const key of [KEY, OTHER]) await index.remove(BUCKET, key, plain('off'))
  const open = { prefix: '', afterKey: '', afterUpload: null, limit: 10 }
  for (const { uploadId } of (await index.uploads.list(BUCKET, open)).entries) {
    await index.uploads.abort(BUCKET, KEY, uploadId)
  }
  await writtenAt(await filesIn(dirs), clock.nowMs())
  for (let i = 0; i < 2; i++) {
    pass(ORPHAN_AGE_MS + 1)
    await sweepOrphans({ store, clock, randomHex, log: silentLog }, blobs, never)
    await workOff(ground)
  }
  assert.deepEqual(await filesIn(dirs), [], where)
  const rows = (await store.list('')).entries.map(({ key }) => key)
  assert.deepEqual(rows, [], where)
}
