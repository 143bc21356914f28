// Policies of buckets: who of which account may what, what is refused at the door, and what the
// block of public access leaves of it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { IAM } from '@aws-sdk/client-iam'
import { S3 } from '@aws-sdk/client-s3'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

const REGION = 'mallee-1'

const cloud = await startCloud(lastFirst({ after }))
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

function clientsOf({ accessKeyId, secretAccessKey }: Keys): { s3: S3; iam: IAM } {
  const credentials = { accessKeyId, secretAccessKey }
  const config = { endpoint, region: REGION, credentials, maxAttempts: 1 }
  const clients = { s3: new S3({ ...config, forcePathStyle: true }), iam: new IAM(config) }
  after(() => clients.s3.destroy())
  after(() => clients.iam.destroy())
  return clients
}

const owner = clientsOf(cloud.init)
const { s3 } = owner
const account = cloud.init.account
const body = { name: 'other' }
const key = await cloud.local<Keys & { account: string }>({
  ...{ method: 'POST', path: '/v1/accounts', body },
})
const other = clientsOf(key)
const otherAccount = (await other.iam.getUser({})).User?.Arn?.split(':')[4] ?? ''

async function userOf({ iam }: { iam: IAM }, UserName: string, statement?: object): Promise<S3> {
  await iam.createUser({ UserName })
  if (statement !== undefined) {
    const PolicyDocument = documentOf(statement)
    await iam.putUserPolicy({ UserName, PolicyName: 'p', PolicyDocument })
  }
  const { AccessKey } = await iam.createAccessKey({ UserName })
  const { AccessKeyId: accessKeyId = '', SecretAccessKey: secretAccessKey = '' } = AccessKey ?? {}
  return clientsOf({ accessKeyId, secretAccessKey }).s3
}

function documentOf(...statements: object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements })
}

