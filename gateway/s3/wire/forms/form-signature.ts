// Who signed a form: the policy in it is what is signed, as the base64 that was sent (S3 API
// reference, "Authenticating Requests: Browser-Based Uploads Using POST").

import { timingSafeEqual } from 'node:crypto'
import {
  ALGORITHM,
  CREDENTIAL,
  hmac,
  MAX_LIFETIME_SECONDS,
  MAX_SKEW_MS,
  timeOf,
} from '../../../http/sigv4.ts'
import { type HowSigned, signatureKeys } from '../../../iam/s3-requests.ts'
import type { Authenticated, AuthenticateParts } from '../authenticate.ts'
import { S3Error } from '../error.ts'
import { identify, signatureMismatch } from '../identity.ts'
import { isSignatureV2, notSupported } from '../sigv2.ts'
import { invalidArgument } from '../values.ts'

type Fields = ReadonlyMap<string, string>

/** As S3 names the fields when one is missing. */
const NEEDED = ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Signature', 'Policy']
const NEEDED_V2 = ['AWSAccessKeyId', 'Signature', 'Policy']
const SIGNATURE = /^[0-9a-f]{64}$/
const UNSIGNED = { kind: 'none' } as const

/** Throws S3Error; nobody signed a form that has none of a signature's fields. */
export async function authenticateForm(
  parts: AuthenticateParts,
  fields: Fields,
  nowMs: number,
): Promise<Authenticated> {
  const has = (name: string): boolean => name !== 'Policy' && fields.has(name.toLowerCase())
  if (NEEDED.some(has)) return await version4(parts, fields, nowMs)
  if (NEEDED_V2.some(has)) return await version2(parts, fields, nowMs)
  return { caller: null, signature: null, accessKeyId: '', proof: UNSIGNED, keys: new Map() }
}

async function version4(
  { secretOf, keys, region: here }: AuthenticateParts,
  fields: Fields,
  nowMs: number,
): Promise<Authenticated> {
  const [algorithm, credential, timestamp, signature, policy] = NEEDED.map((name) =>
    needed(fields, name),
  ) as [string, string, string, string, string]
  const wrong = (name: string, value: string, why: string): S3Error =>
    invalidArgument(name, value, why)
  if (algorithm !== ALGORITHM) {
    throw wrong('X-Amz-Algorithm', algorithm, `X-Amz-Algorithm only supports "${ALGORITHM}"`)
  }
  const [, accessKeyId = '', date = '', region = '', service = ''] =
    CREDENTIAL.exec(credential) ?? []
  if (accessKeyId === '') {
    const expected = '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"'
    const why = `the Credential is mal-formed; expecting ${expected}.`
    throw wrong('X-Amz-Credential', credential, why)
  }
  if (region !== here) {
    const why = `the region '${region}' is wrong; expecting '${here}'`
    const about = { ArgumentName: 'X-Amz-Credential', ArgumentValue: credential, Region: here }
    throw new S3Error('InvalidArgument', why, 400, about)
  }
  if (service !== 's3') {
    const why = `incorrect service "${service}". This endpoint belongs to "s3".`
    throw wrong('X-Amz-Credential', credential, why)
  }
  const signedAtMs = checkDate(timestamp, date, nowMs)
  const text = policy
  const sent = {
    isRight: (secret: string) => {
      const digest = hmac(keys.get(secret, { date, region, service }), text)
      return SIGNATURE.test(signature) && timingSafeEqual(digest, Buffer.from(signature, 'hex'))
    },
    mismatch: () => signatureMismatch(accessKeyId, { text, signature }),
  }
  const key = { accessKeyId, sessionToken: fields.get('x-amz-security-token') ?? '' }
  const caller = await identify(secretOf, key, sent, nowMs)
  return signedBy('SigV4', { caller, accessKeyId, ageMs: nowMs - signedAtMs })
}

async function version2(
  { secretOf, acceptsV2 }: AuthenticateParts,
  fields: Fields,
  nowMs: number,
): Promise<Authenticated> {
  if (!acceptsV2) throw notSupported()
  const [accessKeyId, signature, text] = NEEDED_V2.map((name) => needed(fields, name)) as [
    string,
    string,
    string,
  ]
  const sent = {
    isRight: (secret: string) => isSignatureV2(secret, text, signature),
    mismatch: () => signatureMismatch(accessKeyId, { text, signature }),
  }
  const key = { accessKeyId, sessionToken: fields.get('x-amz-security-token') ?? '' }
  const caller = await identify(secretOf, key, sent, nowMs)
  return signedBy('SigV2', { caller, accessKeyId, ageMs: 0 })
}

function signedBy(
  version: HowSigned['version'],
  { caller, accessKeyId, ageMs }: Pick<Authenticated, 'caller' | 'accessKeyId'> & { ageMs: number },
): Authenticated {
  const signature = { version, authType: 'POST' } as const
  const keys = signatureKeys({ ...signature, ageMs, payload: null })
  return { caller, accessKeyId, signature, proof: UNSIGNED, keys }
}

/** When it was signed. A signing key is good for a week, whatever the policy says. */
function checkDate(timestamp: string, date: string, nowMs: number): number {
  const atMs = timeOf(timestamp)
  if (atMs === null) {
    const why = 'X-Amz-Date must be formated via ISO8601 Long format'
    throw invalidArgument('X-Amz-Date', timestamp, why)
  }
  if (!timestamp.startsWith(date)) {
    const other = timestamp.slice(0, date.length)
    const why = `Invalid credential date "${date}". This date is not the same as X-Amz-Date: "${other}".`
    throw invalidArgument('X-Amz-Date', timestamp, why)
  }
  if (nowMs <= atMs + MAX_LIFETIME_SECONDS * 1000 && atMs <= nowMs + MAX_SKEW_MS) return atMs
  throw new S3Error('AccessDenied', 'Invalid according to Policy: Policy expired.', 403)
}

function needed(fields: Fields, name: string): string {
  const value = fields.get(name.toLowerCase())
  if (value !== undefined && value !== '') return value
  throw missingField(name)
}

/** Fields behind the file do not count. */
export function missingField(name: string): S3Error {
  const message = `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`
  return invalidArgument(name, '', message)
}
