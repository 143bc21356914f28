// Uploads by forms of web pages, over the port: AWS's published form, what a form may ask for, and
// who it may come from.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { CALLER, KEY } from '../../http/support.ts'
import { formOf, later, post, signedFields } from './form-support.ts'
import { elementIn, startS3 } from './support.ts'

const AWS_ID = 'AKIAIOSFODNN7EXAMPLE'
const AWS_SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const AWS_SIGNATURE = '8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e'
/** As the page says: with CRLF at the ends of lines. */
const AWS_POLICY = `{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "${AWS_ID}/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}`.replaceAll('\n', '\r\n')
const AWS_PAGE = 'http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html'

test('AWS’s published form is taken, and with any other policy it is not', async (t) => {
  const clock = { nowMs: () => Date.UTC(2015, 11, 30, 11), sleep: async () => undefined }
  const secretOf = async (id: string) =>
    id === AWS_ID ? { secret: AWS_SECRET, caller: CALLER } : null
  const options = { clock: clock as never, secretOf, region: 'us-east-1' }
  const { url, kept } = await startS3(t, {}, options)
  const policy = Buffer.from(AWS_POLICY).toString('base64')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how a form writes it
  const key = 'user/user1/${filename}'
  const fields = {
    ...{ key, acl: 'public-read', success_action_redirect: AWS_PAGE },
    ...{ 'Content-Type': 'image/jpeg', 'x-amz-meta-uuid': '14365123651274' },
    ...{ 'x-amz-server-side-encryption': 'AES256' },
    'X-Amz-Credential': `${AWS_ID}/20151229/us-east-1/s3/aws4_request`,
    ...{ 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Date': '20151229T000000Z' },
    ...{ 'x-amz-meta-tag': '', Policy: policy, 'X-Amz-Signature': AWS_SIGNATURE },
  }
  const form = formOf(fields, new Blob(['content']), 'C:\\pictures\\me.jpg')
  // What stands behind the file counts for nothing.
  form.append('submit', 'Upload to Amazon S3')
  const send = async (body: FormData) => {
    return await fetch(`${url}/sigv4examplebucket`, { method: 'POST', body, redirect: 'manual' })
  }
  const answer = await send(form)
  assert.equal(answer.status, 303, await answer.text())
  const { text, input, md5Hex } = kept.get('user/user1/me.jpg') ?? {}
  assert.equal(text, 'content')
  const query = new URLSearchParams({
    ...{ bucket: 'sigv4examplebucket', key: 'user/user1/me.jpg', etag: `"${md5Hex}"` },
  })
  assert.equal(answer.headers.get('location'), `${AWS_PAGE}?${query}`)
  const { Metadata, ContentType, ACL } = input as Record<string, unknown>
  assert.deepEqual(
    [Metadata, ContentType, ACL],
    [...[{ uuid: '14365123651274', tag: '' }, 'image/jpeg', 'public-read']],
  )
  const other = Buffer.from(AWS_POLICY.replace('user1', 'user2')).toString('base64')
  const refused = { text: await (await send(formOf({ ...fields, Policy: other }))).text() }
  assert.equal(elementIn(refused), 'SignatureDoesNotMatch')
  assert.equal(elementIn(refused, 'StringToSign'), other)
})

for (const [what, fields, status, location, body] of [
  ['nothing', {}, 204, '/bucket/k%2F%C3%A9', ''],
  ['200', { success_action_status: '200' }, 200, '/bucket/k%2F%C3%A9', ''],
  ['201', { success_action_status: '201' }, 201, '/bucket/k%2F%C3%A9', '<Key>k/é</Key>'],
  ['a status that S3 does not give', { success_action_status: '404' }, 204, '/bucket/', ''],
  [
    ...['a page with a query', { success_action_redirect: 'https://a.example/p?x=a b#top' }, 303],
    ...['https://a.example/p?x=a b&bucket=bucket&key=k%2F%C3%A9&etag=%22', ''],
  ],
  [
    'the old name of a page',
    { redirect: 'http://a.example/' },
    303,
    'http://a.example/?bucket',
    '',
  ],
  ['a page without a host', { success_action_redirect: '/page' }, 204, '/bucket/', ''],
  ['a page of a script', { success_action_redirect: 'javascript:1' }, 204, '/bucket/', ''],
] as const) {
  test(`a form that asks for ${what} is answered with ${status}`, async (t) => {
    const { url, kept } = await startS3(t)
    const any = Object.keys(fields).map((name) => ['starts-with', `$${name}`, ''])
    const { bucket: _, ...all } = { bucket: '', key: 'k/é', ...fields }
    const answer = await post(url, formOf(signedFields([{ key: 'k/é' }, ...any], all)))
    assert.equal(answer.status, status, answer.text)
    assert.equal(kept.get('k/é')?.text, 'content')
    assert.ok(
      answer.headers.get('location')?.includes(location),
      answer.headers.get('location') ?? '',
    )
    assert.ok(answer.text.includes(body) && (body !== '' || answer.text === ''), answer.text)
    assert.equal(answer.headers.get('etag'), `"${kept.get('k/é')?.md5Hex}"`)
  })
}

test('fields of a form are what headers of an upload are', async (t) => {
  const { url, kept } = await startS3(t)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32('content'))
  const fields = {
    ...{ key: 'k', 'Content-Type': 'text/x', 'x-amz-meta-A': 'ü', 'Cache-Control': 'no-store' },
    tagging: '<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value>c=d</Value></Tag></TagSet></Tagging>',
    'x-amz-checksum-crc32': sum.toString('base64'),
  }
  const any = Object.keys(fields).map((name) => ['starts-with', `$${name}`, ''])
  const all = { ...signedFields(any, fields), 'x-ignore-me': 'x' }
  const answer = await post(url, formOf(all))
  assert.equal(answer.status, 204, answer.text)
  const { input, checksum } = kept.get('k') ?? {}
  const { ContentType, CacheControl, Metadata, Tagging } = input as Record<string, unknown>
  assert.deepEqual([ContentType, CacheControl, Tagging], ['text/x', 'no-store', 'a%26b=c%3Dd'])
  assert.deepEqual(Metadata, { a: 'ü' })
  assert.equal(checksum, `CRC32 ${fields['x-amz-checksum-crc32']}`)
  const wrong = await post(url, formOf(all, new Blob(['other'])))
  assert.deepEqual([wrong.status, elementIn(wrong)], [400, 'BadDigest'], wrong.text)
})

