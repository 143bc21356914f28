// One request as a line of an access log (S3 user guide, "Amazon S3 server access log format"):
// fields with spaces between, `-` for what is not known.

import type { BucketRecord } from '../../store/bucket-records.ts'
import { canonicalId } from '../buckets/bucket.ts'
import type { Served } from '../wire/served.ts'
import { pathOf } from '../wire/values.ts'

const NONE = '-'
const MONTHS = [
  ...['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun'],
  ...['Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
]
/** Bytes of one field; a head may have 32 KiB. */
const MAX_FIELD = 8_192
/** What would end a field, or the line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to find
const UNFIT = /[\x00-\x1f"\x7f-\uffff]/g

/** What an operation is about, in the words of access logs; the first that fits counts. */
const RESOURCES: readonly (readonly [RegExp, string])[] = [
  [/^(?:PutObject|GetObject|HeadObject|DeleteObject|CopyObject)$/, 'OBJECT'],
  [/ObjectTagging$/, 'OBJECT_TAGGING'],
  [/Tagging$/, 'TAGGING'],
  [/Acl$/, 'ACL'],
  [/^UploadPart/, 'PART'],
  [/^(?:Create|List)MultipartUpload/, 'UPLOADS'],
  [/^(?:Complete|Abort)MultipartUpload$|^ListParts$/, 'UPLOAD'],
  [/^DeleteObjects$/, 'MULTI_OBJECT_DELETE'],
  [/^ListObjectVersions$/, 'BUCKETVERSIONS'],
  [/Versioning$/, 'VERSIONING'],
  [/Location$/, 'LOCATION'],
  [/Logging$/, 'LOGGING_STATUS'],
  [/NotificationConfiguration$/, 'NOTIFICATION'],
  [/PolicyStatus$/, 'POLICY_STATUS'],
  [/Policy$/, 'BUCKETPOLICY'],
  [/Cors$/, 'CORS'],
  [/Lifecycle/, 'LIFECYCLE'],
  [/Website$/, 'WEBSITE'],
  [/Replication$/, 'REPLICATION'],
  [/Encryption$/, 'ENCRYPTION'],
  [/PublicAccessBlock$/, 'PUBLIC_ACCESS_BLOCK'],
  [/OwnershipControls$/, 'OWNERSHIP_CONTROLS'],
  [/RequestPayment$/, 'REQUEST_PAYMENT'],
  [/Accelerate/, 'ACCELERATE'],
  [/LockConfiguration$/, 'OBJECT_LOCK_CONFIGURATION'],
  [/Retention$/, 'OBJECT_LOCK_RETENTION'],
  [/LegalHold$/, 'OBJECT_LOCK_LEGALHOLD'],
  [/Attributes$/, 'OBJECT_ATTRIBUTES'],
]

/** Without an end of line. */
export function logLine({ name, account }: BucketRecord, served: Served): string {
  const { key, url, method, httpVersion, tls, signature } = served
  return [
    canonicalId(account),
    name,
    timeOf(served.startedAtMs),
    served.sourceIp || NONE,
    requesterOf(served),
    served.requestId,
    operationOf(served),
    key === null || key === '' ? NONE : plain(pathOf(key.toWellFormed())),
    quoted(`${method} ${url} HTTP/${httpVersion}`),
    String(served.status),
    served.errorCode ?? NONE,
    served.sentBytes === 0 ? NONE : String(served.sentBytes),
    served.objectBytes === null ? NONE : String(served.objectBytes),
    String(served.totalMs),
    served.turnAroundMs === 0 ? NONE : String(served.turnAroundMs),
    quoted(served.referer ?? NONE),
    quoted(served.userAgent ?? NONE),
    plain(served.versionId ?? NONE).replaceAll(' ', '%20'),
    served.hostId,
    signature?.version ?? NONE,
    tls?.cipher || NONE,
    signature?.authType ?? NONE,
    plain(served.host ?? NONE).replaceAll(' ', '%20'),
    tls?.version.toUpperCase() || NONE,
    // There are no access points.
    NONE,
    served.aclRequired ? 'Yes' : NONE,
  ].join(' ')
}

/** `[06/Feb/2019:00:00:38 +0000]` */
function timeOf(ms: number): string {
  const [date = '', time = ''] = new Date(ms).toISOString().split('T')
  const [year, month, day] = date.split('-')
  return `[${day}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000]`
}

/** Root is its account; users and sessions are told by their ARNs. */
function requesterOf({ requester }: Served): string {
  if (requester === null) return NONE
  const { account, userArn } = requester
  return userArn.endsWith(':root') ? canonicalId(account) : userArn
}

function operationOf({ operation, method, key }: Served): string {
  if (method === 'OPTIONS') return 'REST.OPTIONS.PREFLIGHT'
  const found = RESOURCES.find(([pattern]) => pattern.test(operation))
  const resource = found?.[1] ?? (key === null ? 'BUCKET' : 'OBJECT')
  return `REST.${/Copy/.test(operation) ? 'COPY' : method}.${resource}`
}

function quoted(text: string): string {
  return `"${plain(text)}"`
}

/** Clients choose these texts: none of them may look like more than one field. */
function plain(text: string): string {
  return text
    .toWellFormed()
    .slice(0, MAX_FIELD)
    .replaceAll(UNFIT, (character) => encodeURIComponent(character.toWellFormed()))
}
