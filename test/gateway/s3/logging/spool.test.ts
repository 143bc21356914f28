// What a gateway that died left of access logs is delivered, torn lines left out, and once.

import assert from 'node:assert/strict'
import { appendFile, copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { chance, randomHex, systemClock } from '../../../../common/clock.ts'
import { silentLog } from '../../../../common/log.ts'
import { keepAccessLogs, type LoggingParts } from '../../../../gateway/s3/logging/delivery.ts'
import { Spool } from '../../../../gateway/s3/logging/spool.ts'
import type { Sealing } from '../../../../gateway/s3/objects/encryption.ts'
import type { BucketRecord } from '../../../../gateway/store/bucket-records.ts'
import type { View } from '../../../../gateway/store/state.ts'
import { until } from '../../../../sandbox/until.ts'
import { type StoreMaker, sqliteMaker } from '../../store/stores.ts'
import { allVersions, BUCKET } from '../index-support.ts'
import { bytesOf, storageOver } from '../storage-support.ts'

const ACCOUNT = '111111111111'
const POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: {
    ...{ Effect: 'Allow', Principal: { Service: 'logging.s3.amazonaws.com' } },
    ...{ Action: 's3:PutObject', Resource: 'arn:aws:s3:::logs/*' },
  },
})
const OF = { account: ACCOUNT, rack: '', createdAtMs: 0, versioning: 'enabled' } as const
const BUCKETS: readonly BucketRecord[] = [
  { ...OF, name: 'logs', id: BUCKET, policy: { document: POLICY, principals: {} } },
  { ...OF, name: 'source', id: 's1', logging: { targetBucket: 'logs', targetPrefix: 'in/' } },
]

let maker: StoreMaker
before(async () => {
  maker = await sqliteMaker()
})
after(() => maker.stop())

async function groundOf(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-spool-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const ground = await storageOver(t, await maker.make())
  const counts = { delivered: 0, dropped: 0 }
  const view = {
    get: (_: string, name: string) => BUCKETS.find((one) => one.name === name) ?? null,
  } as unknown as View
  const parts: LoggingParts = {
    ...{ index: ground.index, blobsFor: () => ground.blobs, storeOf: () => ground.blobs },
    // Nothing is encrypted, so that no keys are asked for.
    sealing: { byDefault: false } as Sealing,
    ...{ state: { view: () => view, fresh: async () => view }, region: 'mallee-1' },
    ...{ dir, everyMs: 0, clock: systemClock, randomHex, chance, log: silentLog },
    metrics: {
      accessLogLines: (outcome, lines) => {
        counts[outcome] += lines
      },
    },
  }
  return { ...ground, dir, parts, counts }
}

const line = (text: string) => ({ bucketId: 's1', bucket: 'source', atMs: 0, text })

test('what a killed gateway had written is delivered by the next one', async (t) => {
  const { dir, parts, counts, index, blobs } = await groundOf(t)
  const spool = new Spool({ ...parts, everyMs: 1_000_000 })
  for (const text of ['one', 'two']) assert.ok(spool.add(line(text)))
  await spool.flush()
  assert.deepEqual(await readdir(dir), ['current'])
  await appendFile(join(dir, 'current'), '["s1","source",0,"torn')
  const next = keepAccessLogs(parts)
  t.after(() => next.stop())
  await until('it is delivered', () => counts.delivered === 2)
  const { entries } = await index.listVersions(BUCKET, allVersions())
  assert.equal(entries.length, 1)
  const [entry] = entries
  assert.ok(entry)
  assert.equal(String(await bytesOf({ index, blobs }, entry)), 'one\ntwo\n')
})

test('a file that is delivered again makes no second object, nor a second version', async (t) => {
  const { dir, parts, counts, index } = await groundOf(t)
  const spool = new Spool(parts)
  spool.add(line('one'))
  await spool.flush()
  const [sealed] = await spool.sealed()
  assert.ok(sealed)
  const kept = join(dir, 'kept')
  await copyFile(join(dir, sealed.name), kept)
  const first = keepAccessLogs(parts)
  await until('it is delivered', () => counts.delivered === 1)
  await first.stop()
  await copyFile(kept, join(dir, sealed.name))
  const second = keepAccessLogs(parts)
  t.after(() => second.stop())
  await until('it is delivered again', () => counts.delivered === 2)
  const { entries } = await index.listVersions(BUCKET, allVersions())
  assert.equal(entries.length, 1)
})

test('lines of a bucket that is another one now are dropped', async (t) => {
  const { parts, counts, index } = await groundOf(t)
  const spool = new Spool(parts)
  spool.add({ ...line('one'), bucketId: 'deleted' })
  await spool.flush()
  const logs = keepAccessLogs(parts)
  t.after(() => logs.stop())
  await until('it is dropped', () => counts.dropped === 1)
  assert.deepEqual((await index.listVersions(BUCKET, allVersions())).entries, [])
})
