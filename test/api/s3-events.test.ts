// What happens in buckets is told to a webhook and to a Redis stream: through boto3, across a
// gateway that is killed between a change and its message, and by two gateways over one store.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { exec } from '../../common/exec.ts'
import type { EventTargetShown } from '../../gateway/local/event-targets.ts'
import { until } from '../../sandbox/until.ts'
import { lastFirst, startCloud, startSecondGateway, type TestCloud } from '../support/cloud.ts'
import { startRedis } from '../support/redis.ts'
import { startWebhook, type Webhook } from '../support/webhook.ts'
import { badRules, NO_TARGET } from './s3-event-rules.ts'

const LONG_MS = 60_000
const end = lastFirst({ after })
const redis = await startRedis()
end.after(() => redis.stop())
const hook = await startWebhook()
end.after(() => hook.close())
const cloud = await startCloud(end, { child: true })
const { account, region } = cloud.init
const s3 = clientOf(cloud)
const TOPIC = `arn:aws:sns:${region}:${account}:hook`
const QUEUE = `arn:aws:sqs:${region}:${account}:work`
await makeTarget(cloud, 'hook', hook.url)
await makeTarget(cloud, 'work', `redis://127.0.0.1:${redis.port}/2/s3%3Awork`)

function clientOf({ config, init }: TestCloud): S3 {
  const { accessKeyId, secretAccessKey } = init
  const client = new S3({
    ...{ endpoint: `http://127.0.0.1:${config.apiPort}`, region: init.region, maxAttempts: 1 },
    ...{ forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } },
  })
  end.after(async () => client.destroy())
  return client
}

async function makeTarget(at: TestCloud, name: string, url: string): Promise<void> {
  const kind = url.startsWith('http') ? 'webhook' : 'stream'
  const body = { name, kind, url, account: '', secret: '', maxLength: 1_000 }
  await at.local({ method: 'POST', path: '/v1/event-targets', body })
}

interface Record {
  readonly eventName: string
  readonly s3: { readonly object: { readonly key: string; readonly sequencer: string } }
}

function recordIn(body: string): Record | null {
  return (JSON.parse(body) as { Records?: [Record] }).Records?.[0] ?? null
}

/** `event key` of what a webhook took, tests left out. */
function told({ taken }: Webhook): string[] {
  return taken
    .map(({ body }) => recordIn(body))
    .flatMap((one) => (one === null ? [] : [`${one.eventName} ${one.s3.object.key}`]))
}

async function streamed(): Promise<string[]> {
  const { Redis } = await import('ioredis')
  const client = new Redis(redis.port, { db: 2 })
  const entries = await client.xrange('s3:work', '-', '+').finally(() => client.disconnect())
  return entries.map(([, fields]) => fields[1] ?? '')
}

const BOTO3 = `
import boto3, json, requests
s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:${cloud.config.apiPort}')
b = 'told'
s3.create_bucket(Bucket=b)
config = {
    'TopicConfigurations': [
        {'Id': 'made', 'TopicArn': '${TOPIC}', 'Events': ['s3:ObjectCreated:*'],
         'Filter': {'Key': {'FilterRules': [{'Name': 'prefix', 'Value': 'in/'},
                                            {'Name': 'suffix', 'Value': '.jpg'}]}}},
    ],
    'QueueConfigurations': [
        {'QueueArn': '${QUEUE}', 'Events': ['s3:ObjectRemoved:*', 's3:ObjectTagging:Put',
                                            's3:ObjectTagging:Delete']},
    ],
}
s3.put_bucket_notification_configuration(Bucket=b, NotificationConfiguration=config)
found = s3.get_bucket_notification_configuration(Bucket=b)
found.pop('ResponseMetadata')
assert len(found['QueueConfigurations'][0].pop('Id')) > 0
etag = s3.put_object(Bucket=b, Key='in/a ü+.jpg', Body=b'abc')['ETag']
s3.put_object(Bucket=b, Key='out/a.jpg', Body=b'abc')
s3.put_object(Bucket=b, Key='in/a.png', Body=b'abc')
s3.copy_object(Bucket=b, Key='in/copy.jpg', CopySource={'Bucket': b, 'Key': 'in/a ü+.jpg'})
form = s3.generate_presigned_post(b, 'in/form.jpg')
assert requests.post(form['url'], data=form['fields'], files={'file': b'f'}).status_code == 204
upload = s3.create_multipart_upload(Bucket=b, Key='in/parts.jpg')['UploadId']
one = {'Bucket': b, 'Key': 'in/parts.jpg', 'UploadId': upload}
part = s3.upload_part(**one, PartNumber=1, Body=b'part')['ETag']
s3.complete_multipart_upload(**one, MultipartUpload={'Parts': [{'PartNumber': 1, 'ETag': part}]})
s3.put_object_tagging(Bucket=b, Key='in/a.png', Tagging={'TagSet': [{'Key': 'a', 'Value': 'b'}]})
s3.delete_object_tagging(Bucket=b, Key='in/a.png')
s3.delete_object(Bucket=b, Key='in/a.png')
s3.put_bucket_versioning(Bucket=b, VersioningConfiguration={'Status': 'Enabled'})
version = s3.put_object(Bucket=b, Key='in/v.jpg', Body=b'v')['VersionId']
marker = s3.delete_objects(Bucket=b, Delete={'Objects': [{'Key': 'in/v.jpg'}]})['Deleted'][0]
s3.delete_object(Bucket=b, Key='in/v.jpg', VersionId=version)
s3.delete_object(Bucket=b, Key='never')
print(json.dumps({'found': found, 'asked': config, 'etag': etag, 'version': version,
                  'marker': marker['DeleteMarkerVersionId']}))
`

