// A real Ceph as the engine of objects: clients see none of it, a bucket moves there and back while
// it is used, and kill -9 of Ceph's gateway harms nothing. Costs some 20 seconds until Ceph runs,
// and a GiB of memory.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { S3, type S3ServiceException } from '@aws-sdk/client-s3'
import { randomHex, systemClock } from '../../common/clock.ts'
import { openEngine } from '../../gateway/s3/blobs/engine.ts'
import { parseEngineUrl } from '../../gateway/s3/blobs/engine-client.ts'
import { until } from '../../sandbox/until.ts'
import { signed } from '../gateway/s3/wire/support.ts'
import { startCeph } from '../support/ceph.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { testEngine } from './engine-support.ts'

const MIB = 1 << 20
const PART_BYTES = 5 * MIB
const PART_OF_ENGINE_BYTES = 8 * MIB
/** Two parts at the engine and a bit of a third. */
const LARGE_BYTES = 17 * MIB
const CEPH_REGION = 'default'
const KEYS = ['k0', 'k1', 'k2', 'k3']
const READERS = 2
/** What each writer does while a bucket moves, at least. */
const ROUNDS = 3

const end = lastFirst({ after })
const ceph = await startCeph()
end.after(() => ceph.stop())
const user = await ceph.makeUser('mallee')
const cephS3 = clientAt(ceph.port, { ...user, region: CEPH_REGION })
for (const Bucket of ['blobs', 'tests']) await cephS3.createBucket({ Bucket })
const cloud = await startCloud(end, { objectEngine: urlOf('blobs') })
const s3 = clientAt(cloud.config.apiPort, cloud.init)
const Bucket = 'photos'
await s3.createBucket({ Bucket })
await s3.createBucket({ Bucket: 'here' })
await move('here', 'local')

function clientAt(
  port: number,
  { region, ...credentials }: { region: string; accessKeyId: string; secretAccessKey: string },
): S3 {
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3({ endpoint, region, credentials, maxAttempts: 1, forcePathStyle: true })
  after(() => client.destroy())
  return client
}

function urlOf(bucket: string): string {
  const login = `${user.accessKeyId}:${user.secretAccessKey}`
  return `http://${login}@127.0.0.1:${ceph.port}/${bucket}?region=${CEPH_REGION}`
}

async function move(bucket: string, store: string): Promise<void> {
  await cloud.local({ method: 'PUT', path: `/v1/buckets/${bucket}`, body: { store } })
}

