// Access control lists and who owns objects: what is granted to other accounts and to everyone, by
// which words, and what the block of public access leaves of it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { IAM } from '@aws-sdk/client-iam'
import { type Grant, type ObjectOwnership, S3 } from '@aws-sdk/client-s3'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

const cloud = await startCloud(lastFirst({ after }))
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

function optionsOf({ accessKeyId, secretAccessKey }: Keys) {
  const credentials = { accessKeyId, secretAccessKey }
  return { endpoint, region: cloud.init.region, credentials, maxAttempts: 1 }
}

function clientOf(keys: Keys): S3 {
  const client = new S3({ ...optionsOf(keys), forcePathStyle: true })
  after(() => client.destroy())
  return client
}

async function accountCalled(name: string): Promise<Keys & { account: string }> {
  return await cloud.local({ method: 'POST', path: '/v1/accounts', body: { name } })
}

const s3 = clientOf(cloud.init)
const otherKeys = await accountCalled('other')
const other = clientOf(otherKeys)
const third = clientOf(await accountCalled('third'))
const ownId = (await s3.listBuckets({})).Owner?.ID ?? ''
const otherId = (await other.listBuckets({})).Owner?.ID ?? ''

/** A user of the other account that no policy allows anything. */
async function powerless(): Promise<S3> {
  const iam = new IAM(optionsOf(otherKeys))
  after(() => iam.destroy())
  await iam.createUser({ UserName: 'powerless' })
  const { AccessKey } = await iam.createAccessKey({ UserName: 'powerless' })
  const { AccessKeyId: accessKeyId = '', SecretAccessKey: secretAccessKey = '' } = AccessKey ?? {}
  return clientOf({ accessKeyId, secretAccessKey })
}

async function bucketWith(Bucket: string, ObjectOwnership: ObjectOwnership): Promise<void> {
  await s3.createBucket({ Bucket, ObjectOwnership })
  await s3.deletePublicAccessBlock({ Bucket })
}

const status = async (path: string, method = 'GET', body?: string) =>
  (await fetch(`${endpoint}/${path}`, { method, ...(body !== undefined && { body }) })).status

const OWNERS: Grant = { Grantee: { Type: 'CanonicalUser', ID: ownId }, Permission: 'FULL_CONTROL' }

function toGroup(name: string, Permission: Grant['Permission']): Grant {
  const part = name === 'LogDelivery' ? 's3' : 'global'
  const URI = `http://acs.amazonaws.com/groups/${part}/${name}`
  return { Grantee: { Type: 'Group', URI }, Permission }
}

test('where the bucket’s owner owns everything, no list but its own is taken', async () => {
  const Bucket = 'enforced'
  await s3.createBucket({ Bucket })
  const { OwnershipControls } = await s3.getBucketOwnershipControls({ Bucket })
  assert.deepEqual(OwnershipControls?.Rules, [{ ObjectOwnership: 'BucketOwnerEnforced' }])
  await s3.putObject({ Bucket, Key: 'k', Body: 'x', ACL: 'bucket-owner-full-control' })
  const AccessControlPolicy = { Owner: { ID: ownId }, Grants: [OWNERS] }
  for (const [asked, want] of [
    [{ ACL: 'private' }, 'accepted'],
    [{ AccessControlPolicy }, 'accepted'],
    [{ GrantFullControl: `id="${ownId}"` }, 'accepted'],
    [{ ACL: 'public-read' }, 'AccessControlListNotSupported'],
    [{ GrantRead: `id="${otherId}"` }, 'AccessControlListNotSupported'],
    [{}, 'MissingSecurityHeader'],
  ] as const) {
    assert.equal(await refusal(s3.putBucketAcl({ Bucket, ...asked })), want)
    assert.equal(await refusal(s3.putObjectAcl({ Bucket, Key: 'k', ...asked })), want)
  }
  const put = s3.putObject({ Bucket, Key: 'k', Body: 'x', ACL: 'public-read' })
  assert.equal(await refusal(put), 'AccessControlListNotSupported')
  const made = { Bucket: 'enforced-2', ACL: 'public-read' } as const
  assert.equal(await refusal(s3.createBucket(made)), 'InvalidBucketAclWithObjectOwnership')
  const open = { ...made, ObjectOwnership: 'ObjectWriter' } as const
  const blocked = 'InvalidBucketAclWithBlockPublicAccessError'
  assert.equal(await refusal(s3.createBucket(open)), blocked)
  for (const { Grants } of [
    await s3.getBucketAcl({ Bucket }),
    await s3.getObjectAcl({ Bucket, Key: 'k' }),
  ]) {
    assert.deepEqual(Grants, [OWNERS])
  }
})

