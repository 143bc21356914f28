// GetObjectAttributes: what is known of an object beside its bytes.

import type { ObjectVersion } from '../index/objects.ts'
import type { S3Handlers, S3Inputs, S3Outputs } from '../wire/call.ts'
import { invalidArgument } from '../wire/values.ts'
import { keyToRead } from './encryption.ts'
import { findObject } from './find.ts'
import { askedOf, type ObjectParts, versionShown } from './parts.ts'
import { shownChecksum } from './properties.ts'

type Input = S3Inputs['GetObjectAttributes']
type Output = S3Outputs['GetObjectAttributes']

const NAMES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const
const MAX_PARTS = 1_000

export function attributeHandlers(parts: ObjectParts): S3Handlers {
  return {
    GetObjectAttributes: async (call) => {
      const { input } = call
      const wanted = new Set<string>(wantedIn(input))
      const asked = askedOf(call)
      const { version } = await findObject(parts, asked, input.VersionId, call)
      keyToRead(parts.sealing, version, call)
      const id = versionShown(asked.bucket, version)
      const isInParts = version.partsCount !== undefined
      return {
        output: {
          LastModified: new Date(version.modifiedAtMs),
          ...(id !== undefined && { VersionId: id }),
          ...(wanted.has('ETag') && { ETag: version.etag }),
          ...(wanted.has('Checksum') &&
            version.checksum !== undefined && { Checksum: shownChecksum(version.checksum) }),
          ...(wanted.has('ObjectParts') && isInParts && { ObjectParts: partsIn(version, input) }),
          ...(wanted.has('StorageClass') && { StorageClass: 'STANDARD' }),
          ...(wanted.has('ObjectSize') && { ObjectSize: version.sizeBytes }),
        },
      }
    },
  }
}

/** A header with a list. Throws InvalidArgument. */
function wantedIn({ ObjectAttributes = [] }: Input): readonly string[] {
  const wanted = ObjectAttributes.flatMap((each) => each.split(',')).map((each) => each.trim())
  const odd = wanted.find((each) => !NAMES.some((name) => name === each))
  if (odd === undefined && wanted.length > 0) return wanted
  const message = 'Invalid attribute name specified.'
  throw invalidArgument('x-amz-object-attributes', odd ?? '', message)
}

function partsIn(version: ObjectVersion, input: Input): Output['ObjectParts'] {
  const limit = Math.min(Math.max(input.MaxParts ?? MAX_PARTS, 1), MAX_PARTS)
  const after = Number(input.PartNumberMarker ?? 0) || 0
  const left = version.parts.filter(({ number }) => number > after)
  const page = left.slice(0, limit)
  const last = page.at(-1)
  const isTruncated = page.length < left.length
  return {
    TotalPartsCount: version.parts.length,
    PartNumberMarker: String(after),
    MaxParts: limit,
    IsTruncated: isTruncated,
    ...(isTruncated && last !== undefined && { NextPartNumberMarker: String(last.number) }),
    // As on AWS, only where the checksum of the whole is made of the parts'.
    ...(version.checksum?.type === 'COMPOSITE' && {
      Parts: page.map(({ number, sizeBytes, checksum }) => ({
        PartNumber: number,
        Size: sizeBytes,
        ...(checksum !== undefined && { [`Checksum${checksum.algorithm}`]: checksum.base64 }),
      })),
    }),
  }
}
