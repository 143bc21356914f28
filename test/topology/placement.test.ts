// Placement: within capacity, spread, and the same answer to the same question.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { explain, type PlaceHost, place, roomFor } from '../../topology/placement.ts'

const NEED = { vcpus: 1, memoryMib: 512, diskGib: 8 }

function host(name: string, room: number, more: Partial<PlaceHost> = {}): PlaceHost {
  const [rack = '', own = ''] = name.split('/')
  const free = { vcpus: room, memoryMib: 512 * room, diskGib: 8 * room }
  return { rack, host: own, free, instances: 0, eligible: true, why: '', ...more }
}

function placed(hosts: readonly PlaceHost[], maxCount: number, rack: string | null = null) {
  const answer = place(hosts, NEED, { minCount: 1, maxCount, rack, spread: true })
  return answer.ok ? answer.value.map((one) => `${one.rack}/${one.host}`) : answer.why
}

const amount = fc.integer({ min: -2, max: 12 })
const someHosts = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(5)), {
    maxLength: 10,
    selector: ([rack, n]) => `${rack}/${n}`,
  })
  .chain((names) =>
    fc.tuple(
      ...names.map(([rack, n]) =>
        fc.record({
          rack: fc.constant(rack),
          host: fc.constant(`h${n}`),
          free: fc.record({ vcpus: amount, memoryMib: amount, diskGib: amount }),
          instances: fc.nat(4),
          eligible: fc.boolean(),
          why: fc.constant('is draining'),
        }),
      ),
    ),
  )
const someNeed = fc.record({ vcpus: fc.nat(4), memoryMib: fc.nat(4), diskGib: fc.nat(4) })
const someRequest = fc.record({
  minCount: fc.integer({ min: 1, max: 8 }),
  more: fc.nat(8),
  rack: fc.constantFrom(null, 'a', 'b'),
})

test('place takes no more than a host has, and refuses only what does not fit', () => {
  fc.assert(
    fc.property(someHosts, someNeed, someRequest, (hosts, need, { minCount, more, rack }) => {
      const maxCount = minCount + more
      const answer = place(hosts, need, { minCount, maxCount, rack, spread: true })
      const room = hosts
        .filter((one) => one.eligible && (rack === null || one.rack === rack))
        .reduce((sum, one) => sum + roomFor(one.free, need), 0)
      assert.equal(answer.ok, room >= minCount)
      if (!answer.ok) return
      assert.equal(answer.value.length, Math.min(room, maxCount))
      for (const one of hosts) {
        const here = answer.value.filter(
          (at) => at.rack === one.rack && at.host === one.host,
        ).length
        if (here === 0) continue
        assert.ok(one.eligible && (rack === null || one.rack === rack))
        for (const what of ['vcpus', 'memoryMib', 'diskGib'] as const) {
          assert.ok(need[what] === 0 || here * need[what] <= one.free[what], what)
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('place answers the same in whatever order the hosts are listed', () => {
  fc.assert(
    fc.property(someHosts, someNeed, (hosts, need) => {
      const request = { minCount: 1, maxCount: 7, rack: null, spread: true } as const
      assert.deepEqual(place([...hosts].reverse(), need, request), place(hosts, need, request))
    }),
  )
})

test('place leaves no rack with room two behind another', () => {
  const rooms = fc.array(fc.nat(6), { minLength: 2, maxLength: 5 })
  fc.assert(
    fc.property(rooms, fc.integer({ min: 1, max: 20 }), (all, maxCount) => {
      const answer = placed(
        all.map((room, i) => host(`r${i}/h`, room)),
        maxCount,
      )
      if (typeof answer === 'string') return
      const counts = all.map((_, i) => answer.filter((one) => one === `r${i}/h`).length)
      const most = Math.max(...counts)
      for (const [i, count] of counts.entries()) {
        assert.ok(count === all[i] || count >= most - 1, `${all} got ${counts}`)
      }
    }),
  )
})

for (const [what, hosts, count, want] of [
  ['racks before hosts', [host('a/1', 9), host('a/2', 9), host('b/1', 1)], 2, ['a/1', 'b/1']],
  ['then the emptier rack', [host('a/1', 9, { instances: 3 }), host('b/1', 2)], 1, ['b/1']],
  ['then the roomier one', [host('a/1', 2), host('b/1', 3)], 1, ['b/1']],
  ['then the first by name', [host('b/1', 2), host('a/2', 2), host('a/1', 1)], 1, ['a/2']],
  ['over the hosts of a rack', [host('a/1', 3), host('a/2', 3)], 3, ['a/1', 'a/2', 'a/1']],
  ['as many as fit', [host('a/1', 1), host('b/1', 1)], 5, ['a/1', 'b/1']],
  ['nowhere', [host('a/1', 0)], 1, 'NoCapacity'],
  ['nowhere without hosts', [], 1, 'NoCapacity'],
] as const) {
  test(`place spreads ${what}`, () => {
    assert.deepEqual(placed(hosts, count), want)
  })
}

test('place stays in the rack that was asked for', () => {
  const hosts = [host('a/1', 9), host('b/1', 1)]
  assert.deepEqual(placed(hosts, 3, 'b'), ['b/1'])
  assert.equal(placed(hosts, 3, 'c'), 'NoCapacity')
})

test('explain says of every host why not, in order', () => {
  const full = { vcpus: -1, memoryMib: 100, diskGib: 500 }
  const hosts = [
    host('b/1', 0, { free: full }),
    host('a/2', 3, { eligible: false, why: 'is draining' }),
    host('a/1', 3),
  ]
  assert.deepEqual(explain(hosts, NEED), [
    'host 1 of rack a has room for 3',
    'host 2 of rack a is draining',
    'host 1 of rack b has 0 of 1 vCPUs free and 100 of 512 MiB of memory free',
  ])
})
