// Buckets through the clients that people use: the JavaScript SDK, boto3, Debian's aws CLI.

import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import type { LookupFunction } from 'node:net'
import { after, test } from 'node:test'
import { IAM } from '@aws-sdk/client-iam'
import { S3 } from '@aws-sdk/client-s3'
import { exec } from '../../common/exec.ts'
import { lastFirst, startCloud, type TestCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

const REGION = 'mallee-1'

const cloud = await startCloud(lastFirst({ after }))
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

function s3Of({ accessKeyId, secretAccessKey }: Keys): S3 {
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3({
    ...{ endpoint, region: REGION, credentials, maxAttempts: 1, forcePathStyle: true },
  })
  after(() => client.destroy())
  return client
}

const s3 = s3Of(cloud.init)

test('a bucket is made once, listed, described, and deleted', async () => {
  const Bucket = 'made.once'
  const configuration = { LocationConstraint: REGION as never, Tags: [{ Key: 'a', Value: 'b' }] }
  const made = await s3.createBucket({ Bucket, CreateBucketConfiguration: configuration })
  assert.deepEqual([made.Location, made.BucketArn], ['/made.once', 'arn:aws:s3:::made.once'])
  assert.equal(await refusal(s3.createBucket({ Bucket })), 'BucketAlreadyOwnedByYou')
  const { Buckets = [], Owner } = await s3.listBuckets({})
  assert.deepEqual(
    Buckets.map(({ Name }) => Name),
    [Bucket],
  )
  assert.match(Owner?.ID ?? '', /^[0-9a-f]{64}$/)
  assert.equal((await s3.headBucket({ Bucket })).BucketRegion, REGION)
  assert.equal((await s3.getBucketLocation({ Bucket })).LocationConstraint, REGION)
  assert.deepEqual((await s3.getBucketTagging({ Bucket })).TagSet, [{ Key: 'a', Value: 'b' }])
  await s3.deleteBucket({ Bucket })
  assert.equal(await refusal(s3.headBucket({ Bucket })), 'NotFound')
  assert.equal(await refusal(s3.deleteBucket({ Bucket })), 'NoSuchBucket')
})

test('lists of buckets come in pages, by prefix, in order of their names', async (t) => {
  const names = ['page-b', 'page-a', 'page-c', 'other-page']
  for (const Bucket of names) await s3.createBucket({ Bucket })
  t.after(async () => {
    for (const Bucket of names) await s3.deleteBucket({ Bucket })
  })
  const seen: (string | undefined)[] = []
  let ContinuationToken: string | undefined
  do {
    const page = await s3.listBuckets({
      ...{ MaxBuckets: 1, Prefix: 'page-' },
      ...(ContinuationToken !== undefined && { ContinuationToken }),
    })
    assert.ok((page.Buckets?.length ?? 0) <= 1)
    seen.push(...(page.Buckets ?? []).map(({ Name }) => Name))
    ContinuationToken = page.ContinuationToken
  } while (ContinuationToken !== undefined)
  assert.deepEqual(seen, ['page-a', 'page-b', 'page-c'])
  const other = s3.listBuckets({ ContinuationToken: 'x' })
  assert.equal(await refusal(other), 'InvalidArgument')
})

test('a bucket has a host of its own', async (t) => {
  const Bucket = 'of-its.own'
  // Not every resolver knows that all names under localhost are here.
  const lookup: LookupFunction = (_name, _options, found) =>
    found(null, [{ address: '127.0.0.1', family: 4 }])
  const local = new S3({
    ...{ endpoint: `http://localhost:${cloud.config.apiPort}`, region: REGION, maxAttempts: 1 },
    ...{ credentials: cloud.init, requestHandler: { httpAgent: new Agent({ lookup }) } },
  })
  t.after(() => local.destroy())
  await local.createBucket({ Bucket })
  await local.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: 'Enabled' } })
  assert.equal((await s3.getBucketVersioning({ Bucket })).Status, 'Enabled')
  await local.deleteBucket({ Bucket })
})

test('another account finds the name taken, the bucket closed and its list empty', async () => {
  const other = await newAccount(cloud, 'other')
  const theirs = s3Of(other)
  await s3.createBucket({ Bucket: 'mine-alone' })
  const Bucket = 'mine-alone'
  assert.equal(await refusal(theirs.createBucket({ Bucket })), 'BucketAlreadyExists')
  for (const call of [
    () => theirs.getBucketLocation({ Bucket }),
    () => theirs.getBucketTagging({ Bucket }),
    () => theirs.deleteBucket({ Bucket }),
    () => s3.getBucketLocation({ Bucket, ExpectedBucketOwner: '999999999999' }),
  ]) {
    assert.equal(await refusal(call()), 'AccessDenied')
  }
  assert.deepEqual((await theirs.listBuckets({})).Buckets, [])
  await s3.deleteBucket({ Bucket })
})

