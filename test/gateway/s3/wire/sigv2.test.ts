// Signature Version 2: the examples that AWS publishes ("Signing and authenticating REST requests"
// of the S3 user guide, with the bucket that its older editions have), and what is refused.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { headersOf } from '../../../../gateway/http/canonical-request.ts'
import { SigningKeys } from '../../../../gateway/http/sigv4.ts'
import { authenticate } from '../../../../gateway/s3/wire/authenticate.ts'
import { CALLER, KEY } from '../../http/support.ts'
import { elementIn, send, startS3 } from './support.ts'

const ID = 'AKIAIOSFODNN7EXAMPLE'
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const HOST = ['Host', 'johnsmith.s3.amazonaws.com']
const DOMAIN = 's3.amazonaws.com'

interface Vector {
  readonly method?: string
  readonly path: string
  readonly query?: string
  readonly headers: readonly string[]
  readonly signature?: string
  readonly atMs: number
}

async function check(vector: Vector): Promise<string> {
  const { method = 'GET', path, query = '', signature } = vector
  const signed = signature === undefined ? [] : ['Authorization', `AWS ${ID}:${signature}`]
  const parts = {
    ...{ secretOf: async () => ({ secret: SECRET, caller: CALLER }), keys: new SigningKeys() },
    ...{ region: 'us-east-1', acceptsV2: true, domains: [DOMAIN, 'johnsmith.net'] },
  }
  const headers = headersOf([...vector.headers, ...signed])
  const { signature: how } = await authenticate(
    parts,
    { method, path, query, headers },
    vector.atMs,
  )
  return `${how?.version} ${how?.authType}`
}

const VECTORS: readonly (readonly [string, Vector])[] = [
  ['Object GET', vector('Tue, 27 Mar 2007 19:36:42 +0000', 'bWq2s1WEIj+Ydj0vQ697zp+IXMU=')],
  [
    'Object PUT',
    {
      ...vector('Tue, 27 Mar 2007 21:15:45 +0000', 'MyyxeRY7whkBe+bq8fHCL/2kKUg=', {
        'content-type': 'image/jpeg',
        'content-length': '94328',
      }),
      method: 'PUT',
    },
  ],
  [
    'List',
    {
      ...vector('Tue, 27 Mar 2007 19:42:41 +0000', 'htDYFYduRNen8P9ZfE/s9SuKy0U='),
      ...{ path: '/', query: 'prefix=photos&max-keys=50&marker=puppy' },
    },
  ],
  [
    'Fetch',
    {
      ...vector('Tue, 27 Mar 2007 19:44:46 +0000', 'c2WLPFtWHVgbEmeEG93a4cG37dM='),
      ...{ path: '/', query: 'acl' },
    },
  ],
  [
    'Upload',
    {
      ...vector('Tue, 27 Mar 2007 21:06:08 +0000', 'ilyl83RwaSoYIEdixDQcA4OnAnc=', {
        'x-amz-acl': 'public-read',
        'content-type': 'application/x-download',
        'Content-MD5': '4gJE4saaMU4BqNR0kLY+lw==',
        'X-Amz-Meta-ReviewedBy': 'joe@johnsmith.net',
        'x-amz-meta-reviewedby': 'jane@johnsmith.net',
        'X-Amz-Meta-FileChecksum': '0x02661779',
        'X-Amz-Meta-ChecksumAlgorithm': 'crc32',
        'Content-Disposition': 'attachment; filename=database.dat',
      }),
      ...{ method: 'PUT', path: '/static.johnsmith.net/db-backup.dat.gz' },
    },
  ],
  [
    'List All My Buckets',
    { ...vector('Wed, 28 Mar 2007 01:29:59 +0000', 'qGdzdERIC03wnaRNKh6OqZehG9s='), path: '/' },
  ],
  [
    'Unicode Keys',
    {
      ...vector('Wed, 28 Mar 2007 01:49:49 +0000', 'DNEZGsoieTZ92F3bUfSPQcbGmlM='),
      path: '/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re',
    },
  ],
]
/** Those whose bucket is in the path. */
const IN_PATH = new Set(['Upload', 'List All My Buckets', 'Unicode Keys'])

for (const [what, { headers, ...example }] of VECTORS) {
  test(`authenticate takes AWS’s example of version 2 for ${what}`, async () => {
    const host = IN_PATH.has(what) ? ['Host', DOMAIN] : HOST
    assert.equal(await check({ ...example, headers: [...host, ...headers] }), 'SigV2 AuthHeader')
  })

  test(`authenticate refuses that for ${what} with another path, verb or second`, async () => {
    const host = IN_PATH.has(what) ? ['Host', DOMAIN] : HOST
    const whole = { ...example, headers: [...host, ...headers] }
    for (const other of [{ path: `${example.path}x` }, { method: 'HEAD' }]) {
      await assert.rejects(check({ ...whole, ...other }), { code: 'SignatureDoesNotMatch' })
    }
    const later = { ...whole, atMs: example.atMs + 16 * 60_000 }
    await assert.rejects(check(later), { code: 'RequestTimeTooSkewed' })
  })
}

