// What waits in the outbox gets to its target, or is given up as it is said: over a store, without
// a gateway around it.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, type TestContext, test } from 'node:test'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import {
  deliverEvents,
  type EventOutcome,
  type Events,
  MAX_AGE_MS,
} from '../../../gateway/s3/events/delivery.ts'
import { LEASE_MS } from '../../../gateway/s3/events/lease.ts'
import type { EventTarget } from '../../../gateway/s3/events/targets.ts'
import { MAX_WAITING } from '../../../gateway/s3/events/waiting.ts'
import { outboxKey, outboxLeaseKey, outboxPrefix } from '../../../gateway/s3/index/keys.ts'
import { createObjectIndex } from '../../../gateway/s3/index/object-index.ts'
import type { Done, Note, ObjectIndex } from '../../../gateway/s3/index/objects.ts'
import type { View } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { until } from '../../../sandbox/until.ts'
import { startWebhook, type Webhook } from '../../support/webhook.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from '../store/stores.ts'
import { BUCKET, plain, small } from './index-support.ts'

const TARGET = 'hook'
const SECRET = 'correct horse'

interface Ground {
  readonly store: Store
  readonly hook: Webhook
  /** Moves the clock of all. */
  readonly pass: (ms: number) => void
  readonly gateway: () => Gateway
}

interface Gateway {
  readonly events: Events
  readonly index: ObjectIndex
  readonly counts: Record<EventOutcome, number>
  /** Names of the targets that operators have. */
  readonly targets: Set<string>
}

async function groundOver(t: TestContext, store: Store): Promise<Ground> {
  const hook = await startWebhook()
  t.after(() => hook.close())
  let laterMs = 0
  const clock = {
    nowMs: () => systemClock.nowMs() + laterMs,
    // Nobody waits for what only the clock brings.
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 20), signal),
  }
  const gateway = (): Gateway => {
    const counts = { delivered: 0, failed: 0, dropped: 0 }
    const targets = new Set([TARGET])
    const view = {
      all: () => [...targets].map((name) => ({ name })),
      get: (_: string, name: string) => (targets.has(name) ? { name } : null),
    } as unknown as View
    const events = deliverEvents({
      ...{ store, clock, randomHex, chance: () => 1, log: silentLog },
      metrics: {
        events: (_, outcome, some) => {
          counts[outcome] += some
        },
        setEventsPending: () => undefined,
      },
      state: { view: () => view, fresh: async () => view },
      open: ({ name }): EventTarget => ({ kind: 'webhook', name, url: hook.url, secret: SECRET }),
    })
    t.after(() => events.stop())
    const index = createObjectIndex({ store, clock, randomHex, outbox: events.outbox })
    return { events, index, counts, targets }
  }
  return {
    ...{ store, hook, gateway },
    pass: (ms) => {
      laterMs += ms
    },
  }
}

/** Tells the target the key and the sequencer. */
const note: Note = ({ entry, sequencer, isMarked }: Done) => [
  { target: TARGET, event: { key: entry.key, etag: entry.etag, sequencer, isMarked } },
]
const TOLD = { versioning: 'off', note } as const

interface Event {
  readonly key: string
  readonly etag: string
  readonly sequencer: string
}

function eventIn({ body }: { readonly body: string }): Event {
  return (JSON.parse(body) as { Records: [Event] }).Records[0]
}

async function waitingIn(store: Store): Promise<number> {
  return (await store.list(outboxPrefix(TARGET))).entries.length
}

