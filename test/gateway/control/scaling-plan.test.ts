// Plans of Auto Scaling groups: whatever users, hosts and racks do, a group never has more than it
// may, and comes to what it desires when all are there again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { victims } from '../../../gateway/control/scaling-choice.ts'
import { Model, memberOf, NOW } from './scaling-model.ts'

const HOUR_MS = 3_600_000
const RUNS = 300

type Deed = (model: Model) => void

const some = fc.nat(30)
const rack = fc.constantFrom('a', 'b', 'c')
const nth = (model: Model, n: number) => {
  const all = model.active()
  return all[n % Math.max(1, all.length)]
}
const with_ =
  (n: number, deed: (model: Model, id: string) => void): Deed =>
  (model) => {
    const member = nth(model, n)
    if (member !== undefined) deed(model, member.instance)
  }
const put =
  (id: string, change: Parameters<typeof memberOf>[2]): Deed =>
  (model) => {
    const member = model.members.get(id)
    if (member !== undefined) model.members.set(id, { ...member, ...change })
  }

const deeds: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Deed>((model) => model.obey()) },
  fc.nat(20).map(
    (desired): Deed =>
      (model) => {
        model.group = { ...model.group, desired, trouble: null }
      },
  ),
  some.map((n) => with_(n, (model, id) => model.end(id))),
  some.map((n) => with_(n, (model, id) => model.end(id, 'Server.InternalError'))),
  some.map((n) => with_(n, (model, id) => put(id, { healthy: false })(model))),
  some.map((n) => with_(n, (model, id) => put(id, { protected: true })(model))),
  some.map((n) => with_(n, (model, id) => model.impaired.add(id))),
  some.map((n) =>
    with_(n, (model, id) => {
      if (model.members.get(id)?.state === 'InService') put(id, { state: 'Standby' })(model)
    }),
  ),
  rack.map(
    (name): Deed =>
      (model) => {
        const one = model.racks[name]
        if (one !== undefined) one.away = !one.away
      },
  ),
  fc.tuple(rack, fc.nat(8)).map(
    ([name, room]): Deed =>
      (model) => {
        const one = model.racks[name]
        if (one !== undefined) one.room = room
      },
  ),
  fc.subarray(['a', 'b', 'c'], { minLength: 1 }).map(
    (zones): Deed =>
      (model) => {
        model.group = { ...model.group, zones }
      },
  ),
  fc.nat(2).map(
    (hours): Deed =>
      (model) => {
        model.nowMs += hours * HOUR_MS
      },
  ),
)

