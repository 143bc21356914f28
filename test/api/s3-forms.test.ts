// Uploads by forms that boto3 makes and requests sends, forms that nobody signed, pages of other
// origins; Signature Version 2 by boto3 and s3cmd, in a cloud that takes it; aws CLI's URLs.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { exec } from '../../common/exec.ts'
import { AWS } from '../../sandbox/aws.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { clientEnv } from './support.ts'

const LONG_MS = 60_000
const cloud = await startCloud(lastFirst({ after }), {
  settings: { s3SignatureV2: 'on' },
})
const { accessKeyId, secretAccessKey, region, account } = cloud.init
const host = `127.0.0.1:${cloud.config.apiPort}`
const endpoint = `http://${host}`
const s3 = new S3({
  ...{ endpoint, region, maxAttempts: 1, forcePathStyle: true },
  credentials: { accessKeyId, secretAccessKey },
})
after(() => s3.destroy())

const Bucket = 'forms'
const ORIGIN = 'https://page.example'
await s3.createBucket({ Bucket })

const BOTO3 = `
import boto3, json, sys, requests
from botocore.config import Config
def client(version):
    return boto3.client('s3', endpoint_url='${endpoint}', config=Config(signature_version=version))
found = {}
for version in ('s3v4', 's3'):
    s3 = client(version)
    fields = {'acl': 'private', 'success_action_status': '201', 'x-amz-meta-who': 'é'}
    conditions = [{name: value} for name, value in fields.items()]
    form = s3.generate_presigned_post('${Bucket}', version + '/\${filename}', Fields=fields,
        Conditions=conditions + [['content-length-range', 1, 6 << 20]])
    def send(content, name='a b+ü.txt', **more):
        files = {'file': (name, content)}
        return requests.post(form['url'], data={**form['fields'], **more}, files=files)
    answer = send(b'x' * (5 << 20))
    head = s3.head_object(Bucket='${Bucket}', Key=version + '/a b+ü.txt')
    who = head['Metadata']['who'].encode('latin1').decode()
    is_named = head['ETag'].strip('"') in answer.text
    found[version] = answer.status_code, head['ContentLength'], who, is_named
    found[version + ' refused'] = [send(b'').status_code, send(b'y' * (7 << 20)).status_code,
        send(b'x', acl='public-read').status_code, send(b'x', other='1').status_code]

# Debian's botocore signs the query of a bucket in the path twice: what needs one is s3cmd's.
new, s3, key = client('s3v4'), client('s3'), "odd/ü +%41'&"
s3.create_bucket(Bucket='old')
new.put_bucket_versioning(Bucket='old', VersioningConfiguration={'Status': 'Enabled'})
first = s3.put_object(Bucket='old', Key=key, Body=b'one', Metadata={'a': 'b  c'})
s3.put_object(Bucket='old', Key=key, Body=b'two', Tagging='a=b')
source = {'Bucket': 'old', 'Key': key, 'VersionId': first['VersionId']}
s3.copy_object(Bucket='old', Key='copy', CopySource=source)
def url(operation, **more):
    return s3.generate_presigned_url(operation, Params={'Bucket': 'old', 'Key': key, **more})
typed = url('get_object', VersionId=first['VersionId'], ResponseContentType='text/y')
answer = requests.get(typed)
found['got'] = [s3.get_object(Bucket='old', Key='copy')['Body'].read().decode(),
    requests.get(url('get_object')).text,
    answer.text, answer.headers['Content-Type'], answer.headers['x-amz-meta-a'],
    requests.get(typed.replace('text%2Fy', 'text%2Fz')).status_code,
    requests.put(url('put_object'), data=b'three').status_code,
    requests.get(url('put_object')).status_code,
    requests.get(url('get_object') + '&retention').status_code]
print(json.dumps(found))
`

test('boto3’s forms are taken within their policies, and version 2 of signatures', async () => {
  const options = { input: BOTO3, env: clientEnv(cloud), timeoutMs: LONG_MS }
  const { stdout } = await exec(['/usr/bin/python3', '-'], options)
  const taken = [201, 5 << 20, 'é', true]
  const refused = [400, 400, 403, 403]
  assert.deepEqual(JSON.parse(stdout), {
    ...{ s3v4: taken, 's3v4 refused': refused, s3: taken, 's3 refused': refused },
    got: ['one', 'two', 'one', 'text/y', 'b  c', 403, 200, 403, 400],
  })
})

test('s3cmd works with version 2', async () => {
  const config = join(cloud.dir, 's3cfg')
  const lines = [
    ...['[default]', `access_key = ${accessKeyId}`, `secret_key = ${secretAccessKey}`],
    ...[`host_base = ${host}`, `host_bucket = ${host}`, 'use_https = False'],
  ]
  await writeFile(config, lines.join('\n'), { mode: 0o600 })
  const file = join(cloud.dir, 'file')
  await writeFile(file, 'x'.repeat(6 << 20))
  const env = { HOME: cloud.dir, LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] ?? '' }
  const s3cmd = async (...args: string[]): Promise<string> => {
    const argv = ['s3cmd', '--config', config, '--signature-v2', '--no-progress', ...args]
    return (await exec(argv, { env, timeoutMs: LONG_MS })).stdout
  }
  await s3cmd('put', '--multipart-chunk-size-mb=5', file, `s3://${Bucket}/cmd/ü a`)
  assert.match(await s3cmd('info', `s3://${Bucket}/cmd/ü a`), /File size: 6291456/)
  assert.match(await s3cmd('ls', `s3://${Bucket}/cmd/`), /ü a/)
  const url = (await s3cmd('signurl', `s3://${Bucket}/cmd/ü a`, '+60')).trim()
  const text = await (await fetch(url)).text()
  assert.equal(text.length, 6 << 20, text.slice(0, 500))
})

