// A lifecycle rule as clients write it: checked as S3 does, kept, and shown again as it was (S3 API
// reference, "PutBucketLifecycleConfiguration").

import type { LifecycleRule } from '../../store/bucket-records.ts'
import type { S3Inputs } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { malformed } from '../wire/xml.ts'
import { checkTags } from './tagging.ts'

type Configuration = NonNullable<
  S3Inputs['PutBucketLifecycleConfiguration']['LifecycleConfiguration']
>
type Asked = NonNullable<Configuration['Rules']>[number]
type Filter = Pick<
  LifecycleRule,
  'form' | 'prefix' | 'tags' | 'largerThanBytes' | 'smallerThanBytes'
>
/** Of a filter's conditions, or of the filter that has one alone. */
interface Conditions {
  readonly Prefix?: string | undefined
  readonly Tags?: Parameters<typeof checkTags>[0] | undefined
  readonly ObjectSizeGreaterThan?: number | undefined
  readonly ObjectSizeLessThan?: number | undefined
}

const MAX_RULES = 1_000
const MAX_ID = 255
const MAX_PREFIX_BYTES = 1_024
const MAX_DAYS = 2 ** 31 - 1
const MAX_KEPT = 100
const MAX_SIZE_BYTES = 1_000 * 2 ** 40
const MIDNIGHT_MS = 24 * 60 * 60_000
/** Of all rules, as JSON: every gateway holds them in memory. */
const MAX_BYTES = 256 << 10

/** Throws MalformedXML, InvalidArgument, InvalidRequest, InvalidStorageClass. */
export function checkRules(asked: readonly Asked[], freshId: () => string): LifecycleRule[] {
  if (asked.length === 0 || asked.length > MAX_RULES) throw malformed()
  if (asked.some(isOld) && !asked.every(isOld)) {
    throw invalid('Filter element can only be used in Lifecycle V2.')
  }
  const rules = asked.map((rule) => checkRule(rule, freshId))
  const ids = new Set<string>()
  for (const { id } of rules) {
    if (ids.has(id)) {
      const message = 'Rule ID must be unique. Found same ID for more than one rule'
      throw invalidArgument('ID', id, message)
    }
    ids.add(id)
  }
  const bytes = Buffer.byteLength(JSON.stringify(rules))
  if (bytes <= MAX_BYTES) return rules
  throw invalid(`The rules of a bucket have ${MAX_BYTES} bytes at most here, these have ${bytes}.`)
}

/** As it was put. */
export function shownRule(rule: LifecycleRule): Asked {
  const { id: ID, isEnabled, form, prefix, expiration, noncurrent, abortDays } = rule
  return {
    ...(expiration !== undefined && { Expiration: shownExpiration(expiration) }),
    ID,
    ...(form === 'prefix' ? { Prefix: prefix ?? '' } : { Filter: shownFilter(rule) }),
    Status: isEnabled ? 'Enabled' : 'Disabled',
    ...(noncurrent !== undefined && {
      NoncurrentVersionExpiration: {
        NoncurrentDays: noncurrent.days,
        ...(noncurrent.keep !== undefined && { NewerNoncurrentVersions: noncurrent.keep }),
      },
    }),
    ...(abortDays !== undefined && {
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: abortDays },
    }),
  }
}

function isOld({ Prefix, Filter }: Asked): boolean {
  return Prefix !== undefined && Filter === undefined
}

function checkRule(asked: Asked, freshId: () => string): LifecycleRule {
  const { ID, Status, Transitions = [], NoncurrentVersionTransitions = [] } = asked
  const id = ID === undefined || ID === '' ? freshId() : ID
  if ([...id].length > MAX_ID) {
    throw invalidArgument('ID', id, `ID length should not exceed allowed limit of ${MAX_ID}`)
  }
  const [transition] = [...Transitions, ...NoncurrentVersionTransitions]
  if (transition !== undefined) throw noStorageClass(transition.StorageClass ?? '')
  const filter = filterOf(asked)
  const { AbortIncompleteMultipartUpload: abort } = asked
  const abortDays =
    abort &&
    days('DaysAfterInitiation', 'AbortIncompleteMultipartUpload', abort.DaysAfterInitiation)
  const expiration = asked.Expiration && expirationOf(asked.Expiration)
  const noncurrent =
    asked.NoncurrentVersionExpiration && noncurrentOf(asked.NoncurrentVersionExpiration)
  if (expiration === undefined && noncurrent === undefined && abortDays === undefined) {
    throw invalid('At least one action needs to be specified in a rule')
  }
  if (abortDays !== undefined) mustMeanAll('AbortIncompleteMultipartUpload', filter)
  if (expiration?.markers === true) mustMeanAll('ExpiredObjectDeleteMarker', filter)
  return {
    ...{ id, isEnabled: Status === 'Enabled', ...filter },
    ...(expiration !== undefined && { expiration }),
    ...(noncurrent !== undefined && { noncurrent }),
    ...(abortDays !== undefined && { abortDays }),
  }
}

