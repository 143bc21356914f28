// Signatures with each part wrong in turn. `change` has the last word on headers that were signed.
// STS and IAM have the codes of the Query protocol, EC2 its own.

import type { ServiceName } from '../../../gateway/aws/model.ts'
import type { Wish } from '../http/sign.ts'

type Headers = Readonly<Record<string, string>>

export interface BadSignature {
  readonly what: string
  readonly wish: Wish
  readonly change: (headers: Headers) => Headers
  readonly code: string
  readonly status: number
}

type Row = readonly [what: string, wish: Wish, code: string, status: number]
type Changed = readonly [what: string, from: RegExp, to: string, code: string, status: number]

const MINUTE_MS = 60_000
const OLD = 'AKIANOBODY0000000000'
const STS = { service: 'sts', body: 'Action=GetCallerIdentity&Version=2011-06-15' }
const IAM = { service: 'iam', body: 'Action=ListUsers&Version=2010-05-08' }

/** Times are from now. */
const SIGNED: readonly Row[] = [
  ['an unknown key', { accessKeyId: OLD }, 'AuthFailure', 401],
  ['another secret', { secret: 'wrong' }, 'SignatureDoesNotMatch', 403],
  ['an empty secret', { secret: '' }, 'SignatureDoesNotMatch', 403],
  ['another region', { region: 'us-east-1' }, 'AuthFailure', 401],
  ['a service that is not here', { service: 's3' }, 'AuthFailure', 401],
  ['a scope of yesterday', { scopeDate: '20200101' }, 'SignatureDoesNotMatch', 403],
  ['a scope that is no date', { scopeDate: 'today' }, 'IncompleteSignature', 400],
  ['16 minutes late', { atMs: -16 * MINUTE_MS }, 'RequestExpired', 400],
  ['16 minutes early', { atMs: 16 * MINUTE_MS }, 'RequestExpired', 400],
  ['a year late', { atMs: -525_600 * MINUTE_MS }, 'RequestExpired', 400],
  ['host not signed', { signedHeaders: ['x-amz-date'] }, 'IncompleteSignature', 400],
  ['a session that is none', { headers: { 'x-amz-security-token': 'x' } }, 'AuthFailure', 401],
  ['STS: an unknown key', { ...STS, accessKeyId: OLD }, 'InvalidClientTokenId', 403],
  ['STS: another secret', { ...STS, secret: 'wrong' }, 'SignatureDoesNotMatch', 403],
  ['STS: another region', { ...STS, region: 'eu-west-1' }, 'SignatureDoesNotMatch', 403],
  ['STS: 16 minutes late', { ...STS, atMs: -16 * MINUTE_MS }, 'SignatureDoesNotMatch', 403],
  ['STS: 16 minutes early', { ...STS, atMs: 16 * MINUTE_MS }, 'SignatureDoesNotMatch', 403],
  [
    'STS: a session that is none',
    { ...STS, headers: { 'x-amz-security-token': 'x' } },
    'InvalidClientTokenId',
    403,
  ],
  ['IAM: an unknown key', { ...IAM, accessKeyId: OLD }, 'InvalidClientTokenId', 403],
  ['IAM: another secret', { ...IAM, secret: 'wrong' }, 'SignatureDoesNotMatch', 403],
  ['IAM: another region', { ...IAM, region: 'eu-west-1' }, 'SignatureDoesNotMatch', 403],
  [
    'a presigned URL of nothing else',
    { method: 'GET', query: 'X-Amz-Algorithm=AWS4-HMAC-SHA256' },
    'IncompleteSignature',
    400,
  ],
]

