// A delta made of touched keys ends where the whole desired state would, whatever changed; and the
// change of one thing touches few.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { canTell, touchedBy } from '../../../gateway/control/affected.ts'
import { rackDesired, resourceAt } from '../../../gateway/control/desired.ts'
import { type Resource, ResourceSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { BALANCING, someBalancing } from './balancer-changes.ts'
import { someChange, someGround } from './changes.ts'
import { PEERED, somePeering } from './peer-changes.ts'
import {
  changesOf,
  host,
  instance,
  networkInterface,
  rack,
  SECRETS,
  startView,
  subnet,
  type Write,
} from './records.ts'
import { someVolume } from './volume-changes.ts'
import { CONNECTED, someVpn, vpnLink } from './vpn-changes.ts'

/** Two CCs of rack a: each is the edge of other VPCs. */
const AGENTS = ['a1', 'a2', 'b1', 'c1'].map((host) => ({ rack: host.slice(0, 1), host }))

function plain(desired: ReadonlyMap<string, Resource>): object {
  const entries = [...desired].map(([key, one]) => [key, toJson(ResourceSchema, one)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function reaches(start: readonly Write[], steps: readonly (readonly Write[])[]): void {
  const view = startView(...start)
  const held = AGENTS.map((agent) => new Map(rackDesired(view, agent, SECRETS)))
  for (const [i, step] of steps.entries()) {
    const touched = touchedBy(view, view.apply(changesOf(step, i + 2), i + 2))
    for (const [which, agent] of AGENTS.entries()) {
      for (const { key, rack: only } of touched) {
        if (only !== null && only !== agent.rack) continue
        const one = resourceAt(view, agent, key, SECRETS)
        if (one === null) held[which]?.delete(key)
        else held[which]?.set(key, one)
      }
      assert.deepEqual(
        plain(held[which] ?? new Map()),
        plain(rackDesired(view, agent, SECRETS)),
        `${agent.host} after ${JSON.stringify(step)}`,
      )
    }
  }
}

test('touchedBy names every key that a change changes: deltas end where the whole state does', () => {
  const steps = fc.array(fc.array(someChange, { minLength: 1, maxLength: 4 }), { maxLength: 12 })
  const start = fc.array(someChange, { maxLength: 60 })
  fc.assert(fc.property(start, steps, reaches), { numRuns: 200 })
})

test('touchedBy is told what many changes one after the other did', () => {
  // An agent that was away gets them at once, with the records that each of them replaced.
  const steps = fc.array(someChange, { minLength: 10, maxLength: 40 })
  const start = fc.array(someChange, { maxLength: 60 })
  fc.assert(
    fc.property(start, steps, (before, step) => reaches(before, [step])),
    { numRuns: 100 },
  )
})

test('touchedBy names what load balancers have, of which there are many', () => {
  const change = fc.oneof(someBalancing, someChange)
  const steps = fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 8 })
  const start = fc.oneof(
    fc.array(someBalancing, { minLength: 80, maxLength: 80 }),
    fc.array(someBalancing, { maxLength: 1 }).map((more) => [...BALANCING, ...more]),
  )
  fc.assert(fc.property(start, steps, reaches), { numRuns: 200 })
})

test('touchedBy names what volumes have, and the instances that have them', () => {
  const start = fc.array(fc.oneof(someVolume, someChange), { maxLength: 40 })
  const steps = fc.array(fc.array(someVolume, { minLength: 1, maxLength: 3 }), { maxLength: 8 })
  fc.assert(fc.property(start, steps, reaches), { numRuns: 200 })
})

test('touchedBy names what peer clouds have here, and what leads to them', () => {
  const change = fc.oneof(
    { weight: 3, arbitrary: somePeering },
    { weight: 1, arbitrary: someChange },
  )
  const start = fc.array(change, { maxLength: 30 }).map((more) => [...PEERED, ...more])
  const steps = fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 8 })
  fc.assert(fc.property(start, steps, reaches), { numRuns: 150 })
})

test('touchedBy names what VPN connections have, and what leads to them', () => {
  const change = fc.oneof(
    { weight: 3, arbitrary: someVpn },
    { weight: 1, arbitrary: someGround },
    { weight: 1, arbitrary: someChange },
  )
  const start = fc.array(change, { maxLength: 20 }).map((more) => [...CONNECTED, ...more])
  const steps = fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 8 })
  fc.assert(fc.property(start, steps, reaches), { numRuns: 200 })
})

test('touchedBy leads packets to another tunnel when the CC of the first is away', () => {
  const third: Write[] = [
    ['rack/c', rack('c', 3)],
    ['host/c/c1', host('c', 'c1', 1, 'C')],
  ]
  const away: Write = ['host/a/a1', host('a', 'a1', 1, 'A', false)]
  reaches([...CONNECTED, ...third], [[away], [['host/a/a1', host('a', 'a1', 1, 'A')]]])
})

