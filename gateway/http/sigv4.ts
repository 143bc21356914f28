// Verifies AWS Signature Version 4, in the Authorization header or in the query (presigned URLs).
// Source: "Signature Version 4 signing process" of the IAM user guide.

import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import { ApiError } from '../aws/api-error.ts'
import type { Caller } from '../aws/handlers.ts'
import { canonicalRequest, type SignedRequest } from './canonical-request.ts'

export type { SignedRequest } from './canonical-request.ts'

/**
 * Whose key it is, null when nobody's (or an inactive one). `sessionToken` is '' when the request
 * has none; what is found has a session if, and only if, the token is that session's.
 */
export type SecretOf = (
  accessKeyId: string,
  sessionToken: string,
) => Promise<{ readonly secret: string; readonly caller: Caller } | null>

/** What a request says about its signature, not yet believed. */
export interface Authorization {
  readonly accessKeyId: string
  /** `YYYYMMDD` of the scope. */
  readonly date: string
  readonly region: string
  readonly service: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  /** `YYYYMMDD'T'HHMMSS'Z'`. */
  readonly timestamp: string
  /** Milliseconds that a presigned request is good for; null for the header's form. */
  readonly lifetimeMs: number | null
  /** '' without one. */
  readonly sessionToken: string
}

export const ALGORITHM = 'AWS4-HMAC-SHA256'
export const MAX_SKEW_MS = 15 * 60_000
export const MAX_LIFETIME_SECONDS = 604_800
export const MAX_SIGNED_HEADERS = 100
export const CREDENTIAL = /^(\w{1,128})\/(\d{8})\/([\w-]{1,64})\/([\w-]{1,64})\/aws4_request$/
const SIGNATURE = /^[0-9a-f]{64}$/
const TIMESTAMP = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/
// What an unknown key's signature is compared with, so that it costs the same as a known one's.
export const DECOY_SECRET = 'no such key, same work'

/**
 * Reads the signature's description. Throws MissingAuthenticationToken where there is none and
 * IncompleteSignature where it cannot be understood.
 */
