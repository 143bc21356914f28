// Bodies on their way in, over real sockets: every way of saying what they are, and of not being
// so. What does not fit is kept by nobody.

import assert from 'node:assert/strict'
import { createHash, hash } from 'node:crypto'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import {
  call,
  elementIn,
  rawHead,
  send,
  signed,
  signedChunks,
  startS3,
  type Wish,
} from './support.ts'

const BODY = 'a body that is somewhat longer than nothing'
const md5 = (body: string): string => createHash('md5').update(body).digest('base64')
const SUMS = {
  crc32: '+IptAA==',
  crc32c: 'mVLh7g==',
  crc64nvme: 'XBjBrnAp96k=',
  sha1: createHash('sha1').update(BODY).digest('base64'),
  sha256: createHash('sha256').update(BODY).digest('base64'),
} as const
const WRONG = {
  ...{ crc32: 'AAAAAA==', crc32c: 'AAAAAA==', crc64nvme: 'AAAAAAAAAAA=' },
  ...{ sha1: Buffer.alloc(20).toString('base64'), sha256: Buffer.alloc(32).toString('base64') },
} as const
const ALGORITHMS = Object.keys(SUMS) as (keyof typeof SUMS)[]

for (const algorithm of ALGORITHMS) {
  test(`a body is kept with its ${algorithm}, in a header and in a trailer`, async (t) => {
    const { port, kept } = await startS3(t)
    const name = `x-amz-checksum-${algorithm}`
    const want = `${algorithm.toUpperCase()} ${SUMS[algorithm]}`
    const plain = await call(port, { body: BODY, headers: { [name]: SUMS[algorithm] } })
    assert.equal(plain.status, 200, plain.text)
    assert.deepEqual([kept.get('key')?.text, kept.get('key')?.checksum], [BODY, want])
    const trailed = await call(port, {
      ...unsignedChunks(name, SUMS[algorithm]),
      path: '/bucket/t',
    })
    assert.equal(trailed.status, 200, trailed.text)
    assert.deepEqual([kept.get('t')?.text, kept.get('t')?.checksum], [BODY, want])
  })

  test(`a body with a wrong ${algorithm} is refused, in a header and in a trailer`, async (t) => {
    const { port, kept } = await startS3(t)
    const name = `x-amz-checksum-${algorithm}`
    for (const wish of [
      { body: BODY, headers: { [name]: WRONG[algorithm] } },
      unsignedChunks(name, WRONG[algorithm]),
    ]) {
      const answer = await call(port, wish)
      assert.deepEqual([answer.status, elementIn(answer)], [400, 'BadDigest'], answer.text)
    }
    assert.equal(kept.size, 0)
  })
}

test('a body without any checksum gets a CRC64NVME and an MD5', async (t) => {
  const { port, kept } = await startS3(t)
  for (const wish of [
    { body: BODY },
    { body: BODY, payload: 'UNSIGNED-PAYLOAD' },
    { body: BODY, headers: { 'content-md5': md5(BODY) } },
    signedChunks([BODY.slice(0, 9), BODY.slice(9)]),
  ]) {
    const answer = await call(port, wish)
    assert.equal(answer.status, 200, answer.text)
    const { md5Hex, checksum } = kept.get('key') ?? {}
    assert.equal(checksum, `CRC64NVME ${SUMS.crc64nvme}`)
    assert.equal(answer.headers['etag'], `"${md5Hex}"`)
    assert.equal(md5Hex, Buffer.from(md5(BODY), 'base64').toString('hex'))
  }
})

test('aws-chunked is taken off Content-Encoding, and what else there is stays', async (t) => {
  const { port, kept } = await startS3(t)
  for (const [encoding, want] of [
    ['aws-chunked', undefined],
    ['gzip,aws-chunked', 'gzip'],
    ['aws-chunked, gzip', 'gzip'],
  ] as const) {
    assert.equal((await call(port, signedChunks([BODY], encoding))).status, 200)
    const input: { ContentEncoding?: string } = kept.get('key')?.input ?? {}
    assert.equal(input.ContentEncoding, want)
  }
})