test('a form is signed by version 2 where that is on', async (t) => {
  const { url, kept } = await startS3(t, {}, {}, { acceptsV2: true })
  const document = { expiration: later(), conditions: [{ bucket: 'bucket' }, { key: 'a' }] }
  const policy = Buffer.from(JSON.stringify(document)).toString('base64')
  const signature = createHmac('sha1', KEY.secretAccessKey).update(policy).digest('base64')
  const fields = { key: 'a', awsaccesskeyid: KEY.accessKeyId, policy, signature }
  assert.equal((await post(url, formOf(fields))).status, 204)
  assert.equal(kept.get('a')?.text, 'content')
  const wrong = await post(url, formOf({ ...fields, signature: 'AAAA' }))
  assert.equal(elementIn(wrong), 'SignatureDoesNotMatch')
})

test('a form that nobody signed is for the policies to decide', async (t) => {
  const asked: unknown[] = []
  const guard = async ({
    operation,
    caller,
    key,
  }: {
    operation: string
    caller: unknown
    key: unknown
  }) => {
    asked.push([operation, caller, key])
    return { bucket: null, allows: () => true }
  }
  const { url, lines } = await startS3(t, {}, {}, { guard: guard as never })
  assert.equal((await post(url, formOf({ key: 'a' }))).status, 204)
  assert.deepEqual(asked, [['PutObject', null, 'a']])
  const { action } = lines.find(({ event }) => event === 'api call')?.fields ?? {}
  assert.equal(action, 'PostObject')
})
