// Route tables as longest prefix first, with what a peer does not have kept from leaving.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { contains, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { type Hop, resolveRoutes, routeFor, type WantedRoute } from '../../topology/routes.ts'

const VPC = ['10.0.0.0/20', 'fd00::/56']
const NAT: WantedRoute['to'] = { kind: 'nat', id: 'nat-1', rack: 'a' }
const IGW: WantedRoute['to'] = { kind: 'internet', id: 'igw-1' }
const peer = (...cidrs: readonly string[]): WantedRoute['to'] => ({
  kind: 'peer',
  id: 'pcx-1',
  cidrs,
})
const tunnel = (number: number): Hop => ({
  ...{ kind: 'vpn', id: 'vgw-1', number, rack: 'a', host: 'a1' },
})
const vgw = (...far: readonly (readonly [string, number])[]): WantedRoute['to'] => ({
  kind: 'vpn-gateway',
  id: 'vgw-1',
  prefixes: far.map(([cidr, number]) => ({ cidr, to: tunnel(number) })),
})

const CASES: readonly (readonly [
  string,
  readonly (readonly [string, WantedRoute['to']])[],
  string[],
])[] = [
  [
    'the longest prefix comes first',
    [
      ['0.0.0.0/0', IGW],
      ['192.0.2.0/24', NAT],
    ],
    ['192.0.2.0/24 nat', '10.0.0.0/20 local', '0.0.0.0/0 internet'],
  ],
  [
    'the first of two routes to one destination counts',
    [
      ['0.0.0.0/0', NAT],
      ['0.0.0.0/0', IGW],
    ],
    ['10.0.0.0/20 local', '0.0.0.0/0 nat'],
  ],
  ["the VPC's own block is its own", [['10.0.0.0/20', IGW]], ['10.0.0.0/20 local']],
  [
    'a peer has what it has and no more',
    [['10.0.0.0/8', peer('10.1.0.0/16')]],
    ['10.0.0.0/20 local', '10.1.0.0/16 local', '10.0.0.0/8 blackhole'],
  ],
  [
    'a part of the peer is that part',
    [['10.1.2.0/24', peer('10.1.0.0/16')]],
    ['10.1.2.0/24 local', '10.0.0.0/20 local'],
  ],
  [
    'a peer without such addresses is a black hole',
    [['10.2.0.0/16', peer('10.1.0.0/16')]],
    ['10.0.0.0/20 local', '10.2.0.0/16 blackhole'],
  ],
  [
    'a route between the two in length goes before the peer',
    [
      ['10.0.0.0/8', peer('10.16.0.0/16')],
      ['10.16.0.0/12', NAT],
    ],
    ['10.0.0.0/20 local', '10.16.0.0/12 nat', '10.0.0.0/8 blackhole'],
  ],
  [
    'behind a VPN gateway is what its connections have, and no more',
    [['192.168.0.0/16', vgw(['192.168.1.0/24', 1], ['192.168.2.0/24', 2], ['172.16.0.0/12', 3])]],
    [
      '192.168.1.0/24 vpn 1',
      '192.168.2.0/24 vpn 2',
      '10.0.0.0/20 local',
      '192.168.0.0/16 blackhole',
    ],
  ],
  [
    'of two prefixes of connections the longer one has it',
    [['192.168.1.0/25', vgw(['192.168.0.0/16', 1], ['192.168.1.0/24', 2])]],
    ['192.168.1.0/25 vpn 2', '10.0.0.0/20 local'],
  ],
  [
    "no connection gets the VPC's own, however specific",
    [
      ['10.0.0.0/8', vgw(['10.0.1.0/24', 1], ['10.1.0.0/16', 2])],
      ['10.0.2.0/24', vgw(['10.0.2.0/24', 1])],
    ],
    ['10.0.0.0/20 local', '10.1.0.0/16 vpn 2', '10.0.0.0/8 blackhole'],
  ],
  [
    'the first of two routes to one destination has all of it',
    [
      ['192.168.0.0/16', NAT],
      ['192.168.0.0/16', vgw(['192.168.1.0/24', 1])],
    ],
    ['10.0.0.0/20 local', '192.168.0.0/16 nat'],
  ],
]

for (const [name, wanted, want] of CASES) {
  test(`resolveRoutes: ${name}`, () => {
    const routes = resolveRoutes(
      [VPC[0] ?? ''],
      wanted.map(([destination, to]) => ({ destination, to })),
    )
    assert.deepEqual(
      routes.map(({ destination, to }) =>
        to.kind === 'vpn' ? `${destination} vpn ${to.number}` : `${destination} ${to.kind}`,
      ),
      want,
    )
  })
}

