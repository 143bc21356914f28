// Route tables as longest prefix first, with what a peer does not have kept from leaving.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mustAddress } from '../../topology/cidr.ts'
import { resolveRoutes, routeFor, type WantedRoute } from '../../topology/routes.ts'

const VPC = ['10.0.0.0/20', 'fd00::/56']
const NAT: WantedRoute['to'] = { kind: 'nat', id: 'nat-1', rack: 'a' }
const IGW: WantedRoute['to'] = { kind: 'internet', id: 'igw-1' }
const peer = (...cidrs: readonly string[]): WantedRoute['to'] => ({
  kind: 'peer',
  id: 'pcx-1',
  cidrs,
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
]

for (const [name, wanted, want] of CASES) {
  test(`resolveRoutes: ${name}`, () => {
    const routes = resolveRoutes(
      [VPC[0] ?? ''],
      wanted.map(([destination, to]) => ({ destination, to })),
    )
    assert.deepEqual(
      routes.map(({ destination, to }) => `${destination} ${to.kind}`),
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
