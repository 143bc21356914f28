// Buckets as websites: configured by aws CLI and the SDK, seen as browsers see them.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { type Condition, type Redirect, S3, type WebsiteConfiguration } from '@aws-sdk/client-s3'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { refusal } from './support.ts'

const cloud = await startCloud(lastFirst({ after }), {
  settings: { s3Domains: 's3.example', s3WebsiteDomains: 'pages.example' },
})
const { apiPort } = cloud.config
const endpoint = `http://127.0.0.1:${apiPort}`
const s3 = new S3({
  ...{ endpoint, region: 'mallee-1', maxAttempts: 1, forcePathStyle: true },
  credentials: cloud.init,
})
after(() => s3.destroy())

const Bucket = 'site'
const HOST = `${Bucket}.s3-website.localhost:${apiPort}`
const OBJECTS: Readonly<Record<string, string>> = {
  ...{ 'index.html': 'home', 'error.html': 'oops', 'docs/index.html': 'docs', page: '0123456789' },
  ...{ 'a b/ü/index.html': 'deep', 'gone/x<y>.html': 'there' },
}
await s3.createBucket({ Bucket })
for (const [Key, Body] of Object.entries(OBJECTS)) {
  await s3.putObject({ Bucket, Key, Body, ContentType: 'text/html' })
}

interface Page {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

async function get(
  path: string,
  { method = 'GET', host = HOST, ...headers }: Record<string, string> = {},
): Promise<Page> {
  const sent = request(`${endpoint}${path}`, { method, headers: { host, ...headers } }).end()
  const [response] = await once(sent, 'response')
  return { status: response.statusCode, headers: response.headers, text: await text(response) }
}

async function put(WebsiteConfiguration: WebsiteConfiguration): Promise<void> {
  await s3.putBucketWebsite({ Bucket, WebsiteConfiguration })
}

async function allow(...actions: string[]): Promise<void> {
  const Statement = actions.map((Action) => ({
    ...{ Effect: 'Allow', Principal: '*', Action },
    Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
  }))
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement })
  await s3.putBucketPolicy({ Bucket, Policy })
}

test('what is no website yet says so, as a page', async () => {
  const none = await get('/', { host: 'nobody.s3-website.localhost' })
  assert.deepEqual([none.status, none.headers['x-amz-error-code']], [404, 'NoSuchBucket'])
  const page = await get('/')
  assert.deepEqual(
    [page.status, page.headers['x-amz-error-code']],
    [404, 'NoSuchWebsiteConfiguration'],
  )
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  assert.match(page.text, /<h1>404 Not Found<\/h1>\n<ul>\n<li>Code: NoSuchWebsiteConfiguration</)
  assert.match(page.text, new RegExp(`<li>RequestId: ${page.headers['x-amz-request-id']}</li>`))
  assert.equal(await refusal(s3.getBucketWebsite({ Bucket })), 'NoSuchWebsiteConfiguration')
})

test('aws CLI makes a bucket a website, and its pages are there for everybody', async () => {
  const pages = ['--index-document', 'index.html', '--error-document', 'error.html']
  await cloud.aws(['s3', 'website', `s3://${Bucket}`, ...pages])
  const { IndexDocument, ErrorDocument } = await s3.getBucketWebsite({ Bucket })
  assert.deepEqual([IndexDocument?.Suffix, ErrorDocument?.Key], ['index.html', 'error.html'])
  const shut = await get('/')
  assert.deepEqual([shut.status, shut.headers['x-amz-error-code']], [403, 'AccessDenied'])
  assert.match(shut.text, /Retrieve a Custom Error Document<\/h3>\n<ul>\n<li>Code: AccessDenied</)
  await s3.deletePublicAccessBlock({ Bucket })
  await allow('s3:GetObject', 's3:ListBucket')
  const home = await get('/')
  assert.deepEqual([home.status, home.text], [200, 'home'])
  assert.equal(home.headers['content-type'], 'text/html')
  for (const host of [`${Bucket}.pages.example`, `${Bucket}.s3-website.s3.example:80`]) {
    assert.equal((await get('/docs/', { host })).text, 'docs')
  }
  assert.match((await get('/', { host: `${Bucket}.s3.example` })).text, /<ListBucketResult/)
})

