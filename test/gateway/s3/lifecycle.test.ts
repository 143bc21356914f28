// Rounds of lifecycle rules, over both stores: they die at every step and go on, run in two
// gateways at once, and take nothing that is not due any more when its turn comes.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { randomHex } from '../../../common/clock.ts'
import { type Log, silentLog } from '../../../common/log.ts'
import { midnightAfter } from '../../../gateway/s3/buckets/expiry.ts'
import { OUTBOX } from '../../../gateway/s3/index/keys.ts'
import { createObjectIndex } from '../../../gateway/s3/index/object-index.ts'
import type { ObjectIndex } from '../../../gateway/s3/index/objects.ts'
import { createSequencer } from '../../../gateway/s3/index/outbox.ts'
import { lifecycleRounds } from '../../../gateway/s3/keeping/lifecycle.ts'
import type { Expired } from '../../../gateway/s3/keeping/lifecycle-walk.ts'
import { expirationOf } from '../../../gateway/s3/objects/expiration.ts'
import type { LifecycleRule } from '../../../gateway/store/bucket-records.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, type IndexGround, indexOver, plain, shown, small } from './index-support.ts'
import { bucketWith, DAY_MS, gatewayOver, inSmallPages, rule } from './lifecycle-support.ts'
import { mortalProcess } from './mortal.ts'

const RULES = [
  ...['kept', 'old'].map((prefix) => rule(prefix, { prefix, expiration: { days: 2 } })),
  rule('noncurrent', { noncurrent: { days: 1, keep: 1 }, abortDays: 1 }),
  rule('marked', { expiration: { markers: true } }),
]
const ruled = () => [bucketWith(RULES, 'enabled')]
/** In memory where there is such a folder: nothing here is about the disk. */
const BELOW = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
/** Steps that no round here has more of. */
const MAX_STEPS = 200

/** What a round of RULES takes two days later, with a lock and a young object that stay. */
async function fill({ index, clock, pass }: IndexGround): Promise<void> {
  const enabled = { versioning: 'enabled' } as const
  for (const etag of ['1', '2', '3', '4']) await index.put(small('many', etag), enabled)
  const untilMs = clock.nowMs() + 9 * DAY_MS
  const retention = { mode: 'COMPLIANCE', untilMs } as const
  for (const etag of ['1', '2', '3']) await index.put(small('kept', etag, { retention }), enabled)
  await index.remove(BUCKET, 'marked', plain('enabled'))
  for (const key of ['old', 'over']) await index.put(small(key, '1'), enabled)
  await index.remove(BUCKET, 'over', plain('enabled'))
  await index.uploads.create(small('in-parts', ''))
  pass(3 * DAY_MS)
  await index.uploads.create(small('in-parts', ''))
  await index.put(small('young', '1'), enabled)
}

const LEFT = [
  ...['kept marker latest', 'kept 3', 'kept 2', 'kept 1', 'many 4 latest', 'many 3'],
  ...['old marker latest', 'old 1', 'over marker latest', 'over 1', 'young 1 latest'],
]
const TAKEN: Expired = { objects: 2, versions: 2, markers: 1, uploads: 1, locked: 1 }

async function uploadsIn({ uploads }: ObjectIndex): Promise<number> {
  const all = { prefix: '', afterKey: '', afterUpload: null, limit: 10 }
  return (await uploads.list(BUCKET, all)).entries.length
}

test('days end at the midnight after them, as in the user guide', () => {
  for (const [from, days, until] of [
    ['2014-01-15T10:30:00Z', 3, '2014-01-19T00:00:00Z'],
    ['2014-01-15T00:00:00Z', 1, '2014-01-17T00:00:00Z'],
    ['2014-01-15T23:59:59.999Z', 1, '2014-01-17T00:00:00Z'],
  ] as const) {
    const at = midnightAfter(Date.parse(from), days, DAY_MS)
    assert.equal(at, Date.parse(until), from)
  }
})

test('an answer names the rule that is due first, and no year after 9999', async (t) => {
  const maker = await sqliteMaker(BELOW)
  t.after(() => maker.stop())
  const { index } = indexOver(await maker.make({ keep: 1 }))
  const { version } = await index.put(small('a', '1'), { versioning: 'off' })
  const told = (...rules: LifecycleRule[]) =>
    expirationOf({ lifecycleDayMs: DAY_MS }, bucketWith(rules, 'off'), version).Expiration
  const far = rule('far', { expiration: { days: 2 ** 31 - 1 } })
  const never = 'expiry-date="Fri, 31 Dec 9999 00:00:00 GMT", rule-id="far"'
  assert.equal(told(far), never)
  const others = [
    rule('ä 1', { expiration: { days: 1 } }),
    rule('later', { expiration: { days: 2 } }),
    rule('off', { expiration: { dateMs: 0 }, isEnabled: false }),
    rule('elsewhere', { prefix: 'b', expiration: { dateMs: 0 } }),
    rule('older', { noncurrent: { days: 1 } }),
  ]
  // The clock of the index begins on 2027-01-15 at 08:00.
  const soon = 'expiry-date="Sun, 17 Jan 2027 00:00:00 GMT", rule-id="%C3%A4%201"'
  assert.equal(told(far, ...others), soon)
  assert.equal(told(...others.slice(2)), undefined)
})

