// A bucket's record within an operation: the one that policies were asked about, and its changes.

import { hash } from 'node:crypto'
import type { BucketRecord } from '../../store/bucket-records.ts'
import type { State, Transaction } from '../../store/state.ts'
import type { S3Call } from '../wire/call.ts'
import { noSuchBucket } from './names.ts'

/** What the operations on buckets have in common. */
export interface BucketParts {
  readonly state: Pick<State, 'view' | 'fresh' | 'update'>
  readonly region: string
}

/** In the place of an account: who signs nothing, and may own what it writes. */
export const ANYBODY = 'anonymous'
/** Its canonical id on AWS. */
const ANYBODYS_ID = '65a011a29cdf8ec533ec3d1ccaae921c'

/** Of a call about one. */
export function bucketOf(call: Pick<S3Call<unknown>, 'bucket'>): BucketRecord {
  if (call.bucket === null) throw new RangeError('a call about no bucket')
  return call.bucket
}

/** The same bucket as it is in the store. Throws NoSuchBucket when it is gone, or another one. */
export async function bucketNow(
  tx: Pick<Transaction, 'get'>,
  { name, id }: BucketRecord,
): Promise<BucketRecord> {
  const now = await tx.get('bucket', name)
  if (now === null || now.id !== id) throw noSuchBucket(name)
  return now
}

/** Durable when it resolves. Throws NoSuchBucket. */
export async function changeBucket(
  { state }: Pick<BucketParts, 'state'>,
  call: Pick<S3Call<unknown>, 'bucket'>,
  change: (bucket: BucketRecord) => BucketRecord,
): Promise<void> {
  const bucket = bucketOf(call)
  await state.update(async (tx) => {
    await tx.put('bucket', [bucket.name], change(await bucketNow(tx, bucket)))
  })
}

/**
 * How S3 names an account among owners and grants: 64 hex digits that are always the same ("AWS
 * account identifiers" of the account management guide).
 */
export function canonicalId(account: string): string {
  if (account === ANYBODY) return ANYBODYS_ID
  return hash('sha256', `canonical user of ${account}`)
}
