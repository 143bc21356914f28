// Conditions of requests: which of them an object meets (RFC 9110, 13; S3 user guide, "Conditional
// requests").

import type { Check, ObjectEntry } from '../index/objects.ts'
import { notImplemented, S3Error } from '../wire/error.ts'
import { noSuchKey, preconditionFailed, quoted, unquoted } from './parts.ts'

export interface ReadConditions {
  readonly IfMatch?: string | undefined
  readonly IfNoneMatch?: string | undefined
  readonly IfModifiedSince?: Date | undefined
  readonly IfUnmodifiedSince?: Date | undefined
}

type Validators = Pick<ObjectEntry, 'etag' | 'modifiedAtMs'>

/** Throws PreconditionFailed. False: not modified, 304. */
export function mayRead(conditions: ReadConditions, object: Validators): boolean {
  const { IfMatch, IfNoneMatch, IfModifiedSince, IfUnmodifiedSince } = conditions
  if (IfMatch !== undefined) {
    if (!matchesAny(IfMatch, object)) throw preconditionFailed('If-Match')
  } else if (IfUnmodifiedSince !== undefined && isNewer(object, IfUnmodifiedSince)) {
    throw preconditionFailed('If-Unmodified-Since')
  }
  if (IfNoneMatch !== undefined) return !matchesAny(IfNoneMatch, object)
  return IfModifiedSince === undefined || isNewer(object, IfModifiedSince)
}

/** Of a copy's source: what is not modified is a failed condition there. */
export function checkSource(conditions: ReadConditions, object: Validators): void {
  if (!mayRead(conditions, object)) throw preconditionFailed('x-amz-copy-source-If-None-Match')
}

/** What a write asks of the key's current version; undefined when it asks nothing. */
export function writeCheck(
  key: string,
  { IfMatch, IfNoneMatch }: Pick<ReadConditions, 'IfMatch' | 'IfNoneMatch'>,
): Check | undefined {
  if (IfNoneMatch !== undefined && IfNoneMatch.trim() !== '*') {
    throw notImplemented('If-None-Match with an ETag on a write')
  }
  if (IfMatch !== undefined && IfNoneMatch !== undefined) {
    const message = 'If-Match and If-None-Match cannot both be there.'
    throw new S3Error('InvalidRequest', message, 400)
  }
  if (IfMatch === undefined && IfNoneMatch === undefined) return undefined
  return (current) => {
    const live = current?.isDeleteMarker === true ? null : current
    if (IfNoneMatch !== undefined && live !== null) throw preconditionFailed('If-None-Match')
    if (IfMatch === undefined) return
    if (live === null) throw noSuchKey(key)
    if (!matchesAny(IfMatch, live)) throw preconditionFailed('If-Match')
  }
}

function matchesAny(list: string, { etag }: Validators): boolean {
  return list.trim() === '*' || list.split(',').some((one) => unquoted(one) === etag)
}

/** HTTP's dates have seconds. */
function isNewer({ modifiedAtMs }: Validators, date: Date): boolean {
  return Math.floor(modifiedAtMs / 1_000) > Math.floor(date.getTime() / 1_000)
}

/** The headers of 304, which has no body. */
export function notModifiedHeaders({ etag, modifiedAtMs }: Validators): Record<string, string> {
  return { etag: quoted(etag), 'last-modified': new Date(modifiedAtMs).toUTCString() }
}
