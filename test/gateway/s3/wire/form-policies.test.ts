// Policies of forms, over the port: each rule with a form that breaks it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KEY, REGION } from '../../http/support.ts'
import {
  type Conditions,
  type Fields,
  formOf,
  iso,
  KEY_ANY,
  later,
  post,
  signedFields,
  signPolicy,
} from './form-support.ts'
import { elementIn, signed, startS3 } from './support.ts'

for (const [what, conditions, fields, code, message] of [
  [
    ...['another key', [['starts-with', '$key', 'mine/']], { key: 'yours/a' }, 'AccessDenied'],
    'Policy Condition failed: ["starts-with", "$key", "mine/"]',
  ],
  ['another case', [{ key: 'A' }], { key: 'a' }, 'AccessDenied', '["eq", "$key", "A"]'],
  [
    ...['a field too many', [KEY_ANY], { key: 'a', acl: 'private' }, 'AccessDenied'],
    'Extra input fields: acl',
  ],
  [
    ...['a field too few', [KEY_ANY, ['starts-with', '$acl', '']], { key: 'a' }, 'AccessDenied'],
    '["starts-with", "$acl", ""]',
  ],
  [
    ...['one type of several that is not allowed'],
    ...[[KEY_ANY, ['starts-with', '$Content-Type', 'image/']]],
    ...[{ key: 'a', 'content-type': 'image/a,text/b' }, 'AccessDenied', '$Content-Type'],
  ],
  ['another bucket', [KEY_ANY, { bucket: 'other' }], { key: 'a' }, 'AccessDenied', 'other'],
  ['a file too large', [KEY_ANY, range(0, 6)], { key: 'a' }, 'EntityTooLarge', 'exceeds'],
  ['a file too small', [KEY_ANY, range(8, 9)], { key: 'a' }, 'EntityTooSmall', 'smaller'],
  [
    'two ranges of which one',
    [KEY_ANY, range(0, 9), range(8, 9)],
    { key: 'a' },
    'EntityTooSmall',
    '',
  ],
  [
    ...['a range of words', [KEY_ANY, ['content-length-range', 'a', 'b']], { key: 'a' }],
    ...['AccessDenied', '["content-length-range", "a", "b"]'],
  ],
  ['a range below nothing', [range(-1, 0)], { key: 'a' }, 'InvalidPolicyDocument', 'range'],
  ['a broken range', [range(0, 0.5)], { key: 'a' }, 'InvalidPolicyDocument', 'range'],
  [
    ...['half a range', [['content-length-range', 1]], { key: 'a' }, 'InvalidPolicyDocument'],
    'wrong number of arguments',
  ],
  [
    ...['an operator nobody has', [['ends-with', '$key', 'a']], { key: 'a' }],
    ...['InvalidPolicyDocument', "unknown operation 'ends-with'"],
  ],
  ['no operator', [[]], { key: 'a' }, 'InvalidPolicyDocument', 'missing operation identifier'],
  ['a name without $', [['eq', 'key', 'a']], { key: 'a' }, 'AccessDenied', '["eq", "key", "a"]'],
  ['a value that is no text', [{ key: 1 }], { key: 'a' }, 'InvalidPolicyDocument', 'a string'],
  ['two in one', [{ key: 'a', acl: 'b' }], { key: 'a' }, 'InvalidPolicyDocument', 'exactly one'],
  ['none in one', [{}], { key: 'a' }, 'InvalidPolicyDocument', 'exactly one'],
  ['a text as condition', ['key'], { key: 'a' }, 'InvalidPolicyDocument', 'a List or Object'],
  ['operands that are no texts', [['eq', 1, 2]], { key: 'a' }, 'InvalidPolicyDocument', 'JSON'],
  ['no key', [], {}, 'InvalidArgument', "a field named 'key'"],
  ['an empty key', [KEY_ANY], { key: '' }, 'InvalidArgument', "a field named 'key'"],
  [
    ...['tags that are no XML', [KEY_ANY, ['eq', '$tagging', 'x']], { key: 'a', tagging: 'x' }],
    ...['MalformedXML', ''],
  ],
  [
    ...['a checksum that is none', [KEY_ANY, ['starts-with', '$x-amz-checksum-sha256', '']]],
    ...[{ key: 'a', 'x-amz-checksum-sha256': 'sailorjerry' }, 'InvalidRequest', 'sha256'],
  ],
] as readonly (readonly [string, Conditions, Fields, string, string])[]) {
  test(`a form with ${what} is refused: ${code}`, async (t) => {
    const { url, kept } = await startS3(t)
    const answer = await post(url, formOf(signedFields(conditions, fields)))
    assert.equal(elementIn(answer), code, answer.text)
    const said = elementIn(answer, 'Message').replaceAll('&quot;', '"').replaceAll('&apos;', "'")
    assert.ok(said.includes(message), said)
    assert.equal(answer.status, code === 'AccessDenied' ? 403 : 400)
    assert.equal(kept.size, 0)
  })
}

