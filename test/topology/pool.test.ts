// The number pool against a model that remembers everything: no number twice, none too early.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EMPTY_POOL, type Freed, planGive, planTake } from '../../topology/pool.ts'
import type { Band } from '../../topology/ranges.ts'
import { NEVER_AGAIN } from '../../topology/ranges.ts'

/** What a store does around the steps. */
function openPool(band: Band) {
  let head = EMPTY_POOL
  const slots = new Map<number, Freed>()
  return {
    slots,
    take(nowMs: number): number | null {
      const taken = planTake(head, band, slots.get(head.freedHead) ?? null, nowMs)
      if (!taken.ok) return null
      if (taken.value.consumedSlot !== null) slots.delete(taken.value.consumedSlot)
      head = taken.value.head
      return taken.value.n
    },
    give(n: number, nowMs: number): void {
      const given = planGive(head, n, nowMs)
      assert.ok(!slots.has(given.slot))
      slots.set(given.slot, given.freed)
      head = given.head
    },
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('take' as const), afterMs: fc.nat(50) }),
  fc.record({ kind: fc.constant('give' as const), afterMs: fc.nat(50), which: fc.nat() }),
)

test('planTake never gives a held number, nor one that has not rested, in any interleaving', () => {
  const input = fc.record({
    first: fc.nat(5000),
    count: fc.integer({ min: 1, max: 12 }),
    quarantineMs: fc.nat(300),
    steps: fc.array(step, { maxLength: 120 }),
  })
  fc.assert(
    fc.property(input, ({ first, count, quarantineMs, steps }) => {
      const band = { first, last: first + count - 1, quarantineMs }
      const pool = openPool(band)
      const held = new Set<number>()
      const freedAt = new Map<number, number>()
      let nowMs = 0
      for (const one of steps) {
        nowMs += one.afterMs
        if (one.kind === 'give') {
          const n = [...held][one.which % Math.max(1, held.size)]
          if (n === undefined) continue
          pool.give(n, nowMs)
          held.delete(n)
          freedAt.delete(n)
          freedAt.set(n, nowMs)
          continue
        }
        const n = pool.take(nowMs)
        const oldest = [...freedAt].at(0)
        const untouched = count - held.size - freedAt.size
        if (n === null) {
          assert.equal(untouched, 0, 'refused although some were never used')
          assert.ok(oldest === undefined || nowMs - oldest[1] < quarantineMs, 'refused too long')
          continue
        }
        assert.ok(n >= band.first && n <= band.last && !held.has(n))
        if (freedAt.has(n)) {
          assert.equal(untouched, 0, 'reused although some were never used')
          assert.equal(n, oldest?.[0], 'not the one freed longest ago')
          assert.ok(nowMs - (freedAt.get(n) ?? 0) >= quarantineMs)
        } else {
          assert.equal(n, first + held.size + freedAt.size, 'not the lowest never used')
        }
        freedAt.delete(n)
        held.add(n)
        assert.equal(pool.slots.size, freedAt.size, 'a slot was left behind')
      }
    }),
    { numRuns: 500 },
  )
})

test('planTake hands out every number of a band once, then says Exhausted', () => {
  const pool = openPool({ first: 2, last: 4094, quarantineMs: 0 })
  const seen = Array.from({ length: 4093 }, () => pool.take(0))
  assert.deepEqual(
    seen,
    Array.from({ length: 4093 }, (_, i) => i + 2),
  )
  assert.equal(pool.take(0), null)
})

test('planTake reuses a number at the end of its quarantine and not a millisecond before', () => {
  const pool = openPool({ first: 1, last: 1, quarantineMs: 1000 })
  assert.equal(pool.take(0), 1)
  pool.give(1, 500)
  assert.equal(pool.take(1499), null)
  assert.equal(pool.take(1500), 1)
})

test('planTake waits when the clock was set back', () => {
  const pool = openPool({ first: 1, last: 1, quarantineMs: 0 })
  pool.take(1000)
  pool.give(1, 1000)
  assert.equal(pool.take(999), null)
  assert.equal(pool.take(1000), 1)
})

test('planTake never takes a number of a NEVER_AGAIN band twice', () => {
  const pool = openPool({ first: 1, last: 1, quarantineMs: NEVER_AGAIN })
  assert.equal(pool.take(0), 1)
  pool.give(1, 0)
  assert.equal(pool.take(Number.MAX_SAFE_INTEGER), null)
})

test('planTake goes on behind the old end when a band has grown', () => {
  const head = { next: 11, freedHead: 0, freedTail: 0 }
  const taken = planTake(head, { first: 1, last: 12, quarantineMs: 0 }, null, 0)
  assert.ok(taken.ok && taken.value.n === 11)
})

test('planTake does not hand out a freed number that the band no longer has', () => {
  const head = { next: 11, freedHead: 0, freedTail: 1 }
  const band = { first: 1, last: 5, quarantineMs: 0 }
  assert.ok(!planTake(head, band, { n: 7, freedAtMs: 0 }, 10).ok)
})

test('planGive throws RangeError for a number that was never taken', () => {
  for (const n of [-1, 0.5, 3, Number.NaN]) {
    assert.throws(() => planGive({ next: 3, freedHead: 0, freedTail: 0 }, n, 0), RangeError)
  }
})
