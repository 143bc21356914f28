// Signature Version 2, for clients that know no other: in the header and in the query ("Signing and
// authenticating REST requests (AWS signature version 2)" of the S3 user guide). It covers neither
// the body nor most of the query, so it is there only where the operator wants it.

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { SignedRequest } from '../../http/canonical-request.ts'
import { MAX_SKEW_MS } from '../../http/sigv4.ts'
import { S3Error } from './error.ts'
import { type ClaimedKey, type SentSignature, signatureMismatch } from './identity.ts'
import { isoSecond, parseQuery, skewed } from './values.ts'

type HeadOfRequest = Omit<SignedRequest, 'payloadHash'>

export interface ClaimV2 extends ClaimedKey {
  /** Base64, as it was sent. */
  readonly signature: string
  /** The fourth line: a date, nothing where `x-amz-date` has it, or when it ends. */
  readonly date: string
  readonly authType: 'AuthHeader' | 'QueryString'
}

const HEADER = /^AWS (\w{1,128}):([A-Za-z0-9+/]{27}=)$/
const SIGNATURE = /^[A-Za-z0-9+/]{27}=$/
const KEY = /^\w{1,128}$/
const BUCKET_PATH = /^\/[^/]+$/
const SECONDS = /^\d{1,12}$/
const TOKEN = 'x-amz-security-token'
/** Parameters that are signed, with their values decoded. */
const SIGNED: ReadonlySet<string> = new Set([
  ...['accelerate', 'acl', 'analytics', 'cors', 'delete', 'inventory', 'lifecycle', 'location'],
  ...['logging', 'metrics', 'notification', 'object-lock', 'partNumber', 'policy', 'replication'],
  ...['requestPayment', 'restore', 'select', 'select-type', 'storageClass', 'tagging', 'torrent'],
  ...['uploadId', 'uploads', 'versionId', 'versioning', 'versions', 'website'],
  ...['response-cache-control', 'response-content-disposition', 'response-content-encoding'],
  ...['response-content-language', 'response-content-type', 'response-expires'],
])
/** Those that are not, and may be there all the same: they choose among what a list shows. */
const UNSIGNED: ReadonlySet<string> = new Set([
  ...['AWSAccessKeyId', 'Expires', 'Signature', TOKEN, 'x-id'],
  ...['continuation-token', 'delimiter', 'encoding-type', 'fetch-owner', 'key-marker'],
  ...['list-type', 'marker', 'max-keys', 'max-parts', 'max-uploads', 'part-number-marker'],
  ...['prefix', 'start-after', 'upload-id-marker', 'version-id-marker'],
])

/** Null: it is signed in another way, or not at all. Throws S3Error. */
export function readClaimV2(
  { headers, query }: HeadOfRequest,
  here: { readonly isOn: boolean; readonly nowMs: number },
): ClaimV2 | null {
  const [authorization = '', ...more] = headers.get('authorization') ?? []
  const isInHeader = authorization.startsWith('AWS ')
  const parameters = isInHeader ? new Map<string, string>() : parseQuery(query)
  const isInQuery = parameters.has('AWSAccessKeyId') && parameters.has('Signature')
  if (!isInHeader && (!isInQuery || authorization !== '')) return null
  // Refused by its own name, not taken for nobody's request.
  if (!here.isOn) throw notSupported()
  if (isInQuery) return fromQuery(parameters, headers, here.nowMs)
  const [, accessKeyId = '', signature = ''] = HEADER.exec(authorization) ?? []
  if (accessKeyId === '' || more.length > 0) {
    const message = 'AWS authorization header is invalid.  Expected AwsAccessKeyId:signature'
    throw new S3Error('InvalidArgument', message, 400, {
      ArgumentName: 'Authorization',
      ArgumentValue: authorization.slice(0, 200),
    })
  }
  const [inDate = ''] = headers.get('date') ?? []
  const inHeader = headers.get('x-amz-date')?.[0]
  checkTime(inHeader ?? inDate, here.nowMs)
  const date = inHeader === undefined ? inDate : ''
  const [sessionToken = ''] = headers.get(TOKEN) ?? []
  return { accessKeyId, sessionToken, signature, date, authType: 'AuthHeader' }
}

