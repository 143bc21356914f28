// A rack's desired state: what is in it, and that a delta made of touched keys always ends where
// the whole state would.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { touchedBy } from '../../../gateway/control/affected.ts'
import { checkDesired } from '../../../gateway/control/check.ts'
import { rackDesired, resourceAt } from '../../../gateway/control/desired.ts'
import { MemoryView } from '../../../gateway/store/memory-view.ts'
import type { Change } from '../../../gateway/store/store.ts'
import { type Resource, ResourceSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { bodies, bodyAt } from '../../../proto/resources.ts'
import { CLOUD, host, instance, networkInterface, rack, subnet } from './records.ts'

const AGENTS = [
  { rack: 'a', host: 'a1' },
  { rack: 'b', host: 'b1' },
] as const
const openKey = (): Uint8Array => new Uint8Array(32).fill(7)

type Write = readonly [string, object | null]

const VPC = { id: 'vpc-1', account: '1', ipv4Cidrs: ['10.0.0.0/20'], ipv6Cidrs: [] }
const START: readonly [string, object][] = [
  ['cloud/self', CLOUD],
  ['rack/a', rack('a', 1)],
  ['rack/b', rack('b', 2)],
  ['host/a/a1', host('a', 'a1', 1, 'A')],
  ['host/b/b1', host('b', 'b1', 1, 'B')],
  ['vpc/vpc-1', VPC],
  ['subnet/subnet-1', subnet('subnet-1', 'a', 0)],
  ['subnet/subnet-2', subnet('subnet-2', 'b', 1)],
  ['preshared-key/a|b', { pair: 'a|b', sealedKey: 'x' }],
]

function startView(): MemoryView {
  const view = new MemoryView()
  view.apply(changesOf(START, 1), 1)
  return view
}

function changesOf(records: readonly Write[], revision: number): Change[] {
  return records.map(([key, record]) => ({
    revision,
    key,
    value: record === null ? null : JSON.stringify(record),
  }))
}

function plain(desired: ReadonlyMap<string, Resource>): object {
  const entries = [...desired].map(([key, one]) => [key, toJson(ResourceSchema, one)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

test('rackDesired gives a rack its networks, and tunnels with exactly the other racks prefixes', () => {
  const desired = rackDesired(startView(), AGENTS[0], openKey)
  assert.deepEqual(
    bodies(desired, 'network').map((one) => one.id),
    ['subnet-1'],
  )
  const tunnel = bodyAt(desired, 'tunnel/b/b1', 'tunnel')
  const prefixes = ['fd12:3456:789a:2::/64', '10.0.1.0/24', 'fd98:7654:3200:1::/64']
  assert.deepEqual(new Set(tunnel?.allowedIps), new Set(prefixes))
  assert.deepEqual(tunnel?.endpoints, ['192.0.2.1:51820'])
  assert.equal(tunnel?.presharedKey.length, 32)
})

test('rackDesired leaves a terminated instance out and says ec2 in the SMBIOS UUID of others', () => {
  const view = startView()
  const gone = { ...instance('i-0123456789abcdef0', 'a', 'a1'), state: 'terminated' }
  const here = instance('i-0123456789abcdef1', 'a', 'a1')
  view.apply(
    changesOf(
      [
        [`instance/${gone.id}`, gone],
        [`instance/${here.id}`, here],
      ],
      2,
    ),
    2,
  )
  const [only, ...others] = bodies(rackDesired(view, AGENTS[0], openKey), 'instance')
  assert.equal(others.length, 0)
  assert.equal(only?.id, here.id)
  assert.equal(only?.smbiosUuid, 'ec201234-5678-9abc-def1-000000000000')
})

test('resourceAt gives no tunnel while the pair has no pre-shared key', () => {
  const view = startView()
  view.apply(changesOf([['preshared-key/a|b', null]], 2), 2)
  assert.equal(resourceAt(view, AGENTS[0], 'tunnel/b/b1', openKey), null)
})

test('checkDesired names two interfaces with one address', () => {
  const view = startView()
  const net = subnet('subnet-1', 'a', 0)
  view.apply(
    changesOf(
      [
        ['interface/eni-1', networkInterface('eni-1', net, 'a1', 4)],
        ['interface/eni-2', { ...networkInterface('eni-2', net, 'a1', 5), ipv4: '10.0.0.4' }],
      ],
      2,
    ),
    2,
  )
  const problems = checkDesired(rackDesired(view, AGENTS[0], openKey))
  assert.deepEqual(problems, ['address 10.0.0.4 is held by eni-1 and eni-2'])
})

const someChange: fc.Arbitrary<Write> = fc.oneof<fc.Arbitrary<Write>[]>(
  fc
    .record({ rack: fc.constantFrom('a', 'b'), n: fc.integer({ min: 2, max: 4 }) })
    .map(({ rack: r, n }) => [`subnet/subnet-${r}${n}`, subnet(`subnet-${r}${n}`, r, n)] as const),
  fc.constantFrom('a2', 'a3', 'b2').map((id) => [`subnet/subnet-${id}`, null] as const),
  fc
    .record({ r: fc.constantFrom('a', 'b'), key: fc.constantFrom('', 'K', 'L'), up: fc.boolean() })
    .map(({ r, key, up }) => [`host/${r}/${r}1`, host(r, `${r}1`, 1, key, up)] as const),
  fc
    .record({ r: fc.constantFrom('a', 'b'), key: fc.constantFrom('', 'M'), up: fc.boolean() })
    .map(({ r, key, up }) => [`host/${r}/${r}2`, host(r, `${r}2`, 2, key, up)] as const),
  fc.constantFrom('host/a/a2', 'host/b/b2').map((key) => [key, null] as const),
  fc
    .record({ id: fc.constantFrom('i-1', 'i-2'), end: fc.boolean(), reboots: fc.nat(3) })
    .map(({ id, end, reboots }) => {
      const one = { ...instance(id, 'a', 'a1'), rebootCount: reboots }
      return [`instance/${id}`, end ? { ...one, state: 'terminated' } : one] as const
    }),
  fc.constantFrom('i-1', 'i-2').map((id) => [`instance/${id}`, null] as const),
  fc.integer({ min: 4, max: 6 }).map((n) => {
    const net = subnet('subnet-1', 'a', 0)
    return [`interface/eni-${n}`, networkInterface(`eni-${n}`, net, 'a1', n)] as const
  }),
  fc
    .constantFrom(null, { pair: 'a|b', sealedKey: 'y' })
    .map((r) => ['preshared-key/a|b', r] as const),
  fc.constantFrom(null, rack('b', 2)).map((r) => ['rack/b', r] as const),
  fc.boolean().map((more) => {
    return [
      'vpc/vpc-1',
      more ? { ...VPC, ipv4Cidrs: ['10.0.0.0/20', '10.1.0.0/20'] } : VPC,
    ] as const
  }),
)

test('touchedBy names every key that a change changes: deltas end where the whole state does', () => {
  fc.assert(
    fc.property(fc.array(fc.array(someChange, { minLength: 1, maxLength: 3 })), (steps) => {
      const view = startView()
      const held = AGENTS.map((agent) => new Map(rackDesired(view, agent, openKey)))
      for (const [i, step] of steps.entries()) {
        const changes = changesOf(step, i + 2)
        // Before as well: what a deleted record pointed at is known only from what was.
        view.apply(changes, i + 2)
        const touched = changes.flatMap((change) => touchedBy(view, change))
        for (const [which, agent] of AGENTS.entries()) {
          for (const { key, rack: only } of touched) {
            if (only !== null && only !== agent.rack) continue
            const one = resourceAt(view, agent, key, openKey)
            if (one === null) held[which]?.delete(key)
            else held[which]?.set(key, one)
          }
          assert.deepEqual(
            plain(held[which] ?? new Map()),
            plain(rackDesired(view, agent, openKey)),
            `${agent.rack} after ${JSON.stringify(step)}`,
          )
        }
      }
    }),
    { numRuns: 300 },
  )
})
