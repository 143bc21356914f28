// CopyObject: another object of the same bytes, with its own properties or those of its source.

import { noted } from '../events/notes.ts'
import type { ObjectFields } from '../index/objects.ts'
import type { S3Call, S3Handlers, S3Inputs } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { invalidArgument, REDIRECT } from '../wire/values.ts'
import { ownerOf } from './acl.ts'
import { WHOLE } from './bytes.ts'
import { writeCheck } from './conditions.ts'
import { etagOf, newEncryption, shownEncryption } from './encryption.ts'
import { expirationOf } from './expiration.ts'
import { lockAsked, lockOf } from './lock.ts'
import { askedOf, type ObjectParts, quoted, versionShown } from './parts.ts'
import { algorithmNamed, propertiesOf, refuseWishes, shownChecksum } from './properties.ts'
import { type Source, sourceOf, sourceRange } from './source.ts'
import { type CopyOrder, commitCopy } from './take-copy.ts'

type Input = S3Inputs['CopyObject']

export function copyHandlers(parts: ObjectParts): S3Handlers {
  return {
    CopyObject: async (call) => {
      const { input } = call
      const { bucket, key } = askedOf(call)
      refuseWishes(input)
      // That of the source stays with the source.
      const lock = lockOf(lockAsked(call), bucket, call.nowMs)
      const owned = ownerOf(parts, call)
      const ciphering = newEncryption(parts.sealing, bucket, call)
      const source = await sourceOf(parts, call)
      const { version } = source.object
      const properties = propertiesFor(call, source)
      const check = writeCheck(key, input)
      const range = sourceRange(undefined, version.sizeBytes)
      const asked = algorithmNamed(input.ChecksumAlgorithm) ?? version.checksum?.algorithm
      using _room = parts.takeRoom(bucket, { bytes: version.sizeBytes, objects: 1 })
      const order: CopyOrder = {
        ...{ source, range, ciphering, algorithm: asked ?? 'CRC64NVME' },
        blobs: parts.blobsFor(bucket),
        place: { bucket: bucket.id, key, number: WHOLE },
        isPart: false,
      }
      const options = {
        versioning: bucket.versioning,
        ...(check !== undefined && { check }),
        ...noted(call, 'copy', key),
      }
      const put = await commitCopy(parts, order, ({ md5Hex, checksum: sum, ...taken }) => {
        const object = {
          ...{ bucket: bucket.id, key, ...owned, etag: etagOf(md5Hex, ciphering) },
          checksum: { ...sum, type: 'FULL_OBJECT' as const },
          ...properties,
          ...lock,
          ...(ciphering.encryption !== undefined && { encryption: ciphering.encryption }),
          ...taken,
        }
        return parts.index.put(object, options)
      })
      const from = versionShown(source.asked.bucket, version)
      return {
        output: {
          CopyObjectResult: {
            ETag: quoted(put.version.etag),
            LastModified: new Date(put.version.modifiedAtMs),
            ...shownChecksum(put.version.checksum),
          },
          ...(from !== undefined && { CopySourceVersionId: from }),
          ...shownEncryption(ciphering.encryption, ciphering.customer),
          ...expirationOf(parts, bucket, put.version),
          ...(bucket.versioning === 'enabled' && { VersionId: put.version.versionId }),
        },
      }
    },
  }
}

function propertiesFor(
  { input, bucket: to }: Pick<S3Call<Input>, 'input' | 'bucket'>,
  { asked, versionId, object: { version } }: Source,
): Pick<ObjectFields, 'headers' | 'metadata' | 'tags'> {
  const { MetadataDirective = 'COPY', TaggingDirective = 'COPY' } = input
  directive('x-amz-metadata-directive', MetadataDirective)
  directive('x-amz-tagging-directive', TaggingDirective)
  const isItself = asked.bucket.id === to?.id && asked.key === input.Key && versionId === ''
  const { ServerSideEncryption, SSECustomerAlgorithm, WebsiteRedirectLocation } = input
  const change = ServerSideEncryption ?? SSECustomerAlgorithm ?? WebsiteRedirectLocation
  if (isItself && MetadataDirective === 'COPY' && change === undefined) {
    const message =
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
    throw new S3Error('InvalidRequest', message, 400)
  }
  const replaced = propertiesOf(input)
  const isCopied = MetadataDirective === 'COPY'
  const { metadata } = isCopied ? version : replaced
  const headers = isCopied ? withRedirectOf(version.headers, replaced.headers) : replaced.headers
  const tags = TaggingDirective === 'COPY' ? version.tags : replaced.tags
  return { headers, metadata, ...(tags !== undefined && { tags }) }
}

/** Where a website sends to is no metadata that goes along. */
function withRedirectOf(
  { [REDIRECT]: _, ...headers }: ObjectFields['headers'],
  { [REDIRECT]: own }: ObjectFields['headers'],
): ObjectFields['headers'] {
  return own === undefined ? headers : { ...headers, [REDIRECT]: own }
}

function directive(name: string, value: string): void {
  if (value === 'COPY' || value === 'REPLACE') return
  throw invalidArgument(name, value, `Unknown ${name.slice('x-amz-'.length)}.`)
}
