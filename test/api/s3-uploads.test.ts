// Uploads in parts, copies and tags, through the JavaScript SDK, boto3 and Debian's aws CLI.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { S3 } from '@aws-sdk/client-s3'
import { exec } from '../../common/exec.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { refusal, writesNoBlob } from './support.ts'

const MIB = 1 << 20

interface Part {
  readonly Bucket: string
  readonly Key: string
  readonly UploadId: string | undefined
  readonly PartNumber: number
}

const cloud = await startCloud(lastFirst({ after }))
const { accessKeyId, secretAccessKey, region } = cloud.init
const endpoint = `http://127.0.0.1:${cloud.config.apiPort}`
const s3 = new S3({
  ...{ endpoint, region, maxAttempts: 1, forcePathStyle: true },
  credentials: { accessKeyId, secretAccessKey },
})
after(() => s3.destroy())

const Bucket = 'uploads'
await s3.createBucket({ Bucket })

const bytes = randomBytes(11 * MIB)
const pieces = [
  bytes.subarray(0, 5 * MIB),
  bytes.subarray(5 * MIB, 10 * MIB),
  bytes.subarray(10 * MIB),
]

function md5(data: Uint8Array): Buffer {
  return createHash('md5').update(data).digest()
}

async function whole(Key: string): Promise<Buffer> {
  const { Body } = await s3.getObject({ Bucket, Key, ChecksumMode: 'ENABLED' })
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

for (const [algorithm, type] of [
  [undefined, 'FULL_OBJECT'],
  ['CRC32', 'FULL_OBJECT'],
  ['CRC32C', 'COMPOSITE'],
  ['SHA256', 'COMPOSITE'],
  ['CRC64NVME', 'FULL_OBJECT'],
] as const) {
  test(`parts with ${algorithm ?? 'no'} checksums become an object with a ${type} one`, async () => {
    const Key = `parts-${algorithm}`
    const asked =
      algorithm === undefined ? {} : { ChecksumAlgorithm: algorithm, ChecksumType: type }
    const { UploadId } = await s3.createMultipartUpload({ Bucket, Key, ...asked })
    const named = await Promise.all(
      pieces.map(async (Body, at) => {
        const PartNumber = at + 1
        const sum = algorithm === undefined ? {} : { ChecksumAlgorithm: algorithm }
        const { ETag } = await s3.uploadPart({ Bucket, Key, UploadId, PartNumber, Body, ...sum })
        return { PartNumber, ETag }
      }),
    )
    const listed = await s3.listParts({ Bucket, Key, UploadId })
    assert.deepEqual(
      listed.Parts?.map(({ Size }) => Size),
      pieces.map(({ length }) => length),
    )
    const MultipartUpload = { Parts: named }
    const done = await s3.completeMultipartUpload({ Bucket, Key, UploadId, MultipartUpload })
    const etag = md5(Buffer.concat(pieces.map(md5))).toString('hex')
    assert.equal(done.ETag, `"${etag}-3"`)
    if (algorithm !== undefined) assert.equal(done.ChecksumType, type)
    assert.deepEqual(await whole(Key), bytes)
    const part = await s3.getObject({ Bucket, Key, PartNumber: 2 })
    assert.deepEqual([part.PartsCount, part.ContentLength], [3, 5 * MIB])
    const across = await s3.getObject({ Bucket, Key, Range: `bytes=${5 * MIB - 2}-${5 * MIB + 1}` })
    const few = Buffer.from((await across.Body?.transformToByteArray()) ?? [])
    assert.deepEqual(few, bytes.subarray(5 * MIB - 2, 5 * MIB + 2))
    // Clients repeat it when they have not heard the answer.
    const again = await s3.completeMultipartUpload({ Bucket, Key, UploadId, MultipartUpload })
    assert.equal(again.ETag, done.ETag)
  })
}

test('an upload with wrong parts is refused and goes on; given up, it is gone', async () => {
  const Key = 'wrong'
  const { UploadId } = await s3.createMultipartUpload({ Bucket, Key })
  const put = (PartNumber: number, Body: Uint8Array) =>
    s3.uploadPart({ Bucket, Key, UploadId, PartNumber, Body })
  const [small, last] = await Promise.all([put(1, Buffer.from('a')), put(2, Buffer.from('b'))])
  const complete = (...Parts: { PartNumber: number; ETag: string | undefined }[]) =>
    refusal(s3.completeMultipartUpload({ Bucket, Key, UploadId, MultipartUpload: { Parts } }))
  const first = { PartNumber: 1, ETag: small.ETag }
  const second = { PartNumber: 2, ETag: last.ETag }
  assert.equal(await complete(first, second), 'EntityTooSmall')
  assert.equal(await complete(second, first), 'InvalidPartOrder')
  assert.equal(await complete(first, { PartNumber: 2, ETag: small.ETag }), 'InvalidPart')
  assert.equal(await complete({ PartNumber: 9, ETag: small.ETag }), 'InvalidPart')
  assert.equal(await complete(), 'MalformedXML')
  assert.equal(await refusal(put(0, Buffer.alloc(1))), 'InvalidArgument')
  assert.equal(await refusal(put(10_001, Buffer.alloc(1))), 'InvalidArgument')
  const { Uploads } = await s3.listMultipartUploads({ Bucket })
  assert.deepEqual(
    Uploads?.map((one) => [one.Key, one.UploadId]),
    [[Key, UploadId]],
  )
  await s3.abortMultipartUpload({ Bucket, Key, UploadId })
  assert.equal(await refusal(put(1, Buffer.alloc(1))), 'NoSuchUpload')
  assert.equal((await s3.listMultipartUploads({ Bucket })).Uploads, undefined)
})

test('copies have the bytes of their source, and its properties or their own', async () => {
  const Key = 'source'
  await s3.putObject({ Bucket, Key, Body: bytes, ContentType: 'text/a', Tagging: 'a=1&b=2' })
  const CopySource = `${Bucket}/${Key}`
  const self = s3.copyObject({ Bucket, Key, CopySource })
  assert.equal(await refusal(self), 'InvalidRequest')
  await writesNoBlob(cloud, () => s3.copyObject({ Bucket, Key: 'copy', CopySource }))
  assert.deepEqual(await whole('copy'), bytes)
  const summed = { Bucket, Key: 'summed', CopySource, ChecksumAlgorithm: 'SHA256' } as const
  const { CopyObjectResult: sums } = await writesNoBlob(cloud, () => s3.copyObject(summed))
  assert.equal(sums?.ChecksumSHA256, createHash('sha256').update(bytes).digest('base64'))
  assert.equal(sums?.ETag, `"${md5(bytes).toString('hex')}"`)
  assert.deepEqual(await whole('summed'), bytes)
  const head = await s3.headObject({ Bucket, Key: 'copy' })
  assert.equal(head.ContentType, 'text/a')
  const replaced = { MetadataDirective: 'REPLACE', ContentType: 'text/b' } as const
  await s3.copyObject({
    Bucket,
    Key: 'other',
    CopySource,
    ...replaced,
    TaggingDirective: 'REPLACE',
  })
  assert.equal((await s3.headObject({ Bucket, Key: 'other' })).ContentType, 'text/b')
  const tags = async (key: string) => (await s3.getObjectTagging({ Bucket, Key: key })).TagSet
  assert.equal((await tags('copy'))?.length, 2)
  assert.equal((await tags('other'))?.length ?? 0, 0)
  const stale = s3.copyObject({ Bucket, Key: 'x', CopySource, CopySourceIfMatch: '"00"' })
  assert.equal(await refusal(stale), 'PreconditionFailed')
  const nobody = s3.copyObject({ Bucket, Key: 'x', CopySource: `${Bucket}/nobody` })
  assert.equal(await refusal(nobody), 'NoSuchKey')
  const { UploadId } = await s3.createMultipartUpload({ Bucket, Key: 'pieced' })
  const part = await s3.uploadPartCopy({
    ...{ Bucket, Key: 'pieced', UploadId, PartNumber: 1, CopySource },
    CopySourceRange: 'bytes=1-1000',
  })
  const Parts = [{ PartNumber: 1, ETag: part.CopyPartResult?.ETag }]
  await s3.completeMultipartUpload({
    ...{ Bucket, Key: 'pieced', UploadId },
    MultipartUpload: { Parts },
  })
  assert.deepEqual(await whole('pieced'), bytes.subarray(1, 1_001))
})

test('parts that are copied whole are not written again, and outlive their source', async () => {
  const uploaded = async (Key: string, put: (about: Part, at: number) => Promise<string>) => {
    const { UploadId } = await s3.createMultipartUpload({ Bucket, Key })
    const Parts = []
    for (const at of pieces.keys()) {
      const PartNumber = at + 1
      Parts.push({ PartNumber, ETag: await put({ Bucket, Key, UploadId, PartNumber }, at) })
    }
    const MultipartUpload = { Parts }
    return await s3.completeMultipartUpload({ Bucket, Key, UploadId, MultipartUpload })
  }
  const made = await uploaded('whole', async (about, at) => {
    const { ETag = '' } = await s3.uploadPart({ ...about, Body: pieces[at] ?? '' })
    return ETag
  })
  const copied = await writesNoBlob(cloud, () =>
    uploaded('again', async (about, at) => {
      const start = at * 5 * MIB
      const { length = 0 } = pieces[at] ?? []
      const CopySourceRange = `bytes=${start}-${start + length - 1}`
      const CopySource = `${Bucket}/whole`
      const { CopyPartResult } = await s3.uploadPartCopy({ ...about, CopySource, CopySourceRange })
      return CopyPartResult?.ETag ?? ''
    }),
  )
  assert.equal(copied.ETag, made.ETag)
  await s3.deleteObject({ Bucket, Key: 'whole' })
  assert.deepEqual(await whole('again'), bytes)
})

test('aws s3 syncs a tree with odd names there and back, and moves and removes', async () => {
  const tree = join(cloud.dir, 'tree')
  const names = ['a', 'dir/b', 'dir/ü ñ', "it's+50%&more", 'big']
  await mkdir(join(tree, 'dir'), { recursive: true })
  for (const name of names) await writeFile(join(tree, name), name === 'big' ? bytes : name)
  const env = {
    ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    ...{ AWS_DEFAULT_REGION: region, AWS_PAGER: '', HOME: '/nonexistent', LC_ALL: 'C.UTF-8' },
  }
  const aws = async (...args: string[]): Promise<string> => {
    const argv = ['/usr/bin/aws', '--endpoint-url', endpoint, 's3', ...args]
    return (await exec(argv, { env, timeoutMs: 60_000 })).stdout
  }
  await aws('mb', 's3://tree')
  await aws('sync', tree, 's3://tree/x')
  const back = join(cloud.dir, 'back')
  await aws('sync', 's3://tree/x', back)
  for (const name of names) {
    assert.deepEqual(await readFile(join(back, name)), await readFile(join(tree, name)), name)
  }
  assert.equal(await aws('sync', tree, 's3://tree/x'), '', 'nothing has changed')
  await writesNoBlob(cloud, () => aws('mv', 's3://tree/x/big', 's3://tree/y/big'))
  const listed = await aws('ls', '--recursive', 's3://tree')
  assert.match(listed, /y\/big/)
  assert.doesNotMatch(listed, /x\/big/)
  const url = (await aws('presign', 's3://tree/x/a')).trim()
  assert.equal(await (await fetch(url)).text(), 'a')
  const forged = url.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))
  assert.equal((await fetch(forged)).status, 403)
  await aws('rb', '--force', 's3://tree')
})
