// Buckets in racks: their bytes are on the disks of a rack's hosts, over gateways and CCs, and what
// becomes of them when a host dies or a rack is away.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import { S3, S3ServiceException } from '@aws-sdk/client-s3'
import { objectsDir } from '../../cluster-agent/paths.ts'
import { until } from '../../sandbox/until.ts'
import { asProcess } from '../support/agent-process.ts'
import { lastFirst, startCloud, startSecondGateway, type TestCloud } from '../support/cloud.ts'
import { startRedis } from '../support/redis.ts'
import { addHost, connected } from '../support/simulated-rack.ts'

const MIB = 1 << 20
/** More than any buffer on the way holds. */
const LARGE = randomBytes(24 * MIB)
const MEDIUM = LARGE.subarray(0, 100_000)
const MAX_ATTEMPTS = 8
const IN_A = { LocationConstraint: 'a' as never }

const end = lastFirst({ after })
const redis = await startRedis()
end.after(() => redis.stop())
const cloud = await startCloud(end, { store: redis.url })
const second = await startSecondGateway(end, cloud)
const cc = await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc'] })
const bare = await addHost(cloud, { rack: 'b', host: 'b-cc', roles: ['cc', 'nc'] })
await connected(cloud, [cc, bare])
const sc = await addHost(cloud, { rack: 'a', host: 'a-sc', roles: ['sc'], parent: cc })
await connected(cloud, [sc])
const agent = await asProcess(end, sc)
const [s3, other] = [clientOf(cloud), clientOf(second)]

function clientOf({ config, init }: TestCloud, maxAttempts = 1): S3 {
  const client = new S3({
    endpoint: `http://127.0.0.1:${config.apiPort}`,
    region: init.region,
    credentials: init,
    maxAttempts,
    forcePathStyle: true,
  })
  end.after(async () => client.destroy())
  return client
}

async function bytesIn(client: S3, Bucket: string, Key: string, Range?: string): Promise<Buffer> {
  const { Body } = await client.getObject({ Bucket, Key, ...(Range && { Range }) })
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

/** Without comparing 64 MiB in a message. */
function sum(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function refusal(call: Promise<unknown>): Promise<S3ServiceException> {
  try {
    await call
  } catch (error) {
    if (error instanceof S3ServiceException) return error
    throw error
  }
  throw new Error('it was not refused')
}

async function blobsOnDisk(): Promise<number> {
  const dir = objectsDir(sc.paths)
  const folders = (await readdir(dir)).filter((name) => name.length === 2)
  const files = await Promise.all(folders.map((name) => readdir(join(dir, name))))
  return files.flat().length
}

/** Once an SC dialled again, its streams take a moment to be there. */
async function untilStored(client: S3, Key: string): Promise<void> {
  const put = () => client.putObject({ Bucket: 'photos', Key, Body: MEDIUM })
  await until('the rack takes bytes', () =>
    put().then(
      () => true,
      () => false,
    ),
  )
}

test('a bucket is made in a rack by its name or its zone, and in no other place', async () => {
  await until('the rack has told of its disk', async () =>
    s3.createBucket({ Bucket: 'photos', CreateBucketConfiguration: IN_A }).then(
      () => true,
      () => false,
    ),
  )
  const zone = { LocationConstraint: 'mallee-1-a' as never }
  await other.createBucket({ Bucket: 'films', CreateBucketConfiguration: zone })
  await s3.createBucket({ Bucket: 'plain' })
  const head = await other.headBucket({ Bucket: 'photos' })
  assert.equal(head.BucketRegion, 'mallee-1', 'clients sign with it')
  assert.equal(head.BucketLocationName, 'mallee-1-a')
  const { LocationConstraint } = await s3.getBucketLocation({ Bucket: 'photos' })
  assert.equal(LocationConstraint, 'mallee-1', 'clients go elsewhere when it is another one')
  for (const [place, why] of [
    ['b', /rack b has no disks for objects/],
    ['nowhere', /it may be mallee-1, a/],
  ] as const) {
    const CreateBucketConfiguration = { LocationConstraint: place as never }
    const { name, message, $metadata } = await refusal(
      s3.createBucket({ Bucket: 'never', CreateBucketConfiguration }),
    )
    assert.equal(name, 'InvalidLocationConstraint')
    assert.equal($metadata.httpStatusCode, 400)
    assert.match(message, why)
  }
})

test('either gateway puts and gets what is in a rack, whole and in ranges', async () => {
  await untilStored(s3, 'medium')
  await s3.putObject({ Bucket: 'photos', Key: 'large', Body: LARGE })
  await s3.putObject({ Bucket: 'photos', Key: 'small', Body: 'in the index' })
  await s3.putObject({ Bucket: 'plain', Key: 'medium', Body: MEDIUM })
  assert.equal(await blobsOnDisk(), 2)
  for (const client of [s3, other]) {
    assert.equal(sum(await bytesIn(client, 'photos', 'large')), sum(LARGE))
    for (const [first, last] of [
      [0, 0],
      [65_535, 65_536],
      [5 * MIB + 1, 9 * MIB],
      [LARGE.length - 1, LARGE.length - 1],
    ] as const) {
      const part = await bytesIn(client, 'photos', 'large', `bytes=${first}-${last}`)
      assert.equal(sum(part), sum(LARGE.subarray(first, last + 1)), `bytes ${first} to ${last}`)
    }
  }
  await other.putObject({ Bucket: 'photos', Key: 'from-the-other', Body: MEDIUM })
  assert.equal(sum(await bytesIn(s3, 'photos', 'from-the-other')), sum(MEDIUM))
  // A host that has too much to do says so, and clients come again.
  const patient = [clientOf(cloud, MAX_ATTEMPTS), clientOf(second, MAX_ATTEMPTS)]
  await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      patient[i % 2]?.putObject({ Bucket: 'films', Key: `${i}`, Body: MEDIUM }),
    ),
  )
  assert.equal((await s3.listObjectsV2({ Bucket: 'films' })).KeyCount, 40)
})

