// What is told of a call after its answer: whoever writes access logs has no other source.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Served } from '../../../../gateway/s3/wire/served.ts'
import { CALLER } from '../../http/support.ts'
import { call, startS3 } from './support.ts'

test('who listens is told of every call after its answer', async (t) => {
  const told: Served[] = []
  const more = {
    async GetObject() {
      const body = (async function* () {
        yield Buffer.from('part')
      })()
      const output = { ContentLength: 4, ContentRange: 'bytes 0-3/10' }
      return { status: 206, output, body }
    },
  }
  const { port } = await startS3(t, more, {}, { served: (one) => void told.push(one) })
  const answers = [
    await call(port, { body: 'whole', headers: { referer: 'http://a/', 'user-agent': 'tool/1' } }),
    await call(port, { method: 'GET', query: 'versionId=v1' }),
    await call(port, { method: 'GET', region: 'elsewhere-1' }),
    await call(port, { method: 'GET', query: 'torrent=' }),
    await call(port, { method: 'PATCH' }),
  ]
  const [put, get, foreign, torrent, patch, ...others] = told
  assert.deepEqual(others, [])
  const ids = answers.map(({ headers }) => [headers['x-amz-request-id'], headers['x-amz-id-2']])
  assert.deepEqual(
    told.map(({ requestId, hostId }) => [requestId, hostId]),
    ids,
  )
  const of = { bucket: 'bucket', key: 'key', sourceIp: '127.0.0.1', tls: null, aclRequired: false }
  const good = { signature: { version: 'SigV4', authType: 'AuthHeader' }, requester: CALLER }
  for (const one of told) assertHas(one, { ...of, host: `127.0.0.1:${port}`, httpVersion: '1.1' })
  assertHas(put, {
    ...{ ...good, operation: 'PutObject', method: 'PUT', url: '/bucket/key', versionId: null },
    ...{ status: 200, errorCode: null, receivedBytes: 5, sentBytes: 0, objectBytes: 5 },
    ...{ referer: 'http://a/', userAgent: 'tool/1' },
  })
  assertHas(get, {
    ...{ ...good, operation: 'GetObject', url: '/bucket/key?versionId=v1', versionId: 'v1' },
    ...{ status: 206, errorCode: null, receivedBytes: 0, sentBytes: 4, objectBytes: 10 },
    ...{ referer: null, userAgent: null },
  })
  const code = 'AuthorizationHeaderMalformed'
  const sentBytes = answers[2]?.text.length
  const nobody = { requester: null, signature: null, objectBytes: null }
  assertHas(foreign, { ...nobody, operation: 'GetObject', status: 400, errorCode: code, sentBytes })
  assertHas(torrent, { ...good, operation: 'GetObjectTorrent', errorCode: 'NotImplemented' })
  assertHas(patch, { operation: 'unknown', status: 405, errorCode: 'MethodNotAllowed' })
})

function assertHas(served: Served | undefined, want: Partial<Served> | object): void {
  assert.ok(served)
  const got = Object.keys(want).map((name) => [name, served[name as keyof Served]])
  assert.deepEqual(Object.fromEntries(got), want)
}
