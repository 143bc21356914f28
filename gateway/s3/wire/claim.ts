// What a request to S3 says about its signature, in the header or in the query: read and checked
// for all that needs no key. S3's codes and sentences, as its answers have them.

import type { SignedRequest } from '../../http/canonical-request.ts'
import {
  ALGORITHM,
  type Authorization,
  basicTime,
  CREDENTIAL,
  MAX_LIFETIME_SECONDS,
  MAX_SIGNED_HEADERS,
  MAX_SKEW_MS,
  timeOf,
} from '../../http/sigv4.ts'
import { S3Error } from './error.ts'
import { notSupported } from './sigv2.ts'
import { isoSecond, skewed } from './values.ts'

/** `lifetimeMs` of a presigned request is `expires`, as it was written there; null for a header. */
export type Claim = Omit<Authorization, 'lifetimeMs'> & { readonly expires: string | null }

type HeadOfRequest = Omit<SignedRequest, 'payloadHash'>
interface Here {
  readonly region: string
  readonly nowMs: number
}

const SIGNATURE = /^[0-9a-f]{64}$/
const FIELDS = /^Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([^,\s]+)$/

/** Null for a request without any signature. Throws S3Error. */
export function readClaim(request: HeadOfRequest, here: Here): Claim | null {
  const authorization = request.headers.get('authorization')
  const query = new URLSearchParams(request.query)
  const isPresigned = query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature')
  if (authorization === undefined && !isPresigned) return null
  if (authorization !== undefined && (isPresigned || authorization.length > 1)) {
    const message =
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified'
    throw new S3Error('InvalidArgument', message, 400, { ArgumentName: 'Authorization' })
  }
  const claim = isPresigned
    ? fromQuery(request, query, here)
    : fromHeader(request, authorization?.[0] ?? '', here)
  checkSigned(request, claim)
  return claim
}

function fromHeader({ headers }: HeadOfRequest, header: string, here: Here): Claim {
  const space = header.indexOf(' ')
  if (header.slice(0, space) !== ALGORITHM) throw notSupported()
  const fields = FIELDS.exec(header.slice(space + 1).trim())
  if (fields === null) throw malformed('the fields are not Credential, SignedHeaders, Signature.')
  const [, credential = '', names = '', signature = ''] = fields
  const parts = CREDENTIAL.exec(credential)
  const expected = '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"'
  if (parts === null) throw malformed(`the Credential is mal-formed; expecting ${expected}.`)
  const [, accessKeyId = '', date = '', region = '', service = ''] = parts
  if (region !== here.region) {
    const detail = `the region '${region}' is wrong; expecting '${here.region}'`
    throw malformed(detail, { Region: here.region })
  }
  if (service !== 's3') throw malformed('incorrect service. This endpoint belongs to "s3".')
  if (!SIGNATURE.test(signature)) throw malformed('the Signature is no 64 hex digits.')
  const [timestamp = '', ...others] = headers.get('x-amz-date') ?? []
  const signedAtMs = others.length > 0 ? null : timeOf(timestamp)
  if (signedAtMs === null) {
    throw denied('AWS authentication requires a valid Date or x-amz-date header')
  }
  if (Math.abs(signedAtMs - here.nowMs) > MAX_SKEW_MS) throw skewed(timestamp, here.nowMs)
  if (!timestamp.startsWith(date)) {
    const other = timestamp.slice(0, date.length)
    throw malformed(
      `Invalid credential date "${date}". This date is not the same as X-Amz-Date: "${other}".`,
    )
  }
  const [sessionToken = ''] = headers.get('x-amz-security-token') ?? []
  const scope = { accessKeyId, date, region, service }
  return {
    ...scope,
    signedHeaders: namesIn(names),
    signature,
    timestamp,
    sessionToken,
    expires: null,
  }
}

const NEEDED = [
  ...['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-Date'],
  ...['X-Amz-SignedHeaders', 'X-Amz-Expires'],
]