test('boto3 has changes of objects told, by prefix and suffix, to a webhook and a stream', async () => {
  const env = {
    ...{ AWS_ACCESS_KEY_ID: cloud.init.accessKeyId, AWS_DEFAULT_REGION: region },
    ...{ AWS_SECRET_ACCESS_KEY: cloud.init.secretAccessKey, AWS_CONFIG_FILE: '/dev/null' },
    ...{ HOME: '/nonexistent', LC_ALL: 'C.UTF-8' },
  }
  const argv = ['/usr/bin/python3', '-']
  const { stdout } = await exec(argv, { input: BOTO3, env, timeoutMs: LONG_MS })
  const { found, asked, etag, version, marker } = JSON.parse(stdout)
  for (const { Name } of asked.TopicConfigurations[0].Filter.Key.FilterRules) {
    assert.ok(['prefix', 'suffix'].includes(Name))
  }
  asked.TopicConfigurations[0].Filter.Key.FilterRules = [
    { Name: 'Prefix', Value: 'in/' },
    { Name: 'Suffix', Value: '.jpg' },
  ]
  assert.deepEqual(found, asked)
  await until('the webhook has all', () => told(hook).length === 5)
  await until('the stream has all', async () => (await streamed()).length === 7)
  assert.deepEqual(told(hook).toSorted(), [
    'ObjectCreated:CompleteMultipartUpload in/parts.jpg',
    'ObjectCreated:Copy in/copy.jpg',
    'ObjectCreated:Post in/form.jpg',
    'ObjectCreated:Put in/a+%C3%BC%2B.jpg',
    'ObjectCreated:Put in/v.jpg',
  ])
  const [first, ...entries] = (await streamed()).map((text) => JSON.parse(text))
  assert.deepEqual(
    [first.Event, first.Bucket, first.Service],
    ['s3:TestEvent', 'told', 'Amazon S3'],
  )
  const removals = entries.map(({ Records: [{ eventName, s3: of }] }) => [
    ...[eventName, of.object.key, of.object.versionId],
  ])
  assert.deepEqual(removals, [
    ['ObjectTagging:Put', 'in/a.png', undefined],
    ['ObjectTagging:Delete', 'in/a.png', undefined],
    ['ObjectRemoved:Delete', 'in/a.png', undefined],
    ['ObjectRemoved:DeleteMarkerCreated', 'in/v.jpg', marker],
    ['ObjectRemoved:Delete', 'in/v.jpg', version],
    ['ObjectRemoved:DeleteMarkerCreated', 'never', entries[5].Records[0].s3.object.versionId],
  ])
  const body = hook.taken.find((one) => one.body.includes('%C3%BC'))?.body ?? ''
  const record = JSON.parse(body).Records[0]
  const { eventTime, userIdentity, responseElements, s3: of, ...rest } = record
  assert.ok(Math.abs(Date.parse(eventTime) - Date.parse(first.Time)) < LONG_MS)
  assert.deepEqual(rest, {
    ...{ eventVersion: '2.1', eventSource: 'aws:s3', awsRegion: region },
    ...{ eventName: 'ObjectCreated:Put', requestParameters: { sourceIPAddress: '127.0.0.1' } },
  })
  assert.deepEqual(userIdentity, { principalId: `AWS:${account}` })
  assert.match(responseElements['x-amz-request-id'], /^[0-9a-f-]{36}$/)
  const { ownerIdentity, ...bucket } = of.bucket
  assert.match(ownerIdentity.principalId, /^[0-9a-f]{64}$/)
  assert.deepEqual(bucket, { name: 'told', arn: 'arn:aws:s3:::told' })
  const { sequencer, ...object } = of.object
  assert.match(sequencer, /^[0-9A-F]{16}$/)
  const eTag = JSON.parse(etag)
  assert.deepEqual(object, { key: 'in/a+%C3%BC%2B.jpg', size: 3, eTag })
  assert.deepEqual([of.s3SchemaVersion, of.configurationId], ['1.0', 'made'])
})