async function bytesOf(Key: string, more: { Bucket?: string; VersionId?: string } = {}) {
  const { Body } = await s3.getObject({ Bucket, Key, ...more })
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

/** What is refused, as the client hears it. */
async function refusal(call: Promise<unknown>): Promise<S3ServiceException | null> {
  return await call.then(
    () => null,
    (error) => error,
  )
}

const address = parseEngineUrl(urlOf('tests'))
const engine = openEngine({ name: 'engine', address, clock: systemClock, randomHex })
after(() => engine.close())
testEngine({ engine, s3: cephS3, Bucket: 'tests' })

test('a client sees nothing of Ceph: ranges, parts, copies, versions and checksums', async () => {
  const large = randomBytes(LARGE_BYTES)
  await s3.putObject({ Bucket, Key: 'large', Body: large, ChecksumAlgorithm: 'CRC32C' })
  assert.ok(large.equals(await bytesOf('large')))
  for (const [start, stop] of [
    [0, 1],
    [8 * MIB - 1, 8 * MIB + 1],
    [LARGE_BYTES - 70_000, LARGE_BYTES],
  ] as const) {
    const { Body } = await s3.getObject({
      Bucket,
      Key: 'large',
      Range: `bytes=${start}-${stop - 1}`,
    })
    const got = Buffer.from((await Body?.transformToByteArray()) ?? [])
    assert.ok(large.subarray(start, stop).equals(got), `${start} to ${stop}`)
  }
  const { UploadId } = await s3.createMultipartUpload({ Bucket, Key: 'parts' })
  const pieces = [0, 1, 2].map((i) => large.subarray(i * PART_BYTES, (i + 1) * PART_BYTES))
  const Parts = await Promise.all(
    pieces.map(async (Body, i) => {
      const part = { Bucket, Key: 'parts', UploadId, PartNumber: i + 1, Body }
      const { ETag } = await s3.uploadPart(part)
      return { ETag, PartNumber: i + 1 }
    }),
  )
  await s3.completeMultipartUpload({ Bucket, Key: 'parts', UploadId, MultipartUpload: { Parts } })
  assert.ok(Buffer.concat(pieces).equals(await bytesOf('parts')))
  await s3.copyObject({ Bucket, Key: 'copy', CopySource: `${Bucket}/large` })
  assert.ok(large.equals(await bytesOf('copy')))
  const { ChecksumCRC32C: sum } = await s3.headObject({
    ...{ Bucket, Key: 'copy', ChecksumMode: 'ENABLED' },
  })
  assert.ok(sum)
  await s3.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: 'Enabled' } })
  const other = randomBytes(PART_BYTES)
  const { VersionId: second = '' } = await s3.putObject({ Bucket, Key: 'copy', Body: other })
  await s3.deleteObject({ Bucket, Key: 'copy' })
  assert.equal((await refusal(s3.getObject({ Bucket, Key: 'copy' })))?.name, 'NoSuchKey')
  assert.ok(other.equals(await bytesOf('copy', { VersionId: second })))
  assert.ok(large.equals(await bytesOf('copy', { VersionId: 'null' })))
  await s3.deleteObjects({ Bucket, Delete: { Objects: [{ Key: 'copy', VersionId: second }] } })
  const { Versions = [] } = await s3.listObjectVersions({ Bucket })
  assert.deepEqual(
    Versions.map(({ Key }) => Key),
    ['copy', 'large', 'parts'],
  )
  await s3.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: 'Suspended' } })
})

/** Rows of the index that refer to blobs in that store. */
function rowsIn(store: string): number {
  const db = new DatabaseSync(join(cloud.config.stateDir, 'objects.db'), { readOnly: true })
  try {
    const kinds = ['object/*', 'version/*', 'manifest/*'].map((one) => `key GLOB '${one}'`)
    const rows = db.prepare(`SELECT value FROM kv WHERE ${kinds.join(' OR ')}`).all()
    return rows.filter(({ value }) => `${value}`.includes(`"store":"${store}"`)).length
  } finally {
    db.close()
  }
}

