// The plans of the edge: prefixes without overlaps, sets of the packet filter, routes and rules,
// announcements.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { announcedOf, planAnnounce } from '../../../cluster-agent/cc/announce.ts'
import { edgeRules, planEdge } from '../../../cluster-agent/cc/edge.ts'
import { disjoint } from '../../../cluster-agent/cc/prefixes.ts'
import { planReversePaths } from '../../../cluster-agent/cc/reverse-path.ts'
import { desiredRoutes, planRouting } from '../../../cluster-agent/cc/routing.ts'
import { type Tenants, tenantsOf } from '../../../cluster-agent/cc/tenants.ts'
import { tableComment, tableElements } from '../../../cluster-agent/host/nft.ts'
import { BY_NAT, BY_RACK, OUT, PUBLIC, type Wishes, withPublic } from './public-racks.ts'

const FABRIC = 'fd00:fab::/48'
const NOTHING = { rules: [], routes: [] }

function tenants(wishes: Wishes, publicSide: Tenants['publicSide'] = PUBLIC): Tenants {
  return tenantsOf(withPublic(1, 'key', wishes), 'h1', { fabric: FABRIC, publicSide })
}

function elementsOf(wishes: Wishes): Record<string, readonly string[]> {
  const { sets } = edgeRules(tenants(wishes))
  return Object.fromEntries(sets.map(({ name, elements }) => [name, elements]))
}

test('disjoint leaves to a prefix what no longer one takes, also one that only takes away', () => {
  const choices = [
    { prefix: '0.0.0.0/0', value: 'out' },
    { prefix: '10.0.0.0/8', value: null },
    { prefix: '10.1.2.3/32', value: 'one' },
  ]
  const found = disjoint(choices)
  const of = (value: string) => found.filter((one) => one.value === value).map((one) => one.prefix)
  assert.deepEqual(of('one'), ['10.1.2.3'])
  assert.deepEqual(of('out').slice(0, 3), ['0.0.0.0/5', '8.0.0.0/7', '11.0.0.0/8'])
  assert.ok(!of('out').includes('10.0.0.0/8'))
})

test("desiredRoutes has a subnet's table, the rule that leads there, and an end", () => {
  const wishes: Wishes = {
    routes: { 'blue-1': [...OUT, ...BY_NAT('nat-9').map(() => ['10.9.0.0/16', 7] as const)] },
  }
  assert.deepEqual(desiredRoutes(tenants(wishes), 4), {
    rules: ['pref 10000 iif gw11 lookup 10011', 'pref 9000 fwmark 0x6d6c lookup main'],
    routes: [
      'blackhole 10.9.0.0/16 table 10011',
      'default via 203.0.113.1 dev pub0 onlink table 10011',
      'throw 10.0.0.0/20 table 10011',
    ],
  })
  assert.deepEqual(desiredRoutes(tenants(wishes), 6), {
    rules: ['pref 10000 iif gw11 lookup 10011'],
    routes: [
      'default via 2001:db8:ffff::1 dev pub0 onlink table 10011',
      'throw fd01::/56 table 10011',
    ],
  })
})

for (const [what, routes, line] of [
  ['without a public side', OUT, 'unreachable default table 10011'],
  ['to a NAT gateway that is not here', BY_NAT('nat-1'), 'unreachable default table 10011'],
  [
    'to another rack',
    BY_RACK('fd00:fab:0:2::1'),
    'default via inet6 fe80::400:10ff:fe00:2001 dev vxt onlink table 10011',
  ],
  ['to a rack without a tunnel', BY_RACK('fd00:fab:0:7::1'), 'unreachable default table 10011'],
] as const) {
  test(`desiredRoutes of a route ${what} is ${line}`, () => {
    const lines = desiredRoutes(tenants({ routes: { 'blue-1': routes } }, null), 4).routes
    assert.deepEqual(
      lines.filter((one) => one.includes('default')),
      [line],
    )
  })
}

test('desiredRoutes answers a foreign subnet by the transit device, from its own VPC as ever', () => {
  const wishes: Wishes = {
    routes: { 'blue-2': BY_NAT('nat-1') },
    nats: [['nat-1', '203.0.113.20', '10.0.1.9']],
    foreign: ['blue-2'],
  }
  const { rules } = desiredRoutes(tenants(wishes), 4)
  assert.match(rules[0] ?? '', /^pref 10000 from 10\.0\.2\.0\/24 iif vxt lookup \d{10}$/)
  assert.deepEqual(rules.slice(1), [
    'pref 8999 to 10.0.2.0/24 fwmark 0x6d6c lookup 9999',
    'pref 9100 from 10.0.0.0/20 to 10.0.2.0/24 lookup main',
    'pref 9200 to 10.0.2.0/24 lookup 9999',
  ])
})

