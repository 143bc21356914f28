// Disks of objects that break, fill up or go away under a gateway that runs: what is on them
// answers 503 and when to come again, everything else goes on, and nothing is left by half.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, mock, test } from 'node:test'
import { S3, type S3ServiceException } from '@aws-sdk/client-s3'
import { systemClock } from '../../common/clock.ts'
import { breakDisk } from '../gateway/s3/broken-disk.ts'
import { filesIn } from '../gateway/s3/storage-support.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'

const Bucket = 'disks'
const OBJECTS = 24
const BYTES = randomBytes(100_000)
/** More than a disk is left alone after an error. */
const RESTED_MS = 60_000

const end = lastFirst({ after })
const folder = await mkdtemp(join(tmpdir(), 'mallee-disks-'))
end.after(() => rm(folder, { recursive: true, force: true }))
const objectDirs = ['a', 'b', 'c'].map((name) => join(folder, name))
const [bad = '', ...others] = objectDirs
const cloud = await startCloud(end, { settings: { objectDirs } })
const s3 = new S3({
  endpoint: `http://127.0.0.1:${cloud.config.apiPort}`,
  region: cloud.init.region,
  credentials: cloud.init,
  maxAttempts: 1,
  forcePathStyle: true,
})
end.after(async () => s3.destroy())
await s3.createBucket({ Bucket })
await s3.putObject({ Bucket, Key: 'small', Body: 'in the index' })
const keys = Array.from({ length: OBJECTS }, (_, i) => `k${i}`)
for (const Key of keys) await s3.putObject({ Bucket, Key, Body: BYTES })

/** Null when it was done. What is refused is refused as S3 does. */
async function refusal(call: Promise<unknown>): Promise<S3ServiceException | null> {
  const error = await call.then(
    () => null,
    (thrown: S3ServiceException) => thrown,
  )
  if (error === null) return null
  const { name, $metadata, $response } = error
  assert.deepEqual([name, $metadata.httpStatusCode], ['ServiceUnavailable', 503])
  assert.equal($response?.headers['retry-after'], '1')
  return error
}

async function get(Key: string): Promise<void> {
  const { Body } = await s3.getObject({ Bucket, Key })
  assert.ok(BYTES.equals(Buffer.from((await Body?.transformToByteArray()) ?? [])))
}

async function countRefused(calls: readonly (() => Promise<unknown>)[]): Promise<number> {
  let refused = 0
  for (const call of calls) if ((await refusal(call())) !== null) refused += 1
  return refused
}

async function stateOf(dir: string): Promise<string | undefined> {
  const call = { method: 'GET', path: '/v1/object-storage' } as const
  return (await cloud.local<{ disks: Record<string, string> }>(call)).disks[dir]
}

/** What needs no disk of blobs works all the time. */
async function checkIndex(): Promise<void> {
  const { Body } = await s3.getObject({ Bucket, Key: 'small' })
  assert.equal(await Body?.transformToString(), 'in the index')
  await s3.putObject({ Bucket, Key: 'small', Body: 'in the index' })
  assert.equal((await s3.listObjectsV2({ Bucket })).KeyCount, OBJECTS + 1)
  for (const Key of keys)
    assert.equal((await s3.headObject({ Bucket, Key })).ContentLength, 100_000)
}

const puts = keys.map((Key) => () => s3.putObject({ Bucket, Key, Body: BYTES }))
const gets = keys.map((Key) => () => get(Key))

let laterMs = 0
const { nowMs } = systemClock
mock.method(systemClock, 'nowMs', () => nowMs() + laterMs)

/** The gateway's clock goes on at once. */
function rest(): void {
  laterMs += RESTED_MS
}

test('EIO on one disk of three harms nothing on the others', async (t) => {
  const on = (await filesIn([bad])).length
  assert.ok(on > 0 && on < OBJECTS)
  const broken = await breakDisk(t, bad, { code: 'EIO', calls: ['read', 'writev'] })
  assert.equal(await countRefused(gets), on)
  assert.equal(await stateOf(bad), 'failing')
  await checkIndex()
  assert.equal(await countRefused(puts), 0, 'it is left alone')
  assert.equal(await countRefused(gets), 0, 'all of them are on the others now')
  assert.equal((await filesIn([bad])).length, on)
  broken.mend()
  rest()
  assert.equal(await countRefused(puts), 0)
  assert.equal(await stateOf(bad), 'ok')
})

test('a disk that gets full refuses one write at most, and all of them every write', async (t) => {
  const files = (await filesIn(objectDirs)).length
  const full = [await breakDisk(t, bad, { code: 'ENOSPC', calls: ['writev'] })]
  const refused = await countRefused(puts)
  assert.ok(refused <= 1, `${refused} were refused`)
  for (const dir of others) {
    full.push(await breakDisk(t, dir, { code: 'ENOSPC', calls: ['writev'] }))
  }
  assert.equal(await countRefused(puts), OBJECTS)
  assert.equal((await filesIn(objectDirs)).length, files + OBJECTS - refused, 'nothing by half')
  await checkIndex()
  assert.equal(await countRefused(gets), 0)
  for (const one of full.toReversed()) one.mend()
  rest()
  assert.equal(await countRefused(puts), 0)
})

test('a disk that is away takes along what is on it, and brings it back', async () => {
  assert.equal(await stateOf(bad), 'ok')
  await rename(bad, `${bad}.away`)
  const away = await countRefused(gets)
  assert.ok(away > 0 && away < OBJECTS)
  assert.equal(await stateOf(bad), 'away')
  await checkIndex()
  await rename(`${bad}.away`, bad)
  rest()
  assert.equal(await countRefused(gets), 0)
})
