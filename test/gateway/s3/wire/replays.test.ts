// Bodies that somebody on the way has put together from what was signed, and lengths that are not
// those of the body: over real sockets, and nothing of it is kept.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { until } from '../../../../sandbox/until.ts'
import { answerInTime, call, elementIn, rawHead, signedChunks, startS3 } from './support.ts'

const CHUNKS = ['first,', 'second', ',third']
const BODY = CHUNKS.join('')
const UNSIGNED = 'UNSIGNED-PAYLOAD'

for (const [what, order, code] of [
  ['a chunk twice', [0, 0, 1, 2, 3], 'SignatureDoesNotMatch'],
  ['a chunk in place of another of its length', [0, 1, 1, 3], 'SignatureDoesNotMatch'],
  ['chunks in another order', [1, 0, 2, 3], 'SignatureDoesNotMatch'],
  ['a chunk left out', [0, 2, 3], 'SignatureDoesNotMatch'],
  ['the last chunk first', [3], 'SignatureDoesNotMatch'],
  ['the last chunk twice', [0, 1, 2, 3, 3], 'InvalidRequest'],
  ['the last chunk left out', [0, 1, 2], 'IncompleteBody'],
] as const) {
  test(`a body with ${what} is refused: ${code}`, async (t) => {
    const { port, kept } = await startS3(t)
    const wish = signedChunks(CHUNKS)
    const body = order.map((at) => wish.parts[at]).join('')
    const answer = await call(port, { ...wish, body })
    assert.equal(elementIn(answer), code, answer.text)
    assert.equal(kept.size, 0)
    assert.equal((await call(port, wish)).status, 200)
    assert.equal(kept.get('key')?.text, BODY)
  })
}

test('a body that ends before its length is refused', async (t) => {
  const { port, kept } = await startS3(t)
  for (const wish of [{ body: BODY }, { payload: UNSIGNED }, signedChunks(CHUNKS)]) {
    const more = { 'content-length': '9999', connection: 'close' }
    const socket = await rawHead(port, wish, more)
    const answer = text(socket)
    socket.end(BODY)
    assert.doesNotMatch(await answer, /^HTTP\/1\.1 2/)
  }
  assert.equal(kept.size, 0)
})

test('what comes behind a body’s length is no part of it, and no request', async (t) => {
  const { port, kept, lines } = await startS3(t)
  const socket = await rawHead(port, { payload: UNSIGNED }, { 'content-length': '5' })
  socket.end(BODY)
  assert.match(await text(socket), /HTTP\/1\.1 400 Refused\r\n(?!.*HTTP\/)/s)
  await until('the upload has ended', async () => kept.size > 0)
  assert.equal(kept.get('key')?.text, BODY.slice(0, 5))
  const calls = lines.filter(({ event, fields }) => {
    return event === 'api call' && fields['service'] === 's3'
  })
  assert.equal(calls.length, 1)
})

test('a length that is none is refused', async (t) => {
  const { port } = await startS3(t)
  for (const length of ['-1', '5, 5', '0x5', '5.0', '99999999999999999999']) {
    const socket = await rawHead(port, { payload: UNSIGNED }, { 'content-length': length })
    socket.end(BODY)
    assert.match(await text(socket), /^HTTP\/1\.1 400 /, length)
  }
})

test('a form of which nothing more comes is given up', async (t) => {
  const { port, app } = await startS3(t)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const began = once(app.server, 'request')
  const socket = connect(port, '127.0.0.1')
  const type = 'multipart/form-data; boundary=b'
  const head = `POST /bucket HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\nContent-Type: ${type}`
  socket.write(`${head}\r\n\r\n--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nha`)
  await began
  assert.equal(elementIn({ text: await answerInTime(t, socket) }), 'RequestTimeout')
})
