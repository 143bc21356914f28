// What an object says of itself: headers that it keeps, metadata, tags, checksums; and what a
// client may ask for that this cloud does not have.

import { checkTags } from '../buckets/tagging.ts'
import type { Checksum, ObjectEntry, ObjectFields } from '../index/objects.ts'
import { notImplemented, S3Error } from '../wire/error.ts'
import { invalidArgument, REDIRECT } from '../wire/values.ts'

/** Members of the inputs that become headers of the object. */
interface Described {
  readonly CacheControl?: string | undefined
  readonly ContentDisposition?: string | undefined
  readonly ContentEncoding?: string | undefined
  readonly ContentLanguage?: string | undefined
  readonly ContentType?: string | undefined
  readonly Expires?: Date | undefined
  readonly Metadata?: Record<string, string> | undefined
  readonly Tagging?: string | undefined
  readonly WebsiteRedirectLocation?: string | undefined
}

/** Members that nothing here can fulfil. */
interface Wished {
  readonly StorageClass?: string | undefined
  readonly WriteOffsetBytes?: number | undefined
  readonly ObjectLockEventHold?: string | undefined
  readonly ObjectLockEventHoldDurationDays?: number | undefined
  readonly ObjectLockEventHoldDurationYears?: number | undefined
}

const DEFAULT_TYPE = 'binary/octet-stream'
/** Names and values together, in bytes (S3 user guide, "Working with object metadata"). */
const MAX_METADATA = 2_048
const MAX_TAGS = 10
const MAX_REDIRECT = 2_048

/** Throws MetadataTooLarge, InvalidTag, BadRequest, InvalidRedirectLocation. */
export function propertiesOf(
  input: Described,
): Pick<ObjectFields, 'headers' | 'metadata' | 'tags'> {
  const { Metadata = {}, Tagging, Expires } = input
  const headers = {
    'content-type': input.ContentType || DEFAULT_TYPE,
    ...given('cache-control', input.CacheControl),
    ...given('content-disposition', input.ContentDisposition),
    ...given('content-encoding', input.ContentEncoding),
    ...given('content-language', input.ContentLanguage),
    ...given('expires', Expires?.toUTCString()),
    ...given(REDIRECT, checkRedirect(input.WebsiteRedirectLocation)),
  }
  const bytes = Object.entries(Metadata).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  )
  if (bytes > MAX_METADATA) {
    const message = 'Your metadata headers exceed the maximum allowed metadata size'
    const fields = { Size: String(bytes), MaxSizeAllowed: String(MAX_METADATA) }
    throw new S3Error('MetadataTooLarge', message, 400, fields)
  }
  const tags = tagsIn(Tagging)
  return { headers, metadata: Metadata, ...(tags !== undefined && { tags }) }
}

/** To where a website sends whoever asks for the object. */
function checkRedirect(location: string | undefined): string | undefined {
  if (location === undefined) return undefined
  const isPlace = /^(?:https?:\/\/|\/)/.test(location)
  if (isPlace && location.length <= MAX_REDIRECT) return location
  const message = isPlace
    ? `The length of website redirect location cannot exceed ${MAX_REDIRECT} characters.`
    : "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."
  throw new S3Error('InvalidRedirectLocation', message, 400)
}

/** Throws for what would be promised and not kept. */
export function refuseWishes(input: Wished): void {
  const { StorageClass = 'STANDARD' } = input
  if (StorageClass !== 'STANDARD') {
    const message = 'The storage class you specified is not valid'
    const fields = { StorageClassRequested: StorageClass }
    throw new S3Error('InvalidStorageClass', message, 400, fields)
  }
  const { ObjectLockEventHoldDurationDays: days, ObjectLockEventHoldDurationYears: years } = input
  if (input.ObjectLockEventHold ?? days ?? years) throw notImplemented('event holds')
  if (input.WriteOffsetBytes !== undefined) throw notImplemented('appending to objects')
}

/** `a=b&c=d`, as the header x-amz-tagging has it; undefined without tags. */
function tagsIn(header: string | undefined): ObjectFields['tags'] {
  if (header === undefined || header === '') return undefined
  const list = [...new URLSearchParams(header)].map(([Key, Value]) => ({ Key, Value }))
  return objectTags(list)
}

/** Throws BadRequest for more than 10, InvalidTag. Undefined for none. */
export function objectTags(list: Parameters<typeof checkTags>[0]): ObjectFields['tags'] {
  if (list.length > MAX_TAGS) {
    throw new S3Error('BadRequest', `Object tags cannot be greater than ${MAX_TAGS}`, 400)
  }
  const tags = checkTags(list)
  return Object.keys(tags).length === 0 ? undefined : tags
}

/** The kept headers as members of an output. */
export function described({ headers, metadata }: Pick<ObjectFields, 'headers' | 'metadata'>) {
  const expires = headers['expires']
  return {
    ...given('CacheControl', headers['cache-control']),
    ...given('ContentDisposition', headers['content-disposition']),
    ...given('ContentEncoding', headers['content-encoding']),
    ...given('ContentLanguage', headers['content-language']),
    ...given('ContentType', headers['content-type']),
    ...(expires !== undefined && { Expires: new Date(expires) }),
    ...given('WebsiteRedirectLocation', headers[REDIRECT]),
    ...(Object.keys(metadata).length > 0 && { Metadata: { ...metadata } }),
  }
}

/** A checksum as members of an output: `ChecksumCRC32`, and its type. */
export function shownChecksum(checksum: Checksum | undefined): Record<string, string> {
  if (checksum === undefined) return {}
  const { algorithm, type, base64 } = checksum
  return { [`Checksum${algorithm}`]: base64, ChecksumType: type }
}

/** The algorithm of a `x-amz-checksum-algorithm` header. Throws InvalidRequest. */
export function algorithmNamed(name: string | undefined): Checksum['algorithm'] | undefined {
  if (name === undefined) return undefined
  const algorithms = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const
  const found = algorithms.find((each) => each === name.toUpperCase())
  if (found !== undefined) return found
  throw invalidArgument(
    'x-amz-checksum-algorithm',
    name,
    'Checksum algorithm provided is unsupported.',
  )
}

export function tagCount({ tags }: Pick<ObjectEntry, 'tags'>): number | undefined {
  return tags === undefined ? undefined : Object.keys(tags).length
}

function given<N extends string>(name: N, value: string | undefined): Partial<Record<N, string>> {
  return value === undefined ? {} : ({ [name]: value } as Record<N, string>)
}