for (const to of ['local', 'engine']) {
  test(`the bucket moves to ${to} while it is written and read`, async () => {
    const from = to === 'local' ? 'engine' : 'local'
    assert.ok(rowsIn(from) > 0)
    /** By key: digests of what was acknowledged last, and of what may be there since. */
    const held = new Map<string, { done: string; begun: string }>()
    const write = async (Key: string): Promise<void> => {
      const Body = randomBytes(MIB)
      const begun = digestOf(Body)
      held.set(Key, { done: held.get(Key)?.done ?? begun, begun })
      await s3.putObject({ Bucket, Key, Body })
      held.set(Key, { done: begun, begun })
    }
    for (const Key of KEYS) await write(Key)
    await move(Bucket, to)
    let isOver = false
    const writing = KEYS.map(async (Key) => {
      for (let round = 0; round < ROUNDS || !isOver; round++) await write(Key)
    })
    let reads = 0
    const reading = Array.from({ length: READERS }, async () => {
      while (!isOver) {
        for (const Key of KEYS) {
          const first = held.get(Key)
          const got = digestOf(await bytesOf(Key))
          const last = held.get(Key)
          const fits = [first?.done, first?.begun, last?.done, last?.begun].includes(got)
          assert.ok(fits, `${Key} has bytes that nobody wrote there`)
          reads += 1
        }
      }
    })
    await until('what was there has moved', () => rowsIn(from) <= KEYS.length).finally(() => {
      isOver = true
    })
    await Promise.all([...writing, ...reading])
    // Who began before the move may have ended after its pass.
    await move(Bucket, to)
    await until('everything has moved', () => rowsIn(from) === 0)
    assert.ok(reads > KEYS.length)
    for (const [Key, { done }] of held) assert.equal(digestOf(await bytesOf(Key)), done)
    assert.equal((await bytesOf('parts')).length, 3 * PART_BYTES)
  })
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

for (const atBytes of [0, PART_OF_ENGINE_BYTES + 1, LARGE_BYTES]) {
  test(`kill -9 of Ceph's gateway at byte ${atBytes} of a PUT leaves it whole or not there`, async () => {
    const bytes = randomBytes(LARGE_BYTES)
    const Key = `killed-${atBytes}`
    const { status, retryAfter } = await putAround(Key, bytes, atBytes, () => ceph.killGateway())
    const isDone = status === 200
    if (!isDone) assert.deepEqual({ status, retryAfter }, { status: 503, retryAfter: '1' })
    await ceph.startGateway()
    const refused = await refusal(s3.headObject({ Bucket, Key }))
    assert.equal(refused?.$metadata.httpStatusCode, isDone ? undefined : 404)
    if (isDone) assert.ok(bytes.equals(await bytesOf(Key)))
    assert.equal((await bytesOf('parts')).length, 3 * PART_BYTES)
  })
}

/** Sends an object whose `step` is done after so many bytes. */
async function putAround(
  key: string,
  bytes: Buffer,
  atBytes: number,
  step: () => Promise<void>,
): Promise<{ status: number; retryAfter: string | undefined }> {
  const { apiPort } = cloud.config
  const { accessKeyId, secretAccessKey: secret, region } = cloud.init
  const path = `/${Bucket}/${key}`
  const payload = 'UNSIGNED-PAYLOAD'
  const { headers } = signed(apiPort, { accessKeyId, secret, region, path, payload })
  const length = { 'content-length': String(bytes.length) }
  const call = request({ port: apiPort, method: 'PUT', path, headers: { ...headers, ...length } })
  const answered = once(call, 'response')
  // A refusal may end it before all is sent.
  call.on('error', () => undefined)
  if (!call.write(bytes.subarray(0, atBytes))) await once(call, 'drain')
  await step()
  call.end(bytes.subarray(atBytes))
  const [answer] = await answered
  answer.resume()
  return { status: answer.statusCode, retryAfter: answer.headers['retry-after'] }
}

test('with Ceph away its objects answer 503 and when to come again, and others are there', async () => {
  await s3.putObject({ Bucket: 'here', Key: 'k', Body: randomBytes(MIB) })
  await s3.putObject({ Bucket, Key: 'small', Body: 'in the index' })
  await ceph.killGateway()
  const away = [
    () => s3.getObject({ Bucket, Key: 'large' }),
    () => s3.putObject({ Bucket, Key: 'new', Body: randomBytes(MIB) }),
    () => s3.copyObject({ Bucket: 'here', Key: 'copied', CopySource: `${Bucket}/large` }),
  ]
  for (const call of away) {
    const { name, $response, $metadata } = (await refusal(call())) ?? assert.fail('it was not away')
    assert.deepEqual([name, $metadata.httpStatusCode], ['ServiceUnavailable', 503])
    assert.equal($response?.headers['retry-after'], '1')
  }
  assert.equal((await bytesOf('k', { Bucket: 'here' })).length, MIB)
  await s3.putObject({ Bucket: 'here', Key: 'k', Body: randomBytes(2 * MIB) })
  assert.equal((await bytesOf('small')).toString(), 'in the index')
  await s3.deleteObject({ Bucket, Key: 'parts' })
  assert.equal((await refusal(s3.headObject({ Bucket, Key: 'new' })))?.name, 'NotFound')
  await ceph.startGateway()
  assert.equal((await bytesOf('large')).length, LARGE_BYTES)
})