for (const [name, makerOf] of [
  ['SQLite', () => sqliteMaker()],
  ['Redis', redisMaker],
] as const) {
  describe(`the outbox over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(() => maker.stop())

    test('every change is told, signed, and sorts within its key', async (t) => {
      const ground = await groundOver(t, await maker.make())
      const { index, counts } = ground.gateway()
      for (const etag of ['1', '2', '3']) await index.put(small('a', etag), TOLD)
      await index.remove(BUCKET, 'a', { ...plain('off'), note })
      await index.put(small('a', '4'), TOLD)
      await index.amend(BUCKET, 'a', null, (version) => ({ ...version, tags: { t: '5' } }), note)
      await index.put(small('b', 'x'), { versioning: 'off' })
      await until('all came', () => ground.hook.taken.length === 6)
      const told = ground.hook.taken.map(eventIn)
      assert.deepEqual(
        told.toSorted((a, b) => (a.sequencer < b.sequencer ? -1 : 1)).map(({ etag }) => etag),
        ['1', '2', '3', '3', '4', '4'],
      )
      assert.deepEqual(told.map(({ sequencer }) => sequencer).toSorted(), [
        ...new Set(told.map(({ sequencer }) => sequencer).toSorted()),
      ])
      for (const { headers, body } of ground.hook.taken) {
        const signature = String(headers['mallee-signature'])
        const [, seconds, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? []
        const expected = createHmac('sha256', SECRET).update(`${seconds}.${body}`).digest('hex')
        assert.equal(digest, expected)
      }
      await until('nothing waits', async () => (await waitingIn(ground.store)) === 0)
      assert.deepEqual(counts, { delivered: 6, failed: 0, dropped: 0 })
    })

    test('a change that is refused tells nothing, one that crashed before it was sent does', async (t) => {
      const ground = await groundOver(t, await maker.make())
      const first = ground.gateway()
      await ground.hook.close()
      const check = (): void => {
        throw new Error('refused')
      }
      await assert.rejects(first.index.put(small('a', 'no'), { ...TOLD, check }), /refused/)
      await first.index.put(small('a', 'yes'), TOLD)
      await until('it was tried', () => first.counts.failed > 0)
      await first.events.stop()
      assert.equal(await waitingIn(ground.store), 1)
      await ground.hook.open()
      ground.pass(MAX_AGE_MS / 2)
      ground.gateway()
      await until('it came', () => ground.hook.taken.length === 1)
      assert.deepEqual(eventIn(ground.hook.taken[0] ?? { body: '' }).etag, 'yes')
    })

    test('what was sent and not taken out is sent again with the same id', async (t) => {
      const ground = await groundOver(t, await maker.make())
      const first = ground.gateway()
      await first.index.put(small('a', '1'), TOLD)
      await until('it came', () => ground.hook.taken.length === 1)
      await until('it is taken out', async () => (await waitingIn(ground.store)) === 0)
      await first.events.stop()
      // As if the gateway had died in between.
      const id = String(ground.hook.taken[0]?.headers['mallee-event-id'])
      const value = { event: {}, about: 'a', bornAtMs: systemClock.nowMs(), tries: 0 }
      const put = outboxKey(TARGET, systemClock.nowMs(), id)
      await ground.store.txn([], [{ put, value: JSON.stringify(value) }])
      ground.gateway()
      await until('it came again', () => ground.hook.taken.length === 2)
      assert.equal(ground.hook.taken[1]?.headers['mallee-event-id'], id)
    })

    test('a lease keeps another gateway away, until its holder is dead for a while', async (t) => {
      const ground = await groundOver(t, await maker.make())
      const first = ground.gateway()
      await first.index.put(small('a', '1'), TOLD)
      await until('it came', () => ground.hook.taken.length === 1)
      const held = await ground.store.get(outboxLeaseKey(TARGET))
      await first.events.stop()
      assert.equal(await ground.store.get(outboxLeaseKey(TARGET)), null)
      // As a gateway that was killed leaves it.
      const put = outboxLeaseKey(TARGET)
      await ground.store.txn([], [{ put, value: held?.value ?? '' }])
      const second = ground.gateway()
      await second.index.put(small('a', '2'), TOLD)
      // A target of its own tells that rounds have gone by.
      second.targets.add('other')
      const other: Note = () => [{ target: 'other', event: { key: 'other', etag: 'other' } }]
      await second.index.put(small('b', '3'), { versioning: 'off', note: other })
      await until('the other came', () => ground.hook.taken.length === 2)
      assert.equal(await waitingIn(ground.store), 1)
      ground.pass(LEASE_MS)
      await until('it came', () => ground.hook.taken.length === 3)
    })
  })
}

describe('a target that takes nothing', () => {
  let maker: StoreMaker
  before(async () => {
    maker = await sqliteMaker()
  })
  after(() => maker.stop())

  for (const status of [500, 404, 302, 0]) {
    test(`answers ${status}: it is tried again until it takes it`, async (t) => {
      const ground = await groundOver(t, await maker.make())
      const { index, counts, events } = ground.gateway()
      ground.hook.status = status
      await index.put(small('a', '1'), TOLD)
      await until('it was tried', async () => (await events.stateOf(TARGET)).trouble !== null)
      const { pending, trouble } = await events.stateOf(TARGET)
      assert.ok(counts.failed > 0)
      assert.equal(pending, 1)
      assert.match(trouble?.message ?? '', status === 0 ? /closed/ : new RegExp(` ${status}`))
      ground.hook.status = 200
      ground.pass(60_000)
      await until('it came', () => counts.delivered === 1)
      await until('all is well', async () => (await events.stateOf(TARGET)).trouble === null)
      assert.equal(ground.hook.taken.length, 1)
    })
  }

  test('is not asked by everything that waits, and loses only what is too old', async (t) => {
    const ground = await groundOver(t, await maker.make())
    const { index, counts } = ground.gateway()
    ground.hook.status = 503
    for (let n = 0; n < 20; n++) await index.put(small(`k${n}`, '1'), TOLD)
    await until('it was tried', () => counts.failed > 0)
    assert.equal(await waitingIn(ground.store), 20)
    ground.pass(MAX_AGE_MS + 60_000)
    await index.put(small('new', '2'), TOLD)
    while (counts.dropped < 20) {
      const { failed } = counts
      ground.pass(60_000)
      await until('some were tried', () => counts.failed > failed)
    }
    assert.equal(await waitingIn(ground.store), 1)
    ground.hook.status = 200
    ground.pass(60_000)
    await until('the new one came', () => ground.hook.taken.length === 1)
    assert.equal(eventIn(ground.hook.taken[0] ?? { body: '' }).key, 'new')
  })

  test('takes no more than it may have waiting', async (t) => {
    const ground = await groundOver(t, await maker.make())
    const { index, counts, events } = ground.gateway()
    await ground.hook.close()
    for (let n = 0; n < MAX_WAITING; n++) events.outbox.filled(TARGET)
    await index.put(small('a', '1'), TOLD)
    assert.equal(counts.dropped, 1)
    assert.equal(await waitingIn(ground.store), 0)
    assert.notEqual(await index.current(BUCKET, 'a'), null)
  })

  test('that is deleted has nothing waiting any more', async (t) => {
    const ground = await groundOver(t, await maker.make())
    const { index, counts, targets } = ground.gateway()
    ground.hook.status = 503
    await index.put(small('a', '1'), TOLD)
    await until('it was tried', () => counts.failed > 0)
    targets.clear()
    await until('nothing waits', async () => (await waitingIn(ground.store)) === 0)
  })
})
