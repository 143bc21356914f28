// Pages of other origins: what browsers are told before and with an answer, by a bucket's rules.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

const cloud = await startCloud(lastFirst({ after }))
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
const s3 = new S3({
  ...{ endpoint, region: 'mallee-1', maxAttempts: 1, forcePathStyle: true },
  credentials: cloud.init,
})
after(() => s3.destroy())

const Bucket = 'pages'
const RULES = [
  {
    ...{ ID: 'ours', AllowedMethods: ['PUT', 'GET'], AllowedOrigins: ['https://*.example'] },
    ...{ AllowedHeaders: ['x-amz-*', 'Content-Type'], ExposeHeaders: ['ETag'], MaxAgeSeconds: 60 },
  },
  { AllowedMethods: ['GET'], AllowedOrigins: ['*'] },
]
await s3.createBucket({ Bucket })

async function preflight(origin: string, method: string, headers = ''): Promise<Response> {
  return await fetch(`${endpoint}/${Bucket}/key`, {
    method: 'OPTIONS',
    headers: {
      ...{ origin, 'access-control-request-method': method },
      ...(headers !== '' && { 'access-control-request-headers': headers }),
    },
  })
}

test('the rules of a bucket are kept as they were put', async () => {
  assert.equal(await refusal(s3.getBucketCors({ Bucket })), 'NoSuchCORSConfiguration')
  assert.match(await (await preflight('https://a.example', 'GET')).text(), /CORS is not enabled/)
  await s3.putBucketCors({ Bucket, CORSConfiguration: { CORSRules: RULES } })
  assert.deepEqual((await s3.getBucketCors({ Bucket })).CORSRules, RULES)
})

for (const [origin, method, headers, status, allowed] of [
  ['https://a.example', 'PUT', 'X-Amz-Date, content-type', 200, 'https://a.example'],
  ['https://a.example', 'PUT', 'authorization', 403, null],
  ['https://a.other', 'PUT', '', 403, null],
  ['https://a.other', 'GET', '', 200, '*'],
  ['https://a.example', 'DELETE', '', 403, null],
  ['https://a.example', 'BREW', '', 400, null],
] as const) {
  test(`a preflight for ${method} with '${headers}' from ${origin} is ${status}`, async () => {
    const answer = await preflight(origin, method, headers)
    assert.equal(answer.status, status, await answer.text())
    assert.equal(answer.headers.get('access-control-allow-origin'), allowed)
  })
}

test('an answer says what the page may read, also when it is a refusal', async () => {
  const answer = await fetch(`${endpoint}/${Bucket}?location`, {
    headers: { origin: 'https://b.example' },
  })
  assert.equal(answer.status, 403)
  assert.equal(answer.headers.get('access-control-allow-origin'), 'https://b.example')
  assert.equal(answer.headers.get('access-control-expose-headers'), 'ETag')
  assert.match(answer.headers.get('vary') ?? '', /^Origin, /)
  const plain = await fetch(`${endpoint}/${Bucket}?location`)
  assert.equal(plain.headers.get('access-control-allow-origin'), null)
})

for (const [what, rule, code] of [
  ['no rule', null, 'MalformedXML'],
  ['a method nobody has', { AllowedMethods: ['PATCH'], AllowedOrigins: ['*'] }, 'InvalidRequest'],
  ['two wildcards', { AllowedMethods: ['GET'], AllowedOrigins: ['*.*'] }, 'InvalidRequest'],
  [
    ...['a wildcard among what is shown'],
    ...[
      { AllowedMethods: ['GET'], AllowedOrigins: ['*'], ExposeHeaders: ['x-*'] },
      'InvalidRequest',
    ],
  ],
] as readonly (readonly [
  string,
  { AllowedMethods: string[]; AllowedOrigins: string[] } | null,
  string,
])[]) {
  test(`putBucketCors refuses ${what} with ${code}`, async () => {
    const CORSConfiguration = { CORSRules: rule === null ? [] : [rule] }
    assert.equal(await refusal(s3.putBucketCors({ Bucket, CORSConfiguration })), code)
  })
}