for (const [what, wish, status, code] of [
  [
    'another body than was signed',
    { body: BODY, payload: hash('sha256', 'x') },
    400,
    'XAmzContentSHA256Mismatch',
  ],
  [
    'a Content-MD5 of another body',
    { body: BODY, headers: { 'content-md5': md5('x') } },
    400,
    'BadDigest',
  ],
  [
    'a Content-MD5 that is none',
    { body: BODY, headers: { 'content-md5': 'x' } },
    400,
    'InvalidDigest',
  ],
  ['a checksum that is none', { headers: { 'x-amz-checksum-crc32': 'x' } }, 400, 'InvalidRequest'],
  [
    'two checksums',
    { headers: { 'x-amz-checksum-crc32': SUMS.crc32, 'x-amz-checksum-sha1': SUMS.sha1 } },
    400,
    'InvalidRequest',
  ],
  [
    'a checksum nobody knows',
    { headers: { 'x-amz-checksum-crc16': 'AA==' } },
    400,
    'InvalidRequest',
  ],
  [
    'a checksum that was announced only',
    { headers: { 'x-amz-sdk-checksum-algorithm': 'CRC32' } },
    400,
    'InvalidRequest',
  ],
  [
    'a trailer without chunks',
    { headers: { 'x-amz-trailer': 'x-amz-checksum-crc32' } },
    400,
    'InvalidRequest',
  ],
  [
    'no last chunk',
    cut(unsignedChunks('x-amz-checksum-crc32', SUMS.crc32), -60),
    400,
    'IncompleteBody',
  ],
  ['a trailer that was not announced', withoutTrailer(), 400, 'MalformedTrailerError'],
  ['a decoded length that is none', withLength('ten'), 400, 'InvalidRequest'],
  ['a decoded length too small', withLength(String(BODY.length - 1)), 400, 'IncompleteBody'],
  ['a decoded length too large', withLength(String(BODY.length + 1)), 400, 'IncompleteBody'],
  ['more than an object may have', withLength(String(5 * 2 ** 30 + 1)), 400, 'EntityTooLarge'],
] as readonly (readonly [string, Wish, number, string])[]) {
  test(`a body with ${what} is refused: ${status} ${code}`, async (t) => {
    const { port, kept } = await startS3(t)
    const answer = await call(port, wish)
    assert.deepEqual([answer.status, elementIn(answer)], [status, code], answer.text)
    assert.equal(kept.size, 0)
  })
}

test('a chunk signed for another request is refused', async (t) => {
  const { port, kept } = await startS3(t)
  const wish = signedChunks([BODY])
  const { headers } = signed(port, { ...wish, path: '/bucket/other' })
  const answer = await send(port, { ...wish, path: '/bucket/other' }, headers)
  assert.deepEqual([answer.status, elementIn(answer)], [403, 'SignatureDoesNotMatch'])
  assert.equal(kept.size, 0)
})

test('a body without a length is refused with 411, one in HTTP’s chunks with 501', async (t) => {
  const { port } = await startS3(t)
  const socket = await rawHead(port, { body: BODY }, { connection: 'close' })
  const answer = await text(socket)
  assert.match(answer, /^HTTP\/1\.1 411 .*<Code>MissingContentLength<\/Code>/s)
  const chunked = await rawHead(port, { body: BODY }, { 'transfer-encoding': 'chunked' })
  chunked.end(`${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`)
  assert.match(await text(chunked), /^HTTP\/1\.1 501 .*<Code>NotImplemented<\/Code>/s)
})

