// Who signed a request to S3, in S3's words when nobody did it well: Signature Version 4 in the
// Authorization header or in the query ("Authenticating Requests (AWS Signature Version 4)" of the
// S3 API reference). What covers the body is handed on, to be checked while the body passes.

import { hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { Caller } from '../../aws/handlers.ts'
import { canonicalRequest, type SignedRequest } from '../../http/canonical-request.ts'
import { ALGORITHM, hmac, type SecretOf, type SigningKeys, timeOf } from '../../http/sigv4.ts'
import type { Keys } from '../../iam/ec2-keys.ts'
import { type HowSigned, signatureKeys } from '../../iam/s3-requests.ts'
import { type Claim, readClaim } from './claim.ts'
import { S3Error } from './error.ts'
import { hexOf, identify, signatureMismatch } from './identity.ts'
import { type ClaimV2, readClaimV2, signatureV2 } from './sigv2.ts'
import { bucketOfHost } from './target.ts'

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
export type Signature = Pick<HowSigned, 'version' | 'authType'>

export interface Authenticated {
  /** Null: nobody signed. */
  readonly caller: Caller | null
  /** Likewise. */
  readonly signature: Signature | null
  readonly accessKeyId: string
  readonly proof: BodyProof
  /** What conditions of policies may ask of the signature. */
  readonly keys: Keys
}

export interface AuthenticateParts {
  readonly secretOf: SecretOf
  readonly keys: SigningKeys
  readonly region: string
  /** Whether Signature Version 2 is taken too. */
  readonly acceptsV2: boolean
  /** Names under which buckets have hosts of their own. */
  readonly domains: readonly string[]
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
  parts: AuthenticateParts,
  request: HeadOfRequest,
  nowMs: number,
): Promise<Authenticated> {
  const { secretOf, keys, region } = parts
  const old = readClaimV2(request, { isOn: parts.acceptsV2, nowMs })
  if (old !== null) return await authenticateV2(parts, request, old, nowMs)
  const claim = readClaim(request, { region, nowMs })
  const payload = payloadOf(request, claim)
  if (claim === null) {
    const proof = proofOf(payload, null)
    return { caller: null, signature: null, accessKeyId: '', proof, keys: new Map() }
  }
  const { accessKeyId, signature, date, timestamp } = claim
  const scope = `${date}/${claim.region}/${claim.service}/aws4_request`
  const signed = { ...request, payloadHash: payload }
  // Everything in it is ASCII but header values, which Node gives as Latin-1.
  const canonical = Buffer.from(canonicalRequest(signed, claim.signedHeaders, true), 'latin1')
  const text = `${ALGORITHM}\n${timestamp}\n${scope}\n${hash('sha256', canonical)}`
  let chain: ChunkChain | null = null
  const sent = {
    isRight: (secret: string) => {
      const key = keys.get(secret, claim)
      chain = { key, timestamp, scope, seed: signature }
      return timingSafeEqual(hmac(key, text), Buffer.from(signature, 'hex'))
    },
    mismatch: () => signatureMismatch(accessKeyId, { text, signature }, canonicalFields(canonical)),
  }
  const caller = await identify(secretOf, claim, sent, nowMs)
  const authType = claim.expires === null ? 'AuthHeader' : 'QueryString'
  const how = { version: 'SigV4', authType } as const
  const isPresigned = claim.expires !== null
  const conditions = signatureKeys({
    ...how,
    ageMs: isPresigned ? nowMs - (timeOf(timestamp) ?? nowMs) : null,
    payload: isPresigned ? null : payload,
  })
  return { caller, signature: how, accessKeyId, proof: proofOf(payload, chain), keys: conditions }
}

async function authenticateV2(
  { secretOf, domains }: AuthenticateParts,
  request: HeadOfRequest,
  claim: ClaimV2,
  nowMs: number,
): Promise<Authenticated> {
  const { accessKeyId, authType } = claim
  const inHost = bucketOfHost(request.headers.get('host')?.[0] ?? '', domains)
  const caller = await identify(secretOf, claim, signatureV2(claim, request, inHost), nowMs)
  const payload = request.headers.get('x-amz-content-sha256')?.[0] ?? UNSIGNED
  const signature = { version: 'SigV2', authType } as const
  const ageMs = authType === 'QueryString' ? 0 : null
  const keys = signatureKeys({ ...signature, ageMs, payload: null })
  return { caller, signature, accessKeyId, proof: proofOf(payload, null), keys }
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

/** What was signed, as it was understood here. */
function canonicalFields(canonical: Buffer): Record<string, string> {
  return {
    CanonicalRequest: canonical.toString('utf8'),
    CanonicalRequestBytes: hexOf(canonical),
  }
}
