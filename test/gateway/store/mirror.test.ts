// The mirror when things go wrong: a log that was cut, a watch that breaks, a server that lost
// writes, records that are none; and two gateways over one Redis.

import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { codeOf } from '../../../common/errors.ts'
import { silentLog } from '../../../common/log.ts'
import { openRedis } from '../../../gateway/store/redis.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Change, Store } from '../../../gateway/store/store.ts'
import { until } from '../../../sandbox/until.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { account, closeStates, stateOf } from './states.ts'
import { sqliteMaker } from './stores.ts'

const cleanUps: (() => Promise<void>)[] = []
afterEach(async () => {
  await closeStates()
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

test('a mirror whose place in the log was cut reads anew and tells what differs', async () => {
  const { store, breakWatch } = breakable(await sqliteStore(50))
  const state = await stateOf(store)
  for (const id of ['changed', 'gone', 'same']) {
    await state.update((tx) => tx.put('account', [id], account(id)))
  }
  const told: string[] = []
  state.onChange((changes) => {
    for (const { key, value } of changes) told.push(`${key} ${value === null ? 'gone' : 'set'}`)
  })
  const mend = breakWatch()
  const other = { ...account('changed'), name: 'new' }
  await store.txn([], [{ put: 'account/changed', value: JSON.stringify(other) }])
  await store.txn([], [{ del: 'account/gone' }])
  await store.txn([], [{ put: 'account/new', value: JSON.stringify(account('new')) }])
  for (let i = 0; i < 200; i++) await store.txn([], [{ put: 'pool/p', value: '{}' }])
  assert.equal(state.view().get('account', 'changed')?.name, 'name of changed')
  mend()
  const view = await state.fresh()
  assert.deepEqual(told.sort(), ['account/changed set', 'account/gone gone', 'account/new set'])
  assert.equal(view.get('account', 'changed')?.name, 'new')
  assert.equal(view.get('account', 'gone'), null)
  assert.equal(await state.changesSince(3), null)
  assert.deepEqual(await state.changesSince(view.revision), [])
  await state.update((tx) => tx.put('account', ['later'], account('later')))
  assert.equal(told.at(-1), 'account/later set')
})

test('a mirror whose watch breaks goes on where it was', async () => {
  const { store, breakWatch } = breakable(await sqliteStore())
  const state = await stateOf(store)
  const revisions: number[] = []
  state.onChange((_, revision) => revisions.push(revision))
  for (let round = 0; round < 3; round++) {
    await state.update((tx) => tx.put('account', ['a'], account(`${round}`)))
    const mend = breakWatch()
    await store.txn([], [{ put: 'account/b', value: JSON.stringify(account(`${round}`)) }])
    mend()
  }
  assert.equal((await state.fresh()).get('account', 'b')?.id, '2')
  assert.deepEqual(revisions, [1, 2, 3, 4, 5, 6])
})

test('fresh and update say so when the mirror cannot follow, and close does not wait', async () => {
  const { store, breakWatch } = breakable(await sqliteStore())
  const state = await stateOf(store)
  breakWatch()
  await store.txn([], [{ put: 'account/a', value: JSON.stringify(account('a')) }])
  const fresh = assert.rejects(state.fresh(), (error) => codeOf(error) === 'StoreUnavailable')
  const update = assert.rejects(
    state.update((tx) => tx.put('account', ['b'], account('b'))),
    (error) => codeOf(error) === 'StoreUnavailable',
  )
  await state.close()
  await Promise.all([fresh, update])
})

test('a listener that throws does not keep others from hearing', async () => {
  const state = await stateOf(await sqliteStore())
  let heard = 0
  state.onChange(() => {
    throw new Error('bad listener')
  })
  state.onChange(() => {
    heard += 1
  })
  await state.update((tx) => tx.put('account', ['a'], account('a')))
  assert.equal(heard, 1)
})

test('openState refuses a store that holds something else than records', async () => {
  const store = await sqliteStore()
  await store.txn([], [{ put: 'account/a', value: 'not JSON' }])
  await assert.rejects(stateOf(store), (error) => codeOf(error) === 'BadMessage')
})

test('openState while others write reads one whole moment', async () => {
  const store = await sqliteStore()
  const writes = Array.from({ length: 2_500 }, (_, i) => ({
    put: `account/${i}`,
    value: JSON.stringify(account('0')),
  }))
  await store.txn([], writes)
  let stop = false
  // Every revision has the same id in the first and the last record.
  const writing = (async () => {
    for (let n = 1; !stop; n++) {
      const value = JSON.stringify(account(`${n}`))
      await store.txn(
        [],
        [
          { put: 'account/0', value },
          { put: 'account/999', value },
        ],
      )
    }
  })()
  for (let i = 0; i < 10; i++) {
    const state = await stateOf(store)
    const view = state.view()
    assert.equal(view.all('account').length, 2_500)
    assert.equal(view.get('account', '0')?.id, view.get('account', '999')?.id)
    await state.close()
  }
  stop = true
  await writing
})

test('two gateways over one Redis see each other’s writes, fresh sees all that is acknowledged', async () => {
  const redis = await server()
  const [one, two] = [await stateOf(await open(redis)), await stateOf(await open(redis))]
  for (let i = 0; i < 30; i++) {
    const [writer, reader] = (i % 2 === 0 ? [one, two] : [two, one]) as [State, State]
    await writer.update((tx) => tx.put('account', [`${i}`], account(`${i}`)))
    assert.deepEqual((await reader.fresh()).get('account', `${i}`), account(`${i}`))
  }
  const band = { first: 1, last: 60, quarantineMs: 0 }
  const taken = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      (i % 2 === 0 ? one : two).update((tx) => tx.pool('mac').take(band)),
    ),
  )
  assert.equal(new Set(taken).size, 60)
  assert.ok(!taken.includes(null))
})

