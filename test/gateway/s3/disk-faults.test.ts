// Faults of disks and of the process above them, real ones: kill -9, no room, and errors that a
// disk gives for what it cannot read or write.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openLocalBlobs } from '../../../common/blobs/local.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { createObjectIndex } from '../../../gateway/s3/index/object-index.ts'
import { workOffGarbage } from '../../../gateway/s3/keeping/garbage.ts'
import { ORPHAN_AGE_MS, sweepOrphans } from '../../../gateway/s3/keeping/orphans.ts'
import { damageOf, scrub } from '../../../gateway/s3/keeping/scrub.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import { sqliteMaker } from '../store/stores.ts'
import { breakDisk } from './broken-disk.ts'
import { BUCKET } from './index-support.ts'
import { bytesOf, filesIn, type StorageGround, storageOver, written } from './storage-support.ts'

const WRITER = fileURLToPath(import.meta.resolve('../../support/object-writer.ts'))
const FILLER = fileURLToPath(import.meta.resolve('../../support/object-disk-full.ts'))
const KILLS = 3
const STEPS_BEFORE_KILL = 60
const BYTES = Buffer.alloc(200_000, 'object')
const RESTED_MS = 60_000
const never = new AbortController().signal

async function folderOf(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-faults-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

test('kill -9 loses no object that was acknowledged, and leaves none by half', async (t) => {
  const dir = await folderOf(t)
  /** By key: what was acknowledged last, and what may have been done since. */
  const held = new Map<string, { done: string; begun: string | null }>()
  for (let round = 0; round < KILLS; round++) {
    await writeUntilKilled(dir, `${round}`, held)
    const ground = await openIn(dir, 0)
    for (const [key, { done, begun }] of held) {
      const version = await ground.index.current('b', key)
      const content = version?.etag ?? '-'
      assert.ok([done, begun].includes(content), `${key} is ${content}, not ${done} or ${begun}`)
      if (version !== null) {
        const want = Buffer.alloc(version.sizeBytes, content)
        assert.ok(want.equals(await bytesOf(ground, version)), `${key} has other bytes`)
      }
      held.set(key, { done: content, begun: null })
    }
    await ground.store.close()
  }
  // Space comes back: what is left are the blobs of what is there.
  const ground = await openIn(dir, 2 * ORPHAN_AGE_MS)
  const { index, store, clock, blobs, randomHex: hex } = ground
  const open = { prefix: '', afterKey: '', afterUpload: null, limit: 100 }
  for (const { key, uploadId } of (await index.uploads.list('b', open)).entries) {
    await index.uploads.abort('b', key, uploadId)
  }
  await sweepOrphans({ store, clock, randomHex: hex, log: silentLog }, blobs, never)
  const stores = new Map([['local', blobs]])
  assert.equal((await workOffGarbage({ store, blobs: stores, clock, randomHex })).trouble, null)
  const used: string[] = []
  for (const key of held.keys()) {
    const version = await index.current('b', key)
    used.push(...(version?.parts.map(({ blob }) => blob.id) ?? []))
  }
  const left = (await filesIn([join(dir, 'disk')])).map((file) => file.slice(-32))
  assert.deepEqual(left.sort(), used.sort())
  await store.close()
})

test('a full disk takes no blob by half, keeps a reserve, and works again with room', async (t) => {
  const { stdout } = await exec(
    ['unshare', '--mount', process.execPath, FILLER, await folderOf(t)],
    { timeoutMs: 30_000 },
  )
  const report = JSON.parse(stdout)
  assert.equal(report.refused, 'StoreFull')
  const { files, acknowledged } = report.atRefusal
  assert.ok(acknowledged >= 14, `${acknowledged} MiB of 16 were written`)
  assert.equal(files, acknowledged)
  assert.deepEqual([report.again, report.reserve], ['StoreFull', 'StoreFull'])
  assert.ok(report.leftBytes > 600_000, 'a twentieth of the disk, less what was written last')
  assert.equal(report.larger, 'StoreFull')
  assert.equal(report.afterLarger.files, report.before - 4)
  assert.equal(report.smaller, null)
})

test('EIO on one disk harms no object on another, and is reported by the scrubber', async (t) => {
  const maker = await sqliteMaker()
  t.after(() => maker.stop())
  const ground = await storageOver(t, await maker.make({ keep: 1 }), { disks: 2 })
  const { index, blobs, dirs, store, clock, pass } = ground
  const [bad = '', good = ''] = dirs
  const on = { [bad]: 0, [good]: 0 }
  for (let i = 0; i < 20; i++) {
    const object = await written(ground, `k${i}`, BYTES)
    await index.put(object, { versioning: 'off' })
  }
  const broken = await breakDisk(t, bad, { code: 'EIO', calls: ['read', 'writev'] })
  for (let i = 0; i < 20; i++) {
    const version = (await index.current(BUCKET, `k${i}`)) ?? assert.fail()
    const dir = (await filesIn([bad])).some((file) => file.endsWith(blobOf(version)))
    on[dir ? bad : good] = (on[dir ? bad : good] ?? 0) + 1
    const read = bytesOf(ground, version)
    if (dir) await assert.rejects(read, { code: 'StoreUnavailable', message: /EIO/ })
    else assert.ok(BYTES.equals(await read))
  }
  assert.ok((on[bad] ?? 0) > 0 && (on[good] ?? 0) > 0)
  assert.equal(blobs.disks()[bad], 'failing')
  const count = (await filesIn([bad])).length
  // New objects go to the other one, but for the one that finds out.
  pass(RESTED_MS)
  const tries = []
  for (let i = 0; i < 20; i++) tries.push(await blobs.write(pieces()).catch((error) => error))
  const failed = tries.filter((one) => one instanceof Error)
  assert.ok(failed.length <= 1)
  assert.equal((await filesIn([bad])).length, count, 'and leaves nothing')
  const parts = { store, clock, log: silentLog, pace: async () => undefined }
  await scrub(parts, blobs)
  const damage = await damageOf(store, 'local')
  assert.equal(damage.length, on[bad])
  assert.match(damage[0]?.what ?? '', /EIO/)
  broken.mend()
  pass(RESTED_MS)
  await scrub(parts, blobs)
  assert.deepEqual(await damageOf(store, 'local'), [])
})

function blobOf(version: { parts: readonly { blob: { id: string } }[] }): string {
  return version.parts[0]?.blob.id ?? '-'
}

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield BYTES
}

