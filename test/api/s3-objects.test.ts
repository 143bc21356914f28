// Objects through the JavaScript SDK: what is put is there, whole, under its name, and as listed.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { type GetObjectCommandInput, S3 } from '@aws-sdk/client-s3'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

const cloud = await startCloud(lastFirst({ after }))
const { accessKeyId, secretAccessKey } = cloud.init
const s3 = new S3({
  endpoint: `http://127.0.0.1:${cloud.config.apiPort}`,
  region: cloud.init.region,
  credentials: { accessKeyId, secretAccessKey },
  maxAttempts: 1,
  forcePathStyle: true,
})
after(() => s3.destroy())

const Bucket = 'objects'
await s3.createBucket({ Bucket })

async function textOf(input: Omit<GetObjectCommandInput, 'Bucket'>): Promise<string> {
  const { Body } = await s3.getObject({ Bucket, ...input })
  return (await Body?.transformToString()) ?? ''
}

async function keysIn(prefix: string, delimiter?: string): Promise<(string | undefined)[]> {
  const input = { Bucket, Prefix: prefix, ...(delimiter !== undefined && { Delimiter: delimiter }) }
  const { Contents = [], CommonPrefixes = [] } = await s3.listObjectsV2(input)
  return [...Contents.map(({ Key }) => Key), ...CommonPrefixes.map(({ Prefix }) => Prefix)]
}

for (const size of [0, 1, 16 << 10, (16 << 10) + 1, 3 << 20]) {
  test(`an object of ${size} bytes comes back as it was put`, async () => {
    const Key = `sizes/${size}`
    const Body = randomBytes(size)
    const put = await s3.putObject({
      Bucket,
      Key,
      Body,
      ContentType: 'text/x',
      Metadata: { a: 'b' },
    })
    const md5 = createHash('md5').update(Body).digest('hex')
    assert.equal(put.ETag, `"${md5}"`)
    const got = await s3.getObject({ Bucket, Key })
    assert.deepEqual(Buffer.from((await got.Body?.transformToByteArray()) ?? []), Body)
    assert.deepEqual(
      [got.ContentLength, got.ContentType, got.ETag, got.AcceptRanges],
      [size, 'text/x', put.ETag, 'bytes'],
    )
    const head = await s3.headObject({ Bucket, Key })
    assert.deepEqual([head.ContentLength, head.ETag], [size, put.ETag])
    if (size < 2) return
    const tail = await s3.getObject({ Bucket, Key, Range: 'bytes=-2' })
    assert.equal(tail.ContentRange, `bytes ${size - 2}-${size - 1}/${size}`)
    const bytes = Buffer.from((await tail.Body?.transformToByteArray()) ?? [])
    assert.deepEqual(bytes, Body.subarray(-2))
  })
}

test('keys are bytes and not paths, and lists are in the order of their bytes', async () => {
  const keys = [
    'odd/a',
    'odd/a/',
    'odd/a/b',
    'odd//',
    'odd/../x',
    'odd/\u{1f600}',
    'odd/\ufffd',
    'odd/ +&"<',
  ]
  for (const Key of keys) await s3.putObject({ Bucket, Key, Body: Key })
  for (const Key of keys) assert.equal(await textOf({ Key }), Key)
  const inOrder = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  assert.deepEqual(await keysIn('odd/'), inOrder)
  assert.deepEqual(await keysIn('odd/a', '/'), ['odd/a', 'odd/a/'])
})

test('pages with a delimiter show every key and every common prefix once', async () => {
  const keys = Array.from({ length: 12 }, (_, i) => [`p/${i % 4}/x${i}`, `p/file${i}`]).flat()
  for (const Key of keys) await s3.putObject({ Bucket, Key, Body: 'x' })
  const seen: (string | undefined)[] = []
  let ContinuationToken: string | undefined
  do {
    const page = await s3.listObjectsV2({
      ...{ Bucket, Prefix: 'p/', Delimiter: '/', MaxKeys: 3 },
      ...(ContinuationToken !== undefined && { ContinuationToken }),
    })
    assert.equal(page.KeyCount, (page.Contents?.length ?? 0) + (page.CommonPrefixes?.length ?? 0))
    seen.push(...(page.Contents ?? []).map(({ Key }) => Key))
    seen.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix))
    ContinuationToken = page.NextContinuationToken
  } while (ContinuationToken !== undefined)
  const files = keys.filter((key) => key.startsWith('p/file'))
  assert.deepEqual(seen.toSorted(), [...files, 'p/0/', 'p/1/', 'p/2/', 'p/3/'].toSorted())
})

