// CompleteMultipartUpload: the parts become an object. No byte moves: the object is a list of them.

import { createHash } from 'node:crypto'
import { noted } from '../events/notes.ts'
import type { Checksum, NewObject, Upload, UploadPart } from '../index/objects.ts'
import { MAX_PARTS } from '../index/uploads.ts'
import type { S3Handlers, S3Inputs } from '../wire/call.ts'
import { startSum } from '../wire/checksums.ts'
import { S3Error } from '../wire/error.ts'
import { pathOf } from '../wire/values.ts'
import { malformed } from '../wire/xml.ts'
import { writeCheck } from './conditions.ts'
import { combineCrcs, isCrc } from './crc-combine.ts'
import { checkKeyOfUpload, shownEncryption } from './encryption.ts'
import { expirationOf } from './expiration.ts'
import { lockOf } from './lock.ts'
import { type Asked, askedOf, type ObjectParts, quoted, unquoted } from './parts.ts'
import { shownChecksum } from './properties.ts'
import { defaultType, noSuchUpload } from './uploads.ts'

type Input = S3Inputs['CompleteMultipartUpload']
type Named = NonNullable<NonNullable<Input['MultipartUpload']>['Parts']>[number]

/** Of all parts but the last one, in bytes. */
const MIN_PART_BYTES = 5 * 2 ** 20
/** Of an object, in bytes (AWS' quota since December 2025). */
const MAX_OBJECT_BYTES = 50 * 2 ** 40
const PARTS_PAGE = 1_000

export function completeHandlers(parts: ObjectParts): S3Handlers {
  return {
    CompleteMultipartUpload: async (call) => {
      const { input } = call
      const asked = askedOf(call)
      const { bucket, key } = asked
      const uploadId = input.UploadId ?? ''
      const named = partsNamed(input)
      const check = writeCheck(key, input)
      const upload = await parts.index.uploads.get(bucket.id, key, uploadId)
      if (upload !== null) checkKeyOfUpload(parts.sealing, upload, call)
      const object =
        upload === null
          ? null
          : {
              ...(await assemble(
                asked,
                upload,
                chosen(named, await allParts(parts, uploadId)),
                input,
              )),
              ...lockOf(upload, bucket, call.nowMs),
            }
      // Its bytes are there already, as its parts.
      using _room = parts.takeRoom(bucket, { bytes: 0, objects: 1 })
      const version = await parts.index.uploads.complete(bucket.id, key, uploadId, {
        versioning: bucket.versioning,
        ...(check !== undefined && { check }),
        ...noted(call, 'complete', key),
        build: (_upload, now) => unchanged(object, chosen(named, now)),
      })
      if (version === null) throw noSuchUpload(uploadId)
      return {
        output: {
          Location: `/${bucket.name}/${pathOf(key)}`,
          Bucket: bucket.name,
          Key: key,
          ETag: quoted(version.etag),
          ...shownChecksum(version.checksum),
          ...shownEncryption(version.encryption, null),
          ...expirationOf(parts, bucket, version),
          ...(bucket.versioning === 'enabled' && { VersionId: version.versionId }),
        },
      }
    },
  }
}

/** Throws MalformedXML, InvalidPartOrder. */
function partsNamed({ MultipartUpload }: Input): readonly Named[] {
  const named = MultipartUpload?.Parts ?? []
  const isWhole = named.every(
    ({ PartNumber, ETag }) => PartNumber !== undefined && ETag !== undefined,
  )
  if (named.length === 0 || named.length > MAX_PARTS || !isWhole) {
    throw malformed()
  }
  const numbers = named.map(({ PartNumber = 0 }) => PartNumber)
  if (numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0))) return named
  const message =
    'The list of parts was not in ascending order. The parts list must be specified in order by part number.'
  throw new S3Error('InvalidPartOrder', message, 400)
}

async function allParts({ index }: ObjectParts, uploadId: string): Promise<UploadPart[]> {
  const all: UploadPart[] = []
  for (let more = true; more; ) {
    const after = all.at(-1)?.number ?? 0
    const page = await index.uploads.parts(uploadId, { after, limit: PARTS_PAGE })
    all.push(...page.entries)
    more = page.more
  }
  return all
}