async function openIn(
  dir: string,
  laterMs: number,
): Promise<Omit<StorageGround, 'pass' | 'dirs' | 'stores'>> {
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs }
  const store = await openSqlite({ file: join(dir, 'objects.db'), log: silentLog, keep: 1 })
  const blobs = await openLocalBlobs({
    ...{ name: 'local', dirs: [join(dir, 'disk')], known: join(dir, 'known.json') },
    ...{ clock, randomHex, log: silentLog },
  })
  return { index: createObjectIndex({ store, clock, randomHex }), store, blobs, clock, randomHex }
}

async function writeUntilKilled(
  dir: string,
  round: string,
  held: Map<string, { done: string; begun: string | null }>,
): Promise<void> {
  const writer = spawn(process.execPath, [WRITER, dir, round], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = new Promise((resolve) => writer.once('exit', resolve))
  let steps = 0
  for await (const line of createInterface({ input: writer.stdout })) {
    const [key = '', content = ''] = line.split(' ')
    if (key !== 'ok') {
      held.set(key, { done: held.get(key)?.done ?? '-', begun: content })
      continue
    }
    steps += 1
    held.set(content, { done: held.get(content)?.begun ?? '', begun: null })
    if (steps === STEPS_BEFORE_KILL) writer.kill('SIGKILL')
  }
  await gone
  assert.ok(steps >= STEPS_BEFORE_KILL, `the writer ended after ${steps} steps`)
}
