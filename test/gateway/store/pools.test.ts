// Number pools through State: nobody gets a number that somebody holds, whatever runs at once.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { MalleeError } from '../../../common/errors.ts'
import type { State } from '../../../gateway/store/state.ts'
import { account, closeStates, handClock, stateOf } from './states.ts'
import { redisMaker, type StoreMaker, sqliteMaker } from './stores.ts'

const BAND = { first: 100, last: 115, quarantineMs: 1_000 }

for (const [name, makerOf] of [
  ['SQLite', sqliteMaker],
  ['Redis', redisMaker],
] as const) {
  describe(`pools over ${name}`, () => {
    let maker: StoreMaker
    before(async () => {
      maker = await makerOf()
    })
    after(async () => {
      await closeStates()
      await maker.stop()
    })

    test('take of 150 updates at once over two instances hands out 150 numbers', async () => {
      const store = await maker.make()
      const states = [await stateOf(store), await stateOf(store)]
      const band = { first: 10, last: 159, quarantineMs: 0 }
      const wishes = Array.from({ length: 151 }, (_, i) =>
        (states[i % 2] as State).update((tx) => tx.pool('mac').take(band)),
      )
      const numbers = await Promise.all(wishes)
      const got = numbers.filter((n) => n !== null).sort((a, b) => a - b)
      assert.deepEqual(
        got,
        Array.from({ length: 150 }, (_, i) => 10 + i),
      )
    })

    test('take several times in one update gives several numbers, at once or in turn', async () => {
      const state = await stateOf(await maker.make())
      const taken = await state.update(async (tx) => {
        const pool = tx.pool('ipv4/subnet-1')
        const together = await Promise.all([pool.take(BAND), pool.take(BAND), pool.take(BAND)])
        return [...together, await pool.take(BAND), await tx.pool('ipv4/subnet-2').take(BAND)]
      })
      assert.deepEqual(taken, [100, 101, 102, 103, 100])
    })

    test('a number that was given back rests for its quarantine, the longest resting goes first', async () => {
      const clock = handClock()
      const state = await stateOf(await maker.make(), { clock })
      const take = () => state.update((tx) => tx.pool('p').take(BAND))
      const give = (n: number) => state.update((tx) => tx.pool('p').give(n))
      for (let n = BAND.first; n <= BAND.last; n++) assert.equal(await take(), n)
      assert.equal(await take(), null)
      clock.set(5_000)
      await give(107)
      clock.set(5_500)
      await give(103)
      assert.equal(await take(), null)
      clock.set(6_000)
      assert.equal(await take(), 107)
      assert.equal(await take(), null)
      clock.set(6_500)
      assert.equal(await take(), 103)
      assert.equal(await take(), null)
    })

    test('an update that fails takes nothing from a pool', async () => {
      const state = await stateOf(await maker.make())
      const failing = state.update(async (tx) => {
        await tx.pool('p').take(BAND)
        throw new MalleeError('NameTaken', 'no')
      })
      await assert.rejects(failing)
      assert.equal(await state.update((tx) => tx.pool('p').take(BAND)), BAND.first)
    })

    test('pool keys are no records and no pool can be named like another one’s slots', async () => {
      const state = await stateOf(await maker.make())
      await state.update(async (tx) => {
        await tx.pool('p').take(BAND)
        for (const bad of ['', 'p/', 'p/freed/0', 'freed', '/p']) {
          assert.throws(() => tx.pool(bad), RangeError)
        }
        await tx.put('account', ['a'], account('a'))
      })
      assert.equal((await state.changesSince(0))?.length, 1)
      assert.deepEqual(state.view().all('account'), [account('a')])
    })

    test('nobody holds a number twice over any interleaving of takes and gives', async () => {
      const steps = fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }), {
        maxLength: 8,
      })
      await fc.assert(
        fc.asyncProperty(steps, async (rounds) => {
          const clock = handClock()
          const state = await stateOf(await maker.make(), { clock })
          const held = new Set<number>()
          for (const [round, wishes] of rounds.entries()) {
            clock.set(round * 700)
            const atStart = [...held]
            await Promise.all(
              wishes.map(async (isTake) => {
                const n = isTake ? null : (atStart.pop() ?? null)
                if (n !== null) {
                  held.delete(n)
                  await state.update((tx) => tx.pool('p').give(n))
                  return
                }
                const taken = await state.update((tx) => tx.pool('p').take(BAND))
                if (taken === null) return
                assert.ok(!held.has(taken), `${taken} is held already`)
                held.add(taken)
              }),
            )
          }
          await state.close()
        }),
        { numRuns: 15 },
      )
    })
  })
}
