// What a request's headers say of its body: length, Content-MD5, a checksum in a header or one that
// a trailer will have. Checked before a byte of it is read.

import type { BodyProof } from './authenticate.ts'
import type { ChecksumAlgorithm } from './call.ts'
import { algorithmOf, CHECKSUM_BYTES, isSum, PREFIX } from './checksums.ts'
import { S3Error } from './error.ts'

export interface Expected {
  /** After decoding; null when nobody said. */
  readonly sizeBytes: number | null
  /** Base64; null without. */
  readonly md5: string | null
  readonly algorithm: ChecksumAlgorithm | null
  /** Base64, from a header. */
  readonly checksum: string | null
  /** Name of the trailer that will have the checksum. */
  readonly trailer: string | null
}

type Headers = ReadonlyMap<string, readonly string[]>

const MD5_BYTES = 16
const SIZE = /^\d{1,15}$/
/** Headers that begin like a checksum and are none. */
const ABOUT_CHECKSUMS: ReadonlySet<string> = new Set([
  ...[`${PREFIX}algorithm`, `${PREFIX}type`, `${PREFIX}mode`],
])

/**
 * `isOwn` tells whether the checksum headers are about this body, and not about an object that the
 * request puts together. Throws S3Error.
 */
export function expectedOf(headers: Headers, proof: BodyProof, isOwn: boolean): Expected {
  const sizeBytes = sizeOf(headers, proof)
  return { sizeBytes, ...expectedSums(headers, proof, isOwn) }
}

/** All of that but the length. */
export function expectedSums(
  headers: Headers,
  proof: BodyProof,
  isOwn: boolean,
): Omit<Expected, 'sizeBytes'> {
  const md5 = md5Of(headers)
  if (!isOwn) return { md5, algorithm: null, checksum: null, trailer: null }
  const trailer = trailerOf(headers, proof)
  const found = [...headers.keys()].filter(
    (name) => name.startsWith(PREFIX) && !ABOUT_CHECKSUMS.has(name),
  )
  if (trailer !== null) found.push(trailer)
  const [name, ...more] = found
  const said = one(headers, 'x-amz-sdk-checksum-algorithm')?.toUpperCase() ?? null
  if (more.length > 0) {
    throw invalid(
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  }
  if (name === undefined) {
    if (said === null) return { md5, algorithm: null, checksum: null, trailer }
    throw invalid(
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    )
  }
  const algorithm = algorithmOf(name)
  if (algorithm === null) throw unknownChecksum(name)
  if (said !== null && said !== algorithm) {
    throw invalid('Value for x-amz-sdk-checksum-algorithm header is invalid.')
  }
  const checksum = trailer === null ? (one(headers, name) ?? '') : null
  if (checksum !== null && !isSum(algorithm, checksum)) {
    throw invalid(`Value for ${name} header is invalid.`)
  }
  return { md5, algorithm, checksum, trailer }
}

/** Throws MissingContentLength for a body that comes without any length, as S3 does. */
export function sizeOf(headers: Headers, proof: BodyProof): number | null {
  const length = one(headers, 'content-length')
  const encoding = one(headers, 'transfer-encoding')
  if (proof.kind === 'chunked') {
    const decoded = one(headers, 'x-amz-decoded-content-length')
    if (decoded === undefined && encoding === undefined) throw missingLength()
    if (decoded === undefined) return null
    if (!SIZE.test(decoded)) throw invalid('Value for x-amz-decoded-content-length is invalid.')
    return Number(decoded)
  }
  if (encoding !== undefined) {
    const message = 'A header you provided implies functionality that is not implemented.'
    const fields = { Header: 'Transfer-Encoding' }
    throw new S3Error('NotImplemented', message, 501, fields)
  }
  if (length === undefined) throw missingLength()
  return Number(length)
}

function md5Of(headers: Headers): string | null {
  const md5 = one(headers, 'content-md5')
  if (md5 === undefined) return null
  const bytes = Buffer.from(md5, 'base64')
  if (bytes.length === MD5_BYTES && bytes.toString('base64') === md5) return md5
  throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid.', 400, {
    'Content-MD5': md5,
  })
}

/** A request may announce trailers and send none; then a checksum is not announced either. */
function trailerOf(headers: Headers, proof: BodyProof): string | null {
  const name = one(headers, 'x-amz-trailer')?.trim().toLowerCase()
  if (name === undefined || name === '') return null
  const isFit = proof.kind === 'chunked' && proof.hasTrailer && algorithmOf(name) !== null
  if (isFit) return name
  throw invalid('The value specified in the x-amz-trailer header is not supported')
}

function one(headers: Headers, name: string): string | undefined {
  return headers.get(name)?.[0]
}

function unknownChecksum(name: string): S3Error {
  const known = Object.keys(CHECKSUM_BYTES).join(', ')
  return invalid(`The algorithm of ${name.slice(0, 100)} is not one of ${known}.`)
}

function missingLength(): S3Error {
  const message = 'You must provide the Content-Length HTTP header.'
  return new S3Error('MissingContentLength', message, 411)
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidRequest', message, 400)
}
