// Encryption at rest through the JavaScript SDK: with the cloud's keys, and over TLS with keys that
// clients bring.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { lastFirst, startCloud, type TestCloud } from '../support/cloud.ts'
import { tlsCertificate } from '../support/tls-certificate.ts'
import { refusal, writesNoBlob } from './support.ts'

const MIB = 1 << 20
const ending = lastFirst({ after })
const { keyFile, certFile } = await tlsCertificate(ending)
const ca = await readFile(certFile)
const tls = { tlsKey: keyFile, tlsCertificate: certFile }
const cloud = await startCloud(ending, { settings: tls })
const encrypting = await startCloud(ending, {
  settings: { objectEncryption: 'on', customerKeysOverHttp: 'on' },
})

function clientOf({ init, config }: TestCloud): S3 {
  const { accessKeyId, secretAccessKey, region } = init
  const httpsAgent = new Agent({ ca })
  const client = new S3({
    endpoint: `${config.tlsKey === null ? 'http' : 'https'}://127.0.0.1:${config.apiPort}`,
    ...{ region, maxAttempts: 1, forcePathStyle: true, requestHandler: { httpsAgent } },
    credentials: { accessKeyId, secretAccessKey },
  })
  after(() => client.destroy())
  return client
}

const s3 = clientOf(cloud)
const Bucket = 'sealed'
await s3.createBucket({ Bucket })

/** Text that a folder of plain bytes would show. */
const SIGHT = 'what nobody may see on a disk. '
const large = Buffer.concat([Buffer.from(SIGHT), randomBytes(11 * MIB)])
const small = Buffer.from(SIGHT)

