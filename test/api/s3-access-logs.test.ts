// Requests about a bucket are in its access log, once, across a kill -9; and only where the policy
// of the target lets them in. Through the JavaScript SDK, boto3, and for nobody.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'
import { type LogFields, logFields } from '../support/access-log.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'

const LONG_MS = 60_000
const end = lastFirst({ after })
const cloud = await startCloud(end, { child: true, settings: { accessLogSeconds: 1 } })
const { accessKeyId, secretAccessKey, region, account } = cloud.init
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
const credentials = { accessKeyId, secretAccessKey }
const client = { endpoint, region, maxAttempts: 1, forcePathStyle: true }
const s3 = new S3({ ...client, credentials })
after(() => s3.destroy())

const [from, to] = ['source', 'logs']
const POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    {
      ...{ Effect: 'Allow', Principal: { Service: 'logging.s3.amazonaws.com' } },
      ...{ Action: 's3:PutObject', Resource: `arn:aws:s3:::${to}/in/*` },
      Condition: {
        ArnLike: { 'aws:SourceArn': `arn:aws:s3:::${from}` },
        StringEquals: { 'aws:SourceAccount': account },
      },
    },
  ],
})

const BOTO3 = `
import boto3
s3 = boto3.client('s3', endpoint_url='${endpoint}')
s3.create_bucket(Bucket='${from}')
s3.create_bucket(Bucket='${to}')
s3.put_bucket_policy(Bucket='${to}', Policy='''${POLICY}''')
status = {'LoggingEnabled': {'TargetBucket': '${to}', 'TargetPrefix': 'in/'}}
s3.put_bucket_logging(Bucket='${from}', BucketLoggingStatus=status)
assert s3.get_bucket_logging(Bucket='${from}')['LoggingEnabled'] == status['LoggingEnabled']
s3.put_object(Bucket='${from}', Key='a ü.txt', Body=b'content')
s3.get_object(Bucket='${from}', Key='a ü.txt', Range='bytes=0-2')['Body'].read()
try:
    s3.get_object(Bucket='${from}', Key='nothing')
except s3.exceptions.NoSuchKey:
    pass
`

/** Every line in the target, by the objects that have them. */
async function logged(Prefix: string): Promise<Map<string, LogFields[]>> {
  const { Contents = [] } = await s3.listObjectsV2({ Bucket: to, Prefix })
  const found = new Map<string, LogFields[]>()
  for (const { Key = '' } of Contents) {
    const { Body, ContentType } = await s3.getObject({ Bucket: to, Key })
    assert.equal(ContentType, 'text/plain')
    const text = (await Body?.transformToString()) ?? ''
    assert.ok(text.endsWith('\n'))
    found.set(Key, text.trimEnd().split('\n').map(logFields))
  }
  return found
}

async function linesOf(Prefix: string): Promise<LogFields[]> {
  return [...(await logged(Prefix)).values()].flat()
}

test('boto3 turns logging on, and each request is a line in AWS’s format', async () => {
  const env = {
    ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    ...{ AWS_DEFAULT_REGION: region, AWS_CONFIG_FILE: '/dev/null', HOME: '/nonexistent' },
    LC_ALL: 'C.UTF-8',
  }
  await exec(['/usr/bin/python3', '-'], { input: BOTO3, env, timeoutMs: LONG_MS })
  assert.equal((await fetch(`${endpoint}/${from}/nobody`)).status, 403)
  await until('all are there', async () => (await linesOf('in/')).some(isOf('nobody')))
  const all = await linesOf('in/')
  const told = all.map(({ operation, key, status, error, sent, size, requester }) => [
    ...[operation, key, status, error, size, requester === '-'],
    size === '-' && sent !== '-' ? 'a document' : sent,
  ])
  const key = 'a%20%C3%BC.txt'
  assert.deepEqual(told.toSorted(), [
    ['REST.GET.LOGGING_STATUS', '-', '200', '-', '-', false, 'a document'],
    ['REST.GET.OBJECT', key, '206', '-', '7', false, '3'],
    ['REST.GET.OBJECT', 'nobody', '403', 'AccessDenied', '-', true, 'a document'],
    ['REST.GET.OBJECT', 'nothing', '404', 'NoSuchKey', '-', false, 'a document'],
    ['REST.PUT.LOGGING_STATUS', '-', '200', '-', '-', false, '-'],
    ['REST.PUT.OBJECT', key, '200', '-', '7', false, '-'],
  ])
  const put = all.find(({ operation }) => operation === 'REST.PUT.OBJECT')
  assert.ok(put)
  const { uri, host, authentication, signature, remoteIp, userAgent, bucket } = put
  assert.deepEqual(
    [uri, host, authentication, signature, remoteIp, bucket],
    [
      `PUT /${from}/${key} HTTP/1.1`,
      `127.0.0.1:${cloud.config.apiPort}`,
      ...['AuthHeader', 'SigV4', '127.0.0.1', from],
    ],
  )
  assert.match(userAgent, /^Boto3/)
  for (const name of (await logged('in/')).keys()) {
    assert.match(name, /^in\/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}$/)
  }
})