test('aws CLI presigns, and nobody changes what it signed', async () => {
  await s3.putObject({ Bucket, Key: 'signed', Body: 'presigned' })
  const argv = [AWS, '--endpoint-url', endpoint, 's3', 'presign', `s3://${Bucket}/signed`]
  const { stdout } = await exec(argv, { env: clientEnv(cloud), timeoutMs: LONG_MS })
  const url = stdout.trim()
  assert.equal(await (await fetch(url)).text(), 'presigned')
  assert.equal((await fetch(url.replace('/signed', '/file'))).status, 403)
  assert.equal((await fetch(url, { method: 'DELETE' })).status, 403)
})

async function postUnsigned(key: string): Promise<Response> {
  const form = new FormData()
  form.append('key', key)
  form.append('file', new Blob(['x']), 'x')
  const init = { method: 'POST', body: form, headers: { origin: ORIGIN } }
  return await fetch(`${endpoint}/${Bucket}`, init)
}

test('a form that nobody signed is taken where the bucket’s policy allows it', async () => {
  assert.equal((await postUnsigned('open/a')).status, 403)
  await s3.deletePublicAccessBlock({ Bucket })
  const Statement = [
    {
      ...{ Effect: 'Allow', Principal: '*', Action: 's3:PutObject' },
      Resource: `arn:aws:s3:::${Bucket}/open/*`,
    },
  ]
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement })
  await s3.putBucketPolicy({ Bucket, Policy, ExpectedBucketOwner: account })
  assert.equal((await postUnsigned('open/a')).status, 204)
  assert.equal((await postUnsigned('shut/a')).status, 403)
  assert.equal((await s3.headObject({ Bucket, Key: 'open/a' })).ContentLength, 1)
})

test('a page of another origin may read the answer to its form', async () => {
  const before = await postUnsigned('open/b')
  assert.equal(before.headers.get('access-control-allow-origin'), null)
  const CORSRules = [
    { AllowedMethods: ['POST'], AllowedOrigins: [ORIGIN], ExposeHeaders: ['ETag'] },
  ]
  await s3.putBucketCors({ Bucket, CORSConfiguration: { CORSRules } })
  const allowed = await postUnsigned('open/b')
  assert.equal(allowed.headers.get('access-control-allow-origin'), ORIGIN)
  assert.equal(allowed.headers.get('access-control-expose-headers'), 'ETag')
  const refused = await postUnsigned('shut/b')
  assert.deepEqual(
    [refused.status, refused.headers.get('access-control-allow-origin')],
    [403, ORIGIN],
  )
})

const CONDITIONS = `
import boto3, datetime, json, requests
from unittest import mock
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
new, old = [boto3.client('s3', endpoint_url='${endpoint}', config=Config(signature_version=version))
    for version in ('s3v4', 's3')]
at = {'Bucket': 'signed', 'Key': 'key'}
new.create_bucket(Bucket='signed')
new.put_object(**at, Body=b'x')
def got(url):
    return requests.get(url).status_code
def url(client):
    return client.generate_presigned_url('get_object', Params=at)
request = AWSRequest(method='GET', url='${endpoint}/signed/key')
with mock.patch('botocore.auth.datetime') as clock:
    clock.datetime.utcnow.return_value = datetime.datetime.utcnow() - datetime.timedelta(minutes=20)
    S3SigV4QueryAuth(boto3.Session().get_credentials(), 's3', '${region}').add_auth(request)
aged = request.url
form = new.generate_presigned_post('signed', 'key')
WAYS = {
    'header': lambda: got_by(new),
    'query': lambda: got(url(new)),
    'aged query': lambda: got(aged),
    'form': lambda: requests.post(
        form['url'], data=form['fields'], files={'file': ('f', b'x')}).status_code,
    'old header': lambda: got_by(old),
    'old query': lambda: got(url(old)),
}
def got_by(client):
    try:
        return client.get_object(**at)['ResponseMetadata']['HTTPStatusCode']
    except client.exceptions.ClientError as error:
        return error.response['ResponseMetadata']['HTTPStatusCode']
found = []
for condition in json.loads('''CONDITIONS_HERE'''):
    new.put_bucket_policy(Bucket='signed', Policy=json.dumps({
        'Version': '2012-10-17', 'Statement': [{
            'Effect': 'Deny', 'Principal': '*', 'Action': ['s3:GetObject', 's3:PutObject'],
            'Resource': 'arn:aws:s3:::signed/*', 'Condition': condition}]}))
    found.append([name for name, way in WAYS.items() if way() == 403])
print(json.dumps(found))
`

test('policies of buckets see how a request is signed, with what, and how old that is', async () => {
  const cases: readonly (readonly [condition: object, refused: readonly string[]])[] = [
    [
      { StringNotEquals: { 's3:authType': 'REST-HEADER' } },
      ['query', 'aged query', 'form', 'old query'],
    ],
    [{ StringEquals: { 's3:authType': 'POST' } }, ['form']],
    [{ StringEquals: { 's3:signatureversion': 'AWS' } }, ['old header', 'old query']],
    [{ NumericGreaterThan: { 's3:signatureAge': '600000' } }, ['aged query']],
  ]
  const conditions = JSON.stringify(cases.map(([condition]) => condition))
  const input = CONDITIONS.replace('CONDITIONS_HERE', conditions)
  const options = { input, env: clientEnv(cloud), timeoutMs: LONG_MS }
  const { stdout } = await exec(['/usr/bin/python3', '-'], options)
  assert.deepEqual(
    JSON.parse(stdout),
    cases.map(([, refused]) => refused),
  )
})
