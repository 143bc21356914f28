// Object Lock through the clients that people use: what is locked stays, and who may say so.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { IAM } from '@aws-sdk/client-iam'
import { type ObjectLockConfiguration, S3 } from '@aws-sdk/client-s3'
import { systemClock } from '../../common/clock.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

const REGION = 'mallee-1'
const HOUR_MS = 60 * 60_000
const DAY_MS = 24 * HOUR_MS
const PROTECTED = /Access Denied because object protected by object lock\./

const cloud = await startCloud(lastFirst({ after }))
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
const config = { endpoint, region: REGION, maxAttempts: 1, forcePathStyle: true }
const s3 = new S3({ ...config, credentials: cloud.init })
const bare = new S3({
  ...{ ...config, credentials: cloud.init, requestChecksumCalculation: 'WHEN_REQUIRED' as const },
})
const iam = new IAM({ ...config, credentials: cloud.init })
for (const client of [s3, bare, iam]) after(() => client.destroy())

const Bucket = 'vault'
await s3.createBucket({ Bucket, ObjectLockEnabledForBucket: true })

function later(ms: number): Date {
  // Clients round up to whole seconds.
  return new Date(Math.ceil((systemClock.nowMs() + ms) / 1_000) * 1_000)
}

async function put(Key: string, more: object = {}): Promise<string> {
  return (await s3.putObject({ Bucket, Key, Body: 'x', ...more })).VersionId ?? ''
}

test('a bucket that is made with locks keeps versions for good', async () => {
  assert.equal((await s3.getBucketVersioning({ Bucket })).Status, 'Enabled')
  const { ObjectLockConfiguration } = await s3.getObjectLockConfiguration({ Bucket })
  assert.deepEqual(ObjectLockConfiguration, { ObjectLockEnabled: 'Enabled' })
  const suspend = s3.putBucketVersioning({
    ...{ Bucket, VersioningConfiguration: { Status: 'Suspended' } },
  })
  await assert.rejects(suspend, { name: 'InvalidBucketState', message: /cannot be changed\.$/ })
  await s3.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: 'Enabled' } })
})

test('a bucket gets locks later when it keeps versions, and each part of a rule is checked', async () => {
  const late = 'vault-later'
  await s3.createBucket({ Bucket: late })
  const set = (ObjectLockConfiguration: ObjectLockConfiguration) =>
    s3.putObjectLockConfiguration({ Bucket: late, ObjectLockConfiguration })
  const locked = { ObjectLockEnabled: 'Enabled' } as const
  assert.equal(await refusal(set(locked)), 'InvalidBucketState')
  const upload = { Bucket: late, Key: 'k', Body: 'x', ObjectLockLegalHoldStatus: 'ON' as const }
  for (const call of [
    () => s3.putObject(upload),
    () => s3.getObjectRetention({ Bucket: late, Key: 'k' }),
    () => s3.putObjectLegalHold({ Bucket: late, Key: 'k', LegalHold: { Status: 'ON' } }),
  ]) {
    await assert.rejects(call(), {
      name: 'InvalidRequest',
      message: 'Bucket is missing Object Lock Configuration',
    })
  }
  await s3.putBucketVersioning({ Bucket: late, VersioningConfiguration: { Status: 'Enabled' } })
  for (const [rule, want] of [
    [{ Mode: 'GOVERNANCE', Days: 1, Years: 1 }, 'MalformedXML'],
    [{ Mode: 'GOVERNANCE' }, 'MalformedXML'],
    [{ Days: 1 }, 'MalformedXML'],
    [{ Mode: 'governance', Days: 1 }, 'MalformedXML'],
    [{ Mode: 'GOVERNANCE', Days: 0 }, 'InvalidRetentionPeriod'],
    [{ Mode: 'COMPLIANCE', Years: -1 }, 'InvalidRetentionPeriod'],
    [{ Mode: 'COMPLIANCE', Days: 36_501 }, 'InvalidArgument'],
    [{ Mode: 'COMPLIANCE', Years: 101 }, 'InvalidArgument'],
    [{ Mode: 'COMPLIANCE', Years: 100 }, 'accepted'],
  ] as const) {
    const asked = { ...locked, Rule: { DefaultRetention: rule as never } }
    assert.equal(await refusal(set(asked)), want, JSON.stringify(rule))
  }
  assert.equal(await refusal(set({})), 'MalformedXML')
  const { ObjectLockConfiguration } = await s3.getObjectLockConfiguration({ Bucket: late })
  const Rule = { DefaultRetention: { Mode: 'COMPLIANCE', Years: 100 } }
  assert.deepEqual(ObjectLockConfiguration, { ...locked, Rule })
  const { VersionId } = await s3.putObject({ Bucket: late, Key: 'k', Body: 'x' })
  const { Retention } = await s3.getObjectRetention({ Bucket: late, Key: 'k' })
  const years = (Retention?.RetainUntilDate?.getUTCFullYear() ?? 0) - later(0).getUTCFullYear()
  assert.ok(years >= 99 && years <= 100, `${years} years`)
  await assert.rejects(s3.deleteObject({ Bucket: late, Key: 'k', VersionId }), PROTECTED)
  await set(locked)
  assert.equal((await s3.headObject({ Bucket: late, Key: 'k' })).ObjectLockMode, 'COMPLIANCE')
  await s3.putObject({ Bucket: late, Key: 'free', Body: 'x' })
  assert.equal((await s3.headObject({ Bucket: late, Key: 'free' })).ObjectLockMode, undefined)
})