test('a bucket’s list says who of others lists it, writes into it, and sees the list', async () => {
  const Bucket = 'lists'
  await bucketWith(Bucket, 'ObjectWriter')
  await s3.putObject({ Bucket, Key: 'own', Body: 'own' })
  const asks = [
    () => other.listObjectsV2({ Bucket }),
    () => other.putObject({ Bucket, Key: 'theirs', Body: 'theirs' }),
    () => other.getBucketAcl({ Bucket }),
    () => other.putBucketAcl({ Bucket, GrantWriteACP: `id=${otherId}` }),
    () => other.getBucketTagging({ Bucket }),
    () => other.getObject({ Bucket, Key: 'own' }),
    () => other.deleteObject({ Bucket, Key: 'own' }),
  ]
  for (const [grant, allowed] of [
    [{ GrantFullControl: `id=${ownId}` }, []],
    [{ GrantRead: `id=${otherId}` }, [0]],
    [{ GrantWrite: `id="${otherId}", uri="${toGroup('LogDelivery', 'READ').Grantee?.URI}"` }, [1]],
    [{ GrantReadACP: `id=${otherId}` }, [2]],
    [{ GrantWriteACP: `id=${otherId}` }, [3]],
    [{ GrantFullControl: `id=${otherId}` }, [0, 1, 2, 3]],
    [{ ACL: 'authenticated-read' }, [0]],
  ] as const) {
    for (const [at, ask] of asks.entries()) {
      await s3.putBucketAcl({ Bucket, ...grant })
      const isAllowed = (allowed as readonly number[]).includes(at)
      const want = isAllowed ? 'accepted' : 'AccessDenied'
      assert.equal(await refusal(ask()), want, `${Object.keys(grant)}: ${ask}`)
    }
  }
  const user = await powerless()
  assert.equal(await refusal(user.listObjectsV2({ Bucket })), 'AccessDenied')
  assert.equal(await status(Bucket), 403)
  await s3.putBucketAcl({ Bucket, ACL: 'public-read' })
  assert.equal(await status(Bucket), 200)
  assert.equal(await status(`${Bucket}/nothing`), 404)
  assert.equal(await status(`${Bucket}/own`), 403)
  assert.deepEqual((await s3.getBucketAcl({ Bucket })).Grants, [
    OWNERS,
    toGroup('AllUsers', 'READ'),
  ])
  assert.equal(await refusal(s3.getBucketPolicyStatus({ Bucket })), 'NoSuchBucketPolicy')
})