const CHANGED: readonly Changed[] = [
  ['no authorization', /^.*$/, '', 'MissingAuthenticationToken', 403],
  [
    'the algorithm of S3',
    /^AWS4-HMAC-SHA256/,
    'AWS4-ECDSA-P256-SHA256',
    'IncompleteSignature',
    400,
  ],
  ['the algorithm of 2006', /^AWS4-HMAC-SHA256.*/, 'AWS key:abc', 'IncompleteSignature', 400],
  ['a password', /^.*$/, 'Basic dXNlcjpwYXNz', 'IncompleteSignature', 400],
  ['no credential', /Credential=[^,]*, /, '', 'IncompleteSignature', 400],
  ['an empty credential', /Credential=[^,]*/, 'Credential=', 'IncompleteSignature', 400],
  ['a credential of two parts', /Credential=[^,]*/, 'Credential=a/b', 'IncompleteSignature', 400],
  ['another end of the scope', /aws4_request/, 'aws3_request', 'IncompleteSignature', 400],
  ['no signed headers', /SignedHeaders=[^,]*, /, '', 'IncompleteSignature', 400],
  ['an empty list of headers', /SignedHeaders=[^,]*/, 'SignedHeaders=', 'IncompleteSignature', 400],
  ['other signed headers', /x-amz-date,/, 'x-amz-date;x-note,', 'SignatureDoesNotMatch', 403],
  ['no signature', /, Signature=.*/, '', 'IncompleteSignature', 400],
  ['an empty signature', /Signature=.*/, 'Signature=', 'IncompleteSignature', 400],
  ['half a signature', /(Signature=.{32}).*/, '$1', 'IncompleteSignature', 400],
  [
    'a signature that is no hex',
    /Signature=.{8}/,
    'Signature=nonsense',
    'IncompleteSignature',
    400,
  ],
  [
    'a signature of zeros',
    /Signature=.*/,
    `Signature=${'0'.repeat(64)}`,
    'SignatureDoesNotMatch',
    403,
  ],
  ['a signature twice', /(Signature=.*)/, '$1, $1', 'IncompleteSignature', 400],
  ['an unknown part', /(Signature=)/, 'Colour=red, $1', 'IncompleteSignature', 400],
]

export const SIGNATURES: readonly BadSignature[] = [
  ...SIGNED.map(([what, wish, code, status]) => ({
    ...{ what, wish, code, status },
    change: (headers: Headers) => headers,
  })),
  ...CHANGED.map(([what, from, to, code, status]) => ({
    ...{ what, wish: {}, code, status },
    change: ({ authorization = '', ...rest }: Headers) => {
      const changed = authorization.replace(from, to)
      return changed === '' ? rest : { ...rest, authorization: changed }
    },
  })),
  ...(
    [
      ['no date', '', 'IncompleteSignature', 400],
      ['a date of RFC 1123', 'Thu, 26 Nov 2026 08:00:00 GMT', 'IncompleteSignature', 400],
      ['the 31st of February', '20260231T000000Z', 'IncompleteSignature', 400],
      ['a date of the day alone', '20261126', 'IncompleteSignature', 400],
    ] as const
  ).map(([what, date, code, status]) => ({
    ...{ what, wish: {}, code, status },
    change: ({ 'x-amz-date': _, ...rest }: Headers) =>
      date === '' ? rest : { ...rest, 'x-amz-date': date },
  })),
  {
    what: 'a body that was changed on the way',
    wish: { headers: { 'x-amz-content-sha256': '0'.repeat(64) } },
    change: (headers) => ({ ...headers, 'x-amz-content-sha256': 'f'.repeat(64) }),
    code: 'SignatureDoesNotMatch',
    status: 403,
  },
]

type Client = readonly [
  what: string,
  service: ServiceName,
  action: string,
  options: Readonly<Record<string, string>>,
  code: string,
  status: number,
]
const SECRET = 'aws_secret_access_key'

/** Of boto3's clients, which can be wrong in what they are given only. */
export const CLIENTS: readonly Client[] = [
  [
    ...(['an unknown key', 'ec2', 'DescribeRegions'] as const),
    ...([{ aws_access_key_id: OLD, [SECRET]: 'x' }, 'AuthFailure', 401] as const),
  ],
  [
    ...(['an unknown key', 'sts', 'GetCallerIdentity'] as const),
    ...([{ aws_access_key_id: OLD, [SECRET]: 'x' }, 'InvalidClientTokenId', 403] as const),
  ],
  [
    ...(['an unknown key', 'iam', 'ListUsers'] as const),
    ...([{ aws_access_key_id: OLD, [SECRET]: 'x' }, 'InvalidClientTokenId', 403] as const),
  ],
  [
    ...(['another region', 'ec2', 'DescribeRegions', { region_name: 'eu-west-1' }] as const),
    ...(['AuthFailure', 401] as const),
  ],
  [
    ...(['another region', 'sts', 'GetCallerIdentity', { region_name: 'eu-west-1' }] as const),
    ...(['SignatureDoesNotMatch', 403] as const),
  ],
]
