// Placement groups: together, apart, by partitions; and never more than the hosts have.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PlaceHost } from '../../topology/placement.ts'
import {
  type GroupPlace,
  type GroupRule,
  groupTrouble,
  placeInGroup,
} from '../../topology/placement-groups.ts'

const NEED = { vcpus: 1, memoryMib: 1, diskGib: 1 }
const NONE: GroupRule = {
  strategy: 'spread',
  level: 'host',
  partitions: 0,
  partition: null,
  members: [],
}

function host(name: string, room: number): PlaceHost {
  const [rack = '', own = ''] = name.split('/')
  const free = { vcpus: room, memoryMib: room, diskGib: room }
  return { rack, host: own, free, instances: 0, eligible: true, why: '' }
}

function placed(hosts: readonly PlaceHost[], maxCount: number, rule: Partial<GroupRule>): string {
  const answer = placeInGroup(hosts, NEED, { minCount: 1, maxCount }, { ...NONE, ...rule })
  if (!answer.ok) return answer.why
  const shown = (one: GroupPlace): string =>
    `${one.rack}/${one.host}${one.partition === null ? '' : `=${one.partition}`}`
  return answer.value.map(shown).join(' ')
}

const FOUR = [host('a/1', 3), host('a/2', 3), host('b/1', 3), host('b/2', 4)]

for (const [what, hosts, count, rule, want] of [
  ['spread over hosts takes each once, racks in turn', FOUR, 9, {}, 'b/2 a/1 a/2 b/1'],
  ['spread over racks takes one in each', FOUR, 9, { level: 'rack' }, 'b/2 a/1'],
  ['spread leaves out what the group has', FOUR, 9, { members: [at('a/1'), at('b/2')] }, 'a/2 b/1'],
  [
    'spread over racks with one in each is full',
    FOUR,
    1,
    { level: 'rack', members: [at('a/1'), at('b/2')] },
    'NoCapacity',
  ],
  [
    'cluster fills few hosts of the rack that most fit into',
    FOUR,
    6,
    { strategy: 'cluster' },
    'b/2 b/2 b/2 b/2 b/1 b/1',
  ],
  [
    'cluster stays in its rack and goes on where it is',
    FOUR,
    9,
    { strategy: 'cluster', members: [at('a/2')] },
    'a/2 a/2 a/2 a/1 a/1 a/1',
  ],
  [
    'partitions get hosts of their own, in racks of their own while there are some',
    FOUR,
    4,
    { strategy: 'partition', partitions: 2 },
    'b/2=1 a/1=2 b/2=1 a/1=2',
  ],
  [
    'a partition that is asked for gets all of them, and other hosts when its own are full',
    FOUR,
    5,
    { strategy: 'partition', partitions: 7, partition: 3 },
    'b/2=3 b/2=3 b/2=3 b/2=3 a/1=3',
  ],
  [
    'more partitions than hosts: as many as there are hosts',
    [host('a/1', 2)],
    9,
    { strategy: 'partition', partitions: 3 },
    'a/1=1 a/1=1',
  ],
  [
    'a host of another partition is not taken',
    [host('a/1', 2)],
    1,
    { strategy: 'partition', partitions: 3, partition: 2, members: [at('a/1', 1)] },
    'NoCapacity',
  ],
] as const satisfies readonly (readonly [
  string,
  readonly PlaceHost[],
  number,
  Partial<GroupRule>,
  string,
])[]) {
  test(`placeInGroup: ${what}`, () => {
    assert.equal(placed(hosts, count, rule), want)
    assert.equal(placed(hosts.toReversed(), count, rule), want, 'whatever the order')
  })
}

test('groupTrouble says what the group minds', () => {
  const members = [at('a/1', 2)]
  const on = (name: string, rule: Partial<GroupRule>): string | null =>
    groupTrouble(at(name), { ...NONE, members, ...rule })
  assert.match(on('b/1', { strategy: 'cluster' }) ?? '', /not in rack a/)
  assert.match(on('a/1', {}) ?? '', /has an instance/)
  assert.match(on('a/2', { level: 'rack' }) ?? '', /is in a rack that has/)
  assert.match(on('a/1', { strategy: 'partition', partition: 1 }) ?? '', /partition 2/)
  assert.equal(on('a/1', { strategy: 'partition', partition: 2 }), null)
  assert.equal(on('b/1', {}), null)
})

const someHosts = fc.uniqueArray(
  fc.record({ rack: fc.constantFrom('a', 'b', 'c'), n: fc.nat(4), room: fc.nat(4) }),
  { maxLength: 10, selector: ({ rack, n }) => `${rack}/${n}` },
)
const someRule = fc.record({
  strategy: fc.constantFrom('cluster', 'spread', 'partition'),
  level: fc.constantFrom('rack', 'host'),
  partitions: fc.integer({ min: 1, max: 7 }),
})

test('placeInGroup keeps every promise of every strategy, launch after launch', () => {
  fc.assert(
    fc.property(someHosts, someRule, fc.array(fc.nat(6)), (given, rule, counts) => {
      let hosts = given.map(({ rack, n, room }) => host(`${rack}/${n}`, room))
      const members: GroupPlace[] = []
      for (const count of counts) {
        const full = { ...NONE, ...rule, members } as GroupRule
        const answer = placeInGroup(hosts, NEED, { minCount: 0, maxCount: count }, full)
        assert.ok(answer.ok)
        members.push(...answer.value)
        hosts = hosts.map((one) => less(one, answer.value))
      }
      assert.ok(hosts.every(({ free }) => free.vcpus >= 0))
      const key = (one: GroupPlace): string =>
        rule.level === 'rack' ? one.rack : `${one.rack}/${one.host}`
      if (rule.strategy === 'cluster') assert.ok(new Set(members.map((m) => m.rack)).size <= 1)
      if (rule.strategy === 'spread') assert.equal(new Set(members.map(key)).size, members.length)
      if (rule.strategy === 'partition') {
        const owner = new Map(members.map((m) => [`${m.rack}/${m.host}`, m.partition]))
        for (const m of members) assert.equal(owner.get(`${m.rack}/${m.host}`), m.partition)
        assert.ok(members.every(({ partition: p }) => p !== null && p <= rule.partitions))
      }
    }),
  )
})

function at(name: string, partition: number | null = null): GroupPlace {
  const [rack = '', own = ''] = name.split('/')
  return { rack, host: own, partition }
}

function less(one: PlaceHost, places: readonly GroupPlace[]): PlaceHost {
  const taken = places.filter(({ rack, host: own }) => rack === one.rack && own === one.host)
  const left = one.free.vcpus - taken.length
  return { ...one, free: { vcpus: left, memoryMib: left, diskGib: left } }
}
