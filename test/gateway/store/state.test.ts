// State over both stores: reading, transactions, pools and the mirror.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { codeOf, MalleeError } from '../../../common/errors.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Change, Store } from '../../../gateway/store/store.ts'
import { account, closeStates, instance, stateOf } from './states.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from './stores.ts'

for (const [name, makerOf] of [
  ['SQLite', sqliteMaker],
  ['Redis', redisMaker],
] as const) {
  describe(`State over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(async () => {
      await closeStates()
      await maker.stop()
    })
    const open = async (): Promise<State> => await stateOf(await maker.make())

    test('update shows its writes in view at once', async () => {
      const state = await open()
      for (let i = 0; i < 50; i++) {
        const id = String(i)
        await state.update((tx) => tx.put('account', [id], account(id)))
        assert.deepEqual(state.view().get('account', id), account(id))
      }
      await state.update((tx) => tx.delete('account', '7'))
      assert.equal(state.view().get('account', '7'), null)
      assert.equal(state.view().all('account').length, 49)
    })

    test('update reads its own writes, and nothing of a change that throws', async () => {
      const state = await open()
      await state.update(async (tx) => {
        await tx.put('account', ['1'], account('1'))
        assert.deepEqual(await tx.get('account', '1'), account('1'))
        await tx.delete('account', '1')
        assert.equal(await tx.get('account', '1'), null)
        await tx.put('account', ['2'], account('2'))
      })
      const failing = state.update(async (tx) => {
        await tx.put('account', ['3'], account('3'))
        throw new MalleeError('NameTaken', 'no')
      })
      await assert.rejects(failing, (error) => codeOf(error) === 'NameTaken')
      const view = await state.fresh()
      assert.deepEqual(view.all('account'), [account('2')])
    })

    test('update runs again when what it read changed, also what was absent', async () => {
      const store = await maker.make()
      const [one, two] = [await stateOf(store), await stateOf(store)]
      let runs = 0
      const claim = one.update(async (tx) => {
        runs += 1
        const held = await tx.get('account', 'x')
        if (runs === 1) await two.update((other) => other.put('account', ['x'], account('rival')))
        if (held === null) await tx.put('account', ['x'], account('mine'))
        return held?.id ?? 'none'
      })
      assert.equal(await claim, 'rival')
      assert.equal(runs, 2)
    })

    test('update tries again when reads of two moments made a change throw', async () => {
      const store = await maker.make()
      const [one, two] = [await stateOf(store), await stateOf(store)]
      const both = (id: string) =>
        two.update(async (tx) => {
          await tx.put('account', ['a'], account(id))
          await tx.put('account', ['b'], account(id))
        })
      await both('old')
      let runs = 0
      const seen = await one.update(async (tx) => {
        runs += 1
        const a = await tx.get('account', 'a')
        if (runs === 1) await both('new')
        const b = await tx.get('account', 'b')
        if (a?.id !== b?.id) throw new MalleeError('Conflict', 'two halves')
        return a?.id
      })
      assert.deepEqual([seen, runs], ['new', 2])
    })

    test('a hundred concurrent updates of one record all count', async () => {
      const store = await maker.make()
      const states = [await stateOf(store), await stateOf(store)]
      const counts = Array.from({ length: 100 }, (_, i) =>
        (states[i % 2] as State).update(async (tx) => {
          const held = await tx.get('account', 'n')
          const createdAtMs = (held?.createdAtMs ?? 0) + 1
          await tx.put('account', ['n'], { ...account('n'), createdAtMs })
        }),
      )
      await Promise.all(counts)
      assert.equal(states[0]?.view().get('account', 'n')?.createdAtMs, 100)
    })

    test('fresh shows what the other instance was told is done', async () => {
      const store = await maker.make()
      const [one, two] = [await stateOf(store), await stateOf(store)]
      for (let i = 0; i < 30; i++) {
        const id = String(i)
        await one.update((tx) => tx.put('account', [id], account(id)))
        const views = await Promise.all([two.fresh(), two.fresh()])
        for (const view of views) assert.deepEqual(view.get('account', id), account(id))
      }
    })

    test('fresh of many callers in one turn asks the store once', async () => {
      const store = await maker.make()
      let questions = 0
      const counting: Store = Object.create(store, {
        revision: {
          value: () => {
            questions += 1
            return store.revision()
          },
        },
      })
      for (const method of ['get', 'list', 'txn', 'watch', 'epoch', 'close'] as const) {
        Object.defineProperty(counting, method, { value: store[method].bind(store) })
      }
      const state = await stateOf(counting)
      questions = 0
      await Promise.all(Array.from({ length: 20 }, () => state.fresh()))
      assert.equal(questions, 1)
      await state.fresh()
      assert.equal(questions, 2)
    })

    test('onChange tells every revision once, in order, after view shows it', async () => {
      const state = await open()
      const told: number[] = []
      const keys: string[] = []
      const stop = state.onChange((changes, revision) => {
        assert.equal(state.view().revision, revision)
        told.push(revision)
        for (const { key } of changes) keys.push(key)
      })
      for (const id of ['a', 'b', 'c']) {
        await state.update(async (tx) => {
          await tx.pool('mac').take({ first: 0, last: 9, quarantineMs: 0 })
          await tx.put('account', [id], account(id))
        })
      }
      stop()
      await state.update((tx) => tx.put('account', ['d'], account('d')))
      assert.deepEqual(told, [1, 2, 3])
      assert.deepEqual(keys, ['account/a', 'account/b', 'account/c'])
    })

    test('changesSince answers from the log what happened before this process', async () => {
      const store = await maker.make()
      const before = await stateOf(store)
      for (let i = 0; i < 30; i++) {
        await before.update((tx) => tx.put('account', [`${i}`], account(`${i}`)))
      }
      const state = await stateOf(store)
      const [late, early] = await Promise.all([state.changesSince(20), state.changesSince(5)])
      assert.deepEqual(early?.map(revisionOf), range(6, 30))
      assert.deepEqual(late?.map(revisionOf), range(21, 30))
      await state.update((tx) => tx.put('account', ['new'], account('new')))
      assert.deepEqual((await state.changesSince(28))?.map(revisionOf), [29, 30, 31])
      assert.deepEqual(await state.changesSince(31), [])
      assert.equal(await state.changesSince(32), null)
    })

    test('changesSince answers null further back than its window or the log', async () => {
      const store = await maker.make({ keep: 100 })
      const windowChanges = 10
      const state = await stateOf(store, { windowChanges })
      for (let i = 0; i < 400; i++) void store.txn([], [{ put: `account/${i % 3}`, value: '{}' }])
      await state.update((tx) => tx.put('account', ['x'], account('x')))
      // It holds up to twice as many, when it followed and did not read everything anew, and takes
      // as many once more from the log.
      assert.equal(await state.changesSince(400 - 3 * windowChanges), null)
      assert.deepEqual((await state.changesSince(395))?.map(revisionOf), range(396, 401))
      const wide = await stateOf(store)
      assert.equal(await wide.changesSince(2), null)
    })

    test('view keeps its indexes as instances move and go', async () => {
      const state = await open()
      const put = (id: string, host: string, account: string) =>
        state.update((tx) => tx.put('instance', [id], instance(id, host, account)))
      await put('i-2', 'h1', 'A')
      await put('i-1', 'h1', 'A')
      await put('i-3', 'h2', 'B')
      const idsOf = (by: 'host' | 'account' | 'rack', id: string) =>
        state
          .view()
          .instancesOf(by, id)
          .map((one) => one.id)
      assert.deepEqual(idsOf('host', 'h1'), ['i-1', 'i-2'])
      const list = state.view().instancesOf('host', 'h1')
      assert.equal(state.view().instancesOf('host', 'h1'), list)
      await put('i-1', 'h2', 'B')
      assert.deepEqual(idsOf('host', 'h1'), ['i-2'])
      assert.deepEqual(idsOf('host', 'h2'), ['i-1', 'i-3'])
      assert.deepEqual(idsOf('account', 'B'), ['i-1', 'i-3'])
      assert.deepEqual(idsOf('rack', 'r'), ['i-1', 'i-2', 'i-3'])
      await state.update((tx) => tx.delete('instance', 'i-2'))
      assert.deepEqual(idsOf('host', 'h1'), [])
      assert.deepEqual(
        list.map((one) => one.id),
        ['i-1', 'i-2'],
      )
    })

    test('get with a part that no key can have finds nothing', async () => {
      const state = await open()
      await state.update((tx) => tx.put('account', ['a'], account('a')))
      const id = 'x/y'
      assert.equal(state.view().get('host', id), null)
      assert.equal(state.view().get('account', ''), null)
      assert.equal(await state.update((tx) => tx.get('host', id)), null)
      await assert.rejects(
        state.update((tx) => tx.put('account', [id], account('b'))),
        RangeError,
      )
    })
  })
}

function revisionOf(change: Change): number {
  return change.revision
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}
