// aws-chunked: whatever the network does to the pieces, and all that can be wrong with a body.

import assert from 'node:assert/strict'
import { createHmac, createSecretKey, hash } from 'node:crypto'
import { test } from 'node:test'
import { ChunkedDecoder, type ChunkedOptions } from '../../../../gateway/s3/wire/chunked.ts'

const CHAIN = {
  key: createSecretKey(Buffer.from('a key of today')),
  timestamp: '20260101T000000Z',
  scope: '20260101/mallee-1/s3/aws4_request',
  seed: '0'.repeat(64),
}
const SIGNED: ChunkedOptions = { chain: CHAIN, hasTrailer: true }
const UNSIGNED: ChunkedOptions = { chain: null, hasTrailer: true }

/** By the letter of the documentation, with every chunk signed. */
function signedBody(chunks: readonly string[], trailers: readonly string[] = []): string {
  let previous = CHAIN.seed
  const sign = (kind: string, ...lines: string[]): string => {
    const text = [kind, CHAIN.timestamp, CHAIN.scope, previous, ...lines].join('\n')
    previous = createHmac('sha256', CHAIN.key).update(text).digest('hex')
    return previous
  }
  const parts = [...chunks, ''].map((data) => {
    const signature = sign('AWS4-HMAC-SHA256-PAYLOAD', hash('sha256', ''), hash('sha256', data))
    const size = Buffer.byteLength(data).toString(16)
    return `${size};chunk-signature=${signature}\r\n${data}${data === '' ? '' : '\r\n'}`
  })
  const lines = trailers.map((each) => `${each}\n`).join('')
  const last = sign('AWS4-HMAC-SHA256-TRAILER', hash('sha256', lines))
  const sent = [...trailers, `x-amz-trailer-signature:${last}`].map((each) => `${each}\r\n`)
  return `${parts.join('')}${sent.join('')}\r\n`
}

function decode(options: ChunkedOptions, pieces: readonly (Buffer | string)[]) {
  const decoder = new ChunkedDecoder(options)
  const data = pieces.flatMap((piece) => decoder.push(Buffer.from(piece)))
  return { trailers: [...decoder.end()], data: Buffer.concat(data).toString() }
}

const CHUNKS = ['Wind', 'hover', `\r\n0\r\n\r\n${'é'.repeat(20)}`]
const TRAILER = 'x-amz-checksum-crc32:AAAAAA=='
const WANT = { data: CHUNKS.join(''), trailers: [['x-amz-checksum-crc32', 'AAAAAA==']] }
const PLAIN = `4\r\nWind\r\n5\r\nhover\r\n0\r\n${TRAILER}\r\n\r\n`

test('ChunkedDecoder gives the same however the body is split in two, or into its bytes', () => {
  const body = Buffer.from(signedBody(CHUNKS, [TRAILER]))
  assert.deepEqual(decode(SIGNED, [body]), WANT)
  for (let at = 1; at < body.length; at++) {
    assert.deepEqual(decode(SIGNED, [body.subarray(0, at), body.subarray(at)]), WANT, `at ${at}`)
  }
  const bytes = [...body].map((byte) => Buffer.from([byte]))
  assert.deepEqual(decode(SIGNED, bytes), WANT)
})

test('ChunkedDecoder refuses a signed body that ends anywhere but at its end', () => {
  const body = Buffer.from(signedBody(CHUNKS, [TRAILER]))
  // Without the very last line end it is whole: some clients leave it out.
  for (let end = 0; end < body.length - 2; end++) {
    assert.throws(() => decode(SIGNED, [body.subarray(0, end)]), `${end} bytes`)
  }
})

for (const [what, body, code] of [
  ['no size', '\r\n', 'InvalidRequest'],
  ['a size that is no number', 'xyz\r\nabc\r\n', 'InvalidRequest'],
  ['a negative size', '-1\r\na\r\n', 'InvalidRequest'],
  ['a size beyond all objects', `${'f'.repeat(11)}\r\na\r\n`, 'InvalidRequest'],
  [
    'a signature where none is due',
    `1;chunk-signature=${'0'.repeat(64)}\r\na\r\n`,
    'InvalidRequest',
  ],
  ['another extension', '1;name=value\r\na\r\n', 'InvalidRequest'],
  ['more data than its size', '1\r\nab\r\n0\r\n\r\n', 'InvalidRequest'],
  ['a line without end', 'f'.repeat(70_000), 'InvalidRequest'],
  ['no last chunk', '1\r\na\r\n', 'IncompleteBody'],
  ['less data than its size', '3\r\na', 'IncompleteBody'],
  ['something after the end', '0\r\n\r\nmore\r\n', 'InvalidRequest'],
  ['half a line after the end', '0\r\n\r\nmore', 'IncompleteBody'],
  ['a trailer that is none', '0\r\nno colon\r\n\r\n', 'MalformedTrailerError'],
  ['a trailer twice', `0\r\n${TRAILER}\r\n${TRAILER}\r\n\r\n`, 'MalformedTrailerError'],
  ['a trailer that is cut', '0\r\nx-amz-check', 'IncompleteBody'],
  ['twenty trailers', `0\r\n${numbered(20)}\r\n`, 'MalformedTrailerError'],
] as const) {
  test(`ChunkedDecoder answers ${what} with ${code}`, () => {
    assert.equal(decode(UNSIGNED, [PLAIN]).data, 'Windhover')
    assert.throws(() => decode(UNSIGNED, [body]), { code })
    assert.throws(
      () =>
        decode(
          UNSIGNED,
          [...body].map((each) => Buffer.from(each)),
        ),
      { code },
    )
  })
}

for (const [what, body, code] of [
  ['a chunk without signature', '1\r\na\r\n0\r\n\r\n', 'InvalidRequest'],
  ['chunks in another order', swapped(), 'SignatureDoesNotMatch'],
  ['a chunk that came before', replayed(), 'SignatureDoesNotMatch'],
  [
    'another trailer',
    signedBody(['a'], [TRAILER]).replace('AAAAAA', 'BAAAAA'),
    'SignatureDoesNotMatch',
  ],
  ['no signature of its trailer', withoutTrailerSignature(), 'SignatureDoesNotMatch'],
] as const) {
  test(`ChunkedDecoder answers a signed body that has ${what} with ${code}`, () => {
    assert.throws(() => decode(SIGNED, [body]), { code })
  })
}

test('ChunkedDecoder takes no trailers where none may come', () => {
  const options = { chain: null, hasTrailer: false }
  assert.throws(() => decode(options, [PLAIN]), { code: 'MalformedTrailerError' })
  assert.equal(decode(options, ['1\r\na\r\n0\r\n\r\n']).data, 'a')
})

function swapped(): string {
  const [first = '', second = '', ...rest] = signedBody(['1111', '2222']).split(/(?<=\d{4}\r\n)/)
  return [second, first, ...rest].join('')
}

function replayed(): string {
  const [first = '', ...rest] = signedBody(['1111', '2222']).split(/(?<=\d{4}\r\n)/)
  return [first, first, ...rest].join('')
}

function withoutTrailerSignature(): string {
  return signedBody(['a'], [TRAILER]).replace(/x-amz-trailer-signature:.*\r\n/, '')
}

function numbered(count: number): string {
  return Array.from({ length: count }, (_, i) => `x-${i}:1\r\n`).join('')
}