test('of writers that race for a new name one wins', async () => {
  const Key = 'race'
  const tries = Array.from({ length: 16 }, (_, i) =>
    refusal(s3.putObject({ Bucket, Key, Body: `${i}`, IfNoneMatch: '*' })),
  )
  const said = await Promise.all(tries)
  assert.equal(said.filter((one) => one === 'accepted').length, 1)
  assert.ok(
    said.every((one) => one === 'accepted' || one === 'PreconditionFailed'),
    `${said}`,
  )
})

test('conditions hold for reads and writes', async () => {
  const Key = 'conditional'
  const missing = s3.putObject({ Bucket, Key, Body: 'x', IfMatch: '"00"' })
  assert.equal(await refusal(missing), 'NoSuchKey')
  const { ETag = '' } = await s3.putObject({ Bucket, Key, Body: 'one' })
  assert.equal(await textOf({ Key, IfMatch: ETag }), 'one')
  assert.equal(await refusal(textOf({ Key, IfMatch: '"00"' })), 'PreconditionFailed')
  const same = s3.getObject({ Bucket, Key, IfNoneMatch: ETag })
  await assert.rejects(same, ({ $metadata }) => $metadata.httpStatusCode === 304)
  assert.equal(await refusal(s3.putObject({ Bucket, Key, Body: 'two', IfMatch: ETag })), 'accepted')
  const again = s3.putObject({ Bucket, Key, Body: 'three', IfMatch: ETag })
  assert.equal(await refusal(again), 'PreconditionFailed')
  assert.equal(await textOf({ Key }), 'two')
})

test('what is not there, or not there to that extent, is refused in the words of S3', async () => {
  assert.equal(await refusal(s3.getObject({ Bucket, Key: 'nobody' })), 'NoSuchKey')
  await s3.putObject({ Bucket, Key: 'short', Body: 'abc' })
  assert.equal(await refusal(textOf({ Key: 'short', Range: 'bytes=3-' })), 'InvalidRange')
  assert.equal(await textOf({ Key: 'short', Range: 'bytes=1-100' }), 'bc')
  assert.equal(await textOf({ Key: 'short', Range: 'lines=1-2' }), 'abc')
  assert.equal(await refusal(s3.putObject({ Bucket, Key: 'k'.repeat(1_025) })), 'KeyTooLongError')
  assert.equal(await refusal(textOf({ Key: 'short', VersionId: 'x' })), 'InvalidArgument')
  const acl = s3.putObject({ Bucket, Key: 'short', ACL: 'public-read' })
  assert.equal(await refusal(acl), 'AccessControlListNotSupported')
})

test('a bucket that keeps versions keeps what is overwritten and deleted', async () => {
  const Bucket = 'kept'
  const Key = 'k'
  await s3.createBucket({ Bucket })
  const VersioningConfiguration = { Status: 'Enabled' } as const
  await s3.putBucketVersioning({ Bucket, VersioningConfiguration })
  const { VersionId: first = '' } = await s3.putObject({ Bucket, Key, Body: 'one' })
  const { VersionId: second = '' } = await s3.putObject({ Bucket, Key, Body: 'two' })
  const gone = await s3.deleteObject({ Bucket, Key })
  assert.equal(gone.DeleteMarker, true)
  assert.equal(await refusal(s3.getObject({ Bucket, Key })), 'NoSuchKey')
  const old = await s3.getObject({ Bucket, Key, VersionId: first })
  assert.equal(await old.Body?.transformToString(), 'one')
  const marker = s3.getObject({ Bucket, Key, VersionId: gone.VersionId })
  assert.equal(await refusal(marker), 'MethodNotAllowed')
  const { Versions = [], DeleteMarkers = [] } = await s3.listObjectVersions({ Bucket })
  assert.deepEqual(
    Versions.map(({ VersionId, IsLatest }) => [VersionId, IsLatest]),
    [
      [second, false],
      [first, false],
    ],
  )
  assert.deepEqual(
    DeleteMarkers.map(({ IsLatest }) => IsLatest),
    [true],
  )
  await s3.deleteObject({ Bucket, Key, VersionId: gone.VersionId })
  const back = await s3.getObject({ Bucket, Key })
  assert.equal(await back.Body?.transformToString(), 'two')
  assert.equal(await refusal(s3.deleteBucket({ Bucket })), 'BucketNotEmpty')
  const Objects = [first, second].map((VersionId) => ({ Key, VersionId }))
  const { Deleted = [], Errors } = await s3.deleteObjects({ Bucket, Delete: { Objects } })
  assert.deepEqual([Deleted.length, Errors], [2, undefined])
  await s3.deleteBucket({ Bucket })
})