test('a server that lost writes: the mirror forgets them, tells it, and has the new epoch', async () => {
  const redis = await server()
  const state = await stateOf(await open(redis))
  await state.update((tx) => tx.put('account', ['kept'], account('kept')))
  await state.update((tx) => tx.put('account', ['changed'], account('before')))
  const epoch = state.epoch()
  await redis.remember()
  await state.update((tx) => tx.put('account', ['lost'], account('lost')))
  await state.update((tx) => tx.put('account', ['changed'], account('after')))
  const told: string[] = []
  state.onChange((changes) => {
    for (const { key, value } of changes) told.push(`${key} ${value === null ? 'gone' : 'set'}`)
  })
  await redis.rollBack()
  await until('the mirror is in the new epoch', () => state.epoch() !== epoch)
  assert.deepEqual(told.sort(), ['account/changed set', 'account/lost gone'])
  assert.equal(state.view().get('account', 'lost'), null)
  assert.equal(state.view().get('account', 'changed')?.id, 'before')
  assert.equal(await state.changesSince(4), null)
  await until('an update goes through', () =>
    state
      .update((tx) => tx.put('account', ['new'], account('new')))
      .then(
        () => true,
        (error: unknown) => {
          assert.equal(codeOf(error), 'StoreUnavailable')
          return false
        },
      ),
  )
  assert.equal((await state.fresh()).get('account', 'new')?.id, 'new')
})

async function sqliteStore(keep?: number): Promise<Store> {
  const maker = await sqliteMaker()
  cleanUps.push(maker.stop)
  return await maker.make(keep === undefined ? {} : { keep })
}

async function server(): Promise<TestRedis> {
  const redis = await startRedis()
  cleanUps.push(redis.stop)
  return redis
}

async function open(redis: TestRedis): Promise<Store> {
  const store = await openRedis({ url: redis.url, namespace: 'test', log: silentLog })
  cleanUps.push(() => store.close())
  return store
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** The store with watches that break together, and stay broken until mended. */
function breakable(real: Store): { store: Store; breakWatch: () => () => void } {
  let broken: Promise<void> | null = null
  let cut = new AbortController()
  async function* watch(
    prefix: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Change[]> {
    if (broken !== null) await Promise.race([broken, aborted(signal)])
    const mine = cut.signal
    yield* real.watch(prefix, from, AbortSignal.any([signal, mine]))
    if (mine.aborted) throw new Error('the watch was cut')
  }
  const store: Store = {
    get: (key) => real.get(key),
    list: (prefix, options) => real.list(prefix, options),
    txn: (when, then) => real.txn(when, then),
    revision: () => real.revision(),
    epoch: () => real.epoch(),
    close: () => real.close(),
    watch,
  }
  const breakWatch = (): (() => void) => {
    let mend: () => void = () => undefined
    broken = new Promise((resolve) => {
      mend = resolve
    })
    cut.abort()
    cut = new AbortController()
    return () => {
      mend()
      broken = null
    }
  }
  return { store, breakWatch }
}