for (const [what, edit, code] of [
  ['an expired policy', () => signedFields([KEY_ANY], { key: 'a' }, iso(-1_000)), 'AccessDenied'],
  ['a policy with an end of its own', () => raw({ expiration: 'soon' }), 'InvalidPolicyDocument'],
  ['a policy without an end', () => raw({ expiration: undefined }), 'InvalidPolicyDocument'],
  ['a policy without conditions', () => raw({ conditions: undefined }), 'InvalidPolicyDocument'],
  ['conditions that are no list', () => raw({ conditions: {} }), 'InvalidPolicyDocument'],
  ['a policy for something else', () => raw({ Statement: [] }), 'InvalidPolicyDocument'],
  ['a policy that is no JSON', () => withPolicy('{'), 'InvalidPolicyDocument'],
  ['a policy that is a list', () => withPolicy('[]'), 'InvalidPolicyDocument'],
  ['a policy that was cut', () => edited({ policy: 'e30' }), 'SignatureDoesNotMatch'],
  ['no signature', () => edited({ 'x-amz-signature': '' }), 'InvalidArgument'],
  ['no algorithm', () => edited({ 'x-amz-algorithm': '' }), 'InvalidArgument'],
  ['another algorithm', () => edited({ 'x-amz-algorithm': 'AWS4-ECDSA' }), 'InvalidArgument'],
  ['a signature that is none', () => edited({ 'x-amz-signature': 'x' }), 'SignatureDoesNotMatch'],
  ['half a credential', () => edited({ 'x-amz-credential': 'AKIA/2026' }), 'InvalidArgument'],
  ['another region', () => edited({ 'x-amz-credential': scoped('r/s3') }), 'InvalidArgument'],
  [
    'another service',
    () => edited({ 'x-amz-credential': scoped(`${REGION}/ec2`) }),
    'InvalidArgument',
  ],
  ['another day', () => edited({ 'x-amz-date': '20200101T000000Z' }), 'InvalidArgument'],
  ['a date that is none', () => edited({ 'x-amz-date': 'today' }), 'InvalidArgument'],
  [
    'an unknown key',
    () => edited({ 'x-amz-credential': scoped(`${REGION}/s3`, 'AKIANO') }),
    'InvalidAccessKeyId',
  ],
  ['a session nobody has', () => edited({ 'x-amz-security-token': 'x' }), 'InvalidToken'],
  [
    'version 2 where it is off',
    () => ({ key: 'a', AWSAccessKeyId: 'a', signature: 'b', policy: 'c' }),
    'InvalidRequest',
  ],
] as readonly (readonly [string, () => Fields, string])[]) {
  test(`a form with ${what} is refused with ${code}`, async (t) => {
    const { url, kept } = await startS3(t)
    const answer = await post(url, formOf(edit()))
    assert.equal(elementIn(answer), code, answer.text)
    assert.equal(kept.size, 0)
  })
}

test('a form that was signed eight days ago is refused, whatever its policy says', async (t) => {
  const clock = { nowMs: () => Date.now() + 8 * 86_400_000, sleep: async () => undefined }
  const { url } = await startS3(t, {}, { clock: clock as never })
  const answer = await post(
    url,
    formOf(signedFields([KEY_ANY], { key: 'a' }, '2999-01-01T00:00:00Z')),
  )
  assert.match(elementIn(answer, 'Message'), /Policy expired\.$/)
})

function range(min: number, max: number): unknown[] {
  return ['content-length-range', min, max]
}

function edited(edit: Fields): Fields {
  return { ...signedFields([KEY_ANY], { key: 'a' }), ...edit }
}

function raw(edit: Record<string, unknown>): Fields {
  return withPolicy(JSON.stringify({ expiration: later(), conditions: [KEY_ANY], ...edit }))
}

function withPolicy(text: string): Fields {
  const { scope, timestamp, key } = signed(0, {})
  const credential = `${KEY.accessKeyId}/${scope}`
  return { key: 'a', ...signPolicy(text, { credential, timestamp, key }) }
}

function scoped(end: string, id: string = KEY.accessKeyId): string {
  return `${id}/${signed(0, {}).scope.slice(0, 8)}/${end}/aws4_request`
}