const PRESIGNED = 'NpgCjnDzrM+WFzoENXmpNDUsSn8='
const EXPIRES = 1_175_139_620

function presigned(signature = PRESIGNED, expires: number | string = EXPIRES): Vector {
  const query = new URLSearchParams({ AWSAccessKeyId: ID, Signature: signature })
  const path = '/photos/puppy.jpg'
  return { path, query: `${query}&Expires=${expires}`, headers: HOST, atMs: EXPIRES * 1000 }
}

test('authenticate takes AWS’s example of a query of version 2, and not a second longer', async () => {
  assert.equal(await check(presigned()), 'SigV2 QueryString')
  const late = { ...presigned(), atMs: EXPIRES * 1000 + 1 }
  await assert.rejects(check(late), { code: 'AccessDenied', message: 'Request has expired' })
})

for (const [what, wish, code] of [
  ['a later end', presigned(PRESIGNED, EXPIRES + 1), 'SignatureDoesNotMatch'],
  ['an end that is no number', presigned(PRESIGNED, 'soon'), 'AccessDenied'],
  ['no end', presigned(PRESIGNED, ''), 'AccessDenied'],
  ['a signature that is none', presigned('AAAA'), 'AccessDenied'],
  [
    'another verb of the bucket than was signed',
    { ...presigned(), query: `${presigned().query}&publicAccessBlock` },
    'InvalidRequest',
  ],
  [
    'a header that was put beside it',
    { ...presigned(), headers: [...HOST, 'x-amz-acl', 'public-read'] },
    'SignatureDoesNotMatch',
  ],
] as const) {
  test(`authenticate refuses a query of version 2 with ${what}: ${code}`, async () => {
    await assert.rejects(check(wish), { code })
  })
}

for (const [what, authorization, headers, code] of [
  ['no date', `AWS ${KEY.accessKeyId}:${PRESIGNED}`, {}, 'AccessDenied'],
  ['half a header', `AWS ${KEY.accessKeyId}`, { date: now() }, 'InvalidArgument'],
  ['an unknown key', `AWS AKIANOBODY:${PRESIGNED}`, { date: now() }, 'InvalidAccessKeyId'],
  [
    ...['a session nobody has', `AWS ${KEY.accessKeyId}:${PRESIGNED}`],
    ...[{ date: now(), 'x-amz-security-token': 'x' }, 'InvalidToken'],
  ],
] as readonly (readonly [string, string, Record<string, string>, string])[]) {
  test(`version 2 with ${what} is refused at the port: ${code}`, async (t) => {
    const { port } = await startS3(t, {}, {}, { acceptsV2: true })
    const answer = await send(port, { method: 'GET' }, { authorization, ...headers })
    assert.equal(elementIn(answer), code, answer.text)
  })
}

test('version 2 is taken at the port where it is wanted, and refused by its name elsewhere', async (t) => {
  const date = now()
  const text = `PUT\n\n\n${date}\nx-amz-meta-a:é\n/bucket/key`
  const signature = createHmac('sha1', KEY.secretAccessKey).update(text).digest('base64')
  const authorization = `AWS ${KEY.accessKeyId}:${signature}`
  const metadata = Buffer.from('é').toString('latin1')
  const headers = { authorization, date, 'x-amz-meta-a': metadata }
  const on = await startS3(t, {}, {}, { acceptsV2: true })
  // As a text it would make Node send the headers as UTF-8 of what is UTF-8 already.
  const body = Buffer.from('x')
  const taken = await send(on.port, { body }, headers)
  assert.equal(taken.status, 200, taken.text)
  assert.equal(on.kept.get('key')?.text, 'x')
  const wrong = await send(on.port, { body, path: '/bucket/other' }, headers)
  assert.equal(elementIn(wrong), 'SignatureDoesNotMatch')
  assert.equal(elementIn(wrong, 'StringToSign'), text.replace('/key', '/other'))
  const off = await startS3(t)
  const refused = await send(off.port, { body }, headers)
  assert.deepEqual([refused.status, elementIn(refused)], [400, 'InvalidRequest'])
  assert.match(elementIn(refused, 'Message'), /Please use AWS4-HMAC-SHA256\.$/)
})

function vector(date: string, signature: string, more: Record<string, string> = {}): Vector {
  const headers = ['Date', date, ...Object.entries(more).flat()]
  return { path: '/photos/puppy.jpg', headers, signature, atMs: Date.parse(date) }
}

function now(): string {
  return new Date(Date.now()).toUTCString()
}
