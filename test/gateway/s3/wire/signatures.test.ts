// What S3 answers whose signature is wrong, late, incomplete or missing; and which requests of the
// public port are S3's at all.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EC2 } from '@aws-sdk/client-ec2'
import { S3 } from '@aws-sdk/client-s3'
import { exec } from '../../../../common/exec.ts'
import { KEY, REGION } from '../../http/support.ts'
import { call, elementIn, send, signed, startS3, type Wish } from './support.ts'

const MINUTE = 60_000
const LONG = 'a'.repeat(33 << 10)

for (const [what, wish, status, code, fields] of [
  ['a clock 14 minutes behind', { atMs: Date.now() - 14 * MINUTE }, 200, '', {}],
  [
    ...['a clock 16 minutes behind', { atMs: Date.now() - 16 * MINUTE }, 403],
    ...['RequestTimeTooSkewed', { MaxAllowedSkewMilliseconds: '900000' }],
  ],
  ['a clock ahead', { atMs: Date.now() + 16 * MINUTE }, 403, 'RequestTimeTooSkewed', {}],
  [
    ...['an unknown key', { accessKeyId: 'AKIANOBODY0000000000' }, 403],
    ...['InvalidAccessKeyId', { AWSAccessKeyId: 'AKIANOBODY0000000000' }],
  ],
  [
    ...['another region', { region: 'eu-west-1' }, 400],
    ...['AuthorizationHeaderMalformed', { Region: REGION }],
  ],
  ['a session token', { headers: { 'x-amz-security-token': 'x' } }, 400, 'InvalidToken', {}],
  [
    ...['a digest that is none', { payload: 'nothing' }, 400],
    ...['InvalidArgument', { ArgumentName: 'x-amz-content-sha256', ArgumentValue: 'nothing' }],
  ],
  [
    ...['an ACL that was put beside it', { unsigned: { 'x-amz-acl': 'public-read' } }, 403],
    ...['AccessDenied', { HeadersNotSigned: 'x-amz-acl' }],
  ],
  [
    'metadata that was put beside it',
    { unsigned: { 'x-amz-meta-a': 'b' } },
    403,
    'AccessDenied',
    {},
  ],
] as unknown as readonly (readonly [string, Wish, number, string, Record<string, string>])[]) {
  test(`a signature with ${what} is answered with ${status} ${code}`, async (t) => {
    const { port } = await startS3(t)
    const answer = await call(port, wish)
    assert.deepEqual([answer.status, elementIn(answer)], [status, code], answer.text)
    for (const [name, value] of Object.entries(fields)) assert.equal(elementIn(answer, name), value)
    if (code === '') return
    assert.equal(elementIn(answer, 'RequestId'), answer.headers['x-amz-request-id'])
    assert.equal(elementIn(answer, 'HostId'), answer.headers['x-amz-id-2'])
    assert.equal(answer.headers['content-type'], 'application/xml')
  })
}

test('a signature that does not match is told what should have been signed', async (t) => {
  const { port } = await startS3(t)
  const { headers } = signed(port, {})
  const answer = await send(port, { path: '/bucket/other' }, headers)
  assert.deepEqual([answer.status, elementIn(answer)], [403, 'SignatureDoesNotMatch'])
  assert.match(elementIn(answer, 'StringToSign'), /^AWS4-HMAC-SHA256\n\d{8}T\d{6}Z\n/)
  assert.match(elementIn(answer, 'CanonicalRequest'), /^PUT\n\/bucket\/other\n\nhost:/)
  assert.equal(elementIn(answer, 'AWSAccessKeyId'), KEY.accessKeyId)
  const bytes = Buffer.from(elementIn(answer, 'StringToSignBytes').replaceAll(' ', ''), 'hex')
  assert.equal(bytes.toString(), elementIn(answer, 'StringToSign'))
})