test('aws-chunked within HTTP’s own chunks needs no length', async (t) => {
  const { port, kept } = await startS3(t)
  const {
    body = '',
    headers = {},
    payload = '',
  } = unsignedChunks('x-amz-checksum-crc32', SUMS.crc32)
  const { 'x-amz-decoded-content-length': _, ...others } = headers
  const more = { 'transfer-encoding': 'chunked', connection: 'close' }
  const socket = await rawHead(port, { payload, headers: others }, more)
  socket.write(`${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n\r\n`)
  assert.match(await text(socket), /^HTTP\/1\.1 200 /)
  assert.equal(kept.get('key')?.text, BODY)
})

test('a client that goes away leaves nothing', async (t) => {
  let thrown: { code?: string } | null = null
  const ended = Promise.withResolvers<void>()
  const { port } = await startS3(t, {
    async PutObject({ body }) {
      try {
        for await (const _ of body?.bytes ?? []);
      } catch (error) {
        thrown = error as { code?: string }
        throw error
      } finally {
        ended.resolve()
      }
      return { output: {} }
    },
  })
  const more = { 'content-length': String(BODY.length) }
  const socket = await rawHead(port, { payload: 'UNSIGNED-PAYLOAD' }, more)
  socket.write(BODY.slice(0, 5), () => socket.destroy())
  await ended.promise
  assert.equal((thrown as { code?: string } | null)?.code, 'IncompleteBody')
})

test('who waits to be told sends nothing before the request was taken', async (t) => {
  const { port, kept } = await startS3(t)
  const more = { 'content-length': String(BODY.length), expect: '100-continue' }
  const good = await rawHead(port, { body: BODY }, { ...more, connection: 'close' })
  const [first] = await once(good, 'data')
  assert.match(String(first), /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
  good.write(BODY)
  assert.match(await text(good), /^HTTP\/1\.1 200 /)
  assert.equal(kept.get('key')?.text, BODY)
  const wrong = await rawHead(port, { body: BODY, region: 'elsewhere-1' }, more)
  assert.match(await text(wrong), /^HTTP\/1\.1 400 .*AuthorizationHeaderMalformed/s)
})

test('an early refusal reaches a client that sends it all first', async (t) => {
  const { port } = await startS3(t)
  const body = Buffer.alloc(4 << 20, 'x')
  const wish = { body, region: 'elsewhere-1', payload: 'UNSIGNED-PAYLOAD' }
  const socket = await rawHead(port, wish, { 'content-length': String(body.length) })
  // No byte of the answer is read before the last one of the body is written.
  socket.pause()
  await new Promise((resolve) => socket.write(body, resolve))
  assert.match(await text(socket), /AuthorizationHeaderMalformed/)
})

test('a length and HTTP’s chunks at once are refused, and the connection ends', async (t) => {
  const { port } = await startS3(t)
  const more = { 'content-length': '5', 'transfer-encoding': 'chunked' }
  const socket = await rawHead(port, { body: BODY }, more)
  assert.match(await text(socket), /^HTTP\/1\.1 400 /)
})

/** As SDKs send bodies over TLS. */
function unsignedChunks(trailer: string, sum: string): Wish & { body: string } {
  const size = Buffer.byteLength(BODY).toString(16)
  return {
    body: `${size}\r\n${BODY}\r\n0\r\n${trailer}:${sum}\r\n\r\n`,
    payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    headers: {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(BODY.length),
      'x-amz-trailer': trailer,
    },
  }
}

function cut(wish: Wish & { body: string }, at: number): Wish {
  return { ...wish, body: wish.body.slice(0, at) }
}

function withoutTrailer(): Wish {
  const { headers, ...wish } = unsignedChunks('x-amz-checksum-crc32', SUMS.crc32)
  const { 'x-amz-trailer': _, ...others } = headers ?? {}
  return { ...wish, headers: others }
}

function withLength(length: string): Wish {
  const { headers, ...wish } = unsignedChunks('x-amz-checksum-crc32', SUMS.crc32)
  return { ...wish, headers: { ...headers, 'x-amz-decoded-content-length': length } }
}