test('governance: longer for everyone, shorter or gone for who bypasses it', async () => {
  const Key = 'governed'
  const until = later(HOUR_MS)
  const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: until }
  const VersionId = await put(Key, lock)
  const shown = await s3.headObject({ Bucket, Key })
  assert.deepEqual([shown.ObjectLockMode, shown.ObjectLockRetainUntilDate], ['GOVERNANCE', until])
  await assert.rejects(s3.deleteObject({ Bucket, Key, VersionId }), {
    name: 'AccessDenied',
    message: PROTECTED,
  })
  assert.equal((await s3.deleteObject({ Bucket, Key })).DeleteMarker, true)
  const retain = (Mode: 'GOVERNANCE' | 'COMPLIANCE' | null, ms: number, bypass = false) =>
    s3.putObjectRetention({
      ...{ Bucket, Key, VersionId, BypassGovernanceRetention: bypass },
      Retention: Mode === null ? {} : { Mode, RetainUntilDate: later(ms) },
    })
  assert.equal(await refusal(retain('GOVERNANCE', 2 * HOUR_MS)), 'accepted')
  assert.equal(await refusal(retain('GOVERNANCE', HOUR_MS)), 'AccessDenied')
  assert.equal(await refusal(retain('COMPLIANCE', 3 * HOUR_MS)), 'AccessDenied')
  assert.equal(await refusal(retain(null, 0)), 'AccessDenied')
  assert.equal(await refusal(retain('GOVERNANCE', -HOUR_MS, true)), 'InvalidArgument')
  assert.equal(await refusal(retain('GOVERNANCE', HOUR_MS, true)), 'accepted')
  assert.equal(await refusal(retain(null, 0, true)), 'accepted')
  const none = s3.getObjectRetention({ Bucket, Key, VersionId })
  assert.equal(await refusal(none), 'NoSuchObjectLockConfiguration')
  assert.equal(await refusal(retain('GOVERNANCE', HOUR_MS)), 'accepted')
  const Objects = [{ Key, VersionId }]
  const { Errors = [] } = await s3.deleteObjects({ Bucket, Delete: { Objects } })
  assert.deepEqual(
    Errors.map(({ Code, Message }) => [Code, PROTECTED.test(Message ?? '')]),
    [['AccessDenied', true]],
  )
  const gone = await s3.deleteObjects({
    ...{ Bucket, Delete: { Objects }, BypassGovernanceRetention: true },
  })
  assert.deepEqual([gone.Deleted?.[0]?.VersionId, gone.Errors], [VersionId, undefined])
})

test('compliance: only ever longer, and nobody bypasses it', async () => {
  const Key = 'complied'
  const lock = { ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: later(HOUR_MS) }
  const VersionId = await put(Key, lock)
  const BypassGovernanceRetention = true
  for (const [Retention, want] of [
    [{ Mode: 'COMPLIANCE', RetainUntilDate: later(HOUR_MS / 2) }, 'AccessDenied'],
    [{ Mode: 'GOVERNANCE', RetainUntilDate: later(2 * HOUR_MS) }, 'AccessDenied'],
    [{}, 'AccessDenied'],
    [{ Mode: 'COMPLIANCE' }, 'MalformedXML'],
    [{ RetainUntilDate: later(HOUR_MS) }, 'MalformedXML'],
    [{ Mode: 'COMPLIANCE', RetainUntilDate: later(2 * HOUR_MS) }, 'accepted'],
  ] as const) {
    const call = s3.putObjectRetention({
      ...{ Bucket, Key, VersionId, Retention, BypassGovernanceRetention },
    })
    assert.equal(await refusal(call), want, JSON.stringify(Retention))
  }
  const call = s3.deleteObject({ Bucket, Key, VersionId, BypassGovernanceRetention })
  await assert.rejects(call, PROTECTED)
  await s3.deleteObject({ Bucket, Key })
  await assert.rejects(s3.deleteBucket({ Bucket }), { name: 'BucketNotEmpty' })
})

