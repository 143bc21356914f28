// Signatures of the official signer, and all that can be wrong with one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headersOf } from '../../../gateway/http/canonical-request.ts'
import {
  readAuthorization,
  type SignedRequest,
  SigningKeys,
  verifySignature,
} from '../../../gateway/http/sigv4.ts'
import { call, codeIn, signedHeadersOf, type Wish } from './sign.ts'
import { auditOf, KEY, secretOf, startEndpoint } from './support.ts'

const MINUTE = 60_000
const BODY = 'Action=DescribeRegions&Version=2016-11-15'
const STS_BODY = 'Action=GetCallerIdentity&Version=2011-06-15'
const IAM_BODY = 'Action=GetCredentialReport&Version=2010-05-08'

for (const [what, wish, status, code] of [
  ['a good signature', {}, 200, ''],
  ['a signature over a GET', { method: 'GET', query: BODY, body: '' }, 200, ''],
  ['spaces within a signed header', { headers: { 'x-note': ' a   b ' } }, 200, ''],
  ['a clock 14 minutes behind', { atMs: -14 * MINUTE }, 200, ''],
  ['a clock 16 minutes behind', { atMs: -16 * MINUTE }, 400, 'RequestExpired'],
  ['a clock 16 minutes ahead', { atMs: 16 * MINUTE }, 400, 'RequestExpired'],
  ['an unknown key', { accessKeyId: 'AKIANOBODY0000000000' }, 401, 'AuthFailure'],
  ['another secret', { secret: 'wrong' }, 403, 'SignatureDoesNotMatch'],
  ['a scope of another day', { scopeDate: '20200101' }, 403, 'SignatureDoesNotMatch'],
  ['another region', { region: 'eu-west-1' }, 401, 'AuthFailure'],
  ['an unknown service', { service: 'sqs' }, 401, 'AuthFailure'],
  ['host not signed', { signedHeaders: ['x-amz-date'] }, 400, 'IncompleteSignature'],
  ['a session token', { headers: { 'x-amz-security-token': 'x' } }, 401, 'AuthFailure'],
  ['STS: a good signature', { service: 'sts', body: STS_BODY }, 200, ''],
  ['STS: the global region', { service: 'sts', body: STS_BODY, region: 'us-east-1' }, 200, ''],
  [
    ...['STS: an unknown key', { service: 'sts', body: STS_BODY, accessKeyId: 'AKIAX' }, 403],
    'InvalidClientTokenId',
  ],
  [
    ...['STS: an old clock', { service: 'sts', body: STS_BODY, atMs: -16 * MINUTE }, 403],
    'SignatureDoesNotMatch',
  ],
  [
    ...['IAM: the global region', { service: 'iam', body: IAM_BODY, region: 'us-east-1' }, 400],
    'UnsupportedOperation',
  ],
  ['IAM: our region', { service: 'iam', body: IAM_BODY }, 400, 'UnsupportedOperation'],
  ['IAM: another region', { service: 'iam', region: 'x' }, 403, 'SignatureDoesNotMatch'],
  [
    ...['Auto Scaling: the global region', { service: 'autoscaling', region: 'us-east-1' }, 403],
    'SignatureDoesNotMatch',
  ],
  ['STS: another region', { service: 'sts', region: 'x' }, 403, 'SignatureDoesNotMatch'],
] as readonly (readonly [string, Wish, number, string])[]) {
  test(`the endpoint answers ${what} with ${status} ${code}`, async (t) => {
    const { port } = await startEndpoint(t)
    const atMs = Date.now() + (wish.atMs ?? 0)
    const response = await call(port, { body: BODY, ...wish, atMs })
    const xml = await response.text()
    assert.deepEqual([response.status, codeIn(xml)], [status, code], xml)
    assert.equal(response.headers.get('content-type'), 'text/xml;charset=UTF-8')
    const isQuery = (wish.service ?? 'ec2') !== 'ec2' && wish.service !== 'sqs'
    if (code !== '') assert.match(xml, isQuery ? /<RequestId>/ : /<RequestID>/)
  })
}

for (const [what, edit] of [
  ['body', (headers: Headers) => ({ headers, body: `${BODY}&RegionName.1=x` })],
  ['signed header', (headers: Headers) => ({ headers: { ...headers, 'x-note': 'b' }, body: BODY })],
] as const) {
  test(`verifySignature refuses a ${what} that was changed on the way`, async (t) => {
    const { port, lines } = await startEndpoint(t)
    const signed = signedHeadersOf(port, { body: BODY, headers: { 'x-note': 'a' } })
    const { host: _, ...headers } = signed
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', ...edit(headers) })
    assert.equal(response.status, 403)
    assert.equal(codeIn(await response.text()), 'SignatureDoesNotMatch')
    assert.equal(auditOf(lines, 'unknown')['account'], '')
  })
}
type Headers = Record<string, string>