/** The object as it will be. Throws what is wrong with the parts. */
async function assemble(
  { bucket, key }: Asked,
  upload: Upload,
  parts: readonly UploadPart[],
  input: Input,
): Promise<NewObject> {
  checkSizes(parts)
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
  if (sizeBytes > MAX_OBJECT_BYTES) {
    const message = 'Your proposed upload exceeds the maximum allowed size'
    throw new S3Error('EntityTooLarge', message, 400, { ProposedSize: String(sizeBytes) })
  }
  const { MpuObjectSize: said } = input
  if (said !== undefined && Number(said) !== sizeBytes) {
    const message = `The provided 'x-amz-mp-object-size' header value ${said} does not match what was computed: ${sizeBytes}`
    throw new S3Error('InvalidRequest', message, 400)
  }
  const checksum = await checksumOf(upload, parts)
  agree(input, checksum)
  const { headers, metadata, tags, encryption, owner, acl } = upload
  const md5s = parts.map(({ etag = '' }) => Buffer.from(etag, 'hex'))
  const md5 = createHash('md5').update(Buffer.concat(md5s)).digest('hex')
  return {
    ...{ bucket: bucket.id, key, owner, sizeBytes, headers, metadata, parts },
    etag: `${md5}-${parts.length}`,
    ...(tags !== undefined && { tags }),
    ...(acl !== undefined && { acl }),
    ...(encryption !== undefined && { encryption }),
    ...(checksum !== undefined && { checksum }),
  }
}

/** Throws InvalidPart for what is not there as named. */
function chosen(named: readonly Named[], all: readonly UploadPart[]): UploadPart[] {
  const known = new Map(all.map((part) => [part.number, part]))
  return named.map((one) => {
    const part = known.get(one.PartNumber ?? 0)
    if (part !== undefined && part.etag === unquoted(one.ETag ?? '') && fits(one, part)) return part
    const message =
      "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    const fields = { PartNumber: String(one.PartNumber), ETag: unquoted(one.ETag ?? '') }
    throw new S3Error('InvalidPart', message, 400, fields)
  })
}

function fits(named: Named, { checksum }: UploadPart): boolean {
  if (checksum === undefined) return true
  const said = named[`Checksum${checksum.algorithm}`]
  return said === undefined || said === checksum.base64
}

function checkSizes(parts: readonly UploadPart[]): void {
  const small = parts.slice(0, -1).find(({ sizeBytes }) => sizeBytes < MIN_PART_BYTES)
  if (small === undefined) return
  const message = 'Your proposed upload is smaller than the minimum allowed size'
  throw new S3Error('EntityTooSmall', message, 400, {
    ProposedSize: String(small.sizeBytes),
    MinSizeAllowed: String(MIN_PART_BYTES),
    PartNumber: String(small.number),
    ETag: small.etag ?? '',
  })
}

/** Of the whole from those of the parts; undefined when the parts have different ones. */
async function checksumOf(
  upload: Upload,
  parts: readonly UploadPart[],
): Promise<Checksum | undefined> {
  const algorithm = upload.checksum?.algorithm ?? parts[0]?.checksum?.algorithm
  const sums = parts.flatMap(({ checksum, sizeBytes }) =>
    checksum?.algorithm === algorithm && checksum !== undefined
      ? [{ base64: checksum.base64, sizeBytes }]
      : [],
  )
  if (algorithm === undefined || sums.length < parts.length) return undefined
  const type = upload.checksum?.type ?? defaultType(algorithm)
  if (type === 'FULL_OBJECT' && isCrc(algorithm)) {
    return { algorithm, type, base64: combineCrcs(algorithm, sums) }
  }
  const sum = await startSum(algorithm)
  for (const { base64 } of sums) sum.update(Buffer.from(base64, 'base64'))
  return { algorithm, type: 'COMPOSITE', base64: `${sum.base64()}-${parts.length}` }
}

/** What the client says of the whole. Throws BadDigest, InvalidRequest. */
function agree(input: Input, checksum: Checksum | undefined): void {
  const type = input.ChecksumType
  if (type !== undefined && type !== checksum?.type) {
    const message = `The upload was created using the ${checksum?.type ?? 'null'} checksum mode. The complete request must use the same checksum mode.`
    throw new S3Error('InvalidRequest', message, 400)
  }
  if (checksum === undefined) return
  const said = input[`Checksum${checksum.algorithm}`]
  if (said === undefined || said === checksum.base64) return
  const message = `The ${checksum.algorithm} you specified did not match the calculated checksum.`
  throw new S3Error('BadDigest', message, 400)
}

/** In the transaction: the parts are still those that the object was made of. */
function unchanged(object: NewObject | null, now: readonly UploadPart[]): NewObject {
  const isSame =
    object !== null &&
    object.parts.length === now.length &&
    object.parts.every(
      ({ blob, share }, at) => blob.id === now[at]?.blob.id && share === now[at]?.share,
    )
  if (object !== null && isSame) return object
  const message = 'A conflicting operation is in progress against this resource. Please try again.'
  throw new S3Error('OperationAborted', message, 409)
}
