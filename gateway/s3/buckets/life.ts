// Buckets come and go: made under a name that is free in the whole cloud, listed, deleted when
// there is nothing in them.

import type { RandomHex } from '../../../common/clock.ts'
import { type Code, codeOf, MalleeError } from '../../../common/errors.ts'
import { quotaOf } from '../../ec2/quotas.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import { newBucketAcl } from '../acl/asked.ts'
import type { S3Call, S3Handlers, S3Inputs } from '../wire/call.ts'
import { notImplemented, S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { type BucketParts, bucketNow, bucketOf, canonicalId } from './bucket.ts'
import { locationShown, placeOf } from './location.ts'
import { ALL_BLOCKED } from './public-access.ts'
import { checkTags } from './tagging.ts'

/** What is in buckets, by their ids. */
export interface BucketContents {
  /**
   * Closes an empty bucket for good: no write that was under way comes after it. False when it is
   * not empty; it stays open then.
   */
  readonly retire: (bucket: string) => Promise<boolean>
  /** Opens a retired bucket whose record could not be deleted. */
  readonly reopen: (bucket: string) => Promise<void>
}

export interface LifeParts extends BucketParts {
  readonly randomHex: RandomHex
  readonly contents: BucketContents
}

type Create = S3Call<S3Inputs['CreateBucket']>

const ID_BYTES = 12
const MAX_PAGE = 10_000
/** After these the record is there for sure. Whoever is told otherwise deletes once more. */
const NOT_WRITTEN: ReadonlySet<Code | null> = new Set(['Conflict', 'StoreFull', 'Unavailable'])

export function lifeHandlers(parts: LifeParts): S3Handlers {
  const { state, region, contents } = parts
  return {
    async CreateBucket(call) {
      const record = newBucket(parts, call)
      const { name, account } = record
      const view = state.view()
      if (view.by('bucket', 'account', account).length >= quotaOf(view, account, 's3-buckets')) {
        const message = 'You have attempted to create more buckets than allowed'
        throw new S3Error('TooManyBuckets', message, 400)
      }
      await state.update(async (tx) => {
        const holder = await tx.get('bucket', name)
        if (holder !== null) throw alreadyThere(holder, account)
        // Whoever takes the rack out of the cloud meanwhile writes it: the two conflict.
        if (record.rack !== '' && (await tx.get('rack', record.rack)) === null) {
          throw new MalleeError('Conflict', `rack ${record.rack} is gone`)
        }
        await tx.put('bucket', [name], record)
      })
      return { output: { Location: `/${name}`, BucketArn: `arn:aws:s3:::${name}` } }
    },

    async DeleteBucket(call) {
      const bucket = bucketOf(call)
      const { name: BucketName, id } = bucket
      if (!(await contents.retire(id))) {
        const message = 'The bucket you tried to delete is not empty'
        throw new S3Error('BucketNotEmpty', message, 409, { BucketName })
      }
      try {
        await state.update(async (tx) => {
          await bucketNow(tx, bucket)
          await tx.delete('bucket', BucketName)
        })
      } catch (error) {
        if (NOT_WRITTEN.has(codeOf(error))) await contents.reopen(id)
        throw error
      }
      return { output: {} }
    },

    async HeadBucket(call) {
      const bucket = bucketOf(call)
      const BucketArn = `arn:aws:s3:::${bucket.name}`
      const where = { BucketRegion: region, ...locationShown(parts, bucket) }
      return { output: { BucketArn, ...where, AccessPointAlias: false } }
    },

    async GetBucketLocation() {
      // In the first region of AWS a bucket has none.
      const isFirst = region === 'us-east-1'
      return { output: isFirst ? {} : { LocationConstraint: region as never } }
    },

    async ListBuckets(call) {
      const { MaxBuckets: max, Prefix = '', ContinuationToken: token, BucketRegion } = call.input
      const isPaged = max !== undefined || token !== undefined || BucketRegion !== undefined
      if (max !== undefined && (max < 1 || max > MAX_PAGE)) {
        const message = `MaxBuckets must be between 1 and ${MAX_PAGE}.`
        throw invalidArgument('max-buckets', String(max), message)
      }
      const account = call.caller?.account ?? ''
      const view = await state.fresh()
      const isHere = BucketRegion === undefined || BucketRegion === region
      const after = token === undefined ? '' : nameIn(token)
      const found = (isHere ? view.by('bucket', 'account', account) : []).filter(
        ({ name }) => name.startsWith(Prefix) && name > after,
      )
      const page = found.slice(0, max ?? MAX_PAGE)
      const last = page.at(-1)
      return {
        output: {
          Buckets: page.map(({ name, createdAtMs }) => ({
            Name: name,
            CreationDate: new Date(createdAtMs),
            ...(isPaged && { BucketRegion: region }),
            BucketArn: `arn:aws:s3:::${name}`,
          })),
          Owner: { ID: canonicalId(account) },
          ...(Prefix !== '' && { Prefix }),
          ...(last !== undefined &&
            page.length < found.length && { ContinuationToken: tokenOf(last.name) }),
        },
      }
    },
  }
}

function newBucket(parts: LifeParts, { input, caller, nowMs }: Create) {
  const { Bucket: name = '', CreateBucketConfiguration: configuration = {} } = input
  const { LocationConstraint: place, Location, Bucket, Tags } = configuration
  if (Location !== undefined || Bucket !== undefined) throw notImplemented('directory buckets')
  const hasLocks = input.ObjectLockEnabledForBucket === true
  const { BucketNamespace: namespace = 'global' } = input
  if (namespace !== 'global') throw notImplemented(`the bucket namespace ${namespace}`)
  const { ObjectOwnership: ownership } = input
  const tags = checkTags(Tags ?? [])
  const account = caller?.account ?? ''
  const owned = {
    account,
    publicAccess: ALL_BLOCKED,
    ...(ownership !== undefined && { ownership }),
  }
  const acl = newBucketAcl(parts.state.view(), owned, input)
  const record: BucketRecord = {
    ...{ name, id: parts.randomHex(ID_BYTES), ...placeOf(parts, place ?? ''), ...owned },
    ...{ createdAtMs: nowMs, versioning: hasLocks ? 'enabled' : 'off' },
    ...(acl !== undefined && { acl }),
    ...(hasLocks && { objectLock: {} }),
    ...(Object.keys(tags).length > 0 && { tags }),
  }
  return record
}

function alreadyThere({ name, account }: BucketRecord, asking: string): S3Error {
  const fields = { BucketName: name }
  if (account === asking) {
    const message =
      'Your previous request to create the named bucket succeeded and you already own it.'
    return new S3Error('BucketAlreadyOwnedByYou', message, 409, fields)
  }
  const message =
    'The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.'
  return new S3Error('BucketAlreadyExists', message, 409, fields)
}

function tokenOf(name: string): string {
  return Buffer.from(name).toString('base64url')
}

function nameIn(token: string): string {
  const name = Buffer.from(token, 'base64url').toString('utf8')
  if (tokenOf(name) === token && name !== '') return name
  throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect')
}