async function whole(of: S3, Key: string, more = {}): Promise<Buffer> {
  const { Body } = await of.getObject({ Bucket, Key, ...more })
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

function customer(key = randomBytes(32)) {
  const SSECustomerKey = key.toString('base64')
  const SSECustomerKeyMD5 = createHash('md5').update(key).digest('base64')
  return { SSECustomerAlgorithm: 'AES256', SSECustomerKey, SSECustomerKeyMD5 }
}

function asSource({ SSECustomerAlgorithm, SSECustomerKey, SSECustomerKeyMD5 }: typeof mine) {
  return {
    CopySourceSSECustomerAlgorithm: SSECustomerAlgorithm,
    CopySourceSSECustomerKey: SSECustomerKey,
    CopySourceSSECustomerKeyMD5: SSECustomerKeyMD5,
  }
}

const mine = customer()
const other = customer()
const SHOWN = [mine.SSECustomerAlgorithm, mine.SSECustomerKeyMD5]

function shown(output: Partial<Record<keyof typeof mine, string | undefined>>) {
  return [output.SSECustomerAlgorithm, output.SSECustomerKeyMD5]
}

async function isOnDisk({ config }: TestCloud, text: string): Promise<boolean> {
  for (const name of await readdir(config.stateDir, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue
    const bytes = await readFile(join(name.parentPath, name.name))
    const base64 = Buffer.from(text).toString('base64').slice(0, -4)
    if (bytes.includes(text) || bytes.includes(base64)) return true
  }
  return false
}

async function inParts(of: S3, Key: string, first: object, each: object) {
  const created = await of.createMultipartUpload({ Bucket, Key, ...first })
  const { UploadId } = created
  const pieces = [large.subarray(0, 5 * MIB), large.subarray(5 * MIB)]
  const parts = []
  for (const [at, Body] of pieces.entries()) {
    const about = { Bucket, Key, UploadId, PartNumber: at + 1 }
    parts.push(await of.uploadPart({ ...about, Body, ...each }))
  }
  const named = parts.map(({ ETag }, at) => ({ PartNumber: at + 1, ETag }))
  const MultipartUpload = { Parts: named }
  const done = await of.completeMultipartUpload({ Bucket, Key, UploadId, MultipartUpload })
  return { created, parts, done }
}

test('the cloud encrypts what asks for it, and nothing of it is on a disk', async () => {
  const ServerSideEncryption = 'AES256'
  for (const [Key, Body] of Object.entries({ small, large, empty: Buffer.alloc(0) })) {
    const put = await s3.putObject({ Bucket, Key, Body, ServerSideEncryption })
    assert.equal(put.ServerSideEncryption, 'AES256')
    assert.equal(put.ETag, `"${createHash('md5').update(Body).digest('hex')}"`)
    const head = await s3.headObject({ Bucket, Key })
    assert.deepEqual([head.ServerSideEncryption, head.ContentLength], ['AES256', Body.length])
    assert.deepEqual(await whole(s3, Key), Body)
  }
  const Range = `bytes=${MIB - 3}-${3 * MIB}`
  assert.deepEqual(await whole(s3, 'large', { Range }), large.subarray(MIB - 3, 3 * MIB + 1))
  const { created, parts, done } = await inParts(s3, 'parts', { ServerSideEncryption }, {})
  for (const one of [created, ...parts, done]) assert.equal(one.ServerSideEncryption, 'AES256')
  assert.deepEqual(await whole(s3, 'parts'), large)
  const CopySource = `${Bucket}/parts`
  const copy = await s3.copyObject({ Bucket, Key: 'copy', CopySource, ServerSideEncryption })
  assert.equal(copy.ServerSideEncryption, 'AES256')
  assert.deepEqual(await whole(s3, 'copy'), large)
  const again = { Bucket, Key: 'again', CopySource: `${Bucket}/copy` }
  await writesNoBlob(cloud, () => s3.copyObject({ ...again, ServerSideEncryption }))
  await s3.deleteObject({ Bucket, Key: 'copy' })
  assert.deepEqual(await whole(s3, 'again', { Range }), large.subarray(MIB - 3, 3 * MIB + 1))
  assert.equal(await isOnDisk(cloud, SIGHT), false)
  const opened = { Bucket, Key: 'opened', CopySource: `${Bucket}/again` }
  assert.equal((await s3.copyObject(opened)).ServerSideEncryption, undefined)
  assert.deepEqual(await whole(s3, 'opened'), large)
  await s3.putObject({ Bucket, Key: 'plain', Body: small })
  assert.equal((await s3.headObject({ Bucket, Key: 'plain' })).ServerSideEncryption, undefined)
  assert.equal(await isOnDisk(cloud, SIGHT), true)
  // As AWS has it: the way to encrypt what is there already.
  const itself = { Bucket, Key: 'plain', CopySource: `${Bucket}/plain` }
  assert.equal(await refusal(s3.copyObject(itself)), 'InvalidRequest')
  await s3.copyObject({ ...itself, ServerSideEncryption })
  assert.equal((await s3.headObject({ Bucket, Key: 'plain' })).ServerSideEncryption, 'AES256')
})

test('a bucket has new objects encrypted when it says so, with the cloud’s keys only', async () => {
  const code = 'ServerSideEncryptionConfigurationNotFoundError'
  assert.equal(await refusal(s3.getBucketEncryption({ Bucket })), code)
  type Rule = NonNullable<
    Parameters<S3['putBucketEncryption']>[0]['ServerSideEncryptionConfiguration']
  >['Rules']
  const put = (...Rules: NonNullable<Rule>) =>
    s3.putBucketEncryption({ Bucket, ServerSideEncryptionConfiguration: { Rules } })
  const aes = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } } as const
  await put({ ...aes, BucketKeyEnabled: true })
  const got = await s3.getBucketEncryption({ Bucket })
  assert.deepEqual(got.ServerSideEncryptionConfiguration?.Rules, [
    { ...aes, BucketKeyEnabled: true },
  ])
  assert.equal(
    (await s3.putObject({ Bucket, Key: 'k', Body: small })).ServerSideEncryption,
    'AES256',
  )
  const { created } = await inParts(s3, 'k', {}, {})
  assert.equal(created.ServerSideEncryption, 'AES256')
  const kms = { SSEAlgorithm: 'aws:kms' } as const
  for (const [rule, want] of [
    [{ ApplyServerSideEncryptionByDefault: kms }, 'NotImplemented'],
    [
      { ApplyServerSideEncryptionByDefault: { ...kms, KMSMasterKeyID: 'k' } },
      'KMS.NotFoundException',
    ],
    [
      { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256', KMSMasterKeyID: 'k' } },
      'InvalidArgument',
    ],
  ] as const) {
    assert.equal(await refusal(put(rule)), want)
  }
  assert.equal(await refusal(put(aes, aes)), 'MalformedXML')
  await put({ ...aes, BlockedEncryptionTypes: { EncryptionType: ['SSE-C'] } })
  assert.equal(
    await refusal(s3.putObject({ Bucket, Key: 'k', Body: small, ...mine })),
    'AccessDenied',
  )
  await s3.deleteBucketEncryption({ Bucket })
  assert.equal(
    (await s3.putObject({ Bucket, Key: 'k', Body: small })).ServerSideEncryption,
    undefined,
  )
  for (const [asked, want] of [
    [{ ServerSideEncryption: 'aws:kms' }, 'NotImplemented'],
    [{ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'k' }, 'KMS.NotFoundException'],
    [{ ServerSideEncryption: 'aws:kms:dsse' }, 'NotImplemented'],
    [{ ServerSideEncryption: 'rot13' as 'AES256' }, 'InvalidEncryptionAlgorithmError'],
    [{ SSEKMSKeyId: 'k' }, 'InvalidArgument'],
    [{ ServerSideEncryption: 'AES256', ...mine }, 'InvalidArgument'],
  ] as const) {
    assert.equal(await refusal(s3.putObject({ Bucket, Key: 'k', Body: small, ...asked })), want)
  }
})

test('an object opens with the key that its client brought, and with no other', async () => {
  for (const [Key, Body] of Object.entries({ 'c-small': small, 'c-large': large })) {
    const put = await s3.putObject({ Bucket, Key, Body, ...mine })
    assert.deepEqual(shown(put), SHOWN)
    assert.equal(put.ServerSideEncryption, undefined)
    assert.notEqual(put.ETag, `"${createHash('md5').update(Body).digest('hex')}"`)
    assert.match(put.ETag ?? '', /^"[0-9a-f]{32}"$/)
    assert.deepEqual(shown(await s3.headObject({ Bucket, Key, ...mine })), SHOWN)
    assert.deepEqual(await whole(s3, Key, mine), Body)
    assert.equal((await whole(s3, Key, { ...mine, Range: 'bytes=5-9' })).toString(), 'nobod')
    const ObjectAttributes = ['ObjectSize'] as 'ObjectSize'[]
    const attributes = { Bucket, Key, ObjectAttributes }
    const { ObjectSize } = await s3.getObjectAttributes({ ...attributes, ...mine })
    assert.equal(ObjectSize, Body.length)
    assert.equal(await refusal(s3.getObjectAttributes(attributes)), 'InvalidRequest')
    assert.equal(await refusal(s3.getObject({ Bucket, Key })), 'InvalidRequest')
    assert.equal(await refusal(s3.getObject({ Bucket, Key, ...other })), 'AccessDenied')
    // An answer to HEAD has no document that would say more than its status.
    const status = async (more: object) =>
      await s3.headObject({ Bucket, Key, ...more }).catch((error) => error.$metadata.httpStatusCode)
    assert.deepEqual([await status({}), await status(other)], [400, 403])
  }
  assert.equal(await isOnDisk(cloud, mine.SSECustomerKey), false)
  await s3.putObject({ Bucket, Key: 'open', Body: small })
  assert.equal(await refusal(s3.getObject({ Bucket, Key: 'open', ...mine })), 'InvalidRequest')
})

test('copies need the key of their source, and have their own', async () => {
  const CopySource = `${Bucket}/c-large`
  const copy = (more: object) => s3.copyObject({ Bucket, Key: 'c-copy', CopySource, ...more })
  assert.equal(await refusal(copy({})), 'InvalidRequest')
  assert.equal(await refusal(copy(asSource(other))), 'AccessDenied')
  assert.deepEqual(shown(await copy({ ...asSource(mine), ...other })), [
    'AES256',
    other.SSECustomerKeyMD5,
  ])
  assert.deepEqual(await whole(s3, 'c-copy', other), large)
  await copy({ ...asSource(mine), ServerSideEncryption: 'AES256' })
  assert.deepEqual(await whole(s3, 'c-copy'), large)
})

test('each part of an upload has the key that it began with', async () => {
  const Key = 'c-parts'
  const { created, parts, done } = await inParts(s3, Key, mine, mine)
  for (const one of [created, ...parts]) assert.deepEqual(shown(one), SHOWN)
  assert.match(done.ETag ?? '', /^"[0-9a-f]{32}-2"$/)
  assert.deepEqual(await whole(s3, Key, mine), large)
  assert.deepEqual(await whole(s3, Key, { ...mine, PartNumber: 2 }), large.subarray(5 * MIB))
  const { UploadId } = await s3.createMultipartUpload({ Bucket, Key, ...mine })
  const about = { Bucket, Key, UploadId, PartNumber: 1 }
  const part = (more: object) => refusal(s3.uploadPart({ ...about, Body: small, ...more }))
  assert.deepEqual(
    [await part({}), await part(other), await part(mine)],
    ['InvalidRequest', 'InvalidRequest', 'accepted'],
  )
  const from = { ...about, CopySource: `${Bucket}/${Key}`, CopySourceRange: 'bytes=5-9' }
  const copied = await s3.uploadPartCopy({ ...from, ...mine, ...asSource(mine) })
  assert.deepEqual(shown(copied), SHOWN)
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: copied.CopyPartResult?.ETag }] }
  await s3.completeMultipartUpload({ Bucket, Key, UploadId, MultipartUpload, ...mine })
  assert.equal((await whole(s3, Key, mine)).toString(), 'nobod')
})

