// diffByKey: applying a difference makes actual what is desired.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { diffByKey } from '../../topology/diff.ts'

const things = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'Z', 'é'), fc.nat(2))

test('diffByKey names what to do, sorted, each key once, and nothing when all is done', () => {
  fc.assert(
    fc.property(things, things, (want, have) => {
      const desired = new Map(Object.entries(want))
      const actual = new Map(Object.entries(have))
      const { add, change, remove } = diffByKey(desired, actual, (a, b) => a === b)
      for (const keys of [add, change, remove]) assert.deepEqual(keys, [...keys].sort())
      for (const key of add) assert.ok(!actual.has(key))
      for (const key of change) assert.ok(actual.has(key))
      for (const key of remove) actual.delete(key)
      for (const key of [...add, ...change]) actual.set(key, desired.get(key) ?? Number.NaN)
      assert.deepEqual(new Map([...actual].sort()), new Map([...desired].sort()))
      assert.deepEqual(
        diffByKey(desired, actual, (a, b) => a === b),
        { add: [], change: [], remove: [] },
      )
    }),
  )
})

test('diffByKey takes undefined for a value like any other', () => {
  const one = new Map([['a', undefined]])
  assert.deepEqual(diffByKey(one, one, Object.is), { add: [], change: [], remove: [] })
})
