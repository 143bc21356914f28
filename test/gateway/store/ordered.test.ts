// The structures in memory against simple ones that do the same slowly.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChangeWindow } from '../../../gateway/store/change-window.ts'
import { prefixEnd } from '../../../gateway/store/limits.ts'
import { Ordered } from '../../../gateway/store/ordered.ts'

test('Ordered holds what a sorted map holds, over any sets and deletes', () => {
  const id = fc.string({ unit: fc.constantFrom('a', 'b', '/'), minLength: 1, maxLength: 5 })
  const step = fc.tuple(fc.boolean(), id)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), id, (steps, prefix) => {
      const ordered = new Ordered<number>()
      const model = new Map<string, number>()
      for (const [n, [isSet, at]] of steps.entries()) {
        if (isSet) {
          ordered.set(at, n)
          model.set(at, n)
        } else {
          ordered.delete(at)
          model.delete(at)
        }
      }
      const ids = [...model.keys()].sort()
      assert.deepEqual([...ordered.idsFrom('')], ids)
      assert.deepEqual(
        ordered.all(),
        ids.map((one) => model.get(one)),
      )
      assert.deepEqual(
        ordered.withPrefix(prefix),
        ids.filter((one) => one.startsWith(prefix)).map((one) => model.get(one)),
      )
      assert.equal(ordered.size, model.size)
    }),
  )
})

test('Ordered keeps its order over many more ids than one chunk has', () => {
  const ordered = new Ordered<number>()
  const count = 20_000
  // 7,919 is prime: every number once, in no order.
  for (let i = 0; i < count; i++) {
    const n = (i * 7_919) % count
    ordered.set(String(n).padStart(6, '0'), n)
  }
  assert.deepEqual(
    ordered.all(),
    Array.from({ length: count }, (_, i) => i),
  )
  for (let n = 0; n < count; n += 2) ordered.delete(String(n).padStart(6, '0'))
  assert.deepEqual(
    ordered.all(),
    Array.from({ length: count / 2 }, (_, i) => 2 * i + 1),
  )
  assert.deepEqual(ordered.withPrefix('01999'), [19_991, 19_993, 19_995, 19_997, 19_999])
})

test('all of Ordered is the same array until something changes, and never changes itself', () => {
  const ordered = new Ordered<number>()
  ordered.set('a', 1)
  const first = ordered.all()
  assert.equal(ordered.all(), first)
  ordered.set('b', 2)
  assert.deepEqual(first, [1])
  assert.deepEqual(ordered.all(), [1, 2])
})

test('ChangeWindow answers whole revisions or null, and stays within its bound', () => {
  const changes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 120 })
  fc.assert(
    fc.property(changes, fc.integer({ min: 1, max: 20 }), (sizes, limit) => {
      const window = new ChangeWindow(limit)
      const all: { revision: number; key: string; value: null }[] = []
      for (const [i, size] of sizes.entries()) {
        const group = Array.from({ length: size }, (_, n) => ({
          revision: i + 1,
          key: `k${n}`,
          value: null,
        }))
        window.push(group)
        all.push(...group)
      }
      let reachable = 0
      for (let from = 0; from <= sizes.length; from++) {
        const held = window.since(from)
        const wanted = all.filter((change) => change.revision > from)
        assert.ok(wanted.length > limit - 4 || held !== null, 'gone too early')
        if (held === null) continue
        assert.deepEqual(held, wanted)
        reachable = Math.max(reachable, held.length)
      }
      assert.ok(reachable <= 2 * limit)
    }),
  )
})

for (const [prefix, end] of [
  ['', null],
  ['a/', 'a0'],
  ['a\u{10ffff}', 'b'],
  ['\u{10ffff}', null],
  ['\ud7ff', '\ue000'],
  ['\uffff', '\u{10000}'],
] as const) {
  test(`prefixEnd of ${JSON.stringify(prefix)} is ${JSON.stringify(end)}`, () => {
    assert.equal(prefixEnd(prefix), end)
  })
}
