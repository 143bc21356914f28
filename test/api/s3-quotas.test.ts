// Quotas of buckets and accounts through a real client: who races for the last of it, and what
// gives room back.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import type { BucketShown } from '../../gateway/local/objects.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'

const KIB = 1_024
const PART = 5 << 20
const end = lastFirst({ after })
const cloud = await startCloud(end)
const { accessKeyId, secretAccessKey, region, account } = cloud.init
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
const credentials = { accessKeyId, secretAccessKey }
const s3 = new S3({ endpoint, region, credentials, maxAttempts: 1, forcePathStyle: true })
after(() => s3.destroy())

const REFUSED = { name: 'QuotaExceeded', $metadata: { httpStatusCode: 403 } }

async function setQuota(
  bucket: string,
  quota: { bytes: number | null; objects: number | null },
): Promise<BucketShown> {
  const path = `/v1/buckets/${bucket}/quota`
  return await cloud.local<BucketShown>({ method: 'PUT', path, body: quota })
}

async function setOfAccount(id: string, value: number): Promise<void> {
  const path = `/v1/accounts/${account}/quotas/${id}`
  await cloud.local({ method: 'PUT', path, body: { value } })
}

async function refused(call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, ({ name, $metadata: { httpStatusCode } }) => {
    assert.deepEqual({ name, $metadata: { httpStatusCode } }, REFUSED)
    return true
  })
}

test('of writers that race for room as many get it as there is room for', async () => {
  const Bucket = 'race'
  await s3.createBucket({ Bucket })
  const { quota } = await setQuota(Bucket, { bytes: 20 * KIB, objects: 5 })
  assert.deepEqual(quota, { bytes: 20 * KIB, objects: 5 })
  const put = (Key: string, size: number) =>
    s3.putObject({ Bucket, Key, Body: Buffer.alloc(size, 'x') })
  const all = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => put(`k${n}`, KIB)))
  const made = all.filter(({ status }) => status === 'fulfilled')
  assert.equal(made.length, 5)
  assert.equal((await s3.listObjectsV2({ Bucket })).KeyCount, 5)
  for (const one of all) {
    if (one.status === 'rejected') assert.equal(one.reason.name, 'QuotaExceeded')
  }
  const [kept] = (await s3.listObjectsV2({ Bucket })).Contents ?? []
  const CopySource = `${Bucket}/${kept?.Key}`
  await refused(s3.copyObject({ Bucket, Key: 'copy', CopySource }))
  await s3.deleteObject({ Bucket, Key: kept?.Key ?? '' })
  await refused(put('large', 17 * KIB))
  await put('large', 16 * KIB)
  await setQuota(Bucket, { bytes: null, objects: null })
  await put('more', 17 * KIB)
})

test('parts of uploads need room, and an upload that is aborted gives it back', async () => {
  const Bucket = 'parts'
  const Key = 'up'
  await s3.createBucket({ Bucket })
  await setQuota(Bucket, { bytes: 2 * PART, objects: 1 })
  const begin = async () => {
    const { UploadId } = await s3.createMultipartUpload({ Bucket, Key })
    return { Bucket, Key, UploadId }
  }
  const Body = Buffer.alloc(PART, 'p')
  const first = await begin()
  const second = await begin()
  const { ETag } = await s3.uploadPart({ ...first, PartNumber: 1, Body })
  await s3.uploadPart({ ...second, PartNumber: 1, Body })
  await refused(s3.uploadPart({ ...first, PartNumber: 2, Body: 'last' }))
  await s3.abortMultipartUpload(second)
  await s3.putObject({ Bucket, Key: 'other', Body: 'x' })
  const complete = () =>
    s3.completeMultipartUpload({
      ...first,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
    })
  await refused(complete())
  await s3.deleteObject({ Bucket, Key: 'other' })
  await complete()
  assert.equal((await s3.headObject({ Bucket, Key })).ContentLength, PART)
})

test('an account’s quota is for all of its buckets, and for their number', async () => {
  await s3.createBucket({ Bucket: 'one' })
  const { Buckets = [] } = await s3.listBuckets()
  await setOfAccount('s3-buckets', Buckets.length + 1)
  await s3.createBucket({ Bucket: 'two' })
  await assert.rejects(s3.createBucket({ Bucket: 'three' }), { name: 'TooManyBuckets' })
  await setOfAccount('s3-gib', 0)
  await refused(s3.putObject({ Bucket: 'one', Key: 'a', Body: 'x' }))
  await s3.putObject({ Bucket: 'one', Key: 'empty', Body: '' })
  await setOfAccount('s3-gib', 1)
  await s3.putObject({ Bucket: 'one', Key: 'a', Body: 'x' })
  await setOfAccount('s3-objects', 0)
  await refused(s3.putObject({ Bucket: 'two', Key: 'a', Body: '' }))
})
