// A cloud whose objects are in an S3 engine (another cloud of ours stands for it): clients see none
// of it, also while a bucket moves.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { until } from '../../sandbox/until.ts'
import { lastFirst, startCloud, type TestCloud } from '../support/cloud.ts'

const Bucket = 'photos'
const ENGINE_BUCKET = 'engine'
const BYTES = randomBytes(1 << 20)
const KEYS = ['a', 'b', 'c']

const end = lastFirst({ after })
const far = await startCloud(end)
const farS3 = clientOf(far)
await farS3.createBucket({ Bucket: ENGINE_BUCKET })
const { accessKeyId, secretAccessKey, region } = far.init
const login = `${accessKeyId}:${encodeURIComponent(secretAccessKey)}`
const objectEngine = `http://${login}@127.0.0.1:${far.config.apiPort}/${ENGINE_BUCKET}?region=${region}`
const cloud = await startCloud(end, { objectEngine })
const s3 = clientOf(cloud)

function clientOf({ config, init }: TestCloud): S3 {
  const client = new S3({
    endpoint: `http://127.0.0.1:${config.apiPort}`,
    region: init.region,
    credentials: init,
    maxAttempts: 1,
    forcePathStyle: true,
  })
  after(() => client.destroy())
  return client
}

async function blobsAfar(): Promise<number> {
  return (await farS3.listObjectsV2({ Bucket: ENGINE_BUCKET })).Contents?.length ?? 0
}

async function garbage(): Promise<number> {
  const call = { method: 'GET', path: '/v1/object-storage' } as const
  return (await cloud.local<{ garbage: number }>(call)).garbage
}

async function check(): Promise<void> {
  for (const Key of KEYS) {
    const { Body } = await s3.getObject({ Bucket, Key })
    assert.ok(BYTES.equals(Buffer.from((await Body?.transformToByteArray()) ?? [])))
  }
}

test('objects are in the engine, move to the disks and back, and are whole all the time', async () => {
  await s3.createBucket({ Bucket })
  for (const Key of KEYS) await s3.putObject({ Bucket, Key, Body: BYTES })
  await s3.putObject({ Bucket, Key: 'small', Body: 'in the index' })
  assert.equal(await blobsAfar(), KEYS.length)
  await check()
  // What was in the engine stays an hour for its readers: whether it moved shows when that is away.
  await cloud.local({ method: 'PUT', path: `/v1/buckets/${Bucket}`, body: { store: 'local' } })
  await check()
  await until('everything has moved', async () => (await garbage()) === KEYS.length)
  await far.stop()
  await check()
  await s3.putObject({ Bucket, Key: 'a', Body: BYTES })
  await check()
  await far.start()
  await cloud.local({ method: 'PUT', path: `/v1/buckets/${Bucket}`, body: { store: 'engine' } })
  await until(
    'everything is in the engine again',
    async () => (await blobsAfar()) === 2 * KEYS.length,
  )
  await s3.putObject({ Bucket, Key: 'b', Body: BYTES })
  assert.equal(await blobsAfar(), 2 * KEYS.length + 1)
  await check()
})

test('an engine that is away makes objects in it fail, and no others', async () => {
  await far.stop()
  const refused = { name: /^(SlowDown|ServiceUnavailable|InternalError)$/ }
  await assert.rejects(s3.putObject({ Bucket, Key: 'd', Body: BYTES }), refused)
  const { Body } = await s3.getObject({ Bucket, Key: 'small' })
  assert.equal(await Body?.transformToString(), 'in the index')
  assert.equal((await s3.listObjectsV2({ Bucket })).KeyCount, KEYS.length + 1)
  await far.start()
  await s3.putObject({ Bucket, Key: 'd', Body: BYTES })
})