test('a group never has more than it desires and one, and comes to what it desires', () => {
  const property = fc.property(
    fc.array(deeds, { maxLength: 30 }),
    fc.constantFrom('balanced-best-effort' as const, 'balanced-only' as const),
    (steps, distribution) => {
      const model = new Model({ distribution, min: 0, max: 20, desired: 3 })
      const restAndCheck = (): void =>
        model.rest((step) => {
          if (step.kind !== 'launch') return
          const { desired } = model.group
          const most = desired + (step.balances ? 1 : 0)
          const onTop = model.active().filter((one) => one.balances && one.state === 'Pending')
          assert.ok(model.active().length - onTop.length + step.count <= most)
          assert.ok(model.active().length + step.count <= model.group.max + 1)
        })
      restAndCheck()
      for (const step of steps) {
        step(model)
        restAndCheck()
      }
      for (const one of Object.values(model.racks)) Object.assign(one, { away: false, room: 100 })
      for (const one of model.members.values()) put(one.instance, { protected: false })(model)
      // As many rounds as there may be moves, one after the other.
      for (let round = 0; round < 60; round += 1) {
        model.nowMs += HOUR_MS
        model.obey()
        restAndCheck()
      }
      const active = model.active()
      assert.equal(active.length, model.group.desired)
      assert.ok(active.every((one) => one.state === 'InService' && one.healthy))
      assert.deepEqual(
        [...model.impaired].filter((id) => model.members.get(id)?.state === 'InService'),
        [],
      )
      const counts = model.group.zones.map(
        (zone) => active.filter((one) => one.rack === zone).length,
      )
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${counts}`)
      assert.equal(
        counts.reduce((sum, one) => sum + one, 0),
        active.length,
      )
    },
  )
  fc.assert(property, { numRuns: RUNS })
})

test('a failed check of all instances at once takes a tenth at a time', () => {
  const model = new Model({ desired: 20 })
  model.rest()
  model.obey()
  model.rest()
  for (const id of model.members.keys()) model.impaired.add(id)
  let worst = 20
  for (let round = 0; round < 40; round += 1) {
    model.rest()
    const serving = model.active().filter((one) => one.healthy && one.state === 'InService')
    worst = Math.min(worst, serving.length)
    model.obey()
  }
  assert.equal(worst, 18)
  assert.ok(model.active().every((one) => !model.impaired.has(one.instance)))
})

test('a large group is launched in few steps, evenly', () => {
  const model = new Model({ desired: 100, max: 100 })
  let launches = 0
  model.rest((step) => {
    if (step.kind === 'launch') launches += 1
  })
  const counts = ['a', 'b', 'c'].map((name) => model.active().filter((one) => one.rack === name))
  assert.deepEqual(
    counts.map((one) => one.length),
    [34, 33, 33],
  )
  assert.ok(launches <= 9, `${launches}`)
})

test('what ended is replaced all at once', () => {
  const model = new Model({ desired: 9 })
  model.rest()
  model.obey()
  model.rest()
  for (const id of [...model.members.keys()]) model.end(id)
  model.rest()
  assert.equal(model.active().filter((one) => one.state === 'Pending').length, 9)
})

for (const [process, deed, want] of [
  ['Launch', (model: Model) => model.end('i-1'), 2],
  [
    'Terminate',
    (model: Model) => Object.assign(model, { group: { ...model.group, desired: 1 } }),
    3,
  ],
  ['ReplaceUnhealthy', (model: Model) => model.end('i-1'), 3],
  ['HealthCheck', (model: Model) => model.end('i-1'), 3],
  ['AZRebalance', (model: Model) => model.end('i-1'), 3],
] as const) {
  test(`a group whose process ${process} is suspended has ${want} instances`, () => {
    const model = new Model({ desired: 3, max: 3 })
    model.rest()
    model.obey()
    model.rest()
    model.group = { ...model.group, suspended: [process] }
    deed(model)
    model.rest()
    model.obey()
    model.rest()
    assert.equal(model.active().length, want)
  })
}

test('an instance that is too old is replaced, one after the other', () => {
  const model = new Model({ desired: 3, maxLifetimeSeconds: 86_400 })
  model.rest()
  model.obey()
  model.rest()
  const old = [...model.members.keys()]
  model.nowMs += 86_400_000
  let fewest = 3
  for (let round = 0; round < 10; round += 1) {
    model.rest()
    fewest = Math.min(fewest, model.active().filter((one) => one.state === 'InService').length)
    model.obey()
  }
  assert.equal(fewest, 2)
  assert.ok(old.every((id) => !model.members.has(id)))
})

const ZONES = ['a', 'b'].map((name) => ({
  rack: name,
  subnets: [`s${name}`],
  usable: true,
}))

for (const [policies, want] of [
  [['Default'], 'old-version'],
  [['OldestInstance'], 'oldest'],
  [['NewestInstance'], 'newest'],
  [['OldestLaunchTemplate'], 'old-version'],
  [['OldestLaunchConfiguration', 'NewestInstance'], 'newest'],
  [['ClosestToNextInstanceHour'], 'hour'],
  [['OldestLaunchTemplate', 'NewestInstance'], 'old-version'],
] as const) {
  test(`victims by ${policies.join(', ')} takes ${want}`, () => {
    const candidate = (name: string, rackOf: string, minutes: number, version: number) => ({
      member: memberOf(name, rackOf),
      launchedAtMs: NOW - minutes * 60_000,
      version,
    })
    const active = [
      candidate('oldest', 'a', 600, 2),
      candidate('hour', 'a', 179, 2),
      candidate('old-version', 'a', 100, 1),
      candidate('newest', 'a', 1, 2),
      candidate('other-zone', 'b', 6_000, 0),
    ]
    const [first] = victims({ terminationPolicies: policies }, ZONES, active, 1, NOW)
    assert.equal(first?.instance, want)
  })
}

test('victims are never protected, and come first from zones that are the group’s no more', () => {
  const candidate = (name: string, rackOf: string, isProtected = false) => ({
    member: memberOf(name, rackOf, { protected: isProtected }),
    launchedAtMs: NOW,
    version: 1,
  })
  const active = [
    candidate('a1', 'a', true),
    candidate('a2', 'a', true),
    candidate('a3', 'a', true),
    candidate('b1', 'b'),
    candidate('z1', 'z'),
  ]
  const group = { terminationPolicies: ['Default'] }
  assert.deepEqual(
    victims(group, ZONES, active, 5, NOW).map((one) => one.instance),
    ['z1', 'b1'],
  )
})