test('who writes an object owns it, and says who reads it; the bucket’s owner may delete it', async () => {
  const Bucket = 'writers'
  await bucketWith(Bucket, 'ObjectWriter')
  await s3.putBucketAcl({ Bucket, ACL: 'public-read-write' })
  await other.putObject({ Bucket, Key: 'k', Body: 'theirs' })
  await other.putObjectTagging({
    Bucket,
    Key: 'k',
    Tagging: { TagSet: [{ Key: 'a', Value: '1' }] },
  })
  assert.equal((await other.getObjectAcl({ Bucket, Key: 'k' })).Owner?.ID, otherId)
  // Not even what the policy of the bucket allows is more than what its owner may.
  const Statement = [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject*' }].map((one) => ({
    ...one,
    Resource: `arn:aws:s3:::${Bucket}/*`,
  }))
  await s3.putBucketPolicy({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) })
  const get = async () => [
    ...(await Promise.all(
      [s3, other, third].map((of) => refusal(of.getObject({ Bucket, Key: 'k' }))),
    )),
    await status(`${Bucket}/k`),
  ]
  const no = 'AccessDenied'
  assert.deepEqual(await get(), [no, 'accepted', no, 403])
  assert.equal(await refusal(s3.getObjectTagging({ Bucket, Key: 'k' })), no)
  assert.equal(await refusal(other.getObjectTagging({ Bucket, Key: 'k' })), 'accepted')
  for (const [ACL, want] of [
    ['bucket-owner-read', ['accepted', 'accepted', no, 403]],
    ['bucket-owner-full-control', ['accepted', 'accepted', no, 403]],
    ['authenticated-read', ['accepted', 'accepted', 'accepted', 403]],
    ['public-read', ['accepted', 'accepted', 'accepted', 200]],
    ['private', [no, 'accepted', no, 403]],
  ] as const) {
    await other.putObjectAcl({ Bucket, Key: 'k', ACL })
    assert.deepEqual(await get(), want, ACL)
  }
  assert.equal(await refusal(s3.putObjectAcl({ Bucket, Key: 'k', ACL: 'private' })), no)
  assert.equal(await refusal(third.deleteObject({ Bucket, Key: 'k' })), no)
  const copy = { Bucket, Key: 'copy', CopySource: `${Bucket}/k` }
  assert.equal(await refusal(third.copyObject(copy)), no)
  await other.putObjectAcl({ Bucket, Key: 'k', ACL: 'public-read' })
  await third.copyObject({ ...copy, ACL: 'bucket-owner-full-control' })
  await s3.getObject({ Bucket, Key: 'copy' })
  const Delete = { Objects: [{ Key: 'copy' }] }
  assert.equal((await other.deleteObjects({ Bucket, Delete })).Errors?.[0]?.Code, no)
  assert.equal((await third.deleteObjects({ Bucket, Delete })).Errors, undefined)
  await s3.deleteObject({ Bucket, Key: 'k' })
  assert.equal(await refusal(s3.headObject({ Bucket, Key: 'k' })), 'NotFound')
  assert.equal(await status(`${Bucket}/nobodys`, 'PUT', 'x'), 200)
  assert.equal(await refusal(s3.getObject({ Bucket, Key: 'nobodys' })), no)
  const { Contents } = await s3.listObjectsV2({ Bucket, FetchOwner: true })
  assert.deepEqual(
    Contents?.map(({ Owner }) => Owner?.ID),
    ['65a011a29cdf8ec533ec3d1ccaae921c'],
  )
  await s3.putBucketOwnershipControls({
    Bucket,
    OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerPreferred' }] },
  })
  await other.putObject({ Bucket, Key: 'left', Body: 'x', ACL: 'bucket-owner-full-control' })
  assert.equal((await s3.getObjectAcl({ Bucket, Key: 'left' })).Owner?.ID, ownId)
  await other.putObject({ Bucket, Key: 'kept', Body: 'x' })
  assert.equal(await refusal(s3.getObject({ Bucket, Key: 'kept' })), no)
})

test('with lists switched off again, everything is the bucket’s owner’s', async () => {
  const Bucket = 'switched'
  await bucketWith(Bucket, 'ObjectWriter')
  await s3.putBucketAcl({ Bucket, GrantWrite: `id=${otherId}`, GrantFullControl: `id=${ownId}` })
  await other.putObject({ Bucket, Key: 'k', Body: 'theirs' })
  const off = { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' as const }] }
  const switching = () => s3.putBucketOwnershipControls({ Bucket, OwnershipControls: off })
  assert.equal(await refusal(switching()), 'InvalidBucketAclWithObjectOwnership')
  await s3.putBucketAcl({ Bucket, ACL: 'private' })
  await switching()
  await s3.getObject({ Bucket, Key: 'k' })
  assert.equal((await s3.getObjectAcl({ Bucket, Key: 'k' })).Owner?.ID, ownId)
  assert.equal(await refusal(other.getObject({ Bucket, Key: 'k' })), 'AccessDenied')
  await s3.deleteBucketOwnershipControls({ Bucket })
  const code = 'OwnershipControlsNotFoundError'
  assert.equal(await refusal(s3.getBucketOwnershipControls({ Bucket })), code)
  assert.equal(await refusal(s3.getObject({ Bucket, Key: 'k' })), 'AccessDenied')
})

test('uploads in parts have the list that they began with', async () => {
  const Bucket = 'parts'
  await bucketWith(Bucket, 'ObjectWriter')
  await s3.putBucketAcl({ Bucket, GrantWrite: `id=${otherId}` })
  const about = { Bucket, Key: 'k' }
  const { UploadId } = await other.createMultipartUpload({ ...about, ACL: 'public-read' })
  const part = { ...about, UploadId, PartNumber: 1 }
  const { ETag } = await other.uploadPart({ ...part, Body: 'x' })
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] }
  await other.completeMultipartUpload({ ...about, UploadId, MultipartUpload })
  assert.equal(await status(`${Bucket}/k`), 200)
  assert.equal((await other.getObjectAcl(about)).Owner?.ID, otherId)
})