test('planRouting fills a table before a rule leads there', () => {
  const wanted = desiredRoutes(tenants({ routes: { 'blue-1': OUT } }), 4)
  const [step] = planRouting({ 4: wanted, 6: NOTHING }, { 4: NOTHING, 6: NOTHING })
  const verbs = step?.lines.map((line) => line.split(' ').slice(0, 2).join(' '))
  assert.deepEqual(verbs, ['route add', 'route add', 'rule add', 'rule add'])
  assert.deepEqual(planRouting({ 4: wanted, 6: NOTHING }, { 4: wanted, 6: NOTHING }), [])
})

test('edgeSets translates elastic IPs both ways and marks ways by longest prefix', () => {
  const sets = elementsOf({
    routes: { 'blue-1': OUT },
    elastics: [['203.0.113.10', '10.0.1.10']],
  })
  assert.deepEqual(sets['eip_in'], ['203.0.113.10 : 10.0.1.10'])
  assert.deepEqual(sets['eip_out'], ['10.0.1.10 : 203.0.113.10'])
  assert.ok(sets['ways4']?.includes('"gw11" . 128.0.0.0/1 : 0x00000001'))
  assert.ok(!sets['ways4']?.some((one) => one.includes(' . 10.0.0.0/')))
  assert.deepEqual(sets['far4'], [])
})

test('planEdge changes elements while the chains stay, and loads a table that is gone', () => {
  const before = tenants({ elastics: [['203.0.113.10', '10.0.1.10']] })
  const after = tenants({ elastics: [['203.0.113.10', '10.0.1.11']] })
  const { digest, sets, ruleset } = edgeRules(before)
  const seen = { digest, elements: new Map(sets.map((one) => [one.name, one.elements])) }
  assert.deepEqual(planEdge(before, seen), [])
  const [step] = planEdge(after, seen)
  assert.match(step?.ruleset ?? '', /^delete element inet mallee eip_in \{ 203\.0\.113\.10 : /)
  assert.match(step?.ruleset ?? '', /add element inet mallee eip_out \{ 10\.0\.1\.11 : /)
  assert.deepEqual(planEdge(before, { digest: null, elements: new Map() }), [
    { ruleset, otherwise: ruleset },
  ])
})

test('tableElements reads what nft lists', () => {
  const text =
    'table inet mallee {\n\tcomment "abc"\n\tmap ways4 {\n\t\ttype ifname . ipv4_addr : mark\n\t\telements = { "gw11" . 0.0.0.0/1 : 0x00000001,\n\t\t\t     "gw11" . 8.8.8.8 : 0x00000002 }\n\t}\n\n\tset free {\n\t\ttype ifname . ether_addr\n\t}\n}\n'
  assert.equal(tableComment(text), 'abc')
  assert.deepEqual(
    [...tableElements(text)],
    [
      ['ways4', ['"gw11" . 0.0.0.0/1 : 0x00000001', '"gw11" . 8.8.8.8 : 0x00000002']],
      ['free', []],
    ],
  )
})

test('planAnnounce adds local routes and tells the neighbours, then has nothing to do', () => {
  const desired = announcedOf(tenants({ elastics: [['203.0.113.10', '10.0.1.10']] }))
  const line = 'local 203.0.113.10/32 dev pub0 table local'
  assert.deepEqual(desired.locals, [line])
  const services = ['169.254.169.254/32', '169.254.169.253/32', 'fd00:ec2::254/128']
  const seen = { locals: [], proxies: [], proxyNdp: '0', services: [...services] }
  assert.deepEqual(planAnnounce(desired, seen), [
    {
      kind: 'ip',
      lines: ['address add fd00:ec2::253/128 dev lo nodad', `route add ${line} proto 77`],
    },
    { kind: 'tell', device: 'pub0', addresses: ['203.0.113.10'] },
  ])
  const all = { ...seen, locals: [line], services: [...services, 'fd00:ec2::253/128'] }
  assert.deepEqual(planAnnounce(desired, all), [])
})

for (const [what, seen, values, hosts] of [
  ['nothing to do', { all: '0', default: '1', eth0: '1', gw11: '0' }, {}, []],
  ['a gateway made by a strict default', { all: '0', default: '1', gw11: '1' }, { gw11: '0' }, []],
  [
    'a strict host',
    { all: '1', default: '0', eth0: '0', eth1: '2', gw11: '0', 'pub0.5': '1' },
    { default: '1', eth0: '1', all: '0', 'pub0.5': '0' },
    ['default', 'eth0', 'all', 'pub0.5'],
  ],
  ['a host where nothing of ours is yet', { all: '1', default: '1', eth0: '1' }, {}, []],
] as const) {
  test(`planReversePaths with ${what} keeps the host's own devices as strict as they were`, () => {
    const desired = { own: ['gw11', 'vxt'], publicDevice: 'pub0.5' }
    const [step] = planReversePaths(desired, new Map(Object.entries(seen)))
    assert.deepEqual([...(step?.values ?? [])], Object.entries(values))
    assert.deepEqual(step?.hosts ?? [], hosts)
  })
}
