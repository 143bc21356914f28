// What no client of good will sends, to a real gateway: names that are paths or no text, documents
// that are bombs, uploads that are left in the middle. Nothing of it may stay.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { filesOf } from '../../gateway/files.ts'
import { until } from '../../sandbox/until.ts'
import { call, elementIn, rawHead, type Wish } from '../gateway/s3/wire/support.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'

const cloud = await startCloud(lastFirst({ after }))
const { accessKeyId, secretAccessKey, region } = cloud.init
const port = cloud.config.apiPort
const keys = { accessKeyId, secret: secretAccessKey, region }
const s3 = new S3({
  ...{ endpoint: `http://127.0.0.1:${port}`, region, maxAttempts: 1, forcePathStyle: true },
  credentials: { accessKeyId, secretAccessKey },
})
after(() => s3.destroy())

const Bucket = 'hostile'
await s3.createBucket({ Bucket })

async function send(wish: Wish) {
  return await call(port, { ...keys, ...wish })
}

for (const [what, path, key] of [
  ['the folder above', '..', '..'],
  ['a file above', '../../etc/passwd', '../../etc/passwd'],
  ['a file above, with its slashes escaped', '..%2F..%2Fx', '../../x'],
  ['this folder', './a', './a'],
  ['nothing between slashes', 'a//b', 'a//b'],
  ['slashes only', '//', '//'],
  ['a folder', 'a/', 'a/'],
  ['a control character', '%01%7F', '\u0001\u007f'],
  ['a character beyond the first plane', '%F0%9F%98%80', '\u{1f600}'],
  ['text that is escaped twice', '%252e%252e', '%2e%2e'],
  ['1,024 bytes', 'k'.repeat(1024), 'k'.repeat(1024)],
] as const) {
  test(`a key that is ${what} is that key and no other`, async (t) => {
    t.after(() => s3.deleteObject({ Bucket, Key: key }))
    // The canonical form of a path has its slashes as they are.
    const canonical = path.replaceAll('%2F', '/')
    const wish = { path: `/${Bucket}/${canonical}`, body: what }
    const put = await send(wish)
    assert.equal(put.status, 200, put.text)
    const { Contents = [] } = await s3.listObjectsV2({ Bucket, EncodingType: 'url' })
    const listed = Contents.map(({ Key = '' }) => decodeURIComponent(Key.replaceAll('+', ' ')))
    assert.deepEqual(listed, [key])
    assert.equal((await send({ ...wish, method: 'GET', body: '' })).text, what)
  })
}

for (const [what, key, code] of [
  ['1,025 bytes', 'k'.repeat(1025), 'KeyTooLongError'],
  ['342 letters of three bytes', '%E2%82%AC'.repeat(342), 'KeyTooLongError'],
  ['NUL', 'a%00b', 'InvalidArgument'],
  ['half of a surrogate pair', '%ED%A0%80', 'InvalidURI'],
  ['a slash in two bytes', '..%C0%AF', 'InvalidURI'],
  ['a byte that is no UTF-8', '%FF', 'InvalidURI'],
  ['half an escape', '%4', 'InvalidURI'],
] as const) {
  test(`a key with ${what} is refused: ${code}`, async () => {
    const answer = await send({ path: `/${Bucket}/${key}`, body: 'x' })
    assert.deepEqual([answer.status, elementIn(answer)], [400, code], answer.text)
  })
}

const BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
const FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
const DEEP = `${'<a>'.repeat(1_000)}${'</a>'.repeat(1_000)}`

for (const [what, document, code] of [
  ['entities of its own', `${BOMB}<ROOT>&b;</ROOT>`, 'MalformedXML'],
  ['a file as entity', `${FILE}<ROOT>&a;</ROOT>`, 'MalformedXML'],
  ['a thousand levels', `<ROOT>${DEEP}</ROOT>`, 'MalformedXML'],
  ['half of a surrogate pair', '<ROOT>&#xD800;</ROOT>', 'MalformedXML'],
  ['NUL', '<ROOT>&#0;</ROOT>', 'MalformedXML'],
  ['200,000 elements', `<ROOT>${'<a/>'.repeat(200_000)}</ROOT>`, 'MalformedXML'],
  ['5 MiB', `<ROOT>${' '.repeat(5 << 20)}</ROOT>`, 'EntityTooLarge'],
] as const) {
  test(`a document with ${what} is refused wherever there is one: ${code}`, async () => {
    for (const [method, path, query, root] of [
      ['PUT', `/${Bucket}`, 'tagging=', 'Tagging'],
      ['POST', `/${Bucket}`, 'delete=', 'Delete'],
      ['PUT', `/${Bucket}`, 'website=', 'WebsiteConfiguration'],
      ['POST', `/${Bucket}/k`, 'uploadId=x', 'CompleteMultipartUpload'],
    ] as const) {
      const body = document.replaceAll('ROOT', root)
      const md5 = createHash('md5').update(body).digest('base64')
      const answer = await send({ method, path, query, body, headers: { 'content-md5': md5 } })
      assert.deepEqual([answer.status, elementIn(answer)], [400, code], `${root} ${answer.text}`)
      assert.doesNotMatch(answer.text, /aaaa/)
    }
  })
}

async function blobFiles(): Promise<string[]> {
  const dir = filesOf(cloud.config.stateDir).objects
  const found = await readdir(dir, { recursive: true, withFileTypes: true })
  return found.filter((one) => one.isFile() && one.name !== 'disk.json').map(({ name }) => name)
}

for (const [what, payload, head] of [
  ['an upload', 'UNSIGNED-PAYLOAD', ''],
  ['a body in chunks', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', '400000\r\n'],
] as const) {
  test(`${what} that is left in the middle leaves no object and no bytes`, async () => {
    const headers = { 'x-amz-decoded-content-length': String(8 << 20) }
    const isChunked = head !== ''
    const wish = { ...keys, path: `/${Bucket}/left`, payload, ...(isChunked && { headers }) }
    const socket = await rawHead(port, wish, { 'content-length': String(8 << 20) })
    socket.write(head)
    await new Promise((resolve) => socket.write(Buffer.alloc(2 << 20), resolve))
    await until('bytes are on the disk', async () => (await blobFiles()).length > 0)
    socket.destroy()
    await until('the bytes are gone', async () => (await blobFiles()).length === 0)
    const { Contents = [] } = await s3.listObjectsV2({ Bucket })
    assert.deepEqual(Contents, [])
  })
}
