// Only so many buckets have series of their own, and what is deleted gives its place away.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { bucketMetrics } from '../../../gateway/s3/bucket-metrics.ts'
import type { Usage } from '../../../gateway/s3/keeping/usage.ts'
import type { Served } from '../../../gateway/s3/wire/served.ts'
import type { BucketRecord } from '../../../gateway/store/bucket-records.ts'

const OF = { rack: '', createdAtMs: 0, versioning: 'off' } as const

async function lines(registry: Registry, name: string): Promise<string[]> {
  const text = await registry.metrics()
  return text.split('\n').filter((line) => line.startsWith(`${name}{`))
}

function call(operation: string, method: string, status = 200): Served {
  return { operation, method, status, receivedBytes: 3, sentBytes: 5 } as Served
}

test('buckets past the most are counted together, until one is deleted', async () => {
  const registry = new Registry()
  const { bucketCall, forgetBucket } = bucketMetrics([registry], 2)
  for (const bucket of ['a', 'b', 'c', 'd']) bucketCall(bucket, call('PutObject', 'PUT'))
  const name = 'mallee_s3_bucket_transfer_bytes_total'
  const ofIn = async () => (await lines(registry, name)).filter((line) => line.includes('"in"'))
  assert.deepEqual(await ofIn(), [
    `${name}{bucket="a",direction="in"} 3`,
    `${name}{bucket="b",direction="in"} 3`,
    `${name}{bucket="(others)",direction="in"} 6`,
  ])
  forgetBucket('a')
  forgetBucket('never')
  bucketCall('c', call('PutObject', 'PUT'))
  assert.deepEqual(await ofIn(), [
    `${name}{bucket="b",direction="in"} 3`,
    `${name}{bucket="(others)",direction="in"} 6`,
    `${name}{bucket="c",direction="in"} 3`,
  ])
})

for (const [operation, method, want] of [
  ['GetObject', 'GET', 'read'],
  ['HeadObject', 'HEAD', 'read'],
  ['GetObjectTagging', 'GET', 'read'],
  ['PutObject', 'PUT', 'write'],
  ['PostObject', 'POST', 'write'],
  ['CopyObject', 'PUT', 'write'],
  ['UploadPart', 'PUT', 'write'],
  ['CompleteMultipartUpload', 'POST', 'write'],
  ['DeleteObject', 'DELETE', 'delete'],
  ['DeleteObjects', 'POST', 'delete'],
  ['AbortMultipartUpload', 'DELETE', 'delete'],
  ['ListObjectsV2', 'GET', 'list'],
  ['ListObjectVersions', 'GET', 'list'],
  ['ListMultipartUploads', 'GET', 'list'],
  ['ListParts', 'GET', 'list'],
  ['PutBucketPolicy', 'PUT', 'manage'],
  ['HeadBucket', 'HEAD', 'manage'],
  ['PutObjectLockConfiguration', 'PUT', 'manage'],
  ['unknown', 'PUT', 'manage'],
] as const) {
  test(`${operation} is counted as ${want}`, async () => {
    const registry = new Registry()
    bucketMetrics([registry], 1).bucketCall('a', call(operation, method, 503))
    assert.deepEqual(await lines(registry, 'mallee_s3_bucket_requests_total'), [
      `mallee_s3_bucket_requests_total{bucket="a",class="${want}",status="5xx"} 1`,
    ])
  })
}

test('what buckets and accounts hold is as it was last counted', async () => {
  const registry = new Registry()
  const { setBucketUsage } = bucketMetrics([registry], 1)
  const buckets: BucketRecord[] = [
    { ...OF, name: 'a', id: '1', account: '111111111111' },
    { ...OF, name: 'b', id: '2', account: '111111111111' },
    { ...OF, name: 'c', id: '3', account: '222222222222' },
  ]
  const held: Usage = { objects: 2, olderVersions: 1, bytes: 10, inlineObjects: 0, inlineBytes: 0 }
  const usage = new Map([
    ['1', held],
    ['2', held],
  ])
  for (let round = 0; round < 2; round++) setBucketUsage(buckets, usage)
  assert.deepEqual(await lines(registry, 'mallee_s3_bucket_objects'), [
    'mallee_s3_bucket_objects{bucket="a"} 3',
    'mallee_s3_bucket_objects{bucket="(others)"} 3',
  ])
  assert.deepEqual(await lines(registry, 'mallee_s3_account_bytes'), [
    'mallee_s3_account_bytes{account="111111111111"} 20',
    'mallee_s3_account_bytes{account="222222222222"} 0',
  ])
})
