// What buckets with quotas hold, as this gateway knows it: what was read last, what it committed
// itself since, and what is on its way in. Asked before bytes are taken, without waiting.

import { quotaOf } from '../../ec2/quotas.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import type { View } from '../../store/state.ts'
import type { Counting, Delta } from '../index/tally.ts'
import { S3Error } from '../wire/error.ts'

/** Bytes of the unit that quotas of accounts are in. */
export const GIB = 2 ** 30

const NOTHING: Delta = { bytes: 0, objects: 0 }
/** Where nobody counts. */
const FREE: Room = { fill: () => undefined, [Symbol.dispose]: () => undefined }

/** Room that is taken until what it is for is committed, or failed. */
export interface Room extends Disposable {
  /** It is as many bytes after all. Throws QuotaExceeded. */
  readonly fill: (bytes: number) => void
}

/** Throws QuotaExceeded. */
export type TakeRoom = (bucket: BucketRecord, wanted: Delta) => Room

export class Tally {
  readonly #view: () => View
  /** By the ids of buckets that quotas are about. */
  #counted: ReadonlySet<string> = new Set()
  #read: ReadonlyMap<string, Delta> = new Map()
  /** Committed here since that was read. */
  #own = new Map<string, Delta>()
  /** Committed here while it is read. */
  #meanwhile: Map<string, Delta> | null = null
  readonly #onItsWay = new Map<string, Delta>()

  constructor(view: () => View) {
    this.#view = view
    this.look()
  }

  /** Looks anew which buckets quotas are about; their ids. */
  look(): ReadonlySet<string> {
    const view = this.#view()
    const accounts = new Set(
      view
        .all('quota')
        .filter(({ id }) => id === 's3-gib' || id === 's3-objects')
        .map(({ account }) => account),
    )
    const buckets = view.all('bucket')
    const counted = buckets.filter(
      ({ quota, account }) => quota !== undefined || accounts.has(account),
    )
    this.#counted = new Set(counted.map(({ id }) => id))
    return this.#counted
  }

  readonly counting: Counting = {
    isCounted: (bucket) => this.#counted.has(bucket),
    counted: (bucket, delta) => {
      add(this.#own, bucket, delta)
      if (this.#meanwhile !== null) add(this.#meanwhile, bucket, delta)
    },
  }

  /**
   * Takes over what `read` finds. What is committed meanwhile may be counted twice until the next
   * time: too little room is nothing to worry about for a moment, too much is.
   */
  async refresh(read: () => Promise<ReadonlyMap<string, Delta>>): Promise<void> {
    this.#meanwhile = new Map()
    try {
      this.#read = await read()
      this.#own = this.#meanwhile
    } finally {
      this.#meanwhile = null
    }
  }

  /** Without what is on its way. */
  held(bucket: string): Delta {
    return sum([this.#read.get(bucket), this.#own.get(bucket)])
  }

  readonly take: TakeRoom = (bucket, wanted) => {
    if (!this.#counted.has(bucket.id)) return FREE
    this.#check(bucket, wanted)
    let taken = wanted
    add(this.#onItsWay, bucket.id, taken)
    const give = (): void => add(this.#onItsWay, bucket.id, negated(taken))
    return {
      fill: (bytes) => {
        this.#check(bucket, { bytes: bytes - taken.bytes, objects: 0 })
        give()
        taken = { ...taken, bytes }
        add(this.#onItsWay, bucket.id, taken)
      },
      [Symbol.dispose]: give,
    }
  }

  #check({ id, name, account }: BucketRecord, wanted: Delta): void {
    const view = this.#view()
    const { quota } = view.get('bucket', name) ?? {}
    refusePast(wanted, this.#used([id]), quota ?? {}, `The bucket ${name}`, name)
    const most = {
      bytes: quotaOf(view, account, 's3-gib') * GIB,
      objects: quotaOf(view, account, 's3-objects'),
    }
    const ids = view.by('bucket', 'account', account).map((one) => one.id)
    refusePast(wanted, this.#used(ids), most, 'The account', name)
  }

  #used(ids: readonly string[]): Delta {
    return sum(ids.flatMap((id) => [this.held(id), this.#onItsWay.get(id)]))
  }
}

function refusePast(
  wanted: Delta,
  used: Delta,
  most: Partial<Delta>,
  whose: string,
  BucketName: string,
): void {
  for (const what of ['bytes', 'objects'] as const) {
    const limit = most[what]
    if (limit === undefined || wanted[what] <= 0 || used[what] + wanted[what] <= limit) continue
    const message = `${whose} has ${used[what]} ${what} of ${limit}; this needs ${wanted[what]} more.`
    throw new S3Error('QuotaExceeded', message, 403, { BucketName })
  }
}

function add(to: Map<string, Delta>, bucket: string, delta: Delta): void {
  to.set(bucket, sum([to.get(bucket), delta]))
}

function negated({ bytes, objects }: Delta): Delta {
  return { bytes: -bytes, objects: -objects }
}

export function sum(all: readonly (Delta | undefined)[]): Delta {
  return all.reduce<Delta>(
    (total, one = NOTHING) => ({
      bytes: total.bytes + one.bytes,
      objects: total.objects + one.objects,
    }),
    NOTHING,
  )
}
