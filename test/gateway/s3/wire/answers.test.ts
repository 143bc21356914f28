// Answers on their way out: at the client's pace, whole or visibly not, and within time.

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { MalleeError } from '../../../../common/errors.ts'
import { createThrottle } from '../../../../gateway/http/throttle.ts'
import { answerInTime, call, elementIn, rawHead, send, signed, startS3 } from './support.ts'

const PIECE = Buffer.alloc(256 << 10, 'x')
const PIECES = 40

test('a stream waits for a client that reads slowly, and arrives whole', async (t) => {
  let given = 0
  const { port } = await startS3(t, {
    async GetObject() {
      const body = (async function* () {
        for (let i = 0; i < PIECES; i++) {
          given++
          yield PIECE
        }
      })()
      return { output: { ContentLength: PIECE.length * PIECES }, body }
    },
  })
  const socket = await rawHead(port, { method: 'GET' }, { connection: 'close' })
  await once(socket, 'readable')
  // What the kernel's buffers hold is given; the rest is not.
  for (let i = 0; i < 50; i++) await turn()
  assert.ok(given < PIECES, `${given} of ${PIECES} pieces`)
  assert.equal((await text(socket)).split('\r\n\r\n')[1]?.length, PIECE.length * PIECES)
  assert.equal(given, PIECES)
})

test('a stream that breaks ends the connection before the length that was said', async (t) => {
  const { port, lines } = await startS3(t, {
    async GetObject() {
      const body = (async function* () {
        yield PIECE
        throw new Error('a disk broke')
      })()
      return { output: { ContentLength: PIECE.length * 2 }, body }
    },
  })
  const { headers } = signed(port, { method: 'GET' })
  await assert.rejects(send(port, { method: 'GET' }, headers))
  const line = lines.find(({ event }) => event === 'answer was not sent whole')
  assert.match(String(line?.fields['error']), /a disk broke/)
})

test('a stream that breaks before its first bytes is refused as any other call', async (t) => {
  const codes = ['StoreUnavailable', 'DataCorrupt'] as const
  let [code, ended] = [codes[0] as (typeof codes)[number], 0]
  const { port } = await startS3(t, {
    async GetObject() {
      const body = (async function* () {
        try {
          yield* []
          throw new MalleeError(code, 'a disk broke')
        } finally {
          ended += 1
        }
      })()
      return { output: { ContentLength: 7 }, body }
    },
  })
  const away = await call(port, { method: 'GET' })
  assert.deepEqual([away.status, elementIn(away)], [503, 'ServiceUnavailable'])
  assert.equal(away.headers['retry-after'], '1')
  code = codes[1]
  const damaged = await call(port, { method: 'GET' })
  assert.deepEqual([damaged.status, elementIn(damaged)], [500, 'InternalError'])
  assert.equal(ended, 2)
})

test('an answer without a body says so', async (t) => {
  const { port } = await startS3(t, {
    async DeleteObject() {
      return { output: {} }
    },
    async HeadObject() {
      return { output: { ContentLength: 7 } }
    },
    async GetObject() {
      return { output: { ETag: '"a"' }, status: 304 }
    },
  })
  const put = await call(port, {})
  assert.deepEqual([put.status, put.headers['content-length'], put.text], [200, '0', ''])
  const gone = await call(port, { method: 'DELETE' })
  assert.deepEqual([gone.status, gone.headers['content-length']], [204, undefined])
  const head = await call(port, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers['content-length']], [200, '7'])
  const same = await call(port, { method: 'GET' })
  assert.deepEqual([same.status, same.headers['etag'], same.text], [304, '"a"', ''])
})

test('what changes buckets is in the audit log, what is done with objects is not', async (t) => {
  const told: string[] = []
  const audit = async ({ action }: { readonly action: string }) => void told.push(action)
  const handlers = { DeleteBucket: async () => ({ output: {} }) }
  const { port } = await startS3(t, handlers, { audit })
  await call(port, {})
  await call(port, { method: 'DELETE', path: '/bucket' })
  await call(port, { path: '/bucket', query: 'tagging=', body: '<Tagging/>' })
  await call(port, { method: 'GET', path: '/bucket', query: 'tagging=' })
  assert.deepEqual(told, ['DeleteBucket', 'PutBucketTagging'])
})

test('who calls too often is told to slow down', async (t) => {
  const { port, metrics } = await startS3(t, {}, { throttle: createThrottle(0.0001) })
  assert.equal((await call(port, {})).status, 200)
  const answer = await call(port, {})
  assert.deepEqual([answer.status, elementIn(answer)], [503, 'SlowDown'])
  // Strangers do not use up what the bucket's account may.
  const unsigned = { 'content-length': '0' }
  assert.equal((await send(port, {}, unsigned)).status, 200)
  assert.equal((await send(port, {}, unsigned)).status, 503)
  const { text: scraped } = await metrics.scrape()
  assert.match(scraped, /mallee_api_throttled_total\{service="s3",action="PutObject"\} 2/)
})

for (const [what, head] of [
  ['an upload', null],
  ['a form', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nAction='],
] as const) {
  test(`${what} of which nothing more comes is given up`, async (t) => {
    const { port, app } = await startS3(t)
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const began = once(app.server, 'request')
    const payload = 'UNSIGNED-PAYLOAD'
    const socket =
      head === null
        ? await rawHead(port, { payload }, { 'content-length': '10' })
        : connect(port, '127.0.0.1')
    socket.write(head ?? 'half')
    await began
    assert.equal(
      elementIn({ text: await answerInTime(t, socket) }),
      head === null ? 'RequestTimeout' : 'RequestTimeoutException',
    )
  })
}

test('a list of objects to delete needs a sum of its own beside the signature', async (t) => {
  const asked: unknown[] = []
  const { port } = await startS3(t, {
    DeleteObjects: async ({ input }) => {
      asked.push(input.Delete?.Objects)
      return { output: {} }
    },
  })
  const body = '<Delete><Object><Key>a</Key></Object></Delete>'
  const wish = { method: 'POST', path: '/bucket', query: 'delete=', body }
  const refused = await call(port, wish)
  assert.deepEqual([refused.status, elementIn(refused)], [400, 'InvalidRequest'])
  assert.match(refused.text, /this request: Content-MD5 OR x-amz-checksum-\*</)
  assert.deepEqual(asked, [])
  const sha1 = hash('sha1', body, 'base64')
  for (const headers of [
    { 'content-md5': hash('md5', body, 'base64') },
    { 'x-amz-checksum-sha1': sha1 },
  ]) {
    assert.equal((await call(port, { ...wish, headers })).status, 200)
  }
  assert.equal(asked.length, 2)
})