function allow(
  Bucket: string,
  AWS: string | string[],
  Action: string | string[],
  more = {},
): object {
  const Resource = [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`]
  return { Effect: 'Allow', Principal: { AWS }, Action, Resource, ...more }
}

const ANYTHING = { Effect: 'Allow', Action: 's3:*', Resource: '*' }

test('a policy opens a bucket to another account, whose own policies decide further', async () => {
  const Bucket = 'shared'
  await s3.createBucket({ Bucket })
  const able = await userOf(other, 'able', ANYTHING)
  const unable = await userOf(other, 'unable')
  assert.equal(await refusal(s3.getBucketPolicy({ Bucket })), 'NoSuchBucketPolicy')
  const Policy = documentOf(allow(Bucket, otherAccount, 's3:GetBucketLocation'))
  await s3.putBucketPolicy({ Bucket, Policy })
  assert.equal((await s3.getBucketPolicy({ Bucket })).Policy, Policy)
  assert.equal((await s3.getBucketPolicyStatus({ Bucket })).PolicyStatus?.IsPublic, false)
  for (const [client, want] of [
    [other.s3, 'accepted'],
    [able, 'accepted'],
    [unable, 'AccessDenied'],
  ] as const) {
    assert.equal(await refusal(client.getBucketLocation({ Bucket })), want)
    assert.equal(await refusal(client.getBucketTagging({ Bucket })), 'AccessDenied')
  }
  await s3.deleteBucketPolicy({ Bucket })
  assert.equal(await refusal(able.getBucketLocation({ Bucket })), 'AccessDenied')
  await s3.deleteBucket({ Bucket })
})

test('a policy names users of its account, and denies even its root', async () => {
  const Bucket = 'within'
  await s3.createBucket({ Bucket })
  const named = await userOf(owner, 'named')
  const arn = `arn:aws:iam::${account}:user/named`
  const Deny = {
    ...{ Effect: 'Deny', Principal: '*', Action: 's3:PutBucketTagging' },
    Resource: `arn:aws:s3:::${Bucket}`,
  }
  const Policy = documentOf(allow(Bucket, arn, 's3:*'), Deny)
  await s3.putBucketPolicy({ Bucket, Policy })
  assert.equal(await refusal(named.getBucketLocation({ Bucket })), 'accepted')
  const Tagging = { TagSet: [{ Key: 'a', Value: 'b' }] }
  for (const client of [named, s3]) {
    await assert.rejects(client.putBucketTagging({ Bucket, Tagging }), {
      name: 'AccessDenied',
      message: /with an explicit deny in a resource-based policy/,
    })
  }
  // Another of the same name is another user.
  const { AccessKeyMetadata: keys = [] } = await owner.iam.listAccessKeys({ UserName: 'named' })
  for (const { AccessKeyId } of keys) {
    await owner.iam.deleteAccessKey({ UserName: 'named', AccessKeyId })
  }
  await owner.iam.deleteUser({ UserName: 'named' })
  const later = await userOf(owner, 'named')
  assert.equal(await refusal(later.getBucketLocation({ Bucket })), 'AccessDenied')
  await s3.deleteBucket({ Bucket })
})

test('a policy that locks everybody out leaves the root its policy', async () => {
  const Bucket = 'locked'
  await s3.createBucket({ Bucket })
  const Resource = `arn:aws:s3:::${Bucket}`
  const Policy = documentOf({ Effect: 'Deny', Principal: '*', Action: 's3:*', Resource })
  await s3.putBucketPolicy({ Bucket, Policy })
  assert.equal(await refusal(s3.deleteBucket({ Bucket })), 'AccessDenied')
  await s3.deleteBucketPolicy({ Bucket })
  await s3.deleteBucket({ Bucket })
})

test('a bucket is public when its owner takes the block away, and as far as it says', async () => {
  const Bucket = 'public'
  await s3.createBucket({ Bucket })
  const url = `${endpoint}/${Bucket}?location`
  const Policy = documentOf(allow(Bucket, '*', 's3:GetBucketLocation'))
  assert.equal(await refusal(s3.putBucketPolicy({ Bucket, Policy })), 'AccessDenied')
  const { PublicAccessBlockConfiguration: block } = await s3.getPublicAccessBlock({ Bucket })
  assert.deepEqual(Object.values(block ?? {}), [true, true, true, true])
  assert.equal((await fetch(url)).status, 403)
  await s3.deletePublicAccessBlock({ Bucket })
  const code = 'NoSuchPublicAccessBlockConfiguration'
  assert.equal(await refusal(s3.getPublicAccessBlock({ Bucket })), code)
  await s3.putBucketPolicy({ Bucket, Policy })
  assert.equal((await s3.getBucketPolicyStatus({ Bucket })).PolicyStatus?.IsPublic, true)
  const answer = await fetch(url)
  assert.match(await answer.text(), /<LocationConstraint [^>]*>mallee-1</)
  assert.equal((await fetch(`${endpoint}/${Bucket}?tagging`)).status, 403)
  const PublicAccessBlockConfiguration = { RestrictPublicBuckets: true }
  await s3.putPublicAccessBlock({ Bucket, PublicAccessBlockConfiguration })
  assert.equal((await fetch(url)).status, 403)
  assert.equal(await refusal(other.s3.getBucketLocation({ Bucket })), 'AccessDenied')
  assert.equal(await refusal(s3.getBucketLocation({ Bucket })), 'accepted')
  await s3.deleteBucket({ Bucket })
})

test('an account that is blocked may nothing', async () => {
  const blockable = await cloud.local<Keys>({
    ...{ method: 'POST', path: '/v1/accounts', body: { name: 'blockable' } },
  })
  const client = clientsOf(blockable)
  const id = (await client.iam.getUser({})).User?.Arn?.split(':')[4] ?? ''
  assert.equal(await refusal(client.s3.listBuckets({})), 'accepted')
  await cloud.local({ method: 'PUT', path: `/v1/accounts/${id}`, body: { isBlocked: true } })
  assert.equal(await refusal(client.s3.listBuckets({})), 'AccessDenied')
})

test('conditions of a policy see where a call comes from', async () => {
  const Bucket = 'from-here'
  await s3.createBucket({ Bucket })
  const action = 's3:GetBucketLocation'
  for (const [from, want] of [
    ['127.0.0.0/8', 200],
    ['10.9.9.9/32', 403],
  ] as const) {
    const Condition = { IpAddress: { 'aws:SourceIp': from } }
    // Everyone from few places is not the public.
    const Policy = documentOf(allow(Bucket, '*', action, { Condition }))
    await s3.putBucketPolicy({ Bucket, Policy })
    assert.equal((await fetch(`${endpoint}/${Bucket}?location`)).status, want)
  }
  await s3.deleteBucket({ Bucket })
})

const RESOURCE = 'arn:aws:s3:::refusing/*'
const SIMPLE = { Effect: 'Allow', Principal: { AWS: account }, Action: 's3:*', Resource: RESOURCE }

await s3.createBucket({ Bucket: 'refusing' })
for (const [what, document] of [
  ['nothing', ''],
  ['no JSON', '{'],
  ['an array', '[]'],
  ['no principal', documentOf({ ...SIMPLE, Principal: undefined })],
  ['no resource', documentOf({ ...SIMPLE, Resource: undefined })],
  ['another bucket', documentOf({ ...SIMPLE, Resource: 'arn:aws:s3:::other' })],
  [
    'a bucket whose name only begins so',
    documentOf({ ...SIMPLE, Resource: `${RESOURCE}`.replace('/*', '2/*') }),
  ],
  ['an action of EC2', documentOf({ ...SIMPLE, Action: 'ec2:RunInstances' })],
  ['an account that is not there', documentOf({ ...SIMPLE, Principal: { AWS: '999999999999' } })],
  [
    'a user that is not there',
    documentOf({ ...SIMPLE, Principal: { AWS: `arn:aws:iam::${account}:user/no` } }),
  ],
  ['too much', documentOf({ ...SIMPLE, Sid: 'x'.repeat(20_480) })],
] as const) {
  test(`putBucketPolicy refuses ${what}`, async () => {
    const call = s3.putBucketPolicy({ Bucket: 'refusing', Policy: document })
    const want = document === '' ? 'MissingRequestBodyError' : 'MalformedPolicy'
    assert.equal(await refusal(call), want)
  })
}

test('a policy asks for the tags of an object, and for those that it is given', async () => {
  const Bucket = 'tagged'
  await s3.createBucket({ Bucket })
  const user = await userOf(owner, 'tagger')
  const arn = `arn:aws:iam::${account}:user/tagger`
  const when = (key: string, value: string) => ({ Condition: { StringEquals: { [key]: value } } })
  const Policy = documentOf(
    allow(Bucket, arn, 's3:GetObject', when('s3:ExistingObjectTag/Team', 'red')),
    allow(Bucket, arn, ['s3:PutObject', 's3:PutObjectTagging'], {
      Condition: {
        StringEquals: { 's3:RequestObjectTag/Team': 'red' },
        'ForAllValues:StringEquals': { 's3:RequestObjectTagKeys': ['Team', 'Other'] },
      },
    }),
  )
  await s3.putBucketPolicy({ Bucket, Policy })
  const put = (Key: string, Tagging?: string) =>
    refusal(user.putObject({ Bucket, Key, Body: 'x', ...(Tagging !== undefined && { Tagging }) }))
  assert.equal(await put('red', 'Team=red'), 'accepted')
  assert.equal(await put('blue', 'Team=blue'), 'AccessDenied')
  assert.equal(await put('none'), 'AccessDenied')
  assert.equal(await put('more', 'Team=red&Third=x'), 'AccessDenied')
  await s3.putObject({ Bucket, Key: 'blue', Body: 'x', Tagging: 'Team=blue' })
  const get = (Key: string) => refusal(user.getObject({ Bucket, Key }))
  assert.deepEqual([await get('red'), await get('blue')], ['accepted', 'AccessDenied'])
  assert.equal(await get('nothing'), 'AccessDenied')
  const tag = (Key: string, Value: string) =>
    refusal(user.putObjectTagging({ Bucket, Key, Tagging: { TagSet: [{ Key: 'Team', Value }] } }))
  assert.deepEqual(
    [await tag('blue', 'green'), await tag('blue', 'red')],
    ['AccessDenied', 'accepted'],
  )
  assert.equal(await get('blue'), 'accepted')
})
