// What policies are told of the signature of a request, and access logs of lists of grants.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, test } from 'node:test'
import type { GuardedCall } from '../../../../gateway/s3/buckets/access.ts'
import type { Served } from '../../../../gateway/s3/wire/served.ts'
import { KEY } from '../../http/support.ts'
import { formOf, KEY_ANY, post, signedFields } from './form-support.ts'
import { BUCKET, call, send, startS3 } from './support.ts'

const AGE = 's3:signatureage'
const HEADER = { 's3:signatureversion': 'AWS4-HMAC-SHA256', 's3:authtype': 'REST-HEADER' }

let byAcl = false
const asked: GuardedCall[] = []
const told: Served[] = []
const { port, url } = await startS3(
  { after },
  {},
  {},
  {
    acceptsV2: true,
    served: (served) => void told.push(served),
    async guard(guarded) {
      asked.push(guarded)
      if (byAcl) guarded.onlyByAcl?.()
      return { bucket: BUCKET, allows: () => true }
    },
  },
)

/** Of the one call that there was. */
function keysOf(): Record<string, string | undefined> {
  const [guarded, ...more] = asked.splice(0)
  assert.ok(guarded !== undefined && more.length === 0)
  return Object.fromEntries(
    [...(guarded.signatureKeys ?? [])].map(([name, [value]]) => [name, value]),
  )
}

test('of a header its version and what it says of the body, and no age', async () => {
  for (const payload of ['UNSIGNED-PAYLOAD', undefined]) {
    const wish = { body: 'x', ...(payload !== undefined && { payload }) }
    assert.equal((await call(port, wish)).status, 200)
    const { 's3:x-amz-content-sha256': said, ...rest } = keysOf()
    assert.deepEqual(rest, HEADER)
    assert.match(said ?? '', payload === undefined ? /^[0-9a-f]{64}$/ : /^UNSIGNED-PAYLOAD$/)
  }
})

test('of a form that it is one, and how old', async () => {
  const fields = signedFields([KEY_ANY], { key: 'form' })
  assert.equal((await post(url, formOf(fields))).status, 204)
  const { [AGE]: age, ...rest } = keysOf()
  assert.deepEqual(rest, { ...HEADER, 's3:authtype': 'POST' })
  assert.match(age ?? '', /^\d+$/)
})

test('of version 2 its name; a query is 0 old, as it does not say', async () => {
  const expires = String(Math.floor(Date.now() / 1000) + 60)
  const date = new Date().toUTCString()
  const signatureOf = (when: string) =>
    createHmac('sha1', KEY.secretAccessKey).update(`PUT\n\n\n${when}\n/bucket/key`).digest('base64')
  const authorization = `AWS ${KEY.accessKeyId}:${signatureOf(date)}`
  assert.equal((await send(port, {}, { authorization, date })).status, 200)
  assert.deepEqual(keysOf(), { 's3:signatureversion': 'AWS', 's3:authtype': 'REST-HEADER' })
  const signed = { AWSAccessKeyId: KEY.accessKeyId, Signature: signatureOf(expires) }
  const query = String(new URLSearchParams({ ...signed, Expires: expires }))
  assert.equal((await send(port, { query }, {})).status, 200)
  const inQuery = { 's3:signatureversion': 'AWS', 's3:authtype': 'REST-QUERY-STRING' }
  assert.deepEqual(keysOf(), { ...inQuery, [AGE]: '0' })
})

test('of nobody nothing', async () => {
  assert.equal((await send(port, {}, {})).status, 200)
  assert.deepEqual(keysOf(), {})
})

test('a call that a list of grants allowed is told as such, the next one not', async () => {
  told.splice(0)
  byAcl = true
  await call(port, {})
  byAcl = false
  await call(port, {})
  assert.deepEqual(
    told.map(({ aclRequired }) => aclRequired),
    [true, false],
  )
})