for (const [what, header] of [
  ['another scheme', 'Basic QWxhZGRpbjpvcGVu'],
  ['no scheme', 'nothing'],
  ['nothing behind the scheme', 'AWS4-HMAC-SHA256 '],
  ['no signature', 'AWS4-HMAC-SHA256 Credential=A/20260101/r/ec2/aws4_request, SignedHeaders=host'],
  ['a credential that is short', authorization({ Credential: 'A/20260101/ec2/aws4_request' })],
  ['a credential with no request', authorization({ Credential: 'A/20260101/r/ec2/aws3_request' })],
  ['a credential with a slash too many', authorization({ Credential: `/${'x/'.repeat(9)}` })],
  ['a signature that is short', authorization({ Signature: 'abcdef' })],
  ['a field twice', `${authorization({})}, Signature=${'0'.repeat(64)}`],
  ['a field nobody knows', `${authorization({})}, Foo=bar`],
  ['five hundred signed headers', authorization({ SignedHeaders: 'host;'.repeat(500) })],
] as const) {
  test(`readAuthorization calls a header with ${what} incomplete`, () => {
    const request = requestWith(['Authorization', header, 'X-Amz-Date', '20260101T000000Z'])
    assert.throws(() => readAuthorization(request), { code: 'IncompleteSignature', status: 400 })
  })
}

for (const [what, headers] of [
  [
    'two Authorization headers',
    ['authorization', authorization({}), 'X-Amz-Date', '20260101T000000Z'],
  ],
  ['two dates', ['x-amz-date', '20260101T000001Z', 'X-Amz-Date', '20260101T000000Z']],
  ['no date', []],
  ['a date of no calendar', ['X-Amz-Date', '20261399T000000Z']],
] as const) {
  test(`readAuthorization calls a request with ${what} incomplete`, () => {
    const request = requestWith(['Authorization', authorization({}), ...headers])
    assert.throws(() => readAuthorization(request), { code: 'IncompleteSignature' })
  })
}

test('readAuthorization says when there is no signature at all', () => {
  const want = { code: 'MissingAuthenticationToken', status: 403 }
  assert.throws(() => readAuthorization(requestWith([])), want)
})

for (const [what, query] of [
  ['signs in header and query', 'X-Amz-Signature=a'],
  ['gives a parameter of it twice', 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Algorithm=x'],
] as const) {
  test(`readAuthorization refuses a request that ${what}`, () => {
    const headers = what.includes('header') ? ['Authorization', authorization({})] : []
    const request = { ...requestWith(headers), query }
    assert.throws(() => readAuthorization(request), { code: 'IncompleteSignature' })
  })
}

test('verifySignature refuses two Host headers: only one can have been signed', async () => {
  const nowMs = Date.UTC(2026, 0, 1)
  const headers = signedHeadersOf(80, { atMs: nowMs, body: BODY })
  const raw = [...Object.entries(headers).flat(), 'Host', 'elsewhere']
  const request = { ...requestWith(raw), method: 'POST' }
  const tools = { secretOf, keys: new SigningKeys(), nowMs }
  const want = { code: 'SignatureDoesNotMatch', message: /more than one Host/ }
  await assert.rejects(verifySignature(tools, request, readAuthorization(request)), want)
})

test('SigningKeys gives the key of AWS’s published example', () => {
  // "Examples of how to derive a signing key", AWS General Reference.
  const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
  const key = new SigningKeys().get(secret, {
    date: '20120215',
    region: 'us-east-1',
    service: 'iam',
  })
  const want = 'f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d'
  assert.equal(key.export().toString('hex'), want)
})

test('SigningKeys keeps no more than it may, and a new secret never meets an old key', () => {
  const keys = new SigningKeys(2)
  const scope = { date: '20260101', region: 'r', service: 'ec2' }
  const first = keys.get('one', scope)
  assert.equal(keys.get('one', scope), first)
  assert.ok(!keys.get('two', scope).equals(first))
  keys.get('three', scope)
  assert.notEqual(keys.get('one', scope), first, 'the oldest entry has gone')
  assert.ok(keys.get('one', scope).equals(first))
})

function authorization(change: Readonly<Record<string, string>>): string {
  const fields = {
    Credential: `${KEY.accessKeyId}/20260101/mallee-1/ec2/aws4_request`,
    SignedHeaders: 'host;x-amz-date',
    Signature: 'a'.repeat(64),
    ...change,
  }
  const list = Object.entries(fields).map(([name, value]) => `${name}=${value}`)
  return `AWS4-HMAC-SHA256 ${list.join(', ')}`
}

function requestWith(rawHeaders: readonly string[]): SignedRequest {
  const headers = headersOf(rawHeaders)
  return { method: 'GET', path: '/', query: '', headers, payloadHash: '' }
}
