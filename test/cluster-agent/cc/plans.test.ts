// The smaller plans of a CC: gateways, endpoints, the underlay.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { nextEndpoint, remember } from '../../../cluster-agent/cc/endpoints.ts'
import { gatewayOf } from '../../../cluster-agent/cc/networks.ts'
import { newsOf, tunnelStatuses } from '../../../cluster-agent/cc/statuses.ts'
import { endpointsAt, underlayOf } from '../../../cluster-agent/cc/underlay.ts'
import { type AccessPort, planAccessPorts } from '../../../cluster-agent/host/access-ports.ts'
import type { Link } from '../../../cluster-agent/host/ip.ts'
import type { WgPeer } from '../../../cluster-agent/host/wg.ts'
import { NetworkSchema, TunnelSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'

const NETWORK = create(NetworkSchema, {
  id: 'subnet-1',
  vpcId: 'vpc-1',
  vlanTag: 7,
  ipv4Cidr: '10.0.1.0/24',
  ipv4Gateway: '10.0.1.1',
  ipv6Cidr: 'fd01::/64',
  ipv6Gateway: 'fd01::1',
  mtu: 1420,
})
const HOST = { rackIndex: 1, hostIndex: 2 }
const GATEWAY = gatewayOf(NETWORK, HOST)

function linkOf({ name, mac, mtu, addresses }: AccessPort, change: Partial<Link> = {}): Link {
  const all = addresses.map((cidr) => ({ cidr, family: 4 as const, scope: 'global' }))
  return { name, mac, mtu, up: true, addresses: all, ...change }
}

test('gatewayOf has the addresses of the families that a network has, and a MAC of the host', () => {
  assert.deepEqual(GATEWAY, {
    name: 'gw7',
    tag: 7,
    mac: '0a:00:01:00:20:07',
    mtu: 1420,
    addresses: ['10.0.1.1/24', 'fd01::1/64', 'fe80::1/64'],
  })
  const only6 = create(NetworkSchema, { ...NETWORK, ipv4Cidr: '', ipv4Gateway: '' })
  assert.deepEqual(gatewayOf(only6, HOST).addresses, ['fd01::1/64', 'fe80::1/64'])
})

for (const [what, ports, link, kinds] of [
  ['nothing', [['gw7', 7]], linkOf(GATEWAY), []],
  ['all', [], null, ['add', 'quiet', 'ip']],
  ['a port of another tag', [['gw7', 8]], linkOf(GATEWAY), ['add']],
  ['another MTU', [['gw7', 7]], linkOf(GATEWAY, { mtu: 1500 }), ['add']],
  ['a port that is down', [['gw7', 7]], linkOf(GATEWAY, { up: false }), ['ip']],
  [
    'a port too many',
    [
      ['gw7', 7],
      ['gw9', 9],
    ],
    linkOf(GATEWAY),
    ['delete'],
  ],
] as const) {
  test(`planAccessPorts mends ${what}`, () => {
    const links = new Map(link === null ? [] : [['gw7', link]])
    const steps = planAccessPorts([GATEWAY], { ports: new Map(ports), links, listening: [] })
    assert.deepEqual(
      steps.map(({ kind }) => kind),
      kinds,
    )
  })
}

test('planAccessPorts takes strange addresses away and adds those that lack', () => {
  const strange = [{ cidr: '10.9.9.9/24', family: 4 as const, scope: 'global' }]
  const links = new Map([['gw7', linkOf(GATEWAY, { addresses: strange })]])
  const seen = { ports: new Map([['gw7', 7]]), links, listening: ['gw7'] }
  assert.deepEqual(planAccessPorts([GATEWAY], seen), [
    { kind: 'quiet', names: ['gw7'] },
    {
      kind: 'ip',
      lines: [
        'address add 10.0.1.1/24 dev gw7',
        'address add fd01::1/64 dev gw7 nodad',
        'address add fe80::1/64 dev gw7 nodad',
        'address del 10.9.9.9/24 dev gw7',
      ],
    },
  ])
})

const HEARD: WgPeer = {
  publicKey: 'k',
  presharedKey: '',
  endpoint: '192.0.2.1:1',
  allowedIps: [],
  latestHandshakeMs: 1_000,
  receivedBytes: 10,
  sentBytes: 10,
  keepaliveS: 25,
}

test('nextEndpoint gives up a peer that was heard only after keepalives have failed to come', () => {
  const wanted = { endpoints: ['192.0.2.1:1', '192.0.2.2:1'], keepaliveS: 25 }
  const first = remember(HEARD, null, 2_000)
  const quiet = remember(HEARD, first, 30_000)
  const at = (nowMs: number) =>
    nextEndpoint(wanted, HEARD, quiet, { nowMs, reachable: { ipv4: true, ipv6: true } })
  assert.equal(at(42_000), null)
  assert.equal(at(42_001), '192.0.2.2:1')
  const louder = remember({ ...HEARD, receivedBytes: 11 }, quiet, 40_000)
  assert.equal(louder.heardMs, 40_000)
})

test('nextEndpoint has nothing to say without an endpoint that can be reached', () => {
  const wanted = { endpoints: ['[2001:db8::1]:1'], keepaliveS: 25 }
  const now = { nowMs: 0, reachable: { ipv4: true, ipv6: false } }
  assert.equal(nextEndpoint(wanted, null, null, now), null)
})

test('underlayOf takes global addresses of links with default routes, and no tunnel', () => {
  const link = (name: string, ...addresses: [string, 4 | 6, string][]): Link => ({
    name,
    mac: '',
    mtu: 1500,
    up: true,
    addresses: addresses.map(([cidr, family, scope]) => ({ cidr, family, scope })),
  })
  const underlay = underlayOf(
    [
      link('eth0', ['192.0.2.2/24', 4, 'global'], ['fe80::2/64', 6, 'link']),
      link('eth1', ['2001:db8::2/64', 6, 'global']),
      link('gw7', ['10.0.1.1/24', 4, 'global']),
      link('mallee0', ['fd00::1/128', 6, 'global']),
    ],
    [
      { destination: '0.0.0.0/0', device: 'eth0', protocol: 'dhcp', gateway: '192.0.2.1' },
      { destination: '::/0', device: 'eth1', protocol: 'ra', gateway: 'fe80::9' },
      { destination: '::/0', device: 'mallee0', protocol: 'static', gateway: '' },
    ],
  )
  assert.deepEqual(underlay.advertised, ['eth1'])
  // The router of the other device is none of this public side.
  const publicSide = { device: 'eth0', ipv4NextHop: '192.0.2.1', ipv6NextHop: null }
  assert.deepEqual(underlay.publicSide, publicSide)
  assert.deepEqual(endpointsAt(underlay.addresses, 51_820), [
    '[2001:db8::2]:51820',
    '192.0.2.2:51820',
  ])
})

test('tunnelStatuses speaks of every desired tunnel, newsOf not of counters', () => {
  const tunnels = ['k', 'l'].map((publicKey) =>
    create(TunnelSchema, { rack: publicKey, host: 'h', publicKey }),
  )
  const statuses = tunnelStatuses(tunnels, [HEARD])
  assert.deepEqual(
    statuses.map(({ key }) => key),
    ['tunnel/k/h', 'tunnel/l/h'],
  )
  const later = tunnelStatuses(tunnels, [{ ...HEARD, receivedBytes: 99 }])
  assert.equal(newsOf(later), newsOf(statuses))
  assert.notEqual(newsOf(tunnelStatuses(tunnels, [])), newsOf(statuses))
})
