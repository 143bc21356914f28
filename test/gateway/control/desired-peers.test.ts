// What racks get of agreements with other clouds: exactly what both allow, at one border, and
// nothing that a hostile one could have put there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { touchedBy } from '../../../gateway/control/affected.ts'
import { type AgentName, rackDesired } from '../../../gateway/control/desired.ts'
import { trafficOf } from '../../../gateway/peering/traffic.ts'
import { bodies, bodyAt, type Desired } from '../../../proto/resources.ts'
import {
  border,
  calling,
  connection,
  key,
  link,
  member,
  name,
  PEERED,
  peer,
  remotePeering,
  statement,
  UIDS,
} from './peer-changes.ts'
import { changesOf, SECRETS, startView, vpc, type Write } from './records.ts'

const A: AgentName = { rack: 'a', host: 'a1' }
const B: AgentName = { rack: 'b', host: 'b1' }
const [UID] = UIDS
const OWN = '10.0.0.0/20'

/** One peering with one border at each side. */
const ONE: readonly Write[] = [
  [`peer/${UID}`, peer(1)],
  statement(UID, connection('pcx-5')),
  statement(
    UID,
    border('x/x1', key(60), { endpoints: ['192.0.2.7:52001', '[2001:db8::7]:52001'] }),
  ),
  ['peering/pcx-5', remotePeering('pcx-5', 1, 'vpc-1', OWN)],
  ['peer-link/1/a/a1', link(1, 'a/a1', 10)],
]

function desired(agent: AgentName, ...writes: readonly Write[]): Desired {
  return rackDesired(startView(...writes), agent, SECRETS)
}

function linkOf(...writes: readonly Write[]) {
  const found = bodyAt(desired(A, ...writes), 'peer-link/1', 'peerLink')
  const { borders = [], pairs = [], translations = [], listenPort } = found ?? {}
  return {
    listenPort,
    borders: borders.map((one) => [one.publicKey, ...one.endpoints, '->', ...one.allowedIps]),
    pairs: pairs.map(({ own, theirs }) => `${own} ${theirs}`),
    translations: translations.map(({ own, seenAs }) => `${own} ${seenAs}`),
  }
}

const NO_PREFIXES = { listenPort: 52_001, pairs: [], translations: [] }
const CARRIED = [
  key(60),
  '192.0.2.7:52001',
  '[2001:db8::7]:52001',
  '->',
  '172.16.80.0/20',
  'fd50::/56',
]

test('peerLinkAt has the prefixes of both sides at the border that carries them', () => {
  assert.deepEqual(linkOf(...ONE), {
    listenPort: 52_001,
    borders: [CARRIED],
    pairs: [`${OWN} 172.16.80.0/20`],
    translations: [`${OWN} 100.64.80.0/20`],
  })
  // Of IPv6 this VPC has a block, which was not offered: no pair.
})

test('the other racks reach the peer over that border, and their edges let it pass', () => {
  const there = desired(B, ...ONE)
  const [tunnel] = bodies(there, 'tunnel')
  assert.ok(tunnel?.allowedIps.includes('172.16.80.0/20'))
  assert.deepEqual(
    bodyAt(there, 'vpc/vpc-1', 'vpc')?.peers.map(({ vpcId, ipv4Cidrs, ipv6Cidrs }) => ({
      ...{ vpcId, ipv4Cidrs, ipv6Cidrs },
    })),
    [{ vpcId: `${UID}/vpc-far-1`, ipv4Cidrs: ['172.16.80.0/20'], ipv6Cidrs: ['fd50::/56'] }],
  )
})

test('a CC has the link before anything is agreed, for its key is what the other waits for', () => {
  assert.deepEqual(linkOf([`peer/${UID}`, peer(1)]), { ...NO_PREFIXES, borders: [] })
})

for (const [what, ...writes] of [
  ['this operator suspends it', [`peer/${UID}`, peer(1, { state: 'suspended' })]],
  [
    'the other operator suspends it',
    [`peer/${UID}`, peer(1, { card: { ...peer(1).card, suspended: true } })],
  ],
  ['the peer is gone', [`peer/${UID}`, null]],
  [
    'other racks are its borders',
    [`peer/${UID}`, peer(1, { terms: { ...peer(1).terms, borders: ['b'] } })],
  ],
] as const) {
  test(`no device is left when ${what}`, () => {
    const all = desired(A, ...ONE, ...(writes as readonly Write[]))
    assert.equal(bodyAt(all, 'peer-link/1', 'peerLink'), null)
  })
}