test('the block of public access takes no public list, and lets none count', async () => {
  const Bucket = 'blocked'
  await bucketWith(Bucket, 'ObjectWriter')
  await s3.putObject({ Bucket, Key: 'k', Body: 'x', ACL: 'public-read' })
  assert.equal(await status(`${Bucket}/k`), 200)
  const block = (more: object) =>
    s3.putPublicAccessBlock({ Bucket, PublicAccessBlockConfiguration: more })
  await block({ IgnorePublicAcls: true })
  assert.equal(await status(`${Bucket}/k`), 403)
  assert.equal(await refusal(other.getObject({ Bucket, Key: 'k' })), 'AccessDenied')
  await s3.putObjectAcl({ Bucket, Key: 'k', GrantRead: `id=${otherId}` })
  await other.getObject({ Bucket, Key: 'k' })
  await block({ BlockPublicAcls: true })
  for (const ACL of ['public-read', 'public-read-write', 'authenticated-read'] as const) {
    assert.equal(await refusal(s3.putObjectAcl({ Bucket, Key: 'k', ACL })), 'AccessDenied')
    assert.equal(await refusal(s3.putBucketAcl({ Bucket, ACL })), 'AccessDenied')
    assert.equal(await refusal(s3.putObject({ Bucket, Key: 'k', Body: 'x', ACL })), 'AccessDenied')
  }
})

test('a deny of the policy counts more than any list', async () => {
  const Bucket = 'denied'
  await bucketWith(Bucket, 'ObjectWriter')
  await s3.putObject({ Bucket, Key: 'k', Body: 'x', ACL: 'public-read' })
  const Resource = `arn:aws:s3:::${Bucket}/*`
  const Statement = { Effect: 'Deny', Principal: '*', Action: 's3:GetObject', Resource }
  await s3.putBucketPolicy({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) })
  assert.equal(await status(`${Bucket}/k`), 403)
  assert.equal(await refusal(other.getObject({ Bucket, Key: 'k' })), 'AccessDenied')
})

test('a list goes back as it was read, with groups and accounts', async () => {
  const Bucket = 'lists'
  const theirs = {
    Grantee: { Type: 'CanonicalUser', ID: otherId },
    Permission: 'READ_ACP',
  } as const
  const Grants = [OWNERS, theirs, toGroup('AuthenticatedUsers', 'WRITE')]
  await s3.putBucketAcl({ Bucket, AccessControlPolicy: { Owner: { ID: ownId }, Grants } })
  const { Owner, Grants: read } = await s3.getBucketAcl({ Bucket })
  assert.deepEqual([Owner?.ID, read], [ownId, Grants])
  await s3.putBucketAcl({ Bucket, ACL: 'log-delivery-write' as 'private' })
  assert.deepEqual((await s3.getBucketAcl({ Bucket })).Grants, [
    OWNERS,
    toGroup('LogDelivery', 'WRITE'),
    toGroup('LogDelivery', 'READ_ACP'),
  ])
})

test('the aws CLI uploads for everyone, and shows the list', async () => {
  const Bucket = 'lists'
  const object = ['--bucket', Bucket, '--key', 'cli']
  await cloud.aws(['s3api', 'put-object', ...object, '--acl', 'public-read'])
  assert.equal(await status(`${Bucket}/cli`), 200)
  const { Grants } = (await cloud.aws(['s3api', 'get-object-acl', ...object])) as {
    Grants: Grant[]
  }
  assert.deepEqual(Grants, [OWNERS, toGroup('AllUsers', 'READ')])
})