test('a user may what its policies say of a bucket, and nothing else', async (t) => {
  const credentials = cloud.init
  const iam = new IAM({ endpoint, region: REGION, credentials, maxAttempts: 1 })
  t.after(() => iam.destroy())
  const UserName = 'reader'
  await iam.createUser({ UserName })
  const Statement = [
    { Effect: 'Allow', Action: 's3:GetBucket*', Resource: 'arn:aws:s3:::open-*' },
    { Effect: 'Allow', Action: 's3:ListAllMyBuckets', Resource: '*' },
  ]
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement })
  await iam.putUserPolicy({ UserName, PolicyName: 'p', PolicyDocument })
  const { AccessKey } = await iam.createAccessKey({ UserName })
  const { AccessKeyId: accessKeyId = '', SecretAccessKey: secretAccessKey = '' } = AccessKey ?? {}
  const user = s3Of({ accessKeyId, secretAccessKey })
  for (const Bucket of ['open-one', 'shut-one']) await s3.createBucket({ Bucket })
  assert.equal((await user.getBucketLocation({ Bucket: 'open-one' })).LocationConstraint, REGION)
  assert.equal((await user.listBuckets({})).Buckets?.length, 2)
  await assert.rejects(user.getBucketLocation({ Bucket: 'shut-one' }), {
    name: 'AccessDenied',
    message:
      /reader is not authorized to perform: s3:GetBucketLocation on resource: arn:aws:s3:::shut/,
  })
  assert.equal(await refusal(user.deleteBucket({ Bucket: 'open-one' })), 'AccessDenied')
  for (const Bucket of ['open-one', 'shut-one']) await s3.deleteBucket({ Bucket })
})

const ABSENT = `
import boto3, botocore, json
s3 = boto3.client('s3', endpoint_url='${endpoint}')
s3.create_bucket(Bucket='bare')
codes = {}
for name in ('tagging', 'encryption', 'lifecycle_configuration', 'replication', 'website'):
    try:
        getattr(s3, 'get_bucket_' + name)(Bucket='bare')
    except botocore.exceptions.ClientError as error:
        codes[name] = error.response['Error']['Code'], error.response['Error']['BucketName']
try:
    s3.get_object_lock_configuration(Bucket='bare')
except botocore.exceptions.ClientError as error:
    codes['lock'] = error.response['Error']['Code'], error.response['Error']['BucketName']
acl = s3.get_bucket_acl(Bucket='bare')
codes['acl'] = [grant['Permission'] for grant in acl['Grants']], \
    acl['Owner']['ID'] == s3.list_buckets()['Owner']['ID']
rules = s3.get_bucket_ownership_controls(Bucket='bare')['OwnershipControls']['Rules']
codes['payer'] = s3.get_bucket_request_payment(Bucket='bare')['Payer'], rules[0]['ObjectOwnership']
codes['versioning'] = s3.get_bucket_versioning(Bucket='bare').get('Status')
s3.delete_bucket(Bucket='bare')
print(json.dumps(codes))
`

test('boto3 reads the right code of every configuration that a bucket does not have', async () => {
  assert.deepEqual(JSON.parse(await boto3(ABSENT)), {
    tagging: ['NoSuchTagSet', 'bare'],
    encryption: ['ServerSideEncryptionConfigurationNotFoundError', 'bare'],
    lifecycle_configuration: ['NoSuchLifecycleConfiguration', 'bare'],
    replication: ['ReplicationConfigurationNotFoundError', 'bare'],
    website: ['NoSuchWebsiteConfiguration', 'bare'],
    lock: ['ObjectLockConfigurationNotFoundError', 'bare'],
    acl: [['FULL_CONTROL'], true],
    payer: ['BucketOwner', 'BucketOwnerEnforced'],
    versioning: null,
  })
})

test('the aws CLI makes, tags, lists and removes a bucket', async () => {
  assert.match(await plainAws(['s3', 'mb', 's3://cli']), /make_bucket: cli/)
  const tags = 'TagSet=[{Key=what,Value=a test}]'
  await cloud.aws(['s3api', 'put-bucket-tagging', '--bucket', 'cli', '--tagging', tags])
  const { TagSet } = await s3.getBucketTagging({ Bucket: 'cli' })
  assert.deepEqual(TagSet, [{ Key: 'what', Value: 'a test' }])
  assert.match(await plainAws(['s3', 'ls']), / cli\n/)
  assert.match(await plainAws(['s3', 'rb', 's3://cli']), /remove_bucket: cli/)
  assert.equal(await refusal(s3.headBucket({ Bucket: 'cli' })), 'NotFound')
})

/** What `aws` prints that is no JSON. */
async function plainAws(args: readonly string[]): Promise<string> {
  const argv = ['/usr/bin/aws', '--endpoint-url', endpoint, ...args]
  const { stdout } = await exec(argv, { env: environment(), timeoutMs: 60_000 })
  return stdout
}

async function boto3(script: string): Promise<string> {
  const { stdout } = await exec(['/usr/bin/python3', '-'], {
    ...{ input: script, env: environment(), timeoutMs: 60_000 },
  })
  return stdout
}

function environment(): Record<string, string> {
  const { accessKeyId, secretAccessKey } = cloud.init
  return {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_DEFAULT_REGION: REGION,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    HOME: '/nonexistent',
  }
}

async function newAccount({ local }: TestCloud, name: string): Promise<Keys> {
  return await local<Keys>({ method: 'POST', path: '/v1/accounts', body: { name } })
}
