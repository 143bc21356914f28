// Lifecycle rules through the clients that people use, in a cloud whose days take a second.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type LifecycleRule, S3 } from '@aws-sdk/client-s3'
import { systemClock } from '../../common/clock.ts'
import { until } from '../../sandbox/until.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

const REGION = 'mallee-1'
const DAY_MS = 1_000
const EXPIRY = /^expiry-date="([^"]+ GMT)", rule-id="([^"]+)"$/

const cloud = await startCloud(lastFirst({ after }), {
  settings: { lifecycleDayMs: DAY_MS },
})
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
const config = { endpoint, region: REGION, maxAttempts: 1, forcePathStyle: true }
const s3 = new S3({ ...config, credentials: cloud.init })
after(() => s3.destroy())

const Expiration = { Days: 1 }
const Filter = { Prefix: '' }
const DEEP = { Days: 1, StorageClass: 'DEEP_ARCHIVE' as const }

async function setRules(Bucket: string, ...Rules: Partial<LifecycleRule>[]) {
  return await s3.putBucketLifecycleConfiguration({
    Bucket,
    LifecycleConfiguration: {
      Rules: Rules.map((rule) => ({ Status: 'Enabled', ...rule })),
    },
  })
}

async function versionsIn(Bucket: string): Promise<string[]> {
  const { Versions = [], DeleteMarkers = [] } = await s3.listObjectVersions({ Bucket })
  return [
    ...Versions.map(({ Key, Size }) => `${Key} ${Size}`),
    ...DeleteMarkers.map(({ Key }) => `${Key} marker`),
  ]
}

test('rules are shown as they were put, in their old form too', async () => {
  const Bucket = 'shown'
  await s3.createBucket({ Bucket })
  const get = () => s3.getBucketLifecycleConfiguration({ Bucket })
  assert.equal(await refusal(get()), 'NoSuchLifecycleConfiguration')
  const And = {
    ...{ Prefix: 'a/', ObjectSizeGreaterThan: 10, ObjectSizeLessThan: 20 },
    Tags: [
      { Key: 'k', Value: 'v' },
      { Key: 'l', Value: '' },
    ],
  }
  const date = new Date('2030-01-01T00:00:00Z')
  const rules: LifecycleRule[] = [
    { ID: 'all', Status: 'Enabled', Filter: {}, Expiration },
    { ID: 'none', Status: 'Disabled', Filter, Expiration: { Date: date } },
    { ID: 'and', Status: 'Enabled', Filter: { And }, Expiration },
    { ID: 'tag', Status: 'Enabled', Filter: { Tag: { Key: 'k', Value: 'v' } }, Expiration },
    { ID: 'size', Status: 'Enabled', Filter: { ObjectSizeGreaterThan: 0 }, Expiration },
    {
      ...{ ID: 'rest', Status: 'Enabled', Filter: { Prefix: 'ü' } },
      Expiration: { ExpiredObjectDeleteMarker: true },
      NoncurrentVersionExpiration: { NoncurrentDays: 3, NewerNoncurrentVersions: 2 },
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
    },
  ]
  const TransitionDefaultMinimumObjectSize = 'varies_by_storage_class'
  const put = await s3.putBucketLifecycleConfiguration({
    ...{ Bucket, LifecycleConfiguration: { Rules: rules }, TransitionDefaultMinimumObjectSize },
  })
  assert.equal(put.TransitionDefaultMinimumObjectSize, 'varies_by_storage_class')
  const { Rules, TransitionDefaultMinimumObjectSize: size } = await get()
  assert.deepEqual([Rules, size], [rules, 'varies_by_storage_class'])
  const old = { Status: 'Enabled', Prefix: 'old/', Expiration } as const
  const { TransitionDefaultMinimumObjectSize: usual } = await setRules(Bucket, old)
  assert.equal(usual, 'all_storage_classes_128K')
  const [{ ID = '', ...shown } = {}] = (await get()).Rules ?? []
  assert.deepEqual(shown, old)
  assert.match(ID, /^[0-9a-f]{32}$/)
  await s3.deleteBucketLifecycle({ Bucket })
  assert.equal(await refusal(get()), 'NoSuchLifecycleConfiguration')
  await s3.deleteBucket({ Bucket })
})

test('a rule that S3 would refuse is refused with its code', async () => {
  const Bucket = 'refused'
  await s3.createBucket({ Bucket })
  const tag = { Tag: { Key: 'k', Value: 'v' } }
  const date = new Date('2030-01-01T01:00:00Z')
  const noncurrent = (days?: number, keep?: number) => ({
    ...{ Filter },
    NoncurrentVersionExpiration: {
      ...(days !== undefined && { NoncurrentDays: days }),
      ...(keep !== undefined && { NewerNoncurrentVersions: keep }),
    },
  })
  const abort = { DaysAfterInitiation: 1 }
  const rows: [object | object[], code: string][] = [
    [[], 'MalformedXML'],
    [Array.from({ length: 1_001 }, (_, i) => ({ ID: `${i}`, Filter, Expiration })), 'MalformedXML'],
    [{ Expiration }, 'MalformedXML'],
    [{ Prefix: '', Filter, Expiration }, 'MalformedXML'],
    [
      [
        { Prefix: 'a', Expiration },
        { Filter, Expiration },
      ],
      'InvalidRequest',
    ],
    [{ Filter, Expiration, Status: 'enabled' }, 'MalformedXML'],
    [{ Filter, Expiration, ID: 'i'.repeat(256) }, 'InvalidArgument'],
    [[1, 2].map(() => ({ ID: 'same', Filter, Expiration })), 'InvalidArgument'],
    [{ Filter: { Prefix: 'a', ...tag }, Expiration }, 'MalformedXML'],
    [{ Filter: { And: {} }, Expiration }, 'MalformedXML'],
    [{ Filter: { And: { Tags: [tag.Tag, tag.Tag] } }, Expiration }, 'InvalidRequest'],
    [{ Filter: { Tag: { Key: '', Value: '' } }, Expiration }, 'InvalidTag'],
    [{ Filter: { Prefix: 'p'.repeat(1_025) }, Expiration }, 'InvalidRequest'],
    [{ Filter: { ObjectSizeGreaterThan: -1 }, Expiration }, 'InvalidRequest'],
    [{ Filter: { ObjectSizeLessThan: 0 }, Expiration }, 'InvalidRequest'],
    [
      { Filter: { And: { ObjectSizeGreaterThan: 5, ObjectSizeLessThan: 5 } }, Expiration },
      'InvalidRequest',
    ],
    [{ Filter }, 'InvalidRequest'],
    [{ Filter, Expiration: {} }, 'MalformedXML'],
    [{ Filter, Expiration: { Days: 1, Date: new Date(0) } }, 'MalformedXML'],
    [{ Filter, Expiration: { Days: 1, ExpiredObjectDeleteMarker: true } }, 'MalformedXML'],
    [{ Filter, Expiration: { Days: 0 } }, 'InvalidArgument'],
    [{ Filter, Expiration: { Days: 2 ** 31 } }, 'InvalidArgument'],
    [{ Filter, Expiration: { Date: date } }, 'InvalidArgument'],
    [{ Filter: tag, Expiration: { ExpiredObjectDeleteMarker: true } }, 'InvalidRequest'],
    [
      { Filter: { ObjectSizeLessThan: 9 }, Expiration: { ExpiredObjectDeleteMarker: true } },
      'InvalidRequest',
    ],
    [noncurrent(), 'MalformedXML'],
    [noncurrent(0), 'InvalidArgument'],
    [noncurrent(1, 0), 'InvalidArgument'],
    [noncurrent(1, 101), 'InvalidArgument'],
    [{ Filter: tag, AbortIncompleteMultipartUpload: abort }, 'InvalidRequest'],
    [{ Filter, AbortIncompleteMultipartUpload: {} }, 'MalformedXML'],
    [{ Filter, AbortIncompleteMultipartUpload: { DaysAfterInitiation: -1 } }, 'InvalidArgument'],
    [{ Filter, Expiration, Transitions: [DEEP] }, 'InvalidStorageClass'],
    [
      {
        ...{ Filter, Expiration },
        NoncurrentVersionTransitions: [{ NoncurrentDays: 1, StorageClass: 'GLACIER' }],
      },
      'InvalidStorageClass',
    ],
    [
      Array.from({ length: 300 }, (_, i) => ({
        ...{ ID: `${i}`, Filter: { Prefix: 'p'.repeat(1_000) }, Expiration },
      })),
      'InvalidRequest',
    ],
    [{ Filter, Expiration: { ExpiredObjectDeleteMarker: false } }, 'accepted'],
    [Array.from({ length: 1_000 }, (_, i) => ({ ID: `${i}`, Filter, Expiration })), 'accepted'],
  ]
  for (const [rule, want] of rows) {
    const rules = (Array.isArray(rule) ? rule : [rule]) as Partial<LifecycleRule>[]
    assert.equal(await refusal(setRules(Bucket, ...rules)), want, JSON.stringify(rule).slice(0, 99))
  }
  await s3.deleteBucket({ Bucket })
})

test('objects expire, and every answer about them says when', async () => {
  const Bucket = 'expiring'
  await s3.createBucket({ Bucket })
  const far = { ID: 'far away', Filter: { Prefix: 'far' }, Expiration: { Days: 2 ** 31 - 1 } }
  const near = { ID: 'near', Filter: { Prefix: 'near' }, Expiration }
  const abort = { DaysAfterInitiation: 1 }
  const uploads = { ID: 'up', Filter: { Prefix: 'up' }, AbortIncompleteMultipartUpload: abort }
  await setRules(Bucket, far, near, uploads)
  const { Expiration: put = '' } = await s3.putObject({ Bucket, Key: 'far', Body: 'x' })
  const { Expiration: head } = await s3.headObject({ Bucket, Key: 'far' })
  const { Expiration: got } = await s3.getObject({ Bucket, Key: 'far' })
  const CopySource = `${Bucket}/far`
  const { Expiration: copied } = await s3.copyObject({ Bucket, Key: 'far/copy', CopySource })
  assert.deepEqual([head, got], [put, put])
  for (const told of [put, copied]) assert.equal(EXPIRY.exec(told ?? '')?.[2], 'far%20away')
  const other = await s3.putObject({ Bucket, Key: 'other', Body: 'x' })
  assert.equal(other.Expiration, undefined)
  const { AbortDate, AbortRuleId, UploadId } = await s3.createMultipartUpload({
    ...{ Bucket, Key: 'up' },
  })
  assert.equal(AbortRuleId, 'up')
  assert.ok(AbortDate)
  const beforeMs = systemClock.nowMs()
  const near1 = await s3.putObject({ Bucket, Key: 'near', Body: 'x' })
  const [, date = '', id] = EXPIRY.exec(near1.Expiration ?? '') ?? []
  assert.equal(id, 'near')
  assert.ok(Date.parse(date) - beforeMs >= DAY_MS, date)
  const gone = async (): Promise<boolean> =>
    (await versionsIn(Bucket)).length === 3 &&
    (await refusal(s3.listParts({ Bucket, Key: 'up', UploadId }))) === 'NoSuchUpload'
  await until('what is due is gone', gone)
  assert.deepEqual(await versionsIn(Bucket), ['far 1', 'far/copy 1', 'other 1'])
})

test('where versions are kept, markers come, versions and then markers go, but for locked ones', async () => {
  const Bucket = 'versioned'
  await s3.createBucket({ Bucket, ObjectLockEnabledForBucket: true })
  await s3.putObject({ Bucket, Key: 'held', Body: 'x', ObjectLockLegalHoldStatus: 'ON' })
  await s3.putObject({ Bucket, Key: 'free', Body: 'x' })
  const NoncurrentVersionExpiration = { NoncurrentDays: 1 }
  await setRules(Bucket, { ID: 'all', Filter, Expiration, NoncurrentVersionExpiration })
  await until('only what is locked is there', async () => {
    const found = await versionsIn(Bucket)
    return found.join() === 'held 1,held marker'
  })
  await until('the round is told', async () => {
    const { lifecycles } = await cloud.local<{ lifecycles: { bucket: string; locked: number }[] }>({
      ...{ method: 'GET', path: '/v1/object-storage' },
    })
    return lifecycles.some(({ bucket, locked }) => bucket === Bucket && locked === 1)
  })
})

test('the aws CLI puts rules and reads them', async () => {
  const Bucket = 'cli'
  await s3.createBucket({ Bucket })
  const s3api = (...args: string[]) => cloud.aws(['s3api', ...args, '--bucket', Bucket])
  const rule = { ID: 'r', Filter: { Prefix: 'p/' }, Status: 'Enabled', Expiration: { Days: 30 } }
  const rules = JSON.stringify({ Rules: [rule] })
  await s3api('put-bucket-lifecycle-configuration', '--lifecycle-configuration', rules)
  const shown = await s3api('get-bucket-lifecycle-configuration')
  assert.deepEqual((shown as { Rules: unknown }).Rules, [rule])
})
