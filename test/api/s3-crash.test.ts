// kill -9 of the gateway at every step of a write that a client asked for: the client hears nothing
// of it, what was acknowledged is there byte for byte, what was not is there whole or not at all,
// and all space comes back. Over both stores. Each of some 20 deaths costs a start of the gateway,
// two seconds of the processors.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { S3, type S3ServiceException } from '@aws-sdk/client-s3'
import { until } from '../../sandbox/until.ts'
import { filesIn } from '../gateway/s3/storage-support.ts'
import { type Ending, lastFirst, startCloud, type TestCloud } from '../support/cloud.ts'
import { startRedis } from '../support/redis.ts'

const MORTAL = import.meta.resolve('../support/mortal-gateway.ts')
const Bucket = 'crash'
const PART_BYTES = 5 << 20
const BLOB_BYTES = 100_000
/** More than the garbage of readers and the orphans of writers are left alone. */
const LATER_MS = 2 * 24 * 60 * 60_000
/** Steps that nothing of these has more of. */
const MAX_STEPS = 20
/** A file is made, written, and synced with its folder; the commit is before it and after it. */
const [FILE_STEPS, COMMIT_STEPS] = [4, 2]

/** Bytes by key; null: none. */
type Contents = Readonly<Record<string, string | null>>

interface Act {
  readonly name: string
  readonly before: Contents
  readonly after: Contents
  readonly atLeast: number
  readonly prepare?: (s3: S3) => Promise<string>
  readonly run: (s3: S3, prepared: string) => Promise<unknown>
}

const A = 'a'.repeat(BLOB_BYTES)
const B = 'b'.repeat(BLOB_BYTES)
const PARTS = ['p'.repeat(PART_BYTES), 'q'] as const

const LARGE_PUT: Act = {
  name: 'a PutObject over another one',
  ...{ before: { k: A }, after: { k: B }, atLeast: FILE_STEPS + COMMIT_STEPS },
  run: (s3) => s3.putObject({ Bucket, Key: 'k', Body: B }),
}
const SMALL_PUT: Act = {
  name: 'a PutObject of few bytes',
  ...{ before: { k: A }, after: { k: 'few' }, atLeast: COMMIT_STEPS },
  run: (s3) => s3.putObject({ Bucket, Key: 'k', Body: 'few' }),
}
const COMPLETE: Act = {
  name: 'a CompleteMultipartUpload',
  ...{ before: { k: A }, after: { k: PARTS.join('') }, atLeast: COMMIT_STEPS },
  prepare: async (s3) => {
    const { UploadId = '' } = await s3.createMultipartUpload({ Bucket, Key: 'k' })
    for (const [i, Body] of PARTS.entries()) {
      await s3.uploadPart({ Bucket, Key: 'k', UploadId, PartNumber: i + 1, Body })
    }
    return UploadId
  },
  run: async (s3, UploadId) => {
    const { Parts = [] } = await s3.listParts({ Bucket, Key: 'k', UploadId })
    const MultipartUpload = { Parts: Parts.map(({ ETag, PartNumber }) => ({ ETag, PartNumber })) }
    await s3.completeMultipartUpload({ Bucket, Key: 'k', UploadId, MultipartUpload })
  },
}
const DELETE: Act = {
  name: 'a DeleteObject',
  ...{ before: { k: A }, after: { k: null }, atLeast: COMMIT_STEPS },
  run: (s3) => s3.deleteObject({ Bucket, Key: 'k' }),
}
const DELETES: Act = {
  name: 'a DeleteObjects',
  ...{ before: { k: A, l: 'few' }, after: { k: null, l: null }, atLeast: COMMIT_STEPS },
  run: (s3) => s3.deleteObjects({ Bucket, Delete: { Objects: [{ Key: 'k' }, { Key: 'l' }] } }),
}

