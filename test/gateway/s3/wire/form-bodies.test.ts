// The bodies of forms, over the port: what is no form, what is cut short, too large or twice.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { readForm } from '../../../../gateway/s3/wire/forms/multipart.ts'
import { formOf, post, signedFields } from './form-support.ts'
import { elementIn, send, startS3 } from './support.ts'

const BOUNDARY = 'b'
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`
const part = (name: string, value: string, more = ''): string =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
const END = `--${BOUNDARY}--\r\n`
const FILE = part('file', 'content', '; filename="f"')

for (const [what, body, type, status, code] of [
  ['no form', 'x', 'text/plain', 412, 'PreconditionFailed'],
  ['a form of another kind', 'a=b', 'application/x-www-form-urlencoded', 412, 'PreconditionFailed'],
  ['no boundary', 'x', 'multipart/form-data', 400, 'MalformedPOSTRequest'],
  [
    'another boundary',
    part('key', 'k') + FILE + END,
    TYPE.replace(/b$/, 'c'),
    400,
    'MalformedPOSTRequest',
  ],
  ['no end', part('key', 'k') + FILE, TYPE, 400, 'MalformedPOSTRequest'],
  [
    'an end within the file',
    part('key', 'k') + FILE.slice(0, -4),
    TYPE,
    400,
    'MalformedPOSTRequest',
  ],
  ['an end within a field', part('key', 'k').slice(0, -3), TYPE, 400, 'MalformedPOSTRequest'],
  ['nothing', '', TYPE, 400, 'MalformedPOSTRequest'],
  ['no file', part('key', 'k') + END, TYPE, 400, 'InvalidArgument'],
  ['two files', part('key', 'k') + FILE + FILE + END, TYPE, 400, 'InvalidArgument'],
  ['a key behind the file', FILE + part('key', 'k') + END, TYPE, 400, 'InvalidArgument'],
  ['a field twice', part('key', 'k') + part('KEY', 'l') + FILE + END, TYPE, 400, 'InvalidArgument'],
  [
    'a field of 21 KB',
    part('a', 'x'.repeat(21_000)) + FILE + END,
    TYPE,
    400,
    'MaxPostPreDataLengthExceeded',
  ],
  [
    'fields of 21 KB',
    'a'.repeat(21).replaceAll('a', part('x-ignore-a', 'x'.repeat(1_000))) + FILE + END,
    TYPE,
    400,
    'MaxPostPreDataLengthExceeded',
  ],
  [
    '201 fields',
    'a'.repeat(201).replaceAll('a', part('x-ignore-a', '')) + FILE + END,
    TYPE,
    400,
    'MaxPostPreDataLengthExceeded',
  ],
  [
    '21 KB before it',
    `${'x'.repeat(99_000)}\r\n${part('key', 'k')}${FILE}${END}`,
    TYPE,
    400,
    'MaxPostPreDataLengthExceeded',
  ],
  [
    'a file by another name',
    part('upload', 'x'.repeat(30_000), '; filename="f"') + END,
    TYPE,
    400,
    'MaxPostPreDataLengthExceeded',
  ],
] as const) {
  test(`a POST with ${what} is refused: ${status} ${code}`, async (t) => {
    const { port, kept } = await startS3(t)
    const wish = { method: 'POST', path: '/bucket', body }
    const answer = await send(port, wish, { 'content-type': type })
    assert.deepEqual([answer.status, elementIn(answer)], [status, code], answer.text)
    assert.equal(kept.size, 0)
  })
}

test('a form in HTTP’s chunks is refused, as all uploads', async (t) => {
  const { url } = await startS3(t)
  const stream = new Blob([FILE + END]).stream()
  const init = { method: 'POST', body: stream, duplex: 'half', headers: { 'content-type': TYPE } }
  const response = await fetch(`${url}/bucket`, init as RequestInit)
  assert.equal(response.status, 501, await response.text())
})

test('readForm reads the same however the bytes come', async () => {
  const text = `${part('key', 'k\r\n--')}${part('é', 'ü')}${part('file', '\r\n--\r\n-c-content\r\n--')}${END}`
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), async (sizes) => {
      const bytes = Buffer.from(text)
      async function* pieces(): AsyncGenerator<Buffer> {
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] ?? 1
          yield bytes.subarray(at, at + size)
          at += size
        }
      }
      const form = await readForm(pieces(), TYPE)
      const parts: Buffer[] = []
      for await (const chunk of form.bytes) parts.push(chunk)
      assert.deepEqual(
        [...form.fields],
        [
          ['key', 'k\r\n--'],
          ['é', 'ü'],
        ],
      )
      assert.equal(Buffer.concat(parts).toString(), '\r\n--\r\n-c-content\r\n--')
      assert.equal(form.filename, null)
    }),
  )
})

test('a refusal reaches who sends a large file, and the connection of others goes on', async (t) => {
  const { url, kept } = await startS3(t)
  const large = new Blob([Buffer.alloc(8 << 20, 'x')])
  for (const conditions of [[{ key: 'other' }], [{ key: 'a' }, ['content-length-range', 0, 9]]]) {
    const answer = await post(url, formOf(signedFields(conditions, { key: 'a' }), large))
    assert.match(elementIn(answer), /^(?:AccessDenied|EntityTooLarge)$/)
  }
  assert.equal(kept.size, 0)
  assert.equal(
    (await post(url, formOf(signedFields([{ key: 'a' }], { key: 'a' }), large))).status,
    204,
  )
  assert.equal(kept.get('a')?.text.length, large.size)
})

test('a client that goes away within a file leaves nothing', async (t) => {
  const ended = Promise.withResolvers<string>()
  const { port } = await startS3(t, {
    async PutObject({ body }) {
      try {
        for await (const _ of body?.bytes ?? []);
      } catch (error) {
        ended.resolve((error as { code: string }).code)
        throw error
      }
      ended.resolve('taken')
      return { output: {} }
    },
  })
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const head = `POST /bucket HTTP/1.1\r\nHost: a\r\nContent-Type: ${TYPE}\r\nContent-Length: 9999\r\n\r\n`
  socket.write(head + part('key', 'k') + FILE, () => socket.destroy())
  assert.equal(await ended.promise, 'IncompleteBody')
})
