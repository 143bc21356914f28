// Blobs in any S3 engine (Ceph's RADOS gateway, for one): each is an object that is written once
// under a random name, in the same form as a file on a disk, checksums and all. What else S3 can do
// is not asked of it.

import {
  BLOCK_BYTES,
  BlockSums,
  checkBlocks,
  checkTable,
  corrupt,
  endOf,
  FOOTER_BYTES,
  rangeIn,
  readFooter,
} from '../../../common/blobs/blob-format.ts'
import type { BlobRef, BlobStore, ByteRange, StoredBlob } from '../../../common/blobs/blobs.ts'
import type { Clock, RandomHex } from '../../../common/clock.ts'
import { codeOf, MalleeError } from '../../../common/errors.ts'
import { giveBack } from '../../../common/lent-bytes.ts'
import { type EngineAddress, EngineClient } from './engine-client.ts'

/** Bytes of a part; S3 wants 5 MiB at least and takes 10,000. A blob is in memory up to here. */
const PART_BYTES = 8 << 20
const ID_BYTES = 16
const PREFIX = 'blobs/'
/** What is read first, as most tables of CRCs are in it. */
const TAIL_BYTES = 64 << 10

export interface EngineOptions {
  /** Of this store, in every reference to one of its blobs. */
  readonly name: string
  readonly address: EngineAddress
  readonly clock: Clock
  readonly randomHex: RandomHex
}

/** Asks nothing before the first blob does. */
export function openEngine(options: EngineOptions): BlobStore & { readonly close: () => void } {
  const { name, randomHex } = options
  const client = new EngineClient(options.address, options.clock)
  return {
    name,
    write: (bytes) => write(client, name, randomHex(ID_BYTES), bytes),
    read: (ref, range) => read(client, ref, range ?? null),
    delete: (id) => remove(client, keyOf(id)),
    list: () => list(client),
    abandon: (beforeMs) => abandon(client, beforeMs),
    verify: async (id) => {
      let bytes = 0
      for await (const chunk of read(client, { id, sizeBytes: null }, null)) bytes += chunk.length
      return bytes
    },
    close: () => client.close(),
  }
}

async function write(
  client: EngineClient,
  store: string,
  id: string,
  bytes: AsyncIterable<Uint8Array>,
): Promise<BlobRef> {
  const key = keyOf(id)
  const sums = new BlockSums(id)
  let upload: string | null = null
  const etags: string[] = []
  let held: Uint8Array[] = []
  let [heldBytes, sizeBytes] = [0, 0]
  // One part is on its way to the engine while the next one arrives.
  let sending: Promise<void> = Promise.resolve()
  const sendPart = async (): Promise<void> => {
    await sending
    upload ??= await begin(client, key)
    const query = { partNumber: String(etags.length + 1), uploadId: upload }
    sending = client.call({ method: 'PUT', key, query, body: joined(held) }).then((answer) => {
      answer.resume()
      etags.push(answer.headers.etag ?? '')
    })
    sending.catch(() => undefined)
    held = []
    heldBytes = 0
  }
  try {
    for await (const chunk of bytes) {
      sums.add(chunk)
      held.push(chunk)
      heldBytes += chunk.length
      sizeBytes += chunk.length
      if (heldBytes >= PART_BYTES) await sendPart()
    }
    held.push(...endOf(id, sizeBytes, sums.end()))
    if (upload === null) {
      await client.text({ method: 'PUT', key, body: joined(held) })
    } else {
      await sendPart()
      await sending
      await complete(client, key, upload, etags)
    }
    return { store, id, sizeBytes }
  } catch (error) {
    await sending.catch(() => undefined)
    // Best effort: what stays is swept as nobody's.
    if (upload !== null) await remove(client, key, { uploadId: upload }).catch(() => undefined)
    await remove(client, key).catch(() => undefined)
    throw error
  }
}

/** In one, as it is hashed and sent; what was lent goes back. */
function joined(held: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(held)
  for (const one of held) giveBack(one)
  return body
}

async function begin(client: EngineClient, key: string): Promise<string> {
  const text = await client.text({ method: 'POST', key, query: { uploads: '' } })
  const uploadId = /<UploadId>([^<]+)<\/UploadId>/.exec(text)?.[1]
  if (uploadId !== undefined) return uploadId
  throw client.unavailable(new Error('an upload without an id'))
}

