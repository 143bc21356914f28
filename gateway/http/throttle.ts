// The token buckets of all accounts at this gateway: who asks too often is refused before anything
// is looked up for it. In memory: a gateway that starts begins with full buckets.

import { ApiError } from '../aws/api-error.ts'
import type { AnyService } from '../aws/model.ts'
import { type Charge, chargesOf, type Rate } from './rates.ts'

export interface ThrottledCall {
  readonly service: AnyService
  readonly operation: string
  /** Decoded, as the SDK types it. */
  readonly input: object
  readonly account: string
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

/**
 * Takes the call's tokens. Throws RequestLimitExceeded (EC2, 503), SlowDown (S3, 503) or Throttling
 * (others, 400) and takes none when there are too few. Answers what puts back those for instances,
 * for calls that came to nothing: the request stays counted.
 */
export type Throttle = (call: ThrottledCall) => () => void

interface Bucket {
  readonly rate: Rate
  tokens: number
  /** When `tokens` was so many. */
  atMs: number
}

/** About 10 MB. Accounts are the operator's to make, and one has fewer than 1,000 buckets. */
const MAX_BUCKETS = 50_000
/** How often buckets that are full again are dropped: a full one is as good as none. */
const SWEEP_MS = 60_000

/** `factor` times AWS's rates, above 0. */
export function createThrottle(factor: number, maxBuckets = MAX_BUCKETS): Throttle {
  // In the order of their last use.
  const buckets = new Map<string, Bucket>()
  let sweptAtMs = Number.NEGATIVE_INFINITY

  function bucketOf(account: string, { bucket: name, rate }: Charge, nowMs: number): Bucket {
    const key = `${account}/${name}`
    const bucket = buckets.get(key) ?? fullBucket(scaled(rate, factor), nowMs)
    refill(bucket, nowMs)
    buckets.delete(key)
    buckets.set(key, bucket)
    return bucket
  }

  function bound(nowMs: number): void {
    if (nowMs - sweptAtMs >= SWEEP_MS) {
      sweptAtMs = nowMs
      for (const [key, bucket] of buckets) {
        refill(bucket, nowMs)
        if (bucket.tokens === bucket.rate.capacity) buckets.delete(key)
      }
    }
    for (const key of buckets.keys()) {
      if (buckets.size <= maxBuckets) return
      buckets.delete(key)
    }
  }

  return (call) => {
    const { account, nowMs } = call
    bound(nowMs)
    const takes = chargesOf(call).map((charge) => {
      const bucket = bucketOf(account, charge, nowMs)
      // More than it ever holds takes all: the handler says what is wrong with so many.
      return { ...charge, bucket, tokens: Math.min(charge.tokens, bucket.rate.capacity) }
    })
    const short = takes.find(({ bucket, tokens }) => bucket.tokens < tokens)
    if (short !== undefined) throw refusal(call, short.of)
    for (const { bucket, tokens } of takes) bucket.tokens -= tokens
    return () => {
      for (const { of, bucket, tokens } of takes) {
        if (of === 'resource') put(bucket, tokens)
      }
    }
  }
}

/** Every action can be called now and then, however small the factor. */
function scaled({ capacity, perSecond }: Rate, factor: number): Rate {
  return { capacity: Math.max(1, capacity * factor), perSecond: perSecond * factor }
}

function fullBucket(rate: Rate, atMs: number): Bucket {
  return { rate, tokens: rate.capacity, atMs }
}

/** Little by little, not once a second; a clock that goes back gives and takes nothing. */
function refill(bucket: Bucket, nowMs: number): void {
  put(bucket, (Math.max(0, nowMs - bucket.atMs) / 1000) * bucket.rate.perSecond)
  bucket.atMs = nowMs
}

function put(bucket: Bucket, tokens: number): void {
  bucket.tokens = Math.min(bucket.rate.capacity, bucket.tokens + tokens)
}

function refusal({ service, operation, account }: ThrottledCall, of: Charge['of']): ApiError {
  if (service === 's3') return new ApiError('SlowDown', 'Please reduce your request rate.', 503)
  if (service !== 'ec2') return new ApiError('Throttling', 'Rate exceeded', 400)
  const why = `throttled on ec2:${operation} because it exceeded its ${of} rate limit.`
  const message = `Request limit exceeded. Account ${account} has been ${why}`
  return new ApiError('RequestLimitExceeded', message, 503)
}