for (const [what, edit, status, code] of [
  ['no x-amz-content-sha256', without('x-amz-content-sha256'), 400, 'InvalidRequest'],
  ['no date', without('x-amz-date'), 403, 'AccessDenied'],
  ['the scheme of version 2', { authorization: 'AWS A:b' }, 400, 'InvalidRequest'],
  [
    ...['half an Authorization', { authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/r/s3' }],
    ...[400, 'AuthorizationHeaderMalformed'],
  ],
  ['half of it for s3', scopeOnly(), 400, 'AuthorizationHeaderMalformed'],
] as unknown as readonly (readonly [
  string,
  Record<string, string | undefined>,
  number,
  string,
])[]) {
  test(`a request with ${what} is answered with ${status} ${code}`, async (t) => {
    const { port } = await startS3(t)
    const headers = Object.entries({ ...signed(port, {}).headers, ...edit })
    const sent = headers.filter(([, value]) => value !== undefined)
    const answer = await send(port, {}, Object.fromEntries(sent))
    assert.deepEqual([answer.status, elementIn(answer)], [status, code], answer.text)
  })
}

test('presigned URLs of boto3 are good for their method and nothing else', async (t) => {
  const { url, kept } = await startS3(t)
  const script = `
import boto3, json
from botocore.config import Config
s3 = boto3.client('s3', endpoint_url='${url}', config=Config(signature_version='s3v4'))
params = {'Bucket': 'bucket', 'Key': 'a b+c/é~*', 'ResponseContentType': 'text/x'}
print(json.dumps([s3.generate_presigned_url('get_object', Params=params),
    s3.generate_presigned_url('put_object', Params={'Bucket': 'bucket', 'Key': 'up'})]))
`
  const env = {
    AWS_ACCESS_KEY_ID: KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    AWS_DEFAULT_REGION: REGION,
  }
  const { stdout } = await exec(['/usr/bin/python3', '-'], {
    input: script,
    env,
    timeoutMs: 30_000,
  })
  const [get, put] = JSON.parse(stdout)
  assert.equal((await fetch(get)).status, 200)
  assert.equal((await fetch(put, { method: 'PUT', body: 'sent' })).status, 200)
  assert.equal(kept.get('up')?.text, 'sent')
  const withHeader = { 'x-amz-acl': 'public-read' }
  for (const [at, init, code] of [
    [get, { method: 'DELETE' }, 'SignatureDoesNotMatch'],
    [put, { method: 'PUT', body: 'x', headers: withHeader }, 'AccessDenied'],
    [get.replace('text%2Fx', 'text%2Fhtml'), {}, 'SignatureDoesNotMatch'],
    [get.replace('X-Amz-Expires=3600', 'X-Amz-Expires=3601'), {}, 'SignatureDoesNotMatch'],
    [
      get.replace('X-Amz-Expires=3600', 'X-Amz-Expires=604801'),
      {},
      'AuthorizationQueryParametersError',
    ],
    [get.replace('X-Amz-Expires=3600', 'X-Amz-Expires=x'), {}, 'AuthorizationQueryParametersError'],
    [get.replace('X-Amz-Expires=3600', ''), {}, 'AuthorizationQueryParametersError'],
    [
      get.replace(/X-Amz-Date=\d{8}/, 'X-Amz-Date=20200101'),
      {},
      'AuthorizationQueryParametersError',
    ],
    [get.replace(REGION, 'us-east-1'), {}, 'AuthorizationQueryParametersError'],
    [
      get,
      { headers: { authorization: 'AWS4-HMAC-SHA256 Credential=A/1/r/s3/aws4_request' } },
      'InvalidArgument',
    ],
  ] as const) {
    const answer = { text: await (await fetch(at, init)).text() }
    assert.equal(elementIn(answer), code, `${at} ${answer.text}`)
  }
})

test('a presigned URL is over after its time', async (t) => {
  const clock = { nowMs: () => Date.now() + 3_600_000, sleep: async () => undefined }
  const { url } = await startS3(t, {}, { clock: clock as never })
  const s3 = new S3({ endpoint: url, region: REGION, credentials: KEY, forcePathStyle: true })
  t.after(() => s3.destroy())
  const query = new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${KEY.accessKeyId}/${today()}/${REGION}/s3/aws4_request`,
    'X-Amz-Date': `${today()}T000000Z`,
    'X-Amz-Expires': '1',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': '0'.repeat(64),
  })
  const answer = { text: await (await fetch(`${url}/bucket/a?${query}`)).text() }
  assert.deepEqual(
    [elementIn(answer), elementIn(answer, 'Message')],
    ['AccessDenied', 'Request has expired'],
  )
  assert.equal(elementIn(answer, 'X-Amz-Expires'), '1')
})

for (const [what, method, path, init, status, code] of [
  ['a GET of an object', 'GET', '/bucket/key', {}, 200, ''],
  ['a PUT of an object', 'PUT', '/bucket/key', { body: 'x' }, 200, ''],
  ['a PUT of nothing', 'PUT', '/', {}, 405, 'MethodNotAllowed'],
  ['a path that does not decode', 'GET', '/bucket/%zz', {}, 400, 'InvalidURI'],
  ['a key of 1,025 bytes', 'GET', `/bucket/${'k'.repeat(1025)}`, {}, 400, 'KeyTooLongError'],
  ['a method that objects do not have', 'PATCH', '/bucket/key', {}, 405, 'MethodNotAllowed'],
  ['a query of 33 KiB', 'GET', `/bucket/k?a=${LONG}`, {}, 400, 'RequestHeaderSectionTooLarge'],
  ['an operation that is not there', 'GET', '/bucket/key?torrent', {}, 501, 'NotImplemented'],
  [
    'an unsigned form',
    'POST',
    '/',
    { body: 'Action=GetCallerIdentity' },
    403,
    'MissingAuthenticationToken',
  ],
  ['an unsigned GET of nothing', 'GET', '/', {}, 403, 'MissingAuthenticationToken'],
] as readonly (readonly [string, string, string, RequestInit, number, string])[]) {
  test(`${what} without a signature is answered with ${status} ${code}`, async (t) => {
    const { url } = await startS3(t)
    const response = await fetch(url + path, { method, ...init })
    const text = await response.text()
    assert.deepEqual([response.status, elementIn({ text })], [status, code], text)
  })
}

test('a refusal of HEAD has no body, and the connection goes on', async (t) => {
  const { port } = await startS3(t, {
    async HeadObject() {
      throw new Error('a bug')
    },
  })
  for (let times = 0; times < 2; times++) {
    const answer = await call(port, { method: 'HEAD' })
    assert.deepEqual([answer.status, answer.text], [500, ''])
  }
})

test('the other services of the port are as they were', async (t) => {
  const { url, lines } = await startS3(t)
  const ec2 = new EC2({ endpoint: url, region: REGION, credentials: KEY })
  t.after(() => ec2.destroy())
  assert.equal((await ec2.describeRegions({})).Regions?.length, 1)
  const { service } = lines.find(({ event }) => event === 'api call')?.fields ?? {}
  assert.equal(service, 'ec2')
})

function without(name: string): Record<string, undefined> {
  return { [name]: undefined }
}

function scopeOnly(): Record<string, string> {
  return { authorization: `AWS4-HMAC-SHA256 Credential=A/${today()}/${REGION}/s3/aws4_request` }
}

function today(): string {
  return new Date(Date.now()).toISOString().slice(0, 10).replaceAll('-', '')
}
