// The flow table as text and in units; switch-flows.test.ts shows that a real switch heeds it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { portMasks, trafficMatches } from '../../../cluster-agent/nc/flow-matches.ts'
import { FlowPlanner, type SwitchPorts } from '../../../cluster-agent/nc/flow-plan.ts'
import { planFlows } from '../../../cluster-agent/nc/flow-table.ts'
import { type GuardedPort, portFlows } from '../../../cluster-agent/nc/port-flows.ts'
import type { Family } from '../../../topology/cidr.ts'
import { tenancy, withMember } from './tenancy.ts'

const MAC = '02:00:00:00:00:05'
const PORT: GuardedPort = {
  ofport: 7,
  mac: MAC,
  tag: 100,
  ipv4: ['10.1.1.5'],
  ipv6: ['fd10:1:1::5'],
  sourceDestCheck: true,
  groupIds: ['sg-a'],
  openWithoutGroups: false,
}
const PORTS: SwitchPorts = { taps: [PORT], trunk: 1, gateways: [], vxlans: [], storage: null }

const MASKS: readonly [number, number, string][] = [
  [22, 22, '22'],
  [0, 65_535, ''],
  [0, 0, '0'],
  [20, 30, '0x14/0xfffc 0x18/0xfffc 0x1c/0xfffe 30'],
  [
    1024,
    65_535,
    '0x400/0xfc00 0x800/0xf800 0x1000/0xf000 0x2000/0xe000 0x4000/0xc000 0x8000/0x8000',
  ],
  [80, 79, 'none'],
]

for (const [from, to, want] of MASKS) {
  test(`portMasks of ${from} to ${to} is ${want === '' ? 'all' : want}`, () => {
    const masks = portMasks(from, to)
    assert.equal(masks.length === 0 ? 'none' : masks.join(' '), want)
  })
}

test('portMasks cover a range exactly, with at most 30', () => {
  for (const [from, to] of [
    [1, 65_534],
    [137, 40_001],
    [33_333, 33_399],
  ] as const) {
    const masks = portMasks(from, to).map((text) => text.split('/').map(Number))
    assert.ok(masks.length <= 30)
    const fits = (port: number) =>
      masks.filter(([value = 0, mask = 0xffff]) => (port & mask) === value).length
    for (let port = 0; port <= 0xffff; port += 1) {
      assert.equal(fits(port), port >= from && port <= to ? 1 : 0, String(port))
    }
  }
})

const TRAFFIC: readonly [Family, number, number, number, string][] = [
  [4, -1, -1, -1, 'ip'],
  [6, -1, 0, 0, 'ipv6'],
  [4, 6, 22, 22, 'tcp,tp_dst=22'],
  [6, 6, 0, 65_535, 'tcp6'],
  [6, 17, -1, -1, 'udp6'],
  [4, 132, 9, 9, 'sctp,tp_dst=9'],
  [4, 1, -1, -1, 'icmp'],
  [4, 1, 8, -1, 'icmp,icmp_type=8'],
  [4, 1, 3, 4, 'icmp,icmp_type=3,icmp_code=4'],
  [6, 1, -1, -1, ''],
  [6, 58, 128, 0, 'icmp6,icmp_type=128,icmp_code=0'],
  [4, 58, -1, -1, ''],
  [4, 50, -1, -1, 'ip,nw_proto=50'],
  [6, 50, 1, 2, 'ipv6,nw_proto=50'],
]

for (const [family, protocol, from, to, want] of TRAFFIC) {
  test(`trafficMatches of IPv${family}, protocol ${protocol}, ${from} to ${to}`, () => {
    assert.equal(trafficMatches(family, { protocol, from, to }).join(' '), want)
  })
}

test('portFlows let a port speak for its own addresses and MAC only, and end with a drop', () => {
  const flows = portFlows(PORT).filter((flow) => flow.startsWith('table=0,'))
  for (const flow of flows) assert.match(flow, /^table=0,priority=\d+,in_port=7,?.*actions=/)
  assert.ok(flows.includes('table=0,priority=10,in_port=7,actions=drop'))
  const passing = flows.filter((flow) => !flow.endsWith('drop'))
  for (const flow of passing) assert.ok(flow.includes(`dl_src=${MAC}`), flow)
  for (const [, address] of passing.join().matchAll(/(?:nw_src|arp_spa)=([^,]+)/g)) {
    assert.ok(['10.1.1.5', '0.0.0.0'].includes(address ?? ''), address)
  }
  for (const [, address] of passing.join().matchAll(/ipv6_src=([^,]+)/g)) {
    assert.ok(['fd10:1:1::5', 'fe80::ff:fe00:5', '::'].includes(address ?? ''), address)
  }
})