async function complete(
  client: EngineClient,
  key: string,
  uploadId: string,
  etags: readonly string[],
): Promise<void> {
  const parts = etags.map(
    (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
  )
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`)
  const text = await client.text({ method: 'POST', key, query: { uploadId }, body })
  // S3 may say so after it has begun with a 200.
  const code = /<Error>.*<Code>(\w+)<\/Code>/s.exec(text)?.[1]
  if (code !== undefined) throw client.unavailable(new Error(`${code} at the end of an upload`))
}

async function remove(
  client: EngineClient,
  key: string,
  query: Readonly<Record<string, string>> = {},
): Promise<void> {
  try {
    await client.text({ method: 'DELETE', key, query })
  } catch (error) {
    if (codeOf(error) !== 'NotFound') throw error
  }
}

async function* read(
  client: EngineClient,
  { id, sizeBytes }: { readonly id: string; readonly sizeBytes: number | null },
  range: ByteRange | null,
): AsyncGenerator<Uint8Array> {
  const { size, sums } = await readEnd(client, id)
  if (sizeBytes !== null && size !== sizeBytes) {
    throw corrupt(id, `has ${size} bytes and not ${sizeBytes}`)
  }
  const { start, end, from, to } = rangeIn(id, size, range)
  if (from === to) return
  let at = from
  for await (const blocks of inBlocks(client, id, from, to)) {
    checkBlocks(id, blocks, at / BLOCK_BYTES, sums)
    yield blocks.subarray(Math.max(0, start - at), Math.min(blocks.length, end - at))
    at += blocks.length
  }
  if (at < to) throw corrupt(id, `ends at byte ${at}`)
}

/** Whole blocks, but for the last one. */
async function* inBlocks(
  client: EngineClient,
  id: string,
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  const headers = { range: `bytes=${from}-${to - 1}` }
  const answer = await client.call({ method: 'GET', key: keyOf(id), headers })
  let held: Buffer[] = []
  let heldBytes = 0
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      held.push(chunk)
      heldBytes += chunk.length
      if (heldBytes < BLOCK_BYTES) continue
      const all = Buffer.concat(held)
      const whole = all.length - (all.length % BLOCK_BYTES)
      held = [all.subarray(whole)]
      heldBytes = all.length - whole
      yield all.subarray(0, whole)
    }
  } catch (cause) {
    throw cause instanceof MalleeError ? cause : client.unavailable(cause)
  } finally {
    answer.destroy()
  }
  if (heldBytes > 0) yield Buffer.concat(held)
}

async function readEnd(client: EngineClient, id: string): Promise<{ size: number; sums: Buffer }> {
  const { fileBytes, tail } = await readTail(client, id, TAIL_BYTES)
  if (tail.length < FOOTER_BYTES) throw corrupt(id, `is cut short at ${fileBytes} bytes`)
  const footer = tail.subarray(tail.length - FOOTER_BYTES)
  const { size, tableBytes } = readFooter(id, footer, fileBytes)
  const endBytes = tableBytes + FOOTER_BYTES
  const end = endBytes <= tail.length ? tail : (await readTail(client, id, endBytes)).tail
  const sums = end.subarray(end.length - endBytes, end.length - FOOTER_BYTES)
  checkTable(id, sums, footer)
  return { size, sums }
}

async function readTail(
  client: EngineClient,
  id: string,
  bytes: number,
): Promise<{ fileBytes: number; tail: Buffer }> {
  const headers = { range: `bytes=-${bytes}` }
  const answer = await client.call({ method: 'GET', key: keyOf(id), headers })
  const chunks: Buffer[] = []
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
  } catch (cause) {
    throw client.unavailable(cause)
  }
  const tail = Buffer.concat(chunks)
  const total = /\/(\d+)$/.exec(String(answer.headers['content-range'] ?? ''))?.[1]
  return { tail, fileBytes: total === undefined ? tail.length : Number(total) }
}

async function* list(client: EngineClient): AsyncGenerator<StoredBlob> {
  let token: string | undefined
  do {
    const query = {
      'list-type': '2',
      prefix: PREFIX,
      ...(token && { 'continuation-token': token }),
    }
    const text = await client.text({ method: 'GET', key: '', query })
    for (const [, entry = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
      const id = textIn(entry, 'Key').slice(PREFIX.length)
      if (!isKey(textIn(entry, 'Key'))) continue
      const writtenAtMs = Date.parse(textIn(entry, 'LastModified'))
      yield { id, sizeBytes: Number(textIn(entry, 'Size')), writtenAtMs }
    }
    token = textIn(text, 'NextContinuationToken') || undefined
  } while (token !== undefined)
}

/** Uploads of a gateway that died. */
async function abandon(client: EngineClient, beforeMs: number): Promise<void> {
  let marker: Readonly<Record<string, string>> | null = {}
  while (marker !== null) {
    const query = { uploads: '', prefix: PREFIX, ...marker }
    const text = await client.text({ method: 'GET', key: '', query })
    for (const [, entry = ''] of text.matchAll(/<Upload>(.*?)<\/Upload>/gs)) {
      const key = textIn(entry, 'Key')
      const isOld = Date.parse(textIn(entry, 'Initiated')) < beforeMs
      // Whatever an engine lists, nothing but ours is given up.
      if (isOld && isKey(key)) await remove(client, key, { uploadId: textIn(entry, 'UploadId') })
    }
    const next = { 'key-marker': textIn(text, 'NextKeyMarker') }
    const isMore = textIn(text, 'IsTruncated') === 'true' && next['key-marker'] !== ''
    marker = isMore ? { ...next, 'upload-id-marker': textIn(text, 'NextUploadIdMarker') } : null
  }
}

function textIn(xml: string, name: string): string {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? ''
  return text.replaceAll('&quot;', '"').replaceAll('&amp;', '&')
}

function isKey(key: string): boolean {
  return key.startsWith(PREFIX) && /^[0-9a-f]{32}$/.test(key.slice(PREFIX.length))
}

function keyOf(id: string): string {
  return `${PREFIX}${id}`
}