test('a policy may want uploads encrypted', async () => {
  const Deny = {
    ...{ Effect: 'Deny', Principal: '*', Action: 's3:PutObject' },
    Resource: `arn:aws:s3:::${Bucket}/*`,
    Condition: { Null: { 's3:x-amz-server-side-encryption-customer-algorithm': 'true' } },
  }
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: Deny })
  await s3.putBucketPolicy({ Bucket, Policy })
  assert.equal(await refusal(s3.putObject({ Bucket, Key: 'p', Body: small })), 'AccessDenied')
  await s3.putObject({ Bucket, Key: 'p', Body: small, ...mine })
  await s3.deleteBucketPolicy({ Bucket })
})

test('a cloud that encrypts everything says so, and one takes keys over HTTP if told to', async () => {
  const client = clientOf(encrypting)
  await client.createBucket({ Bucket })
  const { ServerSideEncryptionConfiguration: got } = await client.getBucketEncryption({ Bucket })
  const aes = { SSEAlgorithm: 'AES256' }
  const rule = { ApplyServerSideEncryptionByDefault: aes, BucketKeyEnabled: false }
  assert.deepEqual(got?.Rules, [rule])
  assert.equal(
    (await client.putObject({ Bucket, Key: 'k', Body: small })).ServerSideEncryption,
    'AES256',
  )
  const { created } = await inParts(client, 'l', {}, {})
  assert.equal(created.ServerSideEncryption, 'AES256')
  assert.deepEqual(await whole(client, 'l'), large)
  assert.equal(await isOnDisk(encrypting, SIGHT), false)
  await client.putObject({ Bucket, Key: 'c', Body: small, ...mine })
  assert.deepEqual(await whole(client, 'c', mine), small)
})