test('a line says when only a list of grants let somebody in', async () => {
  await s3.putBucketOwnershipControls({
    ...{ Bucket: from },
    OwnershipControls: { Rules: [{ ObjectOwnership: 'ObjectWriter' }] },
  })
  await s3.deletePublicAccessBlock({ Bucket: from })
  await s3.putObject({ Bucket: from, Key: 'open', Body: 'x', ACL: 'public-read' })
  await s3.headObject({ Bucket: from, Key: 'open' })
  assert.equal((await fetch(`${endpoint}/${from}/open`)).status, 200)
  const isThere = ({ operation, key }: LogFields) =>
    operation === 'REST.GET.OBJECT' && key === 'open'
  await until('it is there', async () => (await linesOf('in/')).some(isThere))
  const lines = (await linesOf('in/')).filter(({ key }) => key === 'open')
  const told = lines.map(({ operation, acl }) => `${operation} ${acl}`)
  const expected = ['REST.GET.OBJECT Yes', 'REST.HEAD.OBJECT -', 'REST.PUT.OBJECT -']
  assert.deepEqual(told.toSorted(), expected)
})

test('the spool is delivered by the next gateway when this one is killed', async () => {
  for (let n = 0; n < 5; n++) await s3.headBucket({ Bucket: from })
  const before = (await linesOf('in/')).filter(isHead).length
  await s3.headBucket({ Bucket: from })
  // Once something of them is delivered, what came before it was on disk.
  await until('some are there', async () => (await linesOf('in/')).filter(isHead).length > before)
  await cloud.kill()
  await cloud.start()
  await s3.getBucketLocation({ Bucket: from })
  await until('the next gateway delivers', async () =>
    (await linesOf('in/')).some(({ operation }) => operation === 'REST.GET.LOCATION'),
  )
  const ids = (await linesOf('in/')).map(({ requestId }) => requestId)
  assert.equal(new Set(ids).size, ids.length)
})

test('keys may have parts by account, region, bucket and day', async () => {
  for (const [prefix, PartitionDateSource] of [
    ['in/event/', 'EventTime'],
    ['in/delivery/', 'DeliveryTime'],
  ] as const) {
    const LoggingEnabled = {
      ...{ TargetBucket: to, TargetPrefix: prefix },
      TargetObjectKeyFormat: { PartitionedPrefix: { PartitionDateSource } },
    }
    await s3.putBucketLogging({ Bucket: from, BucketLoggingStatus: { LoggingEnabled } })
    const { LoggingEnabled: shown } = await s3.getBucketLogging({ Bucket: from })
    assert.deepEqual(shown, LoggingEnabled)
    await until('there is one', async () => (await logged(prefix)).size > 0)
    const [name = ''] = (await logged(prefix)).keys()
    const time = PartitionDateSource === 'EventTime' ? '-00-00-00' : '-\\d\\d-\\d\\d-\\d\\d'
    const where = `^${prefix}${account}/${region}/${from}/(\\d{4})/(\\d\\d)/(\\d\\d)/\\1-\\2-\\3`
    assert.match(name, new RegExp(`${where}${time}-[0-9A-F]{16}$`))
  }
})

test('what the target does not allow is dropped, and what cannot be is refused', async () => {
  const put = (target: string, more: object = {}) =>
    s3.putBucketLogging({
      ...{ Bucket: from },
      BucketLoggingStatus: {
        LoggingEnabled: { TargetBucket: target, TargetPrefix: 'x/', ...more },
      },
    })
  await put(to)
  await until('it is counted', async () => {
    const text = await (await fetch(`http://127.0.0.1:${cloud.config.adminPort}/metrics`)).text()
    return Number(/access_log_lines_total\{outcome="dropped"\} (\d+)/.exec(text)?.[1]) > 0
  })
  assert.equal((await logged('x/')).size, 0)
  const other = await cloud.local<typeof credentials>({
    ...{ method: 'POST', path: '/v1/accounts', body: { name: 'other' } },
  })
  const theirs = new S3({ ...client, credentials: other })
  after(() => theirs.destroy())
  await theirs.createBucket({ Bucket: 'theirs' })
  const name = 'InvalidTargetBucketForLogging'
  await assert.rejects(put('nowhere'), { name, message: /does not exist/ })
  await assert.rejects(put('theirs'), { name, message: /must be the same/ })
  await assert.rejects(put(to, { TargetPrefix: 'p'.repeat(801) }), { name: 'InvalidArgument' })
  const TargetGrants = [
    { Permission: 'READ', Grantee: { Type: 'CanonicalUser', ID: 'a'.repeat(64) } },
  ]
  await assert.rejects(put(to, { TargetGrants }), { name: 'AccessControlListNotSupported' })
  const both = { SimplePrefix: {}, PartitionedPrefix: {} }
  await assert.rejects(put(to, { TargetObjectKeyFormat: both }), { name: 'MalformedXML' })
  await s3.putBucketLogging({ Bucket: from, BucketLoggingStatus: {} })
  assert.equal((await s3.getBucketLogging({ Bucket: from })).LoggingEnabled, undefined)
})

function isOf(key: string): (line: LogFields) => boolean {
  return (line) => line.key === key
}

function isHead({ operation }: LogFields): boolean {
  return operation === 'REST.HEAD.BUCKET'
}