for (const [name, makerOf] of [
  ['SQLite', () => sqliteMaker(BELOW)],
  ['Redis', redisMaker],
] as const) {
  describe(`lifecycle rounds over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())
    const fresh = async (): Promise<IndexGround> => indexOver(await maker.make({ keep: 1 }))

    test('a round takes what is due, tells of it, and comes once a day', async () => {
      const ground = await fresh()
      const lines: unknown[] = []
      const log: Log = { ...silentLog, info: (event, fields) => lines.push([event, fields]) }
      const { pass, counted } = gatewayOver(ground, ruled, log)
      await fill(ground)
      await pass()
      assert.deepEqual([await shown(ground.index), counted()], [LEFT, TAKEN])
      assert.equal(await uploadsIn(ground.index), 1)
      const [, told] = (lines[0] ?? assert.fail()) as [string, object]
      const nowMs = ground.clock.nowMs()
      const times = { startedAtMs: nowMs, endedAtMs: nowMs }
      assert.deepEqual(told, { bucket: 'photos', ...times, looked: 14, ...TAKEN })
      await pass()
      assert.equal(lines.length, 1)
      ground.pass(DAY_MS)
      await pass()
      assert.equal(lines.length, 2)
      assert.deepEqual(await shown(ground.index), LEFT)
      // Of compliance nothing is left then.
      ground.pass(9 * DAY_MS)
      await pass()
      const stay = LEFT.filter((one) => one !== 'kept 2' && one !== 'kept 1')
      assert.deepEqual(await shown(ground.index), stay)
    })

    test('a gateway that dies at any step leaves a round that the next one ends', async (t) => {
      const spare = await mkdtemp(join(tmpdir(), 'mallee-spare-'))
      t.after(() => rm(spare, { recursive: true, force: true }))
      const process = await mortalProcess(t, spare)
      let steps = 0
      for (let isDone = false; !isDone; steps++) {
        const ground = await fresh()
        await fill(ground)
        const store = process.store(ground.store)
        const { clock } = ground
        const index = inSmallPages(createObjectIndex({ store, clock, randomHex }), 3)
        const first = gatewayOver({ index, store, clock }, ruled)
        process.dieAt(steps)
        isDone = await first.pass().then(
          () => true,
          (error) => {
            assert.match(String(error), /dead/)
            return false
          },
        )
        process.revive()
        const next = gatewayOver({ ...ground, index: inSmallPages(ground.index, 3) }, ruled)
        await next.pass()
        assert.deepEqual(await shown(ground.index), LEFT, `dead at step ${steps}`)
        assert.equal(await uploadsIn(ground.index), 1)
        const round = (await lifecycleRounds(ground.store)).get(BUCKET)
        assert.ok(round !== undefined && round.endedAtMs !== null)
        assert.ok(steps < MAX_STEPS)
      }
      assert.ok(steps > 2 * (TAKEN.objects + TAKEN.versions), `${steps} steps`)
    })

    test('two gateways at once take each thing once', async () => {
      const ground = await fresh()
      await fill(ground)
      const { store, clock } = ground
      const gateways = [0, 1].map(() => {
        const index = inSmallPages(createObjectIndex({ store, clock, randomHex }), 2)
        return gatewayOver({ index, store, clock }, ruled)
      })
      for (let i = 0; i < 3; i++) await Promise.all(gateways.map(({ pass }) => pass()))
      assert.deepEqual(await shown(ground.index), LEFT)
      const sum = (what: keyof Expired): number =>
        gateways.reduce((total, { counted }) => total + counted()[what], 0)
      for (const what of ['objects', 'versions', 'markers', 'uploads'] as const) {
        assert.equal(sum(what), TAKEN[what], what)
      }
    })

    test('what changes between the page and its turn stays', async () => {
      const ground = await fresh()
      const { index, pass } = ground
      const enabled = { versioning: 'enabled' } as const
      const put = async (key: string, etag: string, more = {}): Promise<string> =>
        (await index.put(small(key, etag, more), enabled)).version.versionId
      await put('replaced', '1')
      await put('retagged', '1', { tags: { t: '1' } })
      await put('promoted', '1')
      const newer = await put('promoted', '2')
      await put('locked', '1')
      await put('locked', '2')
      const marker = (await index.remove(BUCKET, 'back', plain('enabled'))).marker
      assert.ok(marker)
      pass(3 * DAY_MS)
      const list = [
        rule('tagged', { tags: { t: '1' }, expiration: { days: 1 } }),
        rule('r', { prefix: 'replaced', expiration: { days: 1 } }),
        rule('n', { noncurrent: { days: 1 }, expiration: { markers: true } }),
      ]
      let isFirst = true
      const meanwhile: ObjectIndex = {
        ...index,
        listVersions: async (bucket, options) => {
          const page = await index.listVersions(bucket, options)
          if (!isFirst) return page
          isFirst = false
          await put('replaced', '2')
          await index.amend(BUCKET, 'retagged', null, (one) => ({ ...one, tags: { t: '2' } }))
          await index.remove(BUCKET, 'promoted', { ...plain('enabled'), versionId: newer })
          const [old] = page.entries.filter(({ key, etag }) => key === 'locked' && etag === '1')
          const id = old?.versionId ?? ''
          await index.amend(BUCKET, 'locked', id, (one) => ({ ...one, legalHold: true }))
          await put('back', '1')
          return page
        },
      }
      const { pass: round, counted } = gatewayOver({ ...ground, index: meanwhile }, () => [
        bucketWith(list, 'enabled'),
      ])
      await round()
      assert.deepEqual(await shown(index), [
        ...['back 1 latest', 'back marker', 'locked 2 latest', 'locked 1', 'promoted 1 latest'],
        ...['replaced 2 latest', 'replaced 1', 'retagged 1 latest'],
      ])
      const none = { objects: 0, versions: 0, markers: 0, uploads: 0 }
      assert.deepEqual(counted(), { ...none, locked: 1 })
    })

    test('who wants to hear of it is told what went', async () => {
      const { store, clock, ...ground } = await fresh()
      await fill({ ...ground, store, clock })
      const sequencer = createSequencer(clock)
      const outbox = { accepts: () => true, filled: () => undefined, sequencer }
      const index = createObjectIndex({ store, clock, randomHex, outbox })
      const all = { id: 'all', arn: '', target: 't', prefix: '', suffix: '' }
      const notifications = [{ ...all, events: ['s3:LifecycleExpiration:*'] }]
      const bucket = { ...bucketWith(RULES, 'enabled'), notifications }
      await gatewayOver({ index, store, clock }, () => [bucket]).pass()
      const rows = (await store.list(OUTBOX)).entries.map(({ value }) => JSON.parse(value).event)
      assert.deepEqual(rows.map(({ eventName, s3 }) => `${eventName} ${s3.object.key}`).sort(), [
        'LifecycleExpiration:Delete many',
        'LifecycleExpiration:Delete many',
        'LifecycleExpiration:Delete marked',
        'LifecycleExpiration:DeleteMarkerCreated kept',
        'LifecycleExpiration:DeleteMarkerCreated old',
      ])
    })

    test('other rules begin a round at once, and without rules nothing is remembered', async () => {
      const ground = await fresh()
      const { index, store } = ground
      let buckets = [bucketWith([rule('a', { prefix: 'a', expiration: { days: 1 } })], 'off')]
      for (const key of ['a', 'b']) await index.put(small(key, '1'), { versioning: 'off' })
      ground.pass(3 * DAY_MS)
      const { pass } = gatewayOver(ground, () => buckets)
      await pass()
      assert.deepEqual(await shown(index), ['b 1 null latest'])
      buckets = [bucketWith([rule('b', { prefix: 'b', expiration: { days: 1 } })], 'off')]
      await pass()
      assert.deepEqual(await shown(index), [])
      buckets = []
      await pass()
      assert.equal((await lifecycleRounds(store)).size, 0)
    })

    test('a store that is away ends a pass, and other buckets have had their turn', async () => {
      const ground = await fresh()
      const { index } = ground
      const [bucket] = [bucketWith([rule('a', { expiration: { days: 1 } })], 'off')]
      await index.put(small('a', '1'), { versioning: 'off' })
      ground.pass(3 * DAY_MS)
      const failing: ObjectIndex = {
        ...index,
        listVersions: async (id, options) => {
          if (id !== BUCKET) throw new Error('the store is away')
          return await index.listVersions(id, options)
        },
      }
      const buckets = [{ ...bucket, id: 'b1' }, bucket]
      const { pass } = gatewayOver({ ...ground, index: failing }, () => buckets)
      await assert.rejects(pass(), /a lifecycle round waits: the store is away/)
      assert.deepEqual(await shown(index), [])
    })
  })
}
