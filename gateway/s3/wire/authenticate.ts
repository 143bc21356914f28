// Who signed a request to S3, in S3's words when nobody did it well: Signature Version 4 in the
// Authorization header or in the query ("Authenticating Requests (AWS Signature Version 4)" of the
// S3 API reference). What covers the body is handed on, to be checked while the body passes.

import { hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { Caller } from '../../aws/handlers.ts'
import { canonicalRequest, type SignedRequest } from '../../http/canonical-request.ts'
import { ALGORITHM, DECOY_SECRET, hmac, type SecretOf, type SigningKeys } from '../../http/sigv4.ts'
import { type Claim, readClaim } from './claim.ts'
import { S3Error } from './error.ts'

/** How a body says that it is what was signed. */
export type BodyProof =
  | { readonly kind: 'none' }
  /** SHA-256 of the whole, lower-case hex. */
  | { readonly kind: 'sha256'; readonly hex: string }
  /** aws-chunked; `chain` when every chunk has a signature. */
  | {
      readonly kind: 'chunked'
      readonly hasTrailer: boolean
      readonly chain: ChunkChain | null
    }

/** What the signature of a chunk is made of, beside the chunk. */
export interface ChunkChain {
  readonly key: KeyObject
  readonly timestamp: string
  readonly scope: string
  /** Of the request: the first chunk's forerunner. */
  readonly seed: string
}

/** How a request was signed, in the words of access logs. */
export interface Signature {
  readonly version: 'SigV4'
  readonly authType: 'AuthHeader' | 'QueryString'
}

export interface Authenticated {
  /** Null: nobody signed. */
  readonly caller: Caller | null
  /** Likewise. */
  readonly signature: Signature | null
  readonly accessKeyId: string
  readonly proof: BodyProof
}

export interface AuthenticateParts {
  readonly secretOf: SecretOf
  readonly keys: SigningKeys
  readonly region: string
}

type HeadOfRequest = Omit<SignedRequest, 'payloadHash'>

const UNSIGNED = 'UNSIGNED-PAYLOAD'
const SIGNED_CHUNKS = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
const UNSIGNED_CHUNKS = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
const SHA256 = /^[0-9a-f]{64}$/
const KINDS = [
  ...[UNSIGNED, UNSIGNED_CHUNKS, SIGNED_CHUNKS, `${SIGNED_CHUNKS}-TRAILER`],
  'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD',
].join(', ')

/** Throws S3Error for every request whose signature is there and not good. */
export async function authenticate(
  { secretOf, keys, region }: AuthenticateParts,
  request: HeadOfRequest,
  nowMs: number,
): Promise<Authenticated> {
  const claim = readClaim(request, { region, nowMs })
  const payload = payloadOf(request, claim)
  if (claim === null) {
    return { caller: null, signature: null, accessKeyId: '', proof: proofOf(payload, null) }
  }
  const { accessKeyId, sessionToken, date, timestamp } = claim
  const known = await secretOf(accessKeyId, sessionToken)
  const key = keys.get(known?.secret ?? DECOY_SECRET, claim)
  const scope = `${date}/${claim.region}/${claim.service}/aws4_request`
  const signed = { ...request, payloadHash: payload }
  // Everything in it is ASCII but header values, which Node gives as Latin-1.
  const canonical = Buffer.from(canonicalRequest(signed, claim.signedHeaders, true), 'latin1')
  const text = `${ALGORITHM}\n${timestamp}\n${scope}\n${hash('sha256', canonical)}`
  const isEqual = timingSafeEqual(hmac(key, text), Buffer.from(claim.signature, 'hex'))
  if (known === null) throw unknownKey(claim)
  const { session } = known.caller
  if ((session === undefined) !== (sessionToken === '')) throw badToken(claim)
  if (!isEqual) throw mismatch(claim, text, canonical)
  if (session !== undefined && nowMs >= session.expiresAtMs) throw endedToken(claim)
  const chain = { key, timestamp, scope, seed: claim.signature }
  const authType = claim.expires === null ? 'AuthHeader' : 'QueryString'
  const signature = { version: 'SigV4', authType } as const
  return { caller: known.caller, signature, accessKeyId, proof: proofOf(payload, chain) }
}

/** What the request says of its body: the last line of what is signed. */
function payloadOf({ headers, query }: HeadOfRequest, claim: Claim | null): string {
  const inHeader = headers.get('x-amz-content-sha256')?.[0]
  if (inHeader !== undefined) return inHeader
  if (claim === null) return UNSIGNED
  if (claim.expires === null) {
    const message = 'Missing required header for this request: x-amz-content-sha256'
    throw new S3Error('InvalidRequest', message, 400)
  }
  return new URLSearchParams(query).get('X-Amz-Content-Sha256') ?? UNSIGNED
}

function proofOf(payload: string, chain: ChunkChain | null): BodyProof {
  if (payload === UNSIGNED) return { kind: 'none' }
  if (SHA256.test(payload)) return { kind: 'sha256', hex: payload }
  if (payload === UNSIGNED_CHUNKS) return { kind: 'chunked', hasTrailer: true, chain: null }
  const isSigned = payload === SIGNED_CHUNKS || payload === `${SIGNED_CHUNKS}-TRAILER`
  // Nobody's chunks have nobody's signatures.
  if (isSigned && chain !== null) {
    return { kind: 'chunked', hasTrailer: payload !== SIGNED_CHUNKS, chain }
  }
  const message = `x-amz-content-sha256 must be ${KINDS} or a valid sha256 value.`
  throw new S3Error('InvalidArgument', message, 400, {
    ArgumentName: 'x-amz-content-sha256',
    ArgumentValue: payload.slice(0, SIGNED_CHUNKS.length * 2),
  })
}

function unknownKey({ accessKeyId }: Claim): S3Error {
  const message = 'The AWS Access Key Id you provided does not exist in our records.'
  return new S3Error('InvalidAccessKeyId', message, 403, { AWSAccessKeyId: accessKeyId })
}

function badToken({ sessionToken }: Claim): S3Error {
  const message = 'The provided token is malformed or otherwise invalid.'
  return new S3Error('InvalidToken', message, 400, { 'Token-0': sessionToken })
}

function endedToken({ sessionToken }: Claim): S3Error {
  const message = 'The provided token has expired.'
  return new S3Error('ExpiredToken', message, 400, { 'Token-0': sessionToken })
}

/** With all that a client's author needs to find the difference; the key is not in it. */
function mismatch(claim: Claim, text: string, canonical: Buffer): S3Error {
  const message =
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.'
  return new S3Error('SignatureDoesNotMatch', message, 403, {
    AWSAccessKeyId: claim.accessKeyId,
    StringToSign: text,
    SignatureProvided: claim.signature,
    StringToSignBytes: bytesOf(Buffer.from(text)),
    CanonicalRequest: canonical.toString('utf8'),
    CanonicalRequestBytes: bytesOf(canonical),
  })
}

function bytesOf(buffer: Buffer): string {
  return buffer.toString('hex').replaceAll(/..(?!$)/g, '$& ')
}