export function readAuthorization(request: SignedRequest): Authorization {
  const query = new URLSearchParams(request.query)
  const isPresigned = query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature')
  const hasHeader = request.headers.has('authorization')
  if (isPresigned && hasHeader) throw incomplete('There is a signature in header and query.')
  if (!isPresigned && !hasHeader) {
    throw new ApiError('MissingAuthenticationToken', 'Request is missing Authentication Token', 403)
  }
  const { fields, timestamp, lifetimeMs } = isPresigned ? fromQuery(query) : fromHeader(request)
  const credential = CREDENTIAL.exec(fields.Credential)
  if (credential === null) {
    throw incomplete('Credential must be KEY/YYYYMMDD/REGION/SERVICE/aws4_request.')
  }
  const [, accessKeyId = '', date = '', region = '', service = ''] = credential
  const signedHeaders = fields.SignedHeaders.split(';')
  if (signedHeaders.length > MAX_SIGNED_HEADERS) throw incomplete('Too many signed headers.')
  if (!signedHeaders.includes('host')) {
    throw incomplete("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
  }
  if (!SIGNATURE.test(fields.Signature)) throw incomplete('Signature must be 64 hex digits.')
  if (timeOf(timestamp) === null) {
    throw incomplete("Date must be in ISO-8601 'basic format', in X-Amz-Date.")
  }
  const sessionToken = tokenOf(request, query)
  return {
    ...{ accessKeyId, date, region, service, signedHeaders },
    ...{ signature: fields.Signature, timestamp, lifetimeMs, sessionToken },
  }
}

/** Of a header or, in a presigned request, of a parameter. */
function tokenOf({ headers }: SignedRequest, query: URLSearchParams): string {
  const inHeader = headers.get('x-amz-security-token') ?? []
  const [token = '', ...more] = [...inHeader, ...query.getAll('X-Amz-Security-Token')]
  if (more.length > 0) throw incomplete('There is more than one X-Amz-Security-Token.')
  return token
}

/**
 * Who signed this request. Throws, in EC2's words or in those of the other services: unknown key,
 * or a session token that is not its; signature that does not match, time too far off, a session
 * that has ended.
 */
export async function verifySignature(
  tools: { readonly secretOf: SecretOf; readonly keys: SigningKeys; readonly nowMs: number },
  request: SignedRequest,
  claim: Authorization,
): Promise<Caller> {
  checkTime(claim, tools.nowMs)
  const scope = `${claim.date}/${claim.region}/${claim.service}/aws4_request`
  const canonical = canonicalRequest(request, claim.signedHeaders, claim.service === 's3')
  // Everything in it is ASCII but header values, which Node gives as Latin-1.
  const digest = hash('sha256', Buffer.from(canonical, 'latin1'))
  const { accessKeyId, sessionToken } = claim
  const known = await tools.secretOf(accessKeyId, sessionToken)
  const key = tools.keys.get(known?.secret ?? DECOY_SECRET, claim)
  const text = `${ALGORITHM}\n${claim.timestamp}\n${scope}\n${digest}`
  const isEqual = timingSafeEqual(hmac(key, text), Buffer.from(claim.signature, 'hex'))
  const session = known?.caller.session
  if (known === null || (session === undefined) !== (sessionToken === '')) {
    throw unknownKey(claim.service)
  }
  if (!isEqual) {
    throw mismatch(
      'The request signature we calculated does not match the signature you provided. Check your ' +
        'AWS Secret Access Key and signing method. Consult the service documentation for details.',
    )
  }
  if (session !== undefined && tools.nowMs >= session.expiresAtMs) throw ended(claim.service)
  return known.caller
}

/**
 * Signing keys, which are good for a day. Kept by a digest of the secret and not by the access
 * key's id: a secret that was replaced never meets an old entry, and unknown ids share one.
 */
export class SigningKeys {
  readonly #keys = new Map<string, KeyObject>()
  readonly #max: number

  /** `max` entries at most; the oldest goes first. */
  constructor(max = 10_000) {
    this.#max = max
  }

  get(secret: string, scope: Pick<Authorization, 'date' | 'region' | 'service'>): KeyObject {
    const { date, region, service } = scope
    const id = `${date}/${region}/${service}/${hash('sha256', secret, 'base64')}`
    const known = this.#keys.get(id)
    if (known !== undefined) return known
    const steps = [date, region, service, 'aws4_request']
    const bytes = steps.reduce<Buffer>(hmac, Buffer.from(`AWS4${secret}`))
    // Node uses one several times as fast as the bytes that it is made of.
    const key = createSecretKey(bytes)
    const oldest = this.#keys.keys().next()
    if (this.#keys.size >= this.#max && oldest.done !== true) this.#keys.delete(oldest.value)
    this.#keys.set(id, key)
    return key
  }
}

interface Parts {
  readonly fields: Fields
  readonly timestamp: string
  readonly lifetimeMs: number | null
}
type Fields = Record<'Credential' | 'SignedHeaders' | 'Signature', string>

function fromHeader({ headers }: SignedRequest): Parts {
  const [header = '', ...more] = headers.get('authorization') ?? []
  if (more.length > 0) throw incomplete('There is more than one Authorization header.')
  const space = header.indexOf(' ')
  if (header.slice(0, space) !== ALGORITHM) {
    throw incomplete(`The Authorization header must begin with ${ALGORITHM}.`)
  }
  const found: Partial<Fields> = {}
  for (const part of header.slice(space + 1).split(',', 4)) {
    const [name = '', value = '', ...rest] = part.trim().split('=')
    const isNew = isField(name) && found[name] === undefined
    if (!isNew || rest.length > 0) throw incomplete('The Authorization header is malformed.')
    found[name] = value
  }
  const [timestamp = '', ...others] = headers.get('x-amz-date') ?? []
  if (others.length > 0) throw incomplete('There is more than one X-Amz-Date header.')
  return { fields: complete(found), timestamp, lifetimeMs: null }
}

function fromQuery(query: URLSearchParams): Parts {
  function only(name: string): string {
    const [value = '', ...more] = query.getAll(name)
    if (more.length > 0) throw incomplete(`The parameter ${name} is there twice.`)
    return value
  }
  if (only('X-Amz-Algorithm') !== ALGORITHM) throw incomplete(`X-Amz-Algorithm is no ${ALGORITHM}.`)
  const seconds = only('X-Amz-Expires')
  if (!/^[1-9]\d{0,5}$/.test(seconds) || Number(seconds) > MAX_LIFETIME_SECONDS) {
    throw incomplete(`X-Amz-Expires must be 1 to ${MAX_LIFETIME_SECONDS} seconds.`)
  }
  const fields = complete({
    Credential: only('X-Amz-Credential'),
    SignedHeaders: only('X-Amz-SignedHeaders'),
    Signature: only('X-Amz-Signature'),
  })
  return { fields, timestamp: only('X-Amz-Date'), lifetimeMs: Number(seconds) * 1000 }
}

function isField(name: string): name is keyof Fields {
  return name === 'Credential' || name === 'SignedHeaders' || name === 'Signature'
}

function complete({
  Credential = '',
  SignedHeaders = '',
  Signature = '',
}: Partial<Fields>): Fields {
  for (const [name, value] of Object.entries({ Credential, SignedHeaders, Signature })) {
    if (value === '') throw incomplete(`Authorization requires '${name}'.`)
  }
  return { Credential, SignedHeaders, Signature }
}

function checkTime(claim: Authorization, nowMs: number): void {
  const { timestamp, date, lifetimeMs, service } = claim
  const signedAtMs = timeOf(timestamp) ?? 0
  if (!timestamp.startsWith(date)) {
    throw mismatch(`Date in Credential scope does not match the request's: '${date}'.`)
  }
  const isOver = nowMs > signedAtMs + (lifetimeMs ?? MAX_SKEW_MS)
  const isEarly = signedAtMs > nowMs + MAX_SKEW_MS
  if (!isOver && !isEarly) return
  const now = basicTime(nowMs)
  if (service === 'ec2') {
    const times = `It was signed at ${timestamp}, here it is ${now}.`
    throw new ApiError('RequestExpired', `Request has expired. ${times}`)
  }
  const which = isOver ? 'expired' : 'not yet current'
  throw mismatch(`Signature ${which}: it was made at ${timestamp}, here it is ${now}.`)
}

/** Milliseconds since 1970 of `YYYYMMDD'T'HHMMSS'Z'`; null for anything else. */
export function timeOf(timestamp: string): number | null {
  const match = TIMESTAMP.exec(timestamp)
  if (match === null) return null
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map(Number)
  if (hour > 23 || minute > 59 || second > 59) return null
  const time = Date.UTC(year, month - 1, day, hour, minute, second)
  const date = new Date(time)
  // A day that is none, and a year that JavaScript takes for one of the last century.
  const isSame = date.getUTCMonth() === month - 1 && date.getUTCFullYear() === year
  return isSame ? time : null
}

/** `YYYYMMDD'T'HHMMSS'Z'`. */
export function basicTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}

export function hmac(key: Buffer | KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function incomplete(detail: string): ApiError {
  const message = `The request signature does not conform to AWS standards. ${detail}`
  return new ApiError('IncompleteSignature', message)
}

function mismatch(message: string): ApiError {
  return new ApiError('SignatureDoesNotMatch', message, 403)
}

function unknownKey(service: string): ApiError {
  if (service === 'ec2') {
    const message = 'AWS was not able to validate the provided access credentials'
    return new ApiError('AuthFailure', message, 401)
  }
  const message = 'The security token included in the request is invalid.'
  return new ApiError('InvalidClientTokenId', message, 403)
}

function ended(service: string): ApiError {
  if (service === 'ec2') return new ApiError('RequestExpired', 'Request has expired.')
  const message = 'The security token included in the request is expired'
  return new ApiError('ExpiredToken', message, 403)
}