test('portFlows give an interface without a family no address of it', () => {
  assert.doesNotMatch(portFlows({ ...PORT, ipv4: [] }).join('\n'), /nw_src=(?!0\.0\.0\.0)/)
  const only4 = portFlows({ ...PORT, ipv6: [] }).join('\n')
  assert.doesNotMatch(only4, /fd10|ipv6_src=,|nd_target=,/)
  assert.match(only4, /ipv6,ipv6_src=fe80::ff:fe00:5/)
})

const RULES = {
  'sg-a': ['in tcp 22 sg-b', 'in tcp 22 10.0.0.0/8', 'in tcp 22 sg-a', 'out all any'],
  'sg-b': ['in tcp 22 sg-b', 'in udp 53 10.0.0.0/8,10.1.0.0/16,fd00::/8', 'in tcp 22 10.0.0.0/8'],
}
const ACL = ['in allow tcp 22 0.0.0.0/0', 'in deny icmp 8-* 10.0.0.0/8', 'out allow all ::/0']
const BUSY = {
  groups: RULES,
  members: { 'sg-a': ['10.1.1.5'], 'sg-b': ['10.1.1.5', 'fd10:1:2::9'] },
  acls: { 'acl-1': ACL },
  aclOf: { 1: 'acl-1' },
}

test('FlowPlanner names no flow twice, also where rules, members and prefixes meet', () => {
  const other = { ...PORT, ofport: 8, mac: '02:00:00:00:00:06', groupIds: ['sg-a', 'sg-b'] }
  const open = { ...PORT, ofport: 9, mac: '02:00:00:00:00:07', sourceDestCheck: false }
  const gateways = [{ tag: 100, ofport: 3, mac: '0a:00:00:00:00:01' }]
  const ports = {
    taps: [PORT, other, open],
    trunk: 1,
    gateways,
    vxlans: [{ tag: 100, ofport: 4 }],
    storage: null,
  }
  const plan = new FlowPlanner().plan(tenancy(BUSY), ports)
  const flows = [...plan.units.values()].flatMap((unit) => unit.flows)
  assert.equal(flows.length, plan.count)
  const matches = flows.map((flow) => flow.replace(/,actions=.*/, ''))
  assert.equal(new Set(matches).size, matches.length)
  // The kernel's data path refuses to set these.
  assert.doesNotMatch(flows.join(), /nd_options_type|nd_reserved/)
})

test('a port is the same unit as long as nothing of it changes; a member more is one flow', () => {
  const planner = new FlowPlanner()
  const desired = tenancy(BUSY)
  const before = planner.plan(desired, PORTS)
  const again = planner.plan(desired, PORTS)
  assert.equal(again.digest, before.digest)
  for (const [key, unit] of again.units) assert.equal(unit, before.units.get(key), key)
  const grown = planner.plan(withMember(desired, 'sg-b', '10.1.1.77'), PORTS)
  assert.equal(grown.count, before.count + 1)
  const steps = planFlows(grown.units, before.units)
  const flow = 'table=52,priority=100,ip,nw_src=10.1.1.77/32,actions=conjunction(2,1/2)'
  assert.deepEqual(steps, [{ kind: 'change', change: { remove: [], add: [flow] } }])
  assert.deepEqual(planFlows(before.units, grown.units), [
    { kind: 'change', change: { remove: [flow.replace(/,actions.*/, '')], add: [] } },
  ])
})

test('planFlows overwrites a flow whose actions change, and replaces all it does not know', () => {
  const unit = (flow: string, digest: bigint) => new Map([['unit', { flows: [flow], digest }]])
  const [a, b] = ['table=1,priority=1,ip,actions=drop', 'table=1,priority=1,ip,actions=NORMAL']
  assert.deepEqual(planFlows(unit(b, 2n), unit(a, 1n)), [
    { kind: 'change', change: { remove: [], add: [b] } },
  ])
  assert.deepEqual(planFlows(unit(b, 2n), null), [{ kind: 'replace', flows: [b] }])
})

test('a port’s number that is another’s now takes the flows of the old one with it', () => {
  const planner = new FlowPlanner()
  const before = planner.plan(tenancy(BUSY), PORTS)
  const other = { ...PORT, mac: '02:00:00:00:00:06', ipv4: ['10.1.1.6'] }
  const after = planner.plan(tenancy(BUSY), { ...PORTS, taps: [other] })
  const [step] = planFlows(after.units, before.units)
  assert.equal(step?.kind, 'change')
  const { remove, add } = step.change
  assert.ok(remove.some((match) => match.includes('10.1.1.5')))
  assert.ok(!remove.some((match) => match.endsWith('udp,tp_src=67')))
  assert.ok(add.some((flow) => flow.includes('10.1.1.6')))
})