for (const [what, ...writes] of [
  [
    'is deleted here',
    ['peering/pcx-5', { ...remotePeering('pcx-5', 1, 'vpc-1', OWN), state: 'deleted' }],
  ],
  ['was withdrawn there', [`peer-statement/${UID}/connection/pcx-5`, null]],
  ['has other terms there', statement(UID, connection('pcx-5', undefined, 'b'.repeat(64)))],
  ['lost its VPC', ['vpc/vpc-1', null]],
] as const) {
  test(`nothing passes when the peering ${what}`, () => {
    const all = [...ONE, ...(writes as readonly Write[])]
    const { borders, ...rest } = linkOf(...all)
    assert.deepEqual([rest, borders[0]?.at(-1)], [NO_PREFIXES, '->'])
    assert.deepEqual(bodyAt(desired(B, ...all), 'vpc/vpc-1', 'vpc')?.peers ?? [], [])
    assert.ok(!bodies(desired(B, ...all), 'tunnel')[0]?.allowedIps.includes('172.16.80.0/20'))
  })
}

for (const theirs of [
  ['0.0.0.0/0'],
  ['::/0'],
  ['8.8.8.0/24'],
  ['10.0.0.0/20'],
  ['10.77.0.0/20'],
  ['fd98:7654:3200::/56'],
  ['fd12:3456:789a:1::/64'],
  ['169.254.0.0/16'],
  ['172.16.80.1/20'],
  ['fe80::/64'],
  ['nonsense'],
  ['2000::/3'],
]) {
  test(`no rack hears of ${theirs} as a peer's`, () => {
    const hostile = remotePeering('pcx-5', 1, 'vpc-1', OWN, { remote: { theirs } as never })
    const { borders, pairs } = linkOf(...ONE, ['peering/pcx-5', hostile])
    assert.deepEqual([borders[0]?.at(-1), pairs], ['->', []])
  })
}

test("the operator's list of prefixes is all that is accepted", () => {
  const { terms } = peer(1)
  const only = (acceptedPrefixes: string[]): Write => {
    const limits = { ...terms.limits, acceptedPrefixes }
    return [`peer/${UID}`, peer(1, { terms: { ...terms, limits } })]
  }
  assert.deepEqual(linkOf(...ONE, only(['172.16.0.0/16'])).borders[0]?.slice(-1), [
    '172.16.80.0/20',
  ])
  assert.deepEqual(linkOf(...ONE, only(['192.168.0.0/16'])).borders[0]?.slice(-1), ['->'])
})

for (const [what, remote] of [
  ['nobody offered', { seenAs: ['100.99.0.0/20'] }],
  ['of another length', { offers: [['100.64.0.0/16']], seenAs: ['100.64.0.0/16'] }],
  ["of another VPC's block", { own: ['10.1.0.0/20'] }],
  ['none', { seenAs: [] }],
] as const) {
  test(`a block is not translated to what it may not: ${what}`, () => {
    const hostile = remotePeering('pcx-5', 1, 'vpc-1', OWN, { remote: remote as never })
    const { pairs, translations } = linkOf(...ONE, ['peering/pcx-5', hostile])
    assert.deepEqual([pairs, translations], [[], []])
  })
}

test('two blocks that are seen under one prefix: the second one is not seen', () => {
  const second = remotePeering('pcx-6', 1, 'vpc-2', '10.1.0.0/20', {
    remote: { offers: [['100.64.80.0/20']], seenAs: ['100.64.80.0/20'] } as never,
  })
  const more: Write[] = [
    ['vpc/vpc-2', vpc('vpc-2', 1)],
    ['peering/pcx-6', second],
    statement(UID, connection('pcx-6')),
  ]
  assert.deepEqual(linkOf(...ONE, ...more).translations, [`${OWN} 100.64.80.0/20`])
})

test('two peers that are seen under one prefix: the second one is not', () => {
  const [, other] = UIDS
  const second = remotePeering('pcx-6', 2, 'vpc-1', OWN, {
    remote: { theirs: ['172.16.0.0/16', 'fd60::/56'] } as never,
  })
  const more: Write[] = [
    [`peer/${other}`, peer(2)],
    ['peering/pcx-6', second],
    statement(other, connection('pcx-6')),
    statement(other, border('z/z1', key(80))),
    ['peer-link/2/a/a1', link(2, 'a/a1', 20)],
  ]
  const passing = trafficOf(startView(...ONE, ...more)).byPeering
  assert.deepEqual(passing.get('pcx-5')?.theirs, ['172.16.80.0/20', 'fd50::/56'])
  assert.deepEqual(passing.get('pcx-6')?.theirs, ['fd60::/56'])
})

for (const [what, said] of [
  ['a key that is none', border('x/x1', 'AAAA')],
  ['a name that is none', border('x/--x', key(60))],
  ["the device's own key", border('x/x1', key(10))],
] as const) {
  test(`a border with ${what} gets no peer in the device`, () => {
    assert.deepEqual(
      linkOf(
        ...ONE,
        statement(UID, border('x/x1', key(60))),
        [`peer-statement/${UID}/border/x/x1`, null],
        statement(UID, said),
      ).borders,
      [],
    )
  })
}