function filterOf({ Prefix, Filter: filter }: Asked): Filter {
  if ((Prefix === undefined) === (filter === undefined)) throw malformed()
  if (filter === undefined) return { form: 'prefix', ...conditionsOf({ Prefix }) }
  const { And, Tag, ...rest } = filter
  const given = Object.values(filter).filter((each) => each !== undefined)
  if (given.length > 1) throw malformed()
  if (And === undefined) {
    return { form: 'filter', ...conditionsOf({ ...rest, ...(Tag && { Tags: [Tag] }) }) }
  }
  if (Object.values(And).every((each) => each === undefined)) throw malformed()
  return { form: 'and', ...conditionsOf(And) }
}

function conditionsOf(conditions: Conditions): Omit<Filter, 'form'> {
  const { Prefix: prefix, Tags = [] } = conditions
  const { ObjectSizeGreaterThan: larger, ObjectSizeLessThan: smaller } = conditions
  if (prefix !== undefined && Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) {
    throw invalid(`The maximum size of a prefix is ${MAX_PREFIX_BYTES}.`)
  }
  checkSize('ObjectSizeGreaterThan', larger, 0)
  checkSize('ObjectSizeLessThan', smaller, 1)
  if (larger !== undefined && smaller !== undefined && larger >= smaller) {
    throw invalid("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
  }
  const keys = Tags.map(({ Key }) => Key)
  if (new Set(keys).size < keys.length) throw invalid('Duplicate Tag Keys are not allowed.')
  const tags = checkTags(Tags)
  return {
    ...(prefix !== undefined && { prefix }),
    ...(Tags.length > 0 && { tags }),
    ...(larger !== undefined && { largerThanBytes: larger }),
    ...(smaller !== undefined && { smallerThanBytes: smaller }),
  }
}

function checkSize(name: string, size: number | undefined, min: number): void {
  if (size === undefined || (size >= min && size <= MAX_SIZE_BYTES)) return
  throw invalid(`'${name}' should be between ${min} and ${MAX_SIZE_BYTES}.`)
}

function expirationOf({
  Date: date,
  Days,
  ExpiredObjectDeleteMarker: markers,
}: NonNullable<Asked['Expiration']>): NonNullable<LifecycleRule['expiration']> {
  const given = [date, Days, markers === false ? undefined : markers]
  const count = given.filter((each) => each !== undefined).length
  if (count > 1 || (count === 0 && markers === undefined)) throw malformed()
  if (Days !== undefined) return { days: days('Days', 'Expiration', Days) }
  if (date === undefined) return { markers: markers === true }
  if (date.getTime() % MIDNIGHT_MS === 0) return { dateMs: date.getTime() }
  throw invalidArgument('Date', date.toISOString(), "'Date' must be at midnight GMT")
}

function noncurrentOf({
  NoncurrentDays,
  NewerNoncurrentVersions: keep,
}: NonNullable<Asked['NoncurrentVersionExpiration']>): NonNullable<LifecycleRule['noncurrent']> {
  if (keep !== undefined && (keep < 1 || keep > MAX_KEPT)) {
    const message = `'NewerNoncurrentVersions' must be a positive integer up to ${MAX_KEPT}`
    throw invalidArgument('NewerNoncurrentVersions', String(keep), message)
  }
  return {
    days: days('NoncurrentDays', 'NoncurrentVersionExpiration', NoncurrentDays),
    ...(keep !== undefined && { keep }),
  }
}

function days(name: string, action: string, value: number | undefined): number {
  if (value === undefined) throw malformed()
  if (value > 0 && value <= MAX_DAYS) return value
  const message = `'${name}' for ${action} action must be a positive integer`
  throw invalidArgument(name, String(value), message)
}

/** What has neither tags nor a size cannot be chosen by them. */
function mustMeanAll(action: string, filter: Filter): void {
  if (filter.tags !== undefined) throw invalid(`${action} cannot be specified with Tags.`)
  if (filter.largerThanBytes === undefined && filter.smallerThanBytes === undefined) return
  throw invalid(`${action} cannot be specified with Object Size.`)
}

function shownExpiration({
  days: Days,
  dateMs,
  markers,
}: NonNullable<LifecycleRule['expiration']>) {
  return {
    ...(dateMs !== undefined && { Date: new Date(dateMs) }),
    ...(Days !== undefined && { Days }),
    ...(markers !== undefined && { ExpiredObjectDeleteMarker: markers }),
  }
}

function shownFilter({
  form,
  prefix,
  tags = {},
  largerThanBytes,
  smallerThanBytes,
}: LifecycleRule): NonNullable<Asked['Filter']> {
  const list = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
  const [Tag] = list
  const conditions = {
    ...(prefix !== undefined && { Prefix: prefix }),
    ...(largerThanBytes !== undefined && { ObjectSizeGreaterThan: largerThanBytes }),
    ...(smallerThanBytes !== undefined && { ObjectSizeLessThan: smallerThanBytes }),
  }
  if (form === 'and') return { And: { ...conditions, ...(list.length > 0 && { Tags: list }) } }
  return { ...conditions, ...(Tag !== undefined && { Tag }) }
}

function noStorageClass(StorageClassRequested: string): S3Error {
  const message = 'The storage class you specified is not valid'
  return new S3Error('InvalidStorageClass', message, 400, { StorageClassRequested })
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidRequest', message, 400)
}