test('resolveRoutes makes a black hole of a target that does not speak the family', () => {
  const card: WantedRoute['to'] = {
    kind: 'interface',
    id: 'eni-1',
    rack: 'a',
    ipv4: '10.0.0.4',
    ipv6: '',
  }
  const routes = resolveRoutes(VPC, [
    { destination: '::/0', to: NAT },
    { destination: '2001:db8::/32', to: card },
    { destination: '0.0.0.0/0', to: { kind: 'egress-only', id: 'eigw-1' } },
    { destination: '192.0.2.0/24', to: card },
  ])
  const kindOf = (address: string) => routeFor(routes, mustAddress(address))?.to.kind
  assert.equal(kindOf('2001:db8::1'), 'blackhole')
  assert.equal(kindOf('2001:db9::1'), 'blackhole')
  assert.equal(kindOf('198.51.100.1'), 'blackhole')
  assert.equal(kindOf('192.0.2.1'), 'interface')
  assert.equal(kindOf('fd00::1'), 'local')
})

test('routeFor finds nothing where no route fits', () => {
  assert.equal(routeFor(resolveRoutes(VPC, []), mustAddress('192.0.2.1')), null)
})

// Few bits that differ, so that prefixes nest and meet.
const someCidr = fc
  .record({ bits: fc.integer({ min: 0, max: 15 }), length: fc.integer({ min: 12, max: 16 }) })
  .map(({ bits, length }) => `10.${bits & ((0xff << (16 - length)) & 0xff)}.0.0/${length}`)
const someAddress = fc.integer({ min: 0, max: 15 }).map((n) => `10.${n}.0.1`)
const someTarget = fc.oneof(
  fc.constantFrom(NAT, IGW),
  fc.uniqueArray(someCidr, { maxLength: 3 }).map((cidrs) => peer(...cidrs)),
  fc
    .uniqueArray(someCidr, { maxLength: 4 })
    .map((cidrs) => vgw(...cidrs.map((cidr, i) => [cidr, i + 1] as const))),
)
const someWanted = fc.array(fc.record({ destination: someCidr, to: someTarget }), { maxLength: 5 })

/** The longest that has it, the first of equal ones. */
function longest<T>(things: readonly T[], cidrOf: (one: T) => string, address: string): T | null {
  const having = things.filter((one) => contains(mustCidr(cidrOf(one)), mustAddress(address)))
  const lengthOf = (one: T): number => mustCidr(cidrOf(one)).length
  return having.reduce<T | null>(
    (best, one) => (best === null || lengthOf(one) > lengthOf(best) ? one : best),
    null,
  )
}

/** What the guide says: the table's longest prefix, and behind that what the other side has. */
function expected(own: readonly string[], wanted: readonly WantedRoute[], address: string): string {
  const inVpc = longest(own, (cidr) => cidr, address) !== null
  const first = new Map(wanted.toReversed().map((one) => [one.destination, one]))
  const counted = [...first.values()].filter(
    ({ to }) => !inVpc || (to.kind !== 'vpn-gateway' && to.kind !== 'peer'),
  )
  const local = own.map((destination) => ({
    destination,
    to: { kind: 'local', peering: '' } as const,
  }))
  const found = longest([...local, ...counted], ({ destination }) => destination, address)
  if (found === null) return 'none'
  const { to } = found
  if (to.kind === 'peer') {
    return longest(to.cidrs, (cidr) => cidr, address) === null ? 'blackhole' : 'local'
  }
  if (to.kind !== 'vpn-gateway') return to.kind
  const far = longest(to.prefixes, ({ cidr }) => cidr, address)?.to
  return far?.kind === 'vpn' ? `vpn ${far.number}` : 'blackhole'
}

test('resolveRoutes: each address goes where the longest prefix of both sides leads', () => {
  fc.assert(
    fc.property(
      fc.array(someCidr, { maxLength: 2 }),
      someWanted,
      someAddress,
      (own, wanted, at) => {
        const to = routeFor(resolveRoutes(own, wanted), mustAddress(at))?.to
        const got = to === undefined ? 'none' : to.kind === 'vpn' ? `vpn ${to.number}` : to.kind
        assert.equal(got, expected(own, wanted, at))
      },
    ),
    { numRuns: 2000 },
  )
})
