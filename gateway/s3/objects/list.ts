// ListObjects and ListObjectsV2. A token names the last thing that was shown: pages stay right
// while objects come and go.

import { bucketOf, canonicalId } from '../buckets/bucket.ts'
import type { ObjectEntry } from '../index/objects.ts'
import type { S3Call, S3Handlers, S3Inputs, S3Outputs } from '../wire/call.ts'
import { notImplemented } from '../wire/error.ts'
import { invalidArgument, pathOf } from '../wire/values.ts'
import { type ObjectParts, quoted } from './parts.ts'
import { keyAfter, type Place, type Walked, walk } from './walk.ts'

type Shown = NonNullable<S3Outputs['ListObjectsV2']['Contents']>[number]

interface Asked {
  readonly Prefix?: string | undefined
  readonly Delimiter?: string | undefined
  readonly MaxKeys?: number | undefined
  readonly EncodingType?: string | undefined
}

export const MAX_KEYS = 1_000

export function listHandlers({ index }: ObjectParts): S3Handlers {
  const found = async (
    call: Pick<S3Call<Asked>, 'bucket' | 'input'>,
    start: Place<ObjectEntry>,
  ): Promise<Walked<ObjectEntry>> => {
    const { id } = bucketOf(call)
    const { Prefix: prefix = '', Delimiter: delimiter = '' } = call.input
    const keyOf = ({ key }: ObjectEntry): string => key
    return await walk<ObjectEntry>({
      ...{ prefix, delimiter, maxKeys: maxKeysOf(call.input), start, keyOf },
      next: (place, limit) => index.list(id, { prefix, after: keyAfter(place, keyOf), limit }),
    })
  }
  return {
    ListObjects: async (call) => {
      const { input } = call
      const { Marker = '', Delimiter = '' } = input
      const encode = encoderOf(input)
      const walked = await found(
        call,
        Marker === '' ? { kind: 'start' } : { kind: 'key', key: Marker },
      )
      const next = walked.last === null ? undefined : textOf(walked.last)
      return {
        output: {
          ...common(call, walked, true),
          Marker: encode(Marker),
          // Without a delimiter the last key is the marker.
          ...(next !== undefined && Delimiter !== '' && { NextMarker: encode(next) }),
        },
      }
    },

    ListObjectsV2: async (call) => {
      const { ContinuationToken: token, StartAfter, FetchOwner = false } = call.input
      if (call.input.OptionalObjectAttributes?.includes('RestoreStatus')) {
        throw notImplemented('archived objects')
      }
      const encode = encoderOf(call.input)
      const walked = await found(call, startOf(token, StartAfter))
      return {
        output: {
          ...common(call, walked, FetchOwner),
          KeyCount: walked.entries.length + walked.prefixes.length,
          ...(token !== undefined && { ContinuationToken: token }),
          ...(StartAfter !== undefined && { StartAfter: encode(StartAfter) }),
          ...(walked.last !== null && { NextContinuationToken: tokenOf(walked.last) }),
        },
      }
    },
  }
}

function common(
  call: Pick<S3Call<S3Inputs['ListObjects']>, 'bucket' | 'input'>,
  { entries, prefixes, last }: Walked<ObjectEntry>,
  withOwner: boolean,
): Omit<S3Outputs['ListObjectsV2'], 'KeyCount'> {
  const { input } = call
  const encode = encoderOf(input)
  return {
    Name: bucketOf(call).name,
    Prefix: encode(input.Prefix ?? ''),
    ...(input.Delimiter !== undefined &&
      input.Delimiter !== '' && { Delimiter: encode(input.Delimiter) }),
    MaxKeys: maxKeysOf(input),
    ...(input.EncodingType !== undefined && { EncodingType: input.EncodingType }),
    IsTruncated: last !== null,
    Contents: entries.map((entry) => shownOf(entry, encode, withOwner)),
    CommonPrefixes: prefixes.map((prefix) => ({ Prefix: encode(prefix) })),
  }
}

function shownOf(entry: ObjectEntry, encode: (text: string) => string, withOwner: boolean): Shown {
  const { key, etag, sizeBytes, modifiedAtMs, checksum, owner } = entry
  return {
    Key: encode(key),
    LastModified: new Date(modifiedAtMs),
    ETag: quoted(etag),
    ...(checksum !== undefined && {
      ChecksumAlgorithm: [checksum.algorithm],
      ChecksumType: checksum.type,
    }),
    Size: sizeBytes,
    StorageClass: 'STANDARD',
    ...(withOwner && { Owner: { ID: canonicalId(owner) } }),
  }
}

/** Throws InvalidArgument. */
export function maxKeysOf({ MaxKeys: wished = MAX_KEYS }: Pick<Asked, 'MaxKeys'>): number {
  if (wished >= 0) return Math.min(wished, MAX_KEYS)
  const message = 'Argument maxKeys must be an integer between 0 and 2147483647'
  throw invalidArgument('maxKeys', String(wished), message)
}

/** XML cannot carry every character: with `url` all of them are escaped, as in a path. */
export function encoderOf({
  EncodingType: type,
}: Pick<Asked, 'EncodingType'>): (t: string) => string {
  if (type === undefined) return (text) => text
  if (type !== 'url') {
    throw invalidArgument('encoding-type', type, 'Invalid Encoding Method specified in Request')
  }
  return pathOf
}

function textOf(last: NonNullable<Walked<ObjectEntry>['last']>): string {
  return last.kind === 'after' ? last.entry.key : last.prefix
}

const TOKEN_KINDS = { after: 'k', beyond: 'p' } as const

function tokenOf(last: NonNullable<Walked<ObjectEntry>['last']>): string {
  return Buffer.from(`${TOKEN_KINDS[last.kind]}${textOf(last)}`).toString('base64url')
}

/** A token has precedence. Throws InvalidArgument for one that this cloud never gave. */
function startOf(token: string | undefined, startAfter = ''): Place<ObjectEntry> {
  if (token === undefined) {
    return startAfter === '' ? { kind: 'start' } : { kind: 'key', key: startAfter }
  }
  const text = Buffer.from(token, 'base64url').toString()
  const rest = text.slice(1)
  const isWhole = Buffer.from(text).toString('base64url') === token
  if (isWhole && text.startsWith(TOKEN_KINDS.beyond)) return { kind: 'beyond', prefix: rest }
  if (isWhole && text.startsWith(TOKEN_KINDS.after)) return { kind: 'last', key: rest }
  const message = 'The continuation token provided is incorrect'
  throw invalidArgument('continuation-token', token, message)
}