/** What was sent, made again: with the bucket of the host, when it is not in the path. */
export function signatureV2(
  { accessKeyId, signature, date }: ClaimV2,
  request: HeadOfRequest,
  bucketOfHost: string | null,
): SentSignature {
  // Everything in it is bytes, which Node gives as Latin-1.
  const bytesFor = (path: string): Buffer =>
    Buffer.from(textToSign({ ...request, path }, date, bucketOfHost), 'latin1')
  const bytes = bytesFor(request.path)
  // A bucket is one with and without a slash behind it, and botocore signs what it does not send.
  const isBucket = bucketOfHost === null && BUCKET_PATH.test(request.path)
  const texts = isBucket ? [bytes, bytesFor(`${request.path}/`)] : [bytes]
  return {
    isRight: (secret) => texts.some((each) => isSignatureV2(secret, each, signature)),
    mismatch: () => signatureMismatch(accessKeyId, { text: bytes.toString('utf8'), signature }),
  }
}

/** Compares in constant time. `signature` is base64. */
export function isSignatureV2(secret: string, text: string | Buffer, signature: string): boolean {
  const digest = createHmac('sha1', secret).update(text).digest()
  const sent = Buffer.from(signature, 'base64')
  return sent.length === digest.length && timingSafeEqual(digest, sent)
}

export function notSupported(): S3Error {
  const message =
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.'
  return new S3Error('InvalidRequest', message, 400)
}

function fromQuery(
  parameters: ReadonlyMap<string, string>,
  headers: HeadOfRequest['headers'],
  nowMs: number,
): ClaimV2 {
  const accessKeyId = parameters.get('AWSAccessKeyId') ?? ''
  const signature = parameters.get('Signature') ?? ''
  const expires = parameters.get('Expires') ?? ''
  if (!KEY.test(accessKeyId) || !SIGNATURE.test(signature) || expires === '') {
    const message =
      'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters'
    throw denied(message)
  }
  if (!SECONDS.test(expires))
    throw denied(`Invalid date (should be seconds since epoch): ${expires}`)
  const fields = {
    Expires: isoSecond(Number(expires) * 1000),
    ServerTime: isoSecond(nowMs),
  }
  if (nowMs > Number(expires) * 1000) throw denied('Request has expired', fields)
  const [inHeader = ''] = headers.get(TOKEN) ?? []
  const sessionToken = parameters.get(TOKEN) ?? inHeader
  return { accessKeyId, sessionToken, signature, date: expires, authType: 'QueryString' }
}

function checkTime(date: string, nowMs: number): void {
  const atMs = Date.parse(date)
  if (Number.isNaN(atMs)) {
    throw denied('AWS authentication requires a valid Date or x-amz-date header')
  }
  if (Math.abs(atMs - nowMs) > MAX_SKEW_MS) throw skewed(date, nowMs)
}

function textToSign(
  { method, path, query, headers }: HeadOfRequest,
  date: string,
  bucketOfHost: string | null,
): string {
  const parameters = parseQuery(query)
  const one = (name: string): string => headers.get(name)?.[0] ?? ''
  const ours = new Map([...headers].filter(([name]) => name.startsWith('x-amz-')))
  const token = parameters.get(TOKEN)
  if (token !== undefined && !ours.has(TOKEN)) ours.set(TOKEN, [token])
  const lines = [...ours]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, values]) => `${name}:${values.map((each) => each.trim()).join(',')}\n`)
  const bucket = bucketOfHost === null ? '' : `/${bucketOfHost}`
  const resource = `${bucket}${path}${subResource(parameters, query)}`
  const head = [method, one('content-md5'), one('content-type'), date].join('\n')
  return `${head}\n${lines.join('')}${resource}`
}

/** Throws InvalidRequest for a parameter that anybody could have put there. */
function subResource(parameters: ReadonlyMap<string, string>, query: string): string {
  const names = [...parameters.keys()]
  const other = names.find((name) => !SIGNED.has(name) && !UNSIGNED.has(name))
  if (other !== undefined) {
    const message = `Signature Version 2 does not cover the parameter ${other.slice(0, 100)}: sign with AWS4-HMAC-SHA256.`
    throw new S3Error('InvalidRequest', message, 400)
  }
  const signed = names.filter((name) => SIGNED.has(name)).sort()
  // `?acl` and `?acl=` are the same request, and each is signed as it was written.
  const pairs = signed.map((name) => {
    // Bytes of UTF-8, as headers are bytes.
    const value = Buffer.from(parameters.get(name) ?? '').toString('latin1')
    const isBare = value === '' && query.split('&').includes(name)
    return isBare ? name : `${name}=${value}`
  })
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

function denied(message: string, fields: Readonly<Record<string, string>> = {}): S3Error {
  return new S3Error('AccessDenied', message, 403, fields)
}
