// ListObjectVersions: all versions and delete markers, the newest of a key first.

import { bucketOf, canonicalId } from '../buckets/bucket.ts'
import type { ListedVersion, ObjectIndex } from '../index/objects.ts'
import type { S3Handlers, S3Outputs } from '../wire/call.ts'
import { invalidArgument } from '../wire/values.ts'
import { checkVersionId } from './find.ts'
import { encoderOf, maxKeysOf } from './list.ts'
import { type ObjectParts, quoted } from './parts.ts'
import { keyAfter, type Place, walk } from './walk.ts'

type Output = S3Outputs['ListObjectVersions']

export function listVersionsHandlers({ index }: ObjectParts): S3Handlers {
  return {
    ListObjectVersions: async (call) => {
      const { input } = call
      const { id, name } = bucketOf(call)
      const { Prefix: prefix = '', Delimiter: delimiter = '' } = input
      const { KeyMarker = '', VersionIdMarker = '' } = input
      if (VersionIdMarker !== '' && KeyMarker === '') {
        const message = 'A version-id marker cannot be specified without a key marker.'
        throw invalidArgument('version-id-marker', VersionIdMarker, message)
      }
      if (VersionIdMarker !== '') checkVersionId(VersionIdMarker)
      const encode = encoderOf(input)
      const { entries, prefixes, last } = await walk<ListedVersion>({
        ...{ prefix, delimiter, maxKeys: maxKeysOf(input), keyOf },
        start: KeyMarker === '' ? { kind: 'start' } : { kind: 'key', key: KeyMarker },
        next: (place, limit) => pageAfter(index, id, { prefix, place, VersionIdMarker, limit }),
      })
      return {
        output: {
          Name: name,
          Prefix: encode(prefix),
          KeyMarker: encode(KeyMarker),
          VersionIdMarker,
          MaxKeys: maxKeysOf(input),
          ...(delimiter !== '' && { Delimiter: encode(delimiter) }),
          ...(input.EncodingType !== undefined && { EncodingType: input.EncodingType }),
          IsTruncated: last !== null,
          ...nextOf(last, encode),
          Versions: entries.filter((one) => !one.isDeleteMarker).map((one) => shown(one, encode)),
          DeleteMarkers: entries
            .filter((one) => one.isDeleteMarker)
            .map((one) => named(one, encode)),
          CommonPrefixes: prefixes.map((common) => ({ Prefix: encode(common) })),
        },
      }
    },
  }
}

function keyOf({ key }: ListedVersion): string {
  return key
}

async function pageAfter(
  index: ObjectIndex,
  bucket: string,
  {
    prefix,
    place,
    VersionIdMarker,
    limit,
  }: {
    readonly prefix: string
    readonly place: Place<ListedVersion>
    readonly VersionIdMarker: string
    readonly limit: number
  },
): Promise<{ entries: readonly ListedVersion[]; more: boolean }> {
  const marked = VersionIdMarker === '' ? null : VersionIdMarker
  const version = { after: null as string | null }
  if (place.kind === 'after') version.after = place.entry.versionId
  if (place.kind === 'key') version.after = marked
  return await index.listVersions(bucket, {
    ...{ prefix, limit, afterKey: keyAfter(place, keyOf), afterVersion: version.after },
  })
}

function nextOf(
  last: Extract<Place<ListedVersion>, { kind: 'after' | 'beyond' }> | null,
  encode: (text: string) => string,
): Pick<Output, 'NextKeyMarker' | 'NextVersionIdMarker'> {
  if (last === null) return {}
  if (last.kind === 'beyond') return { NextKeyMarker: encode(last.prefix) }
  const { key, versionId } = last.entry
  return { NextKeyMarker: encode(key), NextVersionIdMarker: versionId }
}

function named(one: ListedVersion, encode: (text: string) => string) {
  return {
    Owner: { ID: canonicalId(one.owner) },
    Key: encode(one.key),
    VersionId: one.versionId,
    IsLatest: one.isLatest,
    LastModified: new Date(one.modifiedAtMs),
  }
}

function shown(one: ListedVersion, encode: (text: string) => string) {
  const { etag, sizeBytes: Size, checksum } = one
  return {
    ...named(one, encode),
    ETag: quoted(etag),
    ...(checksum !== undefined && {
      ChecksumAlgorithm: [checksum.algorithm],
      ChecksumType: checksum.type,
    }),
    Size,
    StorageClass: 'STANDARD' as const,
  }
}
