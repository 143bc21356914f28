// Lines of access logs can be read by who knows AWS's format, whatever clients say of themselves.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logLine } from '../../../../gateway/s3/logging/line.ts'
import type { Served } from '../../../../gateway/s3/wire/served.ts'
import type { BucketRecord } from '../../../../gateway/store/bucket-records.ts'
import { logFields } from '../../../support/access-log.ts'
import { CALLER } from '../../http/support.ts'

const BUCKET: BucketRecord = {
  ...{ name: 'photos', id: 'b1', account: CALLER.account, rack: '', createdAtMs: 0 },
  versioning: 'off',
}
const SERVED: Served = {
  ...{ requestId: 'request', hostId: 'host-id', startedAtMs: Date.UTC(2026, 1, 6, 0, 0, 38) },
  ...{ operation: 'GetObject', bucket: 'photos', key: 'a/b c.jpg', versionId: 'v1' },
  ...{ requester: CALLER, signature: { version: 'SigV4', authType: 'QueryString' } },
  ...{ sourceIp: '192.0.2.3', method: 'GET', url: '/photos/a/b%20c.jpg?x=1', httpVersion: '1.1' },
  ...{ status: 206, errorCode: null, receivedBytes: 0, sentBytes: 5, objectBytes: 9 },
  ...{ totalMs: 7, turnAroundMs: 0, referer: 'http://a/', userAgent: 'tool/1 (x)' },
  ...{ host: 'photos.example.com', aclRequired: false },
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
}

test('a line has every field of AWS in its place', () => {
  const { owner, ...rest } = logFields(logLine(BUCKET, SERVED))
  assert.match(owner, /^[0-9a-f]{64}$/)
  assert.deepEqual(rest, {
    ...{ bucket: 'photos', time: '06/Feb/2026:00:00:38 +0000', remoteIp: '192.0.2.3' },
    ...{ requester: owner, requestId: 'request', operation: 'REST.GET.OBJECT' },
    ...{ key: 'a/b%20c.jpg', uri: 'GET /photos/a/b%20c.jpg?x=1 HTTP/1.1', status: '206' },
    ...{ error: '-', sent: '5', size: '9', total: '7', turnAround: '-', referer: 'http://a/' },
    ...{ userAgent: 'tool/1 (x)', version: 'v1', hostId: 'host-id', signature: 'SigV4' },
    ...{ cipher: 'TLS_AES_256_GCM_SHA384', authentication: 'QueryString' },
    ...{ host: 'photos.example.com', tls: 'TLSV1.3', accessPoint: '-', acl: '-' },
  })
})

for (const [what, said] of [
  ['quotes', { userAgent: 'a" 200 - "b', referer: '"' }],
  ['line ends', { userAgent: 'a\r\nb', url: '/photos/\n' }],
  ['spaces in a host', { host: 'a b' }],
  ['spaces in a version', { versionId: 'a b' }],
  ['halves of characters', { key: '\ud800', userAgent: 'é\udfff' }],
  ['very much', { userAgent: 'x'.repeat(30_000) }],
  ['nothing', { key: null, userAgent: null, referer: null, host: null, sourceIp: '' }],
] as const) {
  test(`a client that says ${what} makes one line that can be read`, () => {
    const line = logLine(BUCKET, { ...SERVED, ...said })
    assert.ok(!line.includes('\n') && line.length < 30_000)
    const { status, acl, requestId } = logFields(line)
    assert.deepEqual([status, acl, requestId], ['206', '-', 'request'])
  })
}

for (const [operation, method, key, want] of [
  ['PutObject', 'PUT', 'a', 'REST.PUT.OBJECT'],
  ['CopyObject', 'PUT', 'a', 'REST.COPY.OBJECT'],
  ['UploadPartCopy', 'PUT', 'a', 'REST.COPY.PART'],
  ['UploadPart', 'PUT', 'a', 'REST.PUT.PART'],
  ['CreateMultipartUpload', 'POST', 'a', 'REST.POST.UPLOADS'],
  ['CompleteMultipartUpload', 'POST', 'a', 'REST.POST.UPLOAD'],
  ['ListMultipartUploads', 'GET', null, 'REST.GET.UPLOADS'],
  ['DeleteObjects', 'POST', null, 'REST.POST.MULTI_OBJECT_DELETE'],
  ['ListObjectsV2', 'GET', null, 'REST.GET.BUCKET'],
  ['ListObjectVersions', 'GET', null, 'REST.GET.BUCKETVERSIONS'],
  ['GetBucketVersioning', 'GET', null, 'REST.GET.VERSIONING'],
  ['GetBucketLogging', 'GET', null, 'REST.GET.LOGGING_STATUS'],
  ['GetBucketPolicy', 'GET', null, 'REST.GET.BUCKETPOLICY'],
  ['GetBucketPolicyStatus', 'GET', null, 'REST.GET.POLICY_STATUS'],
  ['PutObjectTagging', 'PUT', 'a', 'REST.PUT.OBJECT_TAGGING'],
  ['DeleteBucketTagging', 'DELETE', null, 'REST.DELETE.TAGGING'],
  ['unknown', 'OPTIONS', 'a', 'REST.OPTIONS.PREFLIGHT'],
  ['unknown', 'GET', null, 'REST.GET.BUCKET'],
] as const) {
  test(`${operation} is ${want}`, () => {
    const line = logLine(BUCKET, { ...SERVED, operation, method, key })
    assert.equal(logFields(line).operation, want)
  })
}

test('users are told by their ARNs, nobody by a dash', () => {
  const userArn = 'arn:aws:iam::111111111111:user/ada'
  const requesters = [{ ...CALLER, userArn }, null].map(
    (requester) => logFields(logLine(BUCKET, { ...SERVED, requester })).requester,
  )
  assert.deepEqual(requesters, [userArn, '-'])
})