test('endpoints of a border are addresses of somewhere, and no words for a command', () => {
  const endpoints = [
    ...['-h:1', 'example.org:52001', '127.0.0.1:52001', '[::1]:1', '[fe80::1]:1', '1.2.3.4:70000'],
    ...['[::ffff:127.0.0.1]:5', '1.2.3.4', '1.2.3.4:0', '1.2.3.4:5 --', '224.0.0.1:1', '5.6.7.8:9'],
  ]
  const said = statement(UID, border('x/x1', key(60), { endpoints }))
  assert.deepEqual(linkOf(...ONE, said).borders[0]?.slice(1, 3), ['5.6.7.8:9', '->'])
})

test('a peer that calls its VPC by the id of one here makes it no peer of that', () => {
  const accepter = { account: '9', vpc: 'vpc-2' }
  const hostile = calling(remotePeering('pcx-5', 1, 'vpc-1', OWN, { accepter }), 'vpc-2')
  const all = [...ONE, ['vpc/vpc-2', vpc('vpc-2', 1)], ['peering/pcx-5', hostile]] as Write[]
  const peers = bodyAt(desired(A, ...all), 'vpc/vpc-1', 'vpc')?.peers ?? []
  assert.deepEqual(
    peers.map(({ vpcId, ipv4Cidrs }) => [vpcId, ...ipv4Cidrs]),
    [[`${UID}/vpc-2`, '172.16.80.0/20']],
  )
})

test('a border that is away carries nothing while another one is up', () => {
  const all = [...ONE, ['peer-link/1/b/b1', link(1, 'b/b1', 11)]] as Write[]
  const carrier = (...more: readonly Write[]) =>
    trafficOf(startView(...all, ...more)).byPeering.get('pcx-5')?.pair?.own.rack
  const silent = (rack: string, n: number): Write => [
    `peer-link/1/${rack}/${rack}1`,
    link(1, `${rack}/${rack}1`, n, false),
  ]
  assert.equal(carrier(silent('a', 10)), 'b')
  assert.equal(carrier(silent('b', 11)), 'a')
  assert.equal(carrier(silent('a', 10), silent('b', 11)), carrier())
})

test('a change at one peer touches its own link, VPC and routes, and no other', () => {
  const view = startView(...PEERED, ['vpc/vpc-2', vpc('vpc-2', 1)])
  const change: Write = [`peer-statement/${UIDS[0]}/connection/pcx-6`, null]
  const touched = touchedBy(view, view.apply(changesOf([change], 2), 2))
  const keys = [...new Set(touched.map((one) => one.key))].sort()
  assert.deepEqual(keys, ['peer-link/1', 'tunnel/a/a1', 'tunnel/b/b1'])
  const again = touchedBy(
    view,
    view.apply(changesOf([statement(UIDS[1], connection('pcx-7'))], 3), 3),
  )
  assert.ok(!again.some((one) => one.key === 'peer-link/1' || one.key === 'vpc/vpc-2'))
})

test('members and names of the other side count within what was agreed', () => {
  const far = 'pcx-5.sg-1'
  const key = `member/${far}/eni-0123456789abcdef0`
  const within = desired(A, ...ONE, statement(UID, member('pcx-5', '172.16.80.7')))
  assert.deepEqual(bodyAt(within, key, 'member')?.addresses, ['172.16.80.7'])
  const outside = desired(A, ...ONE, statement(UID, member('pcx-5', '10.0.0.7')))
  assert.equal(bodyAt(outside, key, 'member'), null)
  const named = desired(A, ...ONE, statement(UID, name('pcx-5', '172.16.80.7')))
  const shown = bodyAt(named, 'name/pcx-5.x.ip-10-0-0-7', 'name')
  assert.deepEqual([shown?.vpcId, shown?.name], ['vpc-1', 'ip-10-0-0-7.there-1-x.internal'])
})

test('a member is of no group that is here, whatever the peer calls it', () => {
  const own: Write = ['security-group/sg-1', { id: 'sg-1', vpc: 'vpc-1', rules: [], name: 'x' }]
  const all = desired(A, ...ONE, own, statement(UID, member('pcx-5', '172.16.80.7')))
  assert.ok(![...all.keys()].some((key) => key.startsWith('member/sg-1/')))
})

test('a name of this cloud is not the peer s to say', () => {
  const near: Write = [`peer/${UID}`, { ...peer(1), region: 'mallee' }]
  const all = desired(A, ...ONE, near, statement(UID, name('pcx-5', '172.16.80.7', '1-a')))
  assert.deepEqual(
    [...all.keys()].filter((key) => key.startsWith('name/')),
    [],
  )
})
