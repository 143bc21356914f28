// The signatures that AWS publishes for S3 ("Signature Calculations" of the S3 API reference): the
// examples of the Authorization header, the query, chunks, and chunks with a trailer.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headersOf } from '../../../../gateway/http/canonical-request.ts'
import { SigningKeys } from '../../../../gateway/http/sigv4.ts'
import { type Authenticated, authenticate } from '../../../../gateway/s3/wire/authenticate.ts'
import { ChunkedDecoder } from '../../../../gateway/s3/wire/chunked.ts'

const KEY = 'AKIAIOSFODNN7EXAMPLE'
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const NOW_MS = Date.UTC(2013, 4, 24)
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const CALLER = { account: '1', userArn: 'arn:aws:iam::1:root', userId: '1', accessKeyId: KEY }
const BUCKET_HOST = ['Host', 'examplebucket.s3.amazonaws.com']
const DATE = ['x-amz-date', '20130524T000000Z']

interface Vector {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  readonly headers: readonly string[]
  readonly names?: string
  readonly signature?: string
}

async function check({ signature, names, ...vector }: Vector): Promise<Authenticated> {
  const { method = 'GET', path = '/', query = '', headers } = vector
  const scope = `${KEY}/20130524/us-east-1/s3/aws4_request`
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=${names},Signature=${signature}`
  const signed = signature === undefined ? [] : ['Authorization', authorization]
  const secretOf = async () => ({ secret: SECRET, caller: CALLER })
  const v4 = { acceptsV2: false, domains: [] }
  const parts = { secretOf, keys: new SigningKeys(), region: 'us-east-1', ...v4 }
  const request = { method, path, query, headers: headersOf([...headers, ...signed]) }
  return await authenticate(parts, request, NOW_MS)
}

const USUAL = 'host;x-amz-content-sha256;x-amz-date'
const WELCOME = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'

for (const [what, vector] of [
  [
    'GET Object',
    {
      path: '/test.txt',
      headers: [...BUCKET_HOST, 'Range', 'bytes=0-9', 'x-amz-content-sha256', EMPTY, ...DATE],
      names: 'host;range;x-amz-content-sha256;x-amz-date',
      signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    },
  ],
  [
    'PUT Object',
    {
      method: 'PUT',
      path: '/test$file.text',
      headers: [
        ...['Date', 'Fri, 24 May 2013 00:00:00 GMT', ...BUCKET_HOST, ...DATE],
        ...['x-amz-content-sha256', WELCOME, 'x-amz-storage-class', 'REDUCED_REDUNDANCY'],
      ],
      names: `date;${USUAL};x-amz-storage-class`,
      signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    },
  ],
  [
    'GET Bucket Lifecycle',
    {
      query: 'lifecycle',
      headers: [...BUCKET_HOST, ...DATE, 'x-amz-content-sha256', EMPTY],
      names: USUAL,
      signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    },
  ],
  [
    'GET Bucket',
    {
      query: 'max-keys=2&prefix=J',
      headers: [...BUCKET_HOST, ...DATE, 'x-amz-content-sha256', EMPTY],
      names: USUAL,
      signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    },
  ],
  [
    'a presigned GET',
    {
      path: '/test.txt',
      query: [
        'X-Amz-Algorithm=AWS4-HMAC-SHA256',
        `X-Amz-Credential=${KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request`,
        'X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host',
        'X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
      ].join('&'),
      headers: BUCKET_HOST,
    },
  ],
] as readonly (readonly [string, Vector])[]) {
  test(`authenticate finds AWS’s example of ${what} well signed, and no other query`, async () => {
    assert.deepEqual((await check(vector)).caller, CALLER)
    const changed = { ...vector, query: `${vector.query ?? ''}&x=1` }
    await assert.rejects(check(changed), { code: 'SignatureDoesNotMatch', status: 403 })
  })
}

const CHUNKED: Vector = {
  method: 'PUT',
  path: '/examplebucket/chunkObject.txt',
  headers: [
    ...['Host', 's3.amazonaws.com', ...DATE, 'x-amz-storage-class', 'REDUCED_REDUNDANCY'],
    ...['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'],
    ...['Content-Encoding', 'aws-chunked', 'x-amz-decoded-content-length', '66560'],
    ...['Content-Length', '66824'],
  ],
  names: `content-encoding;content-length;${USUAL};x-amz-decoded-content-length;x-amz-storage-class`,
  signature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
}
const CHUNKS = [
  [65_536, 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648'],
  [1_024, '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497'],
  [0, 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9'],
] as const
const WITH_TRAILER: Vector = {
  ...CHUNKED,
  headers: [
    ...['Host', 's3.amazonaws.com', ...DATE, 'x-amz-storage-class', 'REDUCED_REDUNDANCY'],
    ...['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'],
    ...['Content-Encoding', 'aws-chunked', 'x-amz-decoded-content-length', '66560'],
    ...['x-amz-trailer', 'x-amz-checksum-crc32c'],
  ],
  names: `content-encoding;${USUAL};x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer`,
  signature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
}
const TRAILER_CHUNKS = [
  [65_536, 'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2'],
  [1_024, '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7'],
  [0, '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992'],
] as const
const TRAILER_SIGNATURE = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435'
const TRAILERS = `x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:${TRAILER_SIGNATURE}\r\n`

type Chunks = readonly (readonly [size: number, signature: string])[]

function bodyOf(chunks: Chunks, trailers = ''): Buffer {
  const parts = chunks.map(([size, signature]) => {
    const data = size === 0 ? '' : `${'a'.repeat(size)}\r\n`
    return `${size.toString(16)};chunk-signature=${signature}\r\n${data}`
  })
  return Buffer.from(`${parts.join('')}${trailers}\r\n`)
}

async function decoderOf(vector: Vector): Promise<ChunkedDecoder> {
  const { proof } = await check(vector)
  assert.ok(proof.kind === 'chunked')
  return new ChunkedDecoder(proof)
}

for (const [what, vector, body, trailers] of [
  ['chunks', CHUNKED, bodyOf(CHUNKS), []],
  [
    'a trailer',
    WITH_TRAILER,
    bodyOf(TRAILER_CHUNKS, TRAILERS),
    [['x-amz-checksum-crc32c', 'sOO8/Q==']],
  ],
] as readonly (readonly [string, Vector, Buffer, readonly (readonly string[])[]])[]) {
  test(`ChunkedDecoder takes AWS’s example of ${what}`, async () => {
    const decoder = await decoderOf(vector)
    const data = Buffer.concat(decoder.push(body))
    assert.equal(data.toString(), 'a'.repeat(66_560))
    assert.deepEqual([...decoder.end()], trailers)
  })

  test(`ChunkedDecoder refuses AWS’s example of ${what} with any byte changed`, async () => {
    // Each is somewhere else: in data, in a size, in a signature, in a line's end, in the trailer.
    const ends = [0, 70, 90, 65_620, 65_640, 66_750, body.length - 40, body.length - 2]
    for (const at of ends) {
      const changed = Buffer.from(body)
      changed[at] = (changed[at] ?? 0) ^ 1
      const decoder = await decoderOf(vector)
      assert.throws(() => {
        decoder.push(changed)
        decoder.end()
      }, `byte ${at}`)
    }
  })
}