test('a legal hold stays until it is taken off', async () => {
  const Key = 'held'
  const VersionId = await put(Key)
  const none = s3.getObjectLegalHold({ Bucket, Key })
  assert.equal(await refusal(none), 'NoSuchObjectLockConfiguration')
  await s3.putObjectLegalHold({ Bucket, Key, LegalHold: { Status: 'ON' } })
  const erase = () => s3.deleteObject({ Bucket, Key, VersionId, BypassGovernanceRetention: true })
  await assert.rejects(erase(), PROTECTED)
  assert.equal((await s3.getObject({ Bucket, Key })).ObjectLockLegalHoldStatus, 'ON')
  assert.equal(await refusal(s3.putObjectLegalHold({ Bucket, Key })), 'MalformedXML')
  await s3.putObjectLegalHold({ Bucket, Key, LegalHold: { Status: 'OFF' } })
  assert.equal((await s3.getObjectLegalHold({ Bucket, Key })).LegalHold?.Status, 'OFF')
  await erase()
})

test('uploads in parts and copies get the locks that they ask for, and no other', async () => {
  const until = later(HOUR_MS)
  const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: until } as const
  const held = { ObjectLockLegalHoldStatus: 'ON' } as const
  const Key = 'in-parts'
  const { UploadId } = await s3.createMultipartUpload({ Bucket, Key, ...lock, ...held })
  const part = { Bucket, Key, UploadId, PartNumber: 1, Body: 'x' }
  await assert.rejects(bare.uploadPart(part), /required for Put Part requests with Object Lock/)
  const { ETag } = await s3.uploadPart(part)
  const Parts = [{ ETag, PartNumber: 1 }]
  await s3.completeMultipartUpload({ Bucket, Key, UploadId, MultipartUpload: { Parts } })
  const whole = await s3.headObject({ Bucket, Key })
  assert.deepEqual(
    [whole.ObjectLockMode, whole.ObjectLockRetainUntilDate, whole.ObjectLockLegalHoldStatus],
    ['GOVERNANCE', until, 'ON'],
  )
  const CopySource = `${Bucket}/${Key}`
  await s3.copyObject({ Bucket, Key: 'copy', CopySource })
  assert.equal((await s3.headObject({ Bucket, Key: 'copy' })).ObjectLockMode, undefined)
  await s3.copyObject({ Bucket, Key: 'copy', CopySource, ...lock })
  assert.equal((await s3.headObject({ Bucket, Key: 'copy' })).ObjectLockMode, 'GOVERNANCE')
})

test('an upload that is to be locked must be whole and say when its lock ends', async () => {
  const upload = { Bucket, Key: 'wrong', Body: 'x' }
  const until = later(HOUR_MS)
  const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: until } as const
  await assert.rejects(bare.putObject({ ...upload, ...lock }), {
    name: 'InvalidRequest',
    message:
      'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
  })
  const ContentMD5 = 'nd10xhGPbvmtgt3J80k+dg=='
  await assert.rejects(bare.putObject({ ...upload, ...lock, ContentMD5 }), { name: 'BadDigest' })
  for (const [wish, message] of [
    [{ ObjectLockMode: 'GOVERNANCE' }, /must both be supplied/],
    [{ ObjectLockRetainUntilDate: until }, /must both be supplied/],
    [{ ...lock, ObjectLockMode: 'governance' }, /Invalid Argument/],
    [{ ObjectLockLegalHoldStatus: 'on' }, /Invalid Argument/],
    [{ ...lock, ObjectLockRetainUntilDate: later(-HOUR_MS) }, /must be in the future!/],
  ] as const) {
    const call = s3.putObject({ ...upload, ...(wish as object) })
    await assert.rejects(call, { name: 'InvalidArgument', message })
  }
  assert.equal(await refusal(s3.headObject({ Bucket, Key: 'wrong' })), 'NotFound')
})

