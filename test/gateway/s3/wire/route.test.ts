// Which operation a request asks for: every one of the model has its way in, and what has none is
// refused instead of being taken for another.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadModel, type Member } from '../../../../gateway/aws/model.ts'
import { createRouter, type Level } from '../../../../gateway/s3/wire/route.ts'
import { bucketOfHost, targetOf } from '../../../../gateway/s3/wire/target.ts'

const model = loadModel('s3')
const route = createRouter(model)

function ask(method: string, level: Level, query: string, headers: readonly string[] = []): string {
  const parameters = new Map(new URLSearchParams(query))
  return route({ method, level, query: parameters, headers: new Map(headers.map((h) => [h, 1])) })
}

test('every operation is found by what its model says of it', () => {
  for (const [operation, { i, http }] of Object.entries(model.ops)) {
    const shape = typeof i === 'number' ? model.shapes[i] : undefined
    const members: readonly Member[] = shape?.[0] === 'o' ? shape[2] : []
    const needed = members.filter(({ req }) => req === 1)
    const [method = '', uri = ''] = http ?? []
    const [path = '', literals = ''] = uri.split('?')
    const query = needed.flatMap(({ hq }) => (hq === undefined ? [] : [`${hq}=1`]))
    const headers = needed.flatMap(({ h }) => (h === undefined ? [] : [h]))
    const isObject = path.includes('Key')
    const level = isObject
      ? 'object'
      : members.some(({ n }) => n === 'Bucket')
        ? 'bucket'
        : 'service'
    assert.equal(ask(method, level, [literals, ...query].join('&'), headers), operation)
  }
})

for (const [method, level, query, headers, want] of [
  ['GET', 'service', 'x-id=ListBuckets', [], 'ListBuckets'],
  ['GET', 'bucket', '', [], 'ListObjects'],
  ['GET', 'bucket', 'prefix=a&list-type=2', [], 'ListObjectsV2'],
  ['GET', 'bucket', 'list-type=3', [], 'InvalidArgument'],
  ['GET', 'bucket', 'metrics', [], 'ListBucketMetricsConfigurations'],
  ['GET', 'bucket', 'metrics&id=1', [], 'GetBucketMetricsConfiguration'],
  ['GET', 'object', 'partNumber=1', [], 'GetObject'],
  ['GET', 'object', 'uploadId=1', [], 'ListParts'],
  ['PUT', 'object', 'x-id=PutObject&unknown=1', [], 'PutObject'],
  ['PUT', 'object', '', ['x-amz-copy-source'], 'CopyObject'],
  ['PUT', 'object', 'partNumber=1&uploadId=a', [], 'UploadPart'],
  ['PUT', 'object', 'partNumber=1&uploadId=a', ['x-amz-copy-source'], 'UploadPartCopy'],
  ['PUT', 'object', 'uploadId=a', [], 'MethodNotAllowed'],
  ['PUT', 'object', 'uploads', [], 'MethodNotAllowed'],
  ['PUT', 'bucket', 'location', [], 'MethodNotAllowed'],
  ['DELETE', 'bucket', 'acl', [], 'MethodNotAllowed'],
  ['DELETE', 'bucket', 'policy', [], 'DeleteBucketPolicy'],
  ['DELETE', 'object', 'acl', [], 'MethodNotAllowed'],
  ['POST', 'object', 'delete', [], 'MethodNotAllowed'],
  ['POST', 'bucket', 'delete', [], 'DeleteObjects'],
  ['BREW', 'bucket', '', [], 'MethodNotAllowed'],
] as readonly (readonly [string, Level, string, string[], string])[]) {
  test(`${method} of ${level} with '${query}' and ${headers.length} headers is ${want}`, () => {
    if (/^[A-Z][a-z]+(?:NotAllowed|Argument)$/.test(want)) {
      assert.throws(() => ask(method, level, query, headers), { code: want })
    } else {
      assert.equal(ask(method, level, query, headers), want)
    }
  })
}

for (const [host, path, bucket, key] of [
  ['10.0.0.1:8773', '/', null, null],
  ['10.0.0.1:8773', '/b', 'b', null],
  ['10.0.0.1:8773', '/b/', 'b', null],
  ['10.0.0.1:8773', '/b/k', 'b', 'k'],
  ['10.0.0.1:8773', '/b//k', 'b', '/k'],
  ['10.0.0.1:8773', '/b/k/', 'b', 'k/'],
  ['10.0.0.1:8773', '/b/../k', 'b', '../k'],
  ['10.0.0.1:8773', '/b/%2E%2E/a%20+%C3%A9%2Fb', 'b', '../a +é/b'],
  ['[::1]:8773', '/b/k', 'b', 'k'],
  ['localhost:8773', '/b/k', 'b', 'k'],
  ['B.localhost:8773', '/k', 'b', 'k'],
  ['a.b.s3.example', '/', 'a.b', null],
  ['s3.example', '/b', 'b', null],
  ['other.example', '/b', 'b', null],
] as const) {
  test(`targetOf of ${path} at ${host} is ${bucket} and ${key}`, () => {
    assert.deepEqual(targetOf(host, path, ['s3.example', 'localhost']), { bucket, key })
  })
}

for (const path of ['', 'b', '*', '/b/%', '/b/%ff', '/b/é', '/b/a b', '//k', 'http://h/b/k']) {
  test(`targetOf refuses the path '${path}'`, () => {
    assert.throws(() => targetOf('a', path, []), { code: 'InvalidURI' })
  })
}

test('bucketOfHost knows no bucket where there is no domain', () => {
  assert.equal(bucketOfHost('b.s3.example', []), null)
})
