// What quotas count is what there is: every kind of write, over both stores, with a bucket that was
// there before its quota, and two gateways.

import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { chance, randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { DELTAS } from '../../../gateway/s3/index/keys.ts'
import { createObjectIndex } from '../../../gateway/s3/index/object-index.ts'
import type { ObjectIndex, Versioning } from '../../../gateway/s3/index/objects.ts'
import { keepQuotas, type Quotas } from '../../../gateway/s3/quotas/keeper.ts'
import { GIB } from '../../../gateway/s3/quotas/tally.ts'
import type { BucketRecord } from '../../../gateway/store/bucket-records.ts'
import type { View } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { until } from '../../../sandbox/until.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, blobOf, large, plain, small } from './index-support.ts'

const ACCOUNT = '111111111111'

interface Gateway extends Quotas {
  readonly index: ObjectIndex
}

/** Quotas of the bucket and of its account, as an operator sets them. */
class Operator {
  #bucket: BucketRecord = {
    ...{ name: 'photos', id: BUCKET, account: ACCOUNT, rack: '', createdAtMs: 0 },
    versioning: 'off',
  }
  #account: Readonly<Record<string, number>> = {}
  readonly #listeners = new Set<() => void>()

  get bucket(): BucketRecord {
    return this.#bucket
  }

  set(quota: BucketRecord['quota'], ofAccount: Readonly<Record<string, number>> = {}): void {
    const { quota: _, ...rest } = this.#bucket
    this.#bucket = { ...rest, ...(quota !== undefined && { quota }) }
    this.#account = ofAccount
    for (const listener of this.#listeners) listener()
  }

  gateway(t: TestContext, store: Store): Gateway {
    const view = {
      all: (kind: string) =>
        kind === 'bucket'
          ? [this.#bucket]
          : Object.entries(this.#account).map(([id, value]) => ({ account: ACCOUNT, id, value })),
      by: () => [this.#bucket],
      get: (kind: string, ...[, id = '']: string[]) => {
        if (kind === 'bucket') return this.#bucket
        return id in this.#account ? { value: this.#account[id] } : null
      },
    } as unknown as View
    const clock = {
      nowMs: () => systemClock.nowMs(),
      // Nobody waits for the next pass.
      sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 20), signal),
    }
    const quotas = keepQuotas({
      ...{ store, clock, chance, log: silentLog },
      state: {
        view: () => view,
        onChange: (listener) => {
          const tell = (): void => listener([{ revision: 1, key: 'quota/x', value: null }], 1)
          this.#listeners.add(tell)
          return () => void this.#listeners.delete(tell)
        },
      },
    })
    t.after(() => quotas.stop())
    const { counting } = quotas.tally
    return { ...quotas, index: createObjectIndex({ store, clock, randomHex, counting }) }
  }
}

async function reaches({ tally }: Gateway, bytes: number, objects: number): Promise<void> {
  await until(`${bytes} bytes, ${objects} objects`, () => {
    const held = tally.held(BUCKET)
    return held.bytes === bytes && held.objects === objects
  })
}

for (const [name, makerOf] of [
  ['SQLite', () => sqliteMaker()],
  ['Redis', redisMaker],
] as const) {
  describe(`counts over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())

    test('are of what was there before the quota, and of every write since', async (t) => {
      const store = await maker.make()
      const operator = new Operator()
      const gateway = operator.gateway(t, store)
      const { index } = gateway
      await index.put(small('before', 'four'), { versioning: 'off' })
      const { uploadId } = await index.uploads.create({
        ...{ bucket: BUCKET, key: 'up', owner: ACCOUNT, headers: {}, metadata: {} },
      })
      const part = (number: number, sizeBytes: number) =>
        index.uploads.putPart(BUCKET, 'up', uploadId, {
          number,
          sizeBytes,
          blob: blobOf(sizeBytes),
        })
      await part(1, 100)
      assert.deepEqual((await store.list(DELTAS)).entries, [])
      operator.set({ bytes: 1_000_000_000 })
      await reaches(gateway, 104, 1)
      const put = (key: string, etag: string, versioning: Versioning = 'off') =>
        index.put(small(key, etag), { versioning })
      await put('before', 'replaced')
      await reaches(gateway, 108, 1)
      await part(1, 50)
      await part(2, 7)
      await reaches(gateway, 65, 1)
      await index.put(large('large', 'e', 1_000), { versioning: 'off' })
      await reaches(gateway, 1_065, 2)
      await index.remove(BUCKET, 'large', plain('off'))
      await reaches(gateway, 65, 1)
      const { version } = await put('kept', 'one', 'enabled')
      await put('kept', 'three', 'enabled')
      await index.remove(BUCKET, 'kept', plain('enabled'))
      await reaches(gateway, 73, 3)
      await index.remove(BUCKET, 'kept', { ...plain('enabled'), versionId: version.versionId })
      await reaches(gateway, 70, 2)
      await index.uploads.complete(BUCKET, 'up', uploadId, {
        versioning: 'off',
        // Only one of the parts is wanted.
        build: (_, parts) => {
          const { inline: __, ...object } = small('up', 'e')
          return { ...object, sizeBytes: 7, parts: parts.slice(1) }
        },
      })
      await reaches(gateway, 20, 3)
      const next = await index.uploads.create({
        ...{ bucket: BUCKET, key: 'up', owner: ACCOUNT, headers: {}, metadata: {} },
      })
      const blob = blobOf(9)
      await index.uploads.putPart(BUCKET, 'up', next.uploadId, { number: 1, sizeBytes: 9, blob })
      await reaches(gateway, 29, 3)
      await index.uploads.abort(BUCKET, 'up', next.uploadId)
      await reaches(gateway, 20, 3)
      await until('the notes are taken in', async () => {
        return (await store.list(DELTAS)).entries.length === 0
      })
      await reaches(gateway, 20, 3)
      operator.set(undefined)
      await until('all is forgotten', async () => (await store.list('count/')).entries.length === 0)
      await put('uncounted', 'four')
      operator.set({ objects: 9 })
      await reaches(gateway, 24, 4)
    })

    test('of two gateways each hears what the other one took', async (t) => {
      const store = await maker.make()
      const operator = new Operator()
      operator.set({ objects: 5 })
      const [one, two] = [operator.gateway(t, store), operator.gateway(t, store)]
      await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 === 0 ? one : two).index.put(small(`k${n}`, 'four'), { versioning: 'off' }),
        ),
      )
      await reaches(one, 80, 20)
      await reaches(two, 80, 20)
    })
  })
}

describe('room', () => {
  let maker: StoreMaker
  before(async () => {
    maker = await sqliteMaker()
  })
  after(() => maker.stop())

  test('is there for as much as the quota, whoever asks at once', async (t) => {
    const operator = new Operator()
    operator.set({ bytes: 100, objects: 3 })
    const { tally } = operator.gateway(t, await maker.make())
    const ask = (bytes: number) => tally.take(operator.bucket, { bytes, objects: 1 })
    const refused = { code: 'QuotaExceeded', status: 403 }
    const rooms = [ask(40), ask(0)]
    assert.throws(() => ask(61), refused)
    rooms[1]?.fill(60)
    assert.throws(() => rooms[1]?.fill(61), refused)
    assert.throws(() => ask(1), refused)
    const last = ask(0)
    assert.throws(() => ask(0), refused)
    for (const room of [...rooms, last]) room[Symbol.dispose]()
    ask(100)[Symbol.dispose]()
  })

  test('of an account is for all its buckets', async (t) => {
    const operator = new Operator()
    operator.set(undefined, { 's3-gib': 1, 's3-objects': 2 })
    const { tally } = operator.gateway(t, await maker.make())
    const ask = (bytes: number) => tally.take(operator.bucket, { bytes, objects: 1 })
    assert.throws(() => ask(GIB + 1), {
      code: 'QuotaExceeded',
      message: /^The account has 0 bytes/,
    })
    const rooms = [ask(GIB), ask(0)]
    assert.throws(() => ask(0), /^.*The account has 2 objects of 2; this needs 1 more\./)
    for (const room of rooms) room[Symbol.dispose]()
    operator.set(undefined)
    ask(GIB + 1)[Symbol.dispose]()
  })
})