test('policies decide who locks, for how long, who bypasses and who sees it', async () => {
  const UserName = 'archivist'
  await iam.createUser({ UserName })
  const { AccessKey } = await iam.createAccessKey({ UserName })
  const { AccessKeyId: accessKeyId = '', SecretAccessKey: secretAccessKey = '' } = AccessKey ?? {}
  const user = new S3({ ...config, credentials: { accessKeyId, secretAccessKey } })
  after(() => user.destroy())
  const Resource = `arn:aws:s3:::${Bucket}/*`
  const allow = (Action: string | string[], Condition?: object): object => ({
    ...{ Effect: 'Allow', Action, Resource, ...(Condition && { Condition }) },
  })
  const may = async (...Statement: object[]): Promise<void> => {
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement })
    await iam.putUserPolicy({ UserName, PolicyName: 'p', PolicyDocument })
  }
  const Key = 'guarded'
  const objects = allow(['s3:PutObject', 's3:GetObject', 's3:DeleteObjectVersion'])
  const days = { NumericLessThanEquals: { 's3:object-lock-remaining-retention-days': '2' } }
  const governed = { StringEquals: { 's3:object-lock-mode': 'GOVERNANCE' } }
  await may(objects, allow('s3:PutObjectRetention', { ...days, ...governed }))
  const lock = (Mode: 'GOVERNANCE' | 'COMPLIANCE', ms: number) =>
    user.putObject({
      ...{ Bucket, Key, Body: 'x', ObjectLockMode: Mode, ObjectLockRetainUntilDate: later(ms) },
    })
  assert.equal(await refusal(lock('GOVERNANCE', 3 * DAY_MS)), 'AccessDenied')
  assert.equal(await refusal(lock('COMPLIANCE', DAY_MS)), 'AccessDenied')
  const { VersionId } = await lock('GOVERNANCE', DAY_MS)
  const retain = (ms: number) =>
    user.putObjectRetention({
      ...{ Bucket, Key, Retention: { Mode: 'GOVERNANCE', RetainUntilDate: later(ms) } },
    })
  assert.equal(await refusal(retain(3 * DAY_MS)), 'AccessDenied')
  assert.equal(await refusal(retain(2 * DAY_MS - HOUR_MS)), 'accepted')
  const hold = (Status: 'ON' | 'OFF') =>
    user.putObjectLegalHold({ Bucket, Key, LegalHold: { Status } })
  assert.equal(await refusal(hold('ON')), 'AccessDenied')
  assert.equal((await user.headObject({ Bucket, Key })).ObjectLockMode, undefined)
  assert.equal(await refusal(user.getObjectRetention({ Bucket, Key })), 'AccessDenied')
  const erase = () => user.deleteObject({ Bucket, Key, VersionId, BypassGovernanceRetention: true })
  await assert.rejects(erase(), PROTECTED)
  const off = { StringEquals: { 's3:object-lock-legal-hold': 'ON' } }
  const more = ['s3:GetObjectRetention', 's3:BypassGovernanceRetention']
  await may(objects, allow(more), allow('s3:PutObjectLegalHold', off))
  const seen = await user.headObject({ Bucket, Key })
  assert.deepEqual([seen.ObjectLockMode, seen.ObjectLockLegalHoldStatus], ['GOVERNANCE', undefined])
  await hold('ON')
  assert.equal(await refusal(hold('OFF')), 'AccessDenied')
  await assert.rejects(erase(), PROTECTED)
  await s3.putObjectLegalHold({ Bucket, Key, LegalHold: { Status: 'OFF' } })
  await erase()
})

test('the aws CLI locks, shows and bypasses', async () => {
  const until = later(2 * DAY_MS).toISOString()
  const at = ['--bucket', Bucket, '--key', 'cli']
  const s3api = (...args: string[]) => cloud.aws(['s3api', ...args])
  const rule = 'ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=GOVERNANCE,Days=1}}'
  const lock = ['--object-lock-configuration', rule]
  await s3api('put-object-lock-configuration', '--bucket', Bucket, ...lock)
  const { VersionId } = await s3.putObject({ Bucket, Key: 'cli', Body: 'x' })
  const retention = `Mode=GOVERNANCE,RetainUntilDate=${until}`
  await s3api('put-object-retention', ...at, '--retention', retention)
  const shown = JSON.stringify(await s3api('get-object-retention', ...at))
  assert.ok(shown.includes(until.slice(0, 19)), shown)
  const erase = ['delete-object', ...at, '--version-id', VersionId ?? '']
  await assert.rejects(s3api(...erase), PROTECTED)
  await s3api(...erase, '--bypass-governance-retention')
})