for (const [what, path, headers, status, more] of [
  ['a page', '/page', {}, 200, { 'content-length': '10' }],
  ['its head', '/page', { method: 'HEAD' }, 200, { 'content-length': '10' }],
  ['a range of it', '/page', { range: 'bytes=2-4' }, 206, { 'content-range': 'bytes 2-4/10' }],
  [
    'a range beyond it',
    '/page',
    { range: 'bytes=20-' },
    416,
    { 'x-amz-error-code': 'InvalidRange' },
  ],
  ['an old copy of it', '/page', { 'if-none-match': '*' }, 304, { 'content-type': undefined }],
  ['an old version of it', '/page?versionId=x', {}, 200, {}],
  ['a folder', '/docs/', {}, 200, {}],
  ['a folder without its slash', '/docs', {}, 302, { location: '/docs/' }],
  ['an odd folder', '/a%20b/%C3%BC', {}, 302, { location: '/a%20b/%C3%BC/' }],
  ['a file that is none', '/none', {}, 404, { 'x-amz-error-code': 'NoSuchKey' }],
  ['a folder that is none', '/none/', {}, 404, { 'x-amz-error-detail-key': 'none/index.html' }],
  ['a list', '/?list-type=2', {}, 200, {}],
  ['an upload', '/page', { method: 'PUT' }, 405, { allow: 'GET, HEAD' }],
  ['a form', '/', { method: 'POST' }, 405, { 'x-amz-error-code': 'MethodNotAllowed' }],
  ['a path that does not decode', '/%zz', {}, 400, { 'x-amz-error-code': 'InvalidURI' }],
  [
    'a key of 1,025 bytes',
    `/${'k'.repeat(1025)}`,
    {},
    400,
    { 'x-amz-error-code': 'KeyTooLongError' },
  ],
] as readonly (readonly [
  string,
  string,
  Record<string, string>,
  number,
  Record<string, string | undefined>,
])[]) {
  test(`a website answers ${what} with ${status}`, async () => {
    const page = await get(path, headers)
    assert.equal(page.status, status, page.text)
    for (const [name, value] of Object.entries(more)) assert.equal(page.headers[name], value, name)
    const isEmpty = headers['method'] === 'HEAD' || status === 304
    const isOwn = status === 400 || status === 405
    if (status >= 400 && !isOwn) assert.equal(page.text, 'oops')
    assert.equal(page.text === '', isEmpty)
  })
}

test('an error is told as a page that no name of a key can break', async () => {
  await put({ IndexDocument: { Suffix: 'index.html' } })
  const page = await get('/%3Cscript%3Ealert(1)%3C%2Fscript%3E%0D%0Ax:%20y')
  assert.equal(page.status, 404)
  assert.match(page.text, /<li>Key: &lt;script&gt;alert\(1\)&lt;\/script&gt;/)
  assert.doesNotMatch(page.text, /<script>/)
  assert.equal(page.headers['x'], undefined)
})

test('who may not list the bucket is not told what is there, and finds folders all the same', async (t) => {
  await allow('s3:GetObject')
  t.after(() => allow('s3:GetObject', 's3:ListBucket'))
  assert.equal((await get('/none')).status, 403)
  assert.equal((await get('/docs')).status, 302)
})

const INDEX = { IndexDocument: { Suffix: 'index.html' } }

for (const [what, condition, redirect, path, status, location] of [
  [
    ...['a prefix to another', { KeyPrefixEquals: 'old/' }, { ReplaceKeyPrefixWith: 'new dir/' }],
    ...['/old/a', 301, `http://${HOST}/new%20dir/a`],
  ],
  [
    ...['a prefix to a page elsewhere', { KeyPrefixEquals: 'old/' }],
    { HostName: 'else.example', Protocol: 'https', ReplaceKeyWith: 'p', HttpRedirectCode: '307' },
    ...['/old/a', 307, 'https://else.example/p'],
  ],
  [
    ...['what is not there', { HttpErrorCodeReturnedEquals: '404' }],
    ...[{ ReplaceKeyPrefixWith: 'report-404/' }, '/nix', 301, `http://${HOST}/report-404/nix`],
  ],
  [
    ...['only what is not there', { HttpErrorCodeReturnedEquals: '404' }],
    ...[{ ReplaceKeyWith: 'x' }, '/page', 200, undefined],
  ],
  [
    ...['what is not there and begins so'],
    ...[{ HttpErrorCodeReturnedEquals: '404', KeyPrefixEquals: 'a/' }, { ReplaceKeyWith: 'x' }],
    ...['/nix', 404, undefined],
  ],
  ['everything', undefined, { HostName: 'b.example' }, '/page', 301, 'http://b.example/page'],
] as unknown as readonly (readonly [
  string,
  Condition | undefined,
  Redirect,
  string,
  number,
  string | undefined,
])[]) {
  test(`a rule redirects ${what}: ${path} is ${status}`, async () => {
    const rules = [{ ...(condition !== undefined && { Condition: condition }), Redirect: redirect }]
    await put({ ...INDEX, RoutingRules: rules })
    assert.deepEqual((await s3.getBucketWebsite({ Bucket })).RoutingRules, rules)
    const page = await get(path)
    assert.deepEqual([page.status, page.headers['location']], [status, location], page.text)
  })
}

