// The storage of objects as a gateway opens it: beside its store, with loops that say what they do.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { chance, randomHex, systemClock } from '../../../common/clock.ts'
import { type Log, silentLog } from '../../../common/log.ts'
import { createMetrics } from '../../../gateway/metrics.ts'
import { openObjectStorage } from '../../../gateway/s3/storage.ts'
import type { View } from '../../../gateway/store/state.ts'
import { until } from '../../../sandbox/until.ts'
import { startRedis } from '../../support/redis.ts'
import { small } from './index-support.ts'
import { bytesOf, written } from './storage-support.ts'

const BYTES = Buffer.alloc(100_000, 'x')

/** There are no targets of events. */
const NOTHING = { all: () => [], get: () => null } as unknown as View

/** Nothing is listened to, so that nothing ends. */
const NEVER = () => undefined

function unwanted(): never {
  throw new Error('there are no targets')
}

async function stateDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-storage-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

function parts(errors: unknown[] = []) {
  const log: Log = { ...silentLog, error: (event, fields) => errors.push([event, fields]) }
  const metrics = createMetrics()
  return {
    ...{ clock: systemClock, randomHex, chance, log, metrics, wishes: () => new Map() },
    ...{ state: { view: () => NOTHING, fresh: async () => NOTHING, onChange: () => NEVER } },
    openTarget: unwanted,
    racks: { names: () => [], open: () => null },
  }
}

test('objects are there again after a restart, counted, and their disk is fine', async (t) => {
  const dir = await stateDir(t)
  const config = {
    stateDir: dir,
    store: `sqlite:${join(dir, 'store.db')}`,
    objectDirs: [],
    objectEngine: '',
    lifecycleDayMs: 86_400_000,
  }
  const first = await openObjectStorage(config, parts())
  await first.index.put(await written({ blobs: first.blobsFor({}) }, 'large', BYTES), {
    versioning: 'off',
  })
  await first.index.put(small('small', 'four'), { versioning: 'off' })
  await first.close()
  assert.deepEqual((await readdir(dir)).filter((name) => !name.includes('-')).sort(), [
    'objects',
    'objects.db',
    'objects.db.lock',
  ])
  const errors: unknown[] = []
  const made = parts(errors)
  const second = await openObjectStorage(config, made)
  t.after(() => second.close())
  const version = await second.index.current('b0b0', 'large')
  assert.ok(
    version &&
      BYTES.equals(await bytesOf({ index: second.index, blobs: second.storeOf('local') }, version)),
  )
  await until('everything is counted', async () => {
    const { text } = await made.metrics.scrape()
    return /mallee_blobs 1\n/.test(text) && /mallee_object_disks\{state="ok"\} 1\n/.test(text)
  })
  const { text } = await made.metrics.scrape()
  for (const line of [
    'mallee_objects{in="index"} 1',
    'mallee_objects{in="blobs"} 1',
    'mallee_object_bytes{in="index"} 4',
    'mallee_object_bytes{in="blobs"} 100000',
    'mallee_object_garbage 0',
    'mallee_blobs_damaged 0',
    'mallee_orphaned_blobs_total 0',
  ]) {
    assert.ok(text.includes(`${line}\n`), line)
  }
  const report = await second.keeper.report()
  assert.deepEqual(report.disks, { [join(dir, 'objects')]: 'ok' })
  assert.equal(report.usage?.get('b0b0')?.objects, 2)
  assert.deepEqual(errors, [])
  assert.throws(() => second.storeOf('elsewhere'), { code: 'StoreUnavailable' })
})

test('over Redis the index has a namespace of its own', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const dir = await stateDir(t)
  const config = {
    stateDir: dir,
    store: `${redis.url}?namespace=two`,
    objectDirs: [join(dir, 'd')],
    objectEngine: '',
    lifecycleDayMs: 86_400_000,
  }
  const storage = await openObjectStorage(config, parts())
  await storage.index.put(small('small', 'four'), { versioning: 'off' })
  await storage.close()
  const keys = (await redis.command('KEYS', '*')) as string[]
  assert.ok(keys.includes('{two-objects}:kv'))
  assert.ok(keys.every((key) => key.startsWith('{two-objects}')))
  assert.ok((await readdir(join(dir, 'd'))).includes('disk.json'))
})