for (const [name, redis, acts] of [
  ['SQLite', false, [LARGE_PUT, SMALL_PUT, COMPLETE, DELETES]],
  ['Redis', true, [LARGE_PUT, DELETE]],
] as const) {
  describe(`a gateway over ${name}`, () => {
    let cloud: TestCloud
    let s3: S3
    const end = lastFirst({ after })
    before(async () => {
      cloud = await mortalCloud(end, redis)
      s3 = clientOf(end, cloud)
      await s3.createBucket({ Bucket })
    })

    for (const act of acts) {
      test(`that is killed at any step of ${act.name} does all of it or nothing`, async () => {
        let steps = 0
        for (; steps < MAX_STEPS; steps++) {
          for (const [Key, Body] of Object.entries(act.before)) {
            if (Body !== null) await s3.putObject({ Bucket, Key, Body })
          }
          const prepared = (await act.prepare?.(s3)) ?? ''
          await cloud.tell({ dieAt: steps })
          const isDone = await act.run(s3, prepared).then(
            () => true,
            (error: S3ServiceException) => {
              assert.equal(error.$metadata?.httpStatusCode, undefined, String(error))
              return false
            },
          )
          if (isDone) {
            await cloud.tell({ dieAt: -1 })
          } else {
            await cloud.ended()
            await cloud.start()
          }
          await check(s3, act, isDone, `killed at step ${steps}`)
          if (isDone) break
        }
        assert.ok(steps >= act.atLeast && steps < MAX_STEPS, `${steps} steps`)
      })
    }

    test('has only what its objects have, a day later', async () => {
      const disk = `${cloud.config.stateDir}/objects`
      assert.ok((await filesIn([disk])).length > 1)
      await empty(s3)
      await s3.putObject({ Bucket, Key: 'kept', Body: A })
      await cloud.stop()
      await cloud.start({ MORTAL_LATER_MS: `${LATER_MS}` })
      await until('all space is back', async () => (await filesIn([disk])).length === 1)
      await cloud.stop()
      await cloud.start()
      assert.equal(await contentOf(s3, 'kept'), A)
    })
  })
}

async function mortalCloud(end: Ending, isRedis: boolean): Promise<TestCloud> {
  const options = { child: true, preload: MORTAL }
  if (!isRedis) return await startCloud(end, options)
  const redis = await startRedis()
  end.after(() => redis.stop())
  return await startCloud(end, { ...options, store: redis.url })
}

function clientOf(end: Ending, { config, init }: TestCloud): S3 {
  const client = new S3({
    endpoint: `http://127.0.0.1:${config.apiPort}`,
    region: init.region,
    credentials: init,
    maxAttempts: 1,
    forcePathStyle: true,
  })
  end.after(async () => client.destroy())
  return client
}

async function contentOf(s3: S3, Key: string): Promise<string | null> {
  try {
    const { Body } = await s3.getObject({ Bucket, Key })
    return (await Body?.transformToString()) ?? ''
  } catch (error) {
    assert.equal((error as Error).name, 'NoSuchKey')
    return null
  }
}

async function check(s3: S3, act: Act, isDone: boolean, where: string): Promise<void> {
  const listed = (await s3.listObjectsV2({ Bucket })).Contents ?? []
  for (const [key, after] of Object.entries(act.after)) {
    const content = await contentOf(s3, key)
    const allowed = isDone ? [after] : [act.before[key], after]
    assert.ok(allowed.includes(content), `${where}: ${key} has other bytes`)
    const found = listed.find(({ Key }) => Key === key)
    assert.equal(found?.Size ?? null, content?.length ?? null, `${where}: ${key} in the list`)
  }
}

async function empty(s3: S3): Promise<void> {
  for (const { Key } of (await s3.listObjectsV2({ Bucket })).Contents ?? []) {
    await s3.deleteObject({ Bucket, Key })
  }
  for (const { Key, UploadId } of (await s3.listMultipartUploads({ Bucket })).Uploads ?? []) {
    await s3.abortMultipartUpload({ Bucket, Key, UploadId })
  }
}
