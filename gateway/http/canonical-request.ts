// The canonical form of a request that Signature Version 4 signs: one text for everything that two
// equal requests may write differently.

import { ApiError } from '../aws/api-error.ts'

export interface SignedRequest {
  readonly method: string
  /** As on the wire, percent-encoded, without the query. */
  readonly path: string
  /** As on the wire, without the `?`. */
  readonly query: string
  /** Lower-case name → values in the order sent; Node's Latin-1 strings. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  /** Lower-case hex SHA-256 of the body. */
  readonly payloadHash: string
}

/** Node's `rawHeaders`, with duplicates kept apart (`headers` drops or joins them). */
export function headersOf(rawHeaders: readonly string[]): Map<string, readonly string[]> {
  const headers = new Map<string, readonly string[]>()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), rawHeaders[index + 1] ?? ''])
  }
  return headers
}

/**
 * S3 encodes the path once, every other service twice. Throws SignatureDoesNotMatch when a signed
 * header is absent, InvalidURI for a path and MalformedQueryString for a
 * query that does not decode.
 */
export function canonicalRequest(
  request: SignedRequest,
  signedHeaders: readonly string[],
  isS3: boolean,
): string {
  const lines = signedHeaders.map((name) => {
    const values = request.headers.get(name)
    if (values === undefined) {
      throw new ApiError('SignatureDoesNotMatch', `The signed header ${name} is absent.`, 403)
    }
    if (name === 'host' && values.length > 1) {
      throw new ApiError('SignatureDoesNotMatch', 'There is more than one Host header.', 403)
    }
    return `${name}:${values.map(squeeze).join(',')}\n`
  })
  return [
    request.method,
    canonicalPath(request.path, isS3),
    canonicalQuery(request.query),
    lines.join(''),
    signedHeaders.join(';'),
    request.payloadHash,
  ].join('\n')
}

function canonicalPath(path: string, isS3: boolean): string {
  const once = path.split('/').map((part) => encode(decode(part)))
  return (isS3 ? once : once.map(encode)).join('/')
}

/** Sorted by name, then by value; the signature itself left out. */
function canonicalQuery(query: string): string {
  const pairs: [name: string, value: string][] = []
  for (const part of query.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decodeQuery(equals < 0 ? part : part.slice(0, equals))
    if (name === 'X-Amz-Signature') continue
    pairs.push([encode(name), encode(equals < 0 ? '' : decodeQuery(part.slice(equals + 1)))])
  }
  return pairs
    .sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
    .map((pair) => pair.join('='))
    .join('&')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Node has cut the space around the value; `trim` would also cut bytes of UTF-8 (U+00A0). */
function squeeze(value: string): string {
  return value.replaceAll(/ {2,}/g, ' ')
}

/** RFC 3986: everything but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function decodeQuery(text: string): string {
  return (
    tryDecode(text.replaceAll('+', ' ')) ??
    refuse('MalformedQueryString', 'The query string contains a syntax error.')
  )
}

function decode(text: string): string {
  return tryDecode(text) ?? refuse('InvalidURI', 'Could not parse the specified URI.')
}

function tryDecode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

function refuse(code: string, message: string): never {
  throw new ApiError(code, message)
}