test('touchedBy takes an address from its rack also when its interface goes with it', () => {
  const card = networkInterface('eni-2', subnet('subnet-1', 'a', 0), 'a1', 5)
  const address = {
    ...{ id: 'eipalloc-2', account: '1', publicIp: '192.0.2.2', pool: 'p', auto: false },
    ...{ association: 'eni-2', interface: 'eni-2', privateIp: '10.0.0.5', createdAtMs: 0 },
  }
  const start: Write[] = [
    ['interface/eni-2', card],
    ['address/eipalloc-2', address],
  ]
  const end: Write[] = [
    ['address/eipalloc-2', null],
    ['interface/eni-2', null],
  ]
  reaches(start, [end])
})

test('touchedBy takes an address from its rack also when its interface has left that', () => {
  const card = networkInterface('eni-2', subnet('subnet-1', 'a', 0), 'a1', 5)
  const address = {
    ...{ id: 'eipalloc-2', account: '1', publicIp: '192.0.2.2', pool: 'p', auto: false },
    ...{ association: 'eni-2', interface: 'eni-2', privateIp: '10.0.0.5', createdAtMs: 0 },
  }
  const start: Write[] = [
    ['interface/eni-2', card],
    ['address/eipalloc-2', address],
  ]
  const elsewhere: Write = ['interface/eni-2', { ...card, rack: 'b', host: '' }]
  reaches(start, [[elsewhere, ['address/eipalloc-2', null]]])
  const free = { ...address, association: '', interface: '', privateIp: '' }
  reaches(start, [[['address/eipalloc-2', free], elsewhere]])
})

test('canTell wants the record that was replaced, but not for what hosts report', () => {
  const lost = { revision: 2, key: 'interface/eni-1', value: null }
  assert.equal(canTell([lost]), false)
  assert.equal(canTell([{ ...lost, before: null }]), true)
  assert.equal(canTell([{ revision: 2, key: 'host/a/a1', value: null }]), true)
})

const CROWD = 500
const net = subnet('subnet-1', 'a', 0)
const crowd = Array.from({ length: CROWD }, (_, n): Write[] => [
  [
    `interface/eni-${n}`,
    {
      ...networkInterface(`eni-${n}`, net, 'a1', n % 200),
      instance: `i-${n}`,
      securityGroups: ['sg-1', 'sg-2'],
    },
  ],
  [`instance/i-${n}`, { ...instance(`i-${n}`, 'a', 'a1'), interfaces: [`eni-${n}`] }],
  [`address/eipalloc-${n}`, address(`eipalloc-${n}`, `eni-${n}`)],
])
const group = {
  id: 'sg-1',
  account: '1',
  vpc: 'vpc-1',
  name: 'web',
  description: '',
  rules: [],
  createdAtMs: 0,
}

function address(id: string, of: string) {
  return {
    id,
    account: '1',
    publicIp: '192.0.2.1',
    pool: 'pool-1',
    auto: false,
    association: of === '' ? '' : 'eipassoc-1',
    interface: of,
    privateIp: '',
    createdAtMs: 0,
  }
}

const CHEAP: readonly (readonly [string, Write, number])[] = [
  ['an address that moves', ['address/eipalloc-1', address('eipalloc-1', 'eni-2')], 4],
  [
    'an interface in two groups',
    ['interface/eni-1', { ...networkInterface('eni-1', net, 'a1', 7), securityGroups: ['sg-1'] }],
    12,
  ],
  ['an instance', ['instance/i-1', { ...instance('i-1', 'a', 'a1'), rebootCount: 1 }], 1],
  ['a tag', ['tags/i-1', { resource: 'i-1', tags: { a: 'b' } }], 1],
  ['the rules of a group', ['security-group/sg-1', { ...group, rules: [] }], 4],
  // Two subnets in two racks, and a tunnel in a third one.
  ['a tunnel that is up no more', ['vpn-link/1', vpnLink(1, 'a/a1', false)], 6],
  ['a tunnel with trouble', ['vpn-link/1', { ...vpnLink(1, 'a/a1'), trouble: 'x' }], 0],
]

for (const [what, write, most] of CHEAP) {
  test(`touchedBy finds few keys for ${what} among ${CROWD}`, () => {
    const view = startView(...crowd.flat(), ['security-group/sg-1', group], ...CONNECTED)
    const touched = touchedBy(view, view.apply(changesOf([write], 2), 2))
    const keys = new Set(touched.map(({ key, rack }) => `${key} ${rack}`))
    assert.ok(
      keys.size <= most && (keys.size > 0 || most === 0),
      `${keys.size}: ${[...keys].join(', ')}`,
    )
  })
}

test('touchedBy finds nothing for what a host says of its room and its troubles', () => {
  const view = startView()
  const one = host('a', 'a1', 1, 'A')
  assert.ok(one.status !== null)
  const volumes = { portal: '', backend: 'files', sizeBytes: 2, roomBytes: 1, snapshots: true }
  const status = { ...one.status, memoryMib: 7, trouble: 'no room', volumes }
  const full: Write = ['host/a/a1', { ...one, status }]
  assert.deepEqual(touchedBy(view, view.apply(changesOf([full], 2), 2)), [])
  const away: Write = ['host/a/a1', { ...one, status: { ...status, connected: false } }]
  assert.notDeepEqual(touchedBy(view, view.apply(changesOf([away], 3), 3)), [])
})