test('kill -9 of the host in the middle of a PUT and of a GET', async () => {
  const before = await blobsOnDisk()
  let sent = 0
  async function* upload(): AsyncGenerator<Buffer> {
    for (let at = 0; at < LARGE.length; at += MIB) {
      if (sent === LARGE.length / 2) await agent.kill()
      yield LARGE.subarray(at, at + MIB)
      sent += MIB
    }
  }
  const Body = Readable.from(upload())
  const put = s3.putObject({ Bucket: 'photos', Key: 'cut', Body, ContentLength: LARGE.length })
  const { name, $metadata, $response } = await refusal(put)
  assert.deepEqual([name, $metadata.httpStatusCode], ['SlowDown', 503])
  assert.ok(Number($response?.headers['retry-after']) > 0)
  assert.equal((await refusal(s3.headObject({ Bucket: 'photos', Key: 'cut' }))).name, 'NotFound')
  await agent.start()
  await untilStored(s3, 'again')
  assert.ok((await blobsOnDisk()) <= before + 2, 'at most what was under way is left, and "again"')
  const { Body: body } = await s3.getObject({ Bucket: 'photos', Key: 'large' })
  let received = 0
  await assert.rejects(async () => {
    for await (const chunk of body as Readable) {
      if (received === 0) await agent.kill()
      received += (chunk as Buffer).length
    }
  })
  assert.ok(received < LARGE.length)
})

test('a rack that is away answers 503, all that is not there goes on', async () => {
  for (const client of [s3, other]) {
    for (const call of [
      () => client.getObject({ Bucket: 'photos', Key: 'large' }),
      () => client.putObject({ Bucket: 'photos', Key: 'new', Body: MEDIUM }),
    ]) {
      const { name, $metadata, $response, message } = await refusal(call())
      assert.deepEqual([name, $metadata.httpStatusCode], ['SlowDown', 503], message)
      assert.ok(Number($response?.headers['retry-after']) > 0)
    }
    assert.equal((await bytesIn(client, 'photos', 'small')).toString(), 'in the index')
    assert.ok(((await client.listObjectsV2({ Bucket: 'photos' })).KeyCount ?? 0) > 3)
    assert.equal(sum(await bytesIn(client, 'plain', 'medium')), sum(MEDIUM))
    await client.putObject({ Bucket: 'plain', Key: 'medium', Body: MEDIUM })
  }
  const later = { Bucket: 'later', CreateBucketConfiguration: IN_A }
  await other.createBucket(later)
  const { name } = await refusal(s3.createBucket(later))
  assert.equal(name, 'BucketAlreadyOwnedByYou', 'names are the whole cloud’s')
  await s3.putObject({ Bucket: 'later', Key: 'small', Body: 'in the index' })
})

test('it comes back and has everything', async () => {
  await agent.start()
  await untilStored(s3, 'back')
  await untilStored(other, 'back')
  assert.equal(sum(await bytesIn(s3, 'photos', 'large')), sum(LARGE))
  assert.equal(sum(await bytesIn(other, 'photos', 'medium')), sum(MEDIUM))
})

test('a bucket moves out of the rack and into it while it is in use', async () => {
  const path = '/v1/buckets/photos'
  const bucket = { Bucket: 'photos', Key: 'large' }
  const move = (store: string) => cloud.local({ method: 'PUT', path, body: { store } })
  const storage = { method: 'GET', path: '/v1/object-storage' } as const
  const garbage = async () => (await cloud.local<{ garbage: number }>(storage)).garbage
  const held = await garbage()
  await move('local')
  assert.equal(sum(await bytesIn(other, 'photos', 'large')), sum(LARGE))
  await until('everything has left the rack', async () => (await garbage()) >= held + 5)
  await agent.kill()
  assert.equal(sum(await bytesIn(s3, 'photos', 'large')), sum(LARGE), 'it is not there any more')
  assert.equal((await s3.headBucket({ Bucket: 'photos' })).BucketLocationName, undefined)
  await agent.start()
  const before = await blobsOnDisk()
  await move('rack:a')
  await until('everything has moved', async () => (await blobsOnDisk()) >= before + 5)
  assert.equal(sum(await bytesIn(s3, bucket.Bucket, bucket.Key)), sum(LARGE))
  await assert.rejects(move('rack:b'), { code: 'BadArgument' })
})

test('a host with bytes of buckets cannot be taken out', async () => {
  for (const path of ['/v1/racks/a/hosts/a-sc', '/v1/racks/a']) {
    await assert.rejects(cloud.local({ method: 'DELETE', path }), {
      code: 'Conflict',
      message: /mallee bucket move \w+ --to local/,
    })
  }
  await untilStored(s3, 'still')
})