function fromQuery({ headers }: HeadOfRequest, query: URLSearchParams, here: Here): Claim {
  for (const name of NEEDED) {
    if (query.getAll(name).length === 1) continue
    throw badQuery(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    )
  }
  const [algorithm, credential, signature, timestamp, names, expires] = NEEDED.map(
    (name) => query.get(name) ?? '',
  ) as [string, string, string, string, string, string]
  if (algorithm !== ALGORITHM) throw badQuery(`X-Amz-Algorithm only supports "${ALGORITHM}"`)
  const parts = CREDENTIAL.exec(credential)
  const where = 'Error parsing the X-Amz-Credential parameter;'
  if (parts === null) {
    const expected = '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"'
    throw badQuery(`${where} the Credential is mal-formed; expecting ${expected}.`)
  }
  const [, accessKeyId = '', date = '', region = '', service = ''] = parts
  if (region !== here.region) {
    const detail = `${where} the region '${region}' is wrong; expecting '${here.region}'`
    throw badQuery(detail, { Region: here.region })
  }
  if (service !== 's3') throw badQuery(`${where} incorrect service. This endpoint belongs to "s3".`)
  const signedAtMs = timeOf(timestamp)
  if (signedAtMs === null) {
    throw badQuery(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
  }
  if (!timestamp.startsWith(date)) {
    const other = timestamp.slice(0, date.length)
    const detail = `Invalid credential date "${date}". This date is not the same as X-Amz-Date: "${other}".`
    throw badQuery(`${where} ${detail}`)
  }
  if (!SIGNATURE.test(signature)) throw badQuery('X-Amz-Signature is no 64 hex digits.')
  checkLifetime(expires, signedAtMs, here.nowMs)
  const [inHeader = ''] = headers.get('x-amz-security-token') ?? []
  const sessionToken = query.get('X-Amz-Security-Token') ?? inHeader
  const scope = { accessKeyId, date, region, service }
  return { ...scope, signedHeaders: namesIn(names), signature, timestamp, sessionToken, expires }
}

function checkLifetime(expires: string, signedAtMs: number, nowMs: number): void {
  if (!/^-?\d{1,15}$/.test(expires)) throw badQuery('X-Amz-Expires should be a number')
  const seconds = Number(expires)
  if (seconds < 0) throw badQuery('X-Amz-Expires must be non-negative')
  if (seconds > MAX_LIFETIME_SECONDS) {
    throw badQuery(
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${MAX_LIFETIME_SECONDS} seconds`,
    )
  }
  const fields = { ServerTime: isoSecond(nowMs) }
  if (signedAtMs > nowMs + MAX_SKEW_MS) {
    throw denied('Request is not valid yet', { 'X-Amz-Date': basicTime(signedAtMs), ...fields })
  }
  const endsAtMs = signedAtMs + seconds * 1000
  if (nowMs > endsAtMs) {
    const times = { 'X-Amz-Expires': expires, Expires: isoSecond(endsAtMs), ...fields }
    throw denied('Request has expired', times)
  }
}

/** Host, and whatever changes what S3 does: somebody on the way could have added it. */
function checkSigned({ headers }: HeadOfRequest, { signedHeaders }: Claim): void {
  const names = new Set(signedHeaders)
  const unsigned = [...headers.keys()].filter(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !names.has(name),
  )
  if (unsigned.length === 0) return
  throw denied('There were headers present in the request which were not signed', {
    HeadersNotSigned: unsigned.join(', '),
  })
}

function namesIn(text: string): string[] {
  const names = text.split(';')
  if (names.length > MAX_SIGNED_HEADERS) throw malformed('there are too many SignedHeaders.')
  return names
}

function malformed(detail: string, fields: Readonly<Record<string, string>> = {}): S3Error {
  const message = `The authorization header is malformed; ${detail}`
  return new S3Error('AuthorizationHeaderMalformed', message, 400, fields)
}

function badQuery(message: string, fields: Readonly<Record<string, string>> = {}): S3Error {
  return new S3Error('AuthorizationQueryParametersError', message, 400, fields)
}

function denied(message: string, fields: Readonly<Record<string, string>> = {}): S3Error {
  return new S3Error('AccessDenied', message, 403, fields)
}