test('everything is redirected to another host, with its path and its query', async () => {
  const RedirectAllRequestsTo = { HostName: 'www.example', Protocol: 'https' as const }
  await put({ RedirectAllRequestsTo })
  assert.deepEqual(
    (await s3.getBucketWebsite({ Bucket })).RedirectAllRequestsTo,
    RedirectAllRequestsTo,
  )
  const page = await get('/a%20b?c=d')
  assert.deepEqual([page.status, page.headers['location']], [301, 'https://www.example/a%20b?c=d'])
  await put(INDEX)
})

test('an object sends whoever asks a website for it elsewhere, and keeps that by the API', async () => {
  const WebsiteRedirectLocation = '/page'
  await s3.putObject({ Bucket, Key: 'moved', Body: 'x', WebsiteRedirectLocation })
  const { UploadId } = await s3.createMultipartUpload({
    ...{ Bucket, Key: 'parts/index.html', WebsiteRedirectLocation: 'https://b.example/?a' },
  })
  const upload = { Bucket, Key: 'parts/index.html', UploadId }
  const { ETag } = await s3.uploadPart({ ...upload, PartNumber: 1, Body: 'x' })
  const Parts = [{ PartNumber: 1, ETag }]
  await s3.completeMultipartUpload({ ...upload, MultipartUpload: { Parts } })
  assert.equal((await s3.headObject({ Bucket, Key: 'moved' })).WebsiteRedirectLocation, '/page')
  const moved = await get('/moved')
  assert.deepEqual([moved.status, moved.headers['location'], moved.text], [301, '/page', ''])
  const folder = await get('/parts/')
  assert.deepEqual([folder.status, folder.headers['location']], [301, 'https://b.example/?a'])
  const CopySource = `${Bucket}/moved`
  await s3.copyObject({ Bucket, Key: 'copy', CopySource })
  assert.equal((await s3.headObject({ Bucket, Key: 'copy' })).WebsiteRedirectLocation, undefined)
  assert.equal((await get('/copy')).text, 'x')
  await s3.copyObject({ Bucket, Key: 'moved', CopySource, WebsiteRedirectLocation: '/docs/' })
  assert.equal((await get('/moved')).headers['location'], '/docs/')
  for (const bad of ['page', 'ftp://a/', `/${'x'.repeat(2_048)}`]) {
    const wish = { Bucket, Key: 'bad', Body: 'x', WebsiteRedirectLocation: bad }
    assert.equal(await refusal(s3.putObject(wish)), 'InvalidRedirectLocation')
  }
})

test('pages of other origins read a website by the rules of its bucket', async () => {
  const CORSRules = [{ AllowedMethods: ['GET'], AllowedOrigins: ['https://a.example'] }]
  await s3.putBucketCors({ Bucket, CORSConfiguration: { CORSRules } })
  const origin = 'https://a.example'
  const page = await get('/page', { origin })
  assert.equal(page.headers['access-control-allow-origin'], origin)
  const asked = { origin, 'access-control-request-method': 'GET' }
  assert.equal((await get('/page', { method: 'OPTIONS', ...asked })).status, 200)
})

test('putBucketWebsite refuses what is no website, and changes nothing', async () => {
  const ftp = { RedirectAllRequestsTo: { HostName: 'a', Protocol: 'ftp' as 'http' } }
  assert.equal(await refusal(put(ftp)), 'MalformedXML')
  assert.equal(await refusal(put({})), 'InvalidArgument')
  assert.deepEqual((await s3.getBucketWebsite({ Bucket })).IndexDocument, INDEX.IndexDocument)
})

test('a bucket that is no website any more is a bucket still', async () => {
  await s3.deleteBucketWebsite({ Bucket })
  await s3.deleteBucketWebsite({ Bucket })
  assert.equal((await get('/')).headers['x-amz-error-code'], 'NoSuchWebsiteConfiguration')
  assert.equal((await s3.headObject({ Bucket, Key: 'page' })).ContentLength, 10)
})
