// What S3 Control's requests about tags say, and what of it is refused.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { ControlHandlers } from '../../../../gateway/s3/wire/control.ts'
import { CALLER } from '../../http/support.ts'
import { call, elementIn, startS3, type Wish } from './support.ts'

const TAGS = '/v20180820/tags/'
const ARN = 'arn%3Aaws%3As3%3A%3A%3Abucket'
const BODY = tagsBody('<Tag><Key>a</Key><Value>1 &amp; 2</Value></Tag>')

const seen: object[] = []
const control: ControlHandlers = {
  async ListTagsForResource({ input }) {
    seen.push(input)
    return { output: { Tags: [{ Key: 'a', Value: '<1>' }] } }
  },
  async TagResource({ input }) {
    seen.push(input)
    return { output: {}, status: 204 }
  },
  async UntagResource({ input }) {
    seen.push(input)
    return { output: {}, status: 204 }
  },
}
const { port } = await startS3({ after }, control)

function tagsBody(tags: string): string {
  return `<TagResourceRequest xmlns="any"><Tags>${tags}</Tags></TagResourceRequest>`
}

function ask(wish: Wish) {
  const headers = { 'x-amz-account-id': CALLER.account, ...wish.headers }
  return call(port, { method: 'GET', path: `${TAGS}${ARN}`, ...wish, headers })
}

test('tags are listed, given and taken, of the bucket whose account is named', async () => {
  const listed = await ask({})
  assert.equal(listed.status, 200)
  assert.match(listed.text, /<ListTagsForResourceResult xmlns="[^"]+"><Tags><Tag>/)
  assert.deepEqual([elementIn(listed, 'Key'), elementIn(listed, 'Value')], ['a', '&lt;1&gt;'])
  const given = await ask({ method: 'POST', body: BODY })
  const taken = await ask({ method: 'DELETE', query: 'tagKeys=a&tagKeys=b%20c' })
  assert.deepEqual([given.status, given.text, taken.status, taken.text], [204, '', 204, ''])
  const ExpectedBucketOwner = CALLER.account
  assert.deepEqual(seen.splice(0), [
    { ExpectedBucketOwner },
    { ExpectedBucketOwner, Tags: [{ Key: 'a', Value: '1 & 2' }] },
    { ExpectedBucketOwner, TagKeys: ['a', 'b c'] },
  ])
})

test('the account may stand before the host as it does at AWS', async () => {
  const host = `${CALLER.account}.localhost:${port}`
  assert.equal((await ask({ headers: { host } })).status, 200)
  assert.equal(seen.splice(0).length, 1)
})

test('without the header it is an object as any other', async () => {
  const path = `/bucket${TAGS}${ARN}`
  const answer = await call(port, { method: 'PUT', path, body: 'x' })
  assert.equal(answer.status, 200)
})

const REFUSED: readonly (readonly [what: string, code: string, wish: Wish])[] = [
  ['another method', 'MethodNotAllowed', { method: 'PUT' }],
  ['a text that is no ARN', 'InvalidRequest', { path: `${TAGS}bucket` }],
  ['an object', 'InvalidRequest', { path: `${TAGS}${ARN}%2Fkey` }],
  ['an access point', 'InvalidRequest', { path: `${TAGS}${ARN}%3Aap` }],
  ['a bad escape', 'InvalidURI', { path: `${TAGS}%zz` }],
  ['no keys', 'InvalidRequest', { method: 'DELETE' }],
  ['no document', 'MalformedXML', { method: 'POST' }],
  ['another root', 'MalformedXML', { method: 'POST', body: '<Tagging><Tags/></Tagging>' }],
  ['no list', 'MalformedXML', { method: 'POST', body: '<TagResourceRequest/>' }],
  ['no tag', 'MalformedXML', { method: 'POST', body: tagsBody('<Key>a</Key>') }],
  ['half a tag', 'MalformedXML', { method: 'POST', body: tagsBody('<Tag><Key>a</Key></Tag>') }],
  [
    'a key twice',
    'MalformedXML',
    { method: 'POST', body: tagsBody('<Tag><Key>a</Key><Key>b</Key></Tag>') },
  ],
  [
    'elements in a value',
    'MalformedXML',
    { method: 'POST', body: tagsBody('<Tag><Key>a</Key><Value><b/></Value></Tag>') },
  ],
  ['a body that is not what was signed', 'XAmzContentSHA256Mismatch', { method: 'POST' }],
  ['another secret', 'SignatureDoesNotMatch', { secret: 'b' }],
]

for (const [what, code, wish] of REFUSED) {
  test(`${what} is ${code}, in the document of S3 Control`, async () => {
    const payload = code === 'XAmzContentSHA256Mismatch' ? { payload: 'a'.repeat(64) } : {}
    const answer = await ask({ ...wish, ...payload })
    assert.match(answer.text, /<ErrorResponse><Error><Code>.*<\/Error><RequestId>/s)
    assert.equal(elementIn(answer), code)
    assert.deepEqual(seen, [])
  })
}