test('configurations that cannot be are refused in the words of AWS', async () => {
  const Bucket = 'refused'
  await s3.createBucket({ Bucket })
  for (const [what, NotificationConfiguration, message] of badRules(TOPIC, QUEUE)) {
    const put = s3.putBucketNotificationConfiguration({ Bucket, NotificationConfiguration })
    await assert.rejects(put, { name: 'InvalidArgument', message }, what)
  }
  const NotificationConfiguration = {
    TopicConfigurations: [{ TopicArn: TOPIC, Events: ['s3:ObjectCreated:*' as const] }],
    QueueConfigurations: [{ QueueArn: QUEUE, Events: ['s3:ObjectRemoved:*' as const] }],
  }
  hook.status = 500
  const put = s3.putBucketNotificationConfiguration({ Bucket, NotificationConfiguration })
  await assert.rejects(put, { name: 'InvalidArgument', message: NO_TARGET })
  const before = hook.seen.length
  await s3.putBucketNotificationConfiguration({
    ...{ Bucket, NotificationConfiguration, SkipDestinationValidation: true },
  })
  assert.equal(hook.seen.length, before)
  hook.status = 200
  const refused = cloud.local({ method: 'DELETE', path: '/v1/event-targets/work' })
  await assert.rejects(refused, { code: 'Conflict', message: /bucket refused and 1 more sends/ })
  await s3.putBucketNotificationConfiguration({ Bucket, NotificationConfiguration: {} })
  const { $metadata: _, ...nothing } = await s3.getBucketNotificationConfiguration({ Bucket })
  assert.deepEqual(nothing, {})
})

test('a gateway that is killed between a change and its message tells it afterwards', async () => {
  const before = told(hook).length
  await hook.close()
  const keys = ['in/1.jpg', 'in/2.jpg', 'in/3.jpg']
  for (const Key of keys) await s3.putObject({ Bucket: 'told', Key, Body: Key })
  await until('it was tried', async () => {
    const shown = await cloud.local<EventTargetShown>({
      ...{ method: 'GET', path: '/v1/event-targets/hook' },
    })
    return shown.pending === keys.length && shown.trouble !== null
  })
  await cloud.kill()
  await hook.open()
  await cloud.start()
  await until('all came', () => told(hook).length >= before + keys.length)
  const names = told(hook).slice(before)
  assert.deepEqual(new Set(names), new Set(keys.map((key) => `ObjectCreated:Put ${key}`)))
})

test('of two gateways over one store the other tells what the killed one did', async () => {
  const first = await startCloud(end, { store: redis.url })
  const second = await startSecondGateway(end, first)
  await makeTarget(first, 'hook', hook.url)
  const arn = `arn:aws:sns:${region}:${first.init.account}:hook`
  const [here, there] = [clientOf(first), clientOf(second)]
  const Bucket = 'both'
  await here.createBucket({ Bucket })
  await here.putBucketNotificationConfiguration({
    Bucket,
    NotificationConfiguration: {
      TopicConfigurations: [{ TopicArn: arn, Events: ['s3:ObjectCreated:Put'] }],
    },
  })
  const before = told(hook).length
  const keys = Array.from({ length: 40 }, (_, n) => `k${n}`)
  await Promise.all(
    keys.map((Key, n) => (n % 2 === 0 ? here : there).putObject({ Bucket, Key, Body: Key })),
  )
  await until('all came', () => told(hook).length >= before + keys.length)
  const names = told(hook).slice(before)
  assert.deepEqual(new Set(names), new Set(keys.map((key) => `ObjectCreated:Put ${key}`)))
  await hook.close()
  await there.putObject({ Bucket, Key: 'last', Body: 'x' })
  await second.kill()
  await hook.open()
  await until('the last came', () => told(hook).includes('ObjectCreated:Put last'))
})
