// What racks get of VPN connections: the tunnel at the one CC that holds it, and the routes of its
// VPC alone that lead there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rackDesired } from '../../../gateway/control/desired.ts'
import { wireguardKeyOf } from '../../../gateway/vpn/keys.ts'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { bodies, bodyAt, type Desired } from '../../../proto/resources.ts'
import { host, rack, SECRETS, startView, subnet, vpc, type Write } from './records.ts'
import { customerGateway, vpnConnection, vpnGateway, vpnLink, vpnTunnel } from './vpn-changes.ts'

const FAR = '192.168.0.0/16'

/** Rack a and c hold the tunnels; vpc-1 is in a and b, vpc-2 in b. */
const WORLD: readonly Write[] = [
  ['rack/c', rack('c', 3)],
  ['host/a/a2', host('a', 'a2', 2, 'A2')],
  ['host/c/c1', host('c', 'c1', 1, 'C')],
  ['host/c/c2', host('c', 'c2', 2, 'C2')],
  ['vpc/vpc-2', vpc('vpc-2', 1)],
  ['subnet/subnet-9', { ...subnet('subnet-9', 'b', 9), vpc: 'vpc-2' }],
  ['customer-gateway/cgw-1', customerGateway('cgw-1')],
  ['vpn-gateway/vgw-1', vpnGateway('vgw-1', 'vpc-1')],
  ['vpn-connection/vpn-1', vpnConnection(1, ['a/a1', 'c/c2'])],
  ['vpn-link/1', vpnLink(1, 'a/a1', false)],
  ['vpn-link/2', vpnLink(2, 'c/c2', false)],
  table('rtb-vpc-1', FAR),
]

function table(id: string, destination: string, propagating: readonly string[] = []): Write {
  const routes =
    destination === '' ? [] : [{ destination, target: 'vpn-gateway', targetId: 'vgw-1' }]
  return [`route-table/${id}`, { id, account: '1', vpc: 'vpc-1', routes, propagating }]
}

function desired(at: string, ...more: readonly Write[]): Desired {
  const [rackName = '', hostName = ''] = at.split('/')
  return rackDesired(startView(...WORLD, ...more), { rack: rackName, host: hostName }, SECRETS)
}

function linkAt(at: string, number: number, ...more: readonly Write[]) {
  return bodyAt(desired(at, ...more), `vpn/${number}`, 'vpnLink')
}

/** The routes of a subnet but for the local ones. */
function routesAt(at: string, id: string, ...more: readonly Write[]): string[] {
  const routes = bodyAt(desired(at, ...more), `routing/${id}`, 'routing')?.routes ?? []
  return routes
    .filter(({ kind }) => kind !== RouteKind.LOCAL)
    .map(({ destination, kind, vpnNumber, nextHop }) => {
      const to = kind === RouteKind.VPN ? String(vpnNumber) : nextHop
      return `${destination} ${RouteKind[kind]} ${to}`.trim()
    })
}

test('the tunnel is at the CC that holds it, and at no other', () => {
  const ends = ['a/a1', 'a/a2', 'b/b1', 'c/c1', 'c/c2'].map((at) => [
    at,
    bodies(desired(at), 'vpnLink').map(({ number }) => number),
  ])
  assert.deepEqual(Object.fromEntries(ends), {
    ...{ 'a/a1': [1], 'a/a2': [], 'b/b1': [], 'c/c1': [], 'c/c2': [2] },
  })
})

test('vpnAt has what IPsec with the device takes', () => {
  const link = linkAt('a/a1', 1)
  assert.ok(link?.kind.case === 'ipsec')
  const { presharedKey, ikeProposals, espProposals, ...rest } = link.kind.value
  assert.equal(Buffer.from(presharedKey).toString(), 'key of tunnel 1')
  assert.ok(ikeProposals.length > 0 && espProposals.length > 0)
  assert.deepEqual(
    [rest.remoteAddress, rest.ikeLifetimeS, rest.childLifetimeS, rest.dpdTimeoutS],
    ['198.51.100.1', 28_800, 3_600, 30],
  )
  assert.deepEqual([rest.restartOnSilence, rest.initiate], [false, false])
  assert.deepEqual(
    [link.id, link.host, link.mtu, link.insideAddress, link.farInsideAddress],
    ['vpn-1', 'a1', 1390, '169.254.16.5/30', '169.254.16.6/30'],
  )
  assert.deepEqual(
    [link.remotePrefixes, link.localPrefixes],
    [[FAR], ['10.0.0.0/20', 'fd98:7654:3200:000::/56']],
  )
})

for (const [ipAddress, endpoint] of [
  ['198.51.100.1', '198.51.100.1:44001'],
  ['2001:db8::1', '[2001:db8::1]:44001'],
  ['', ''],
] as const) {
  test(`vpnAt has a WireGuard device at ${ipAddress === '' ? 'no known place' : ipAddress}`, () => {
    const device = customerGateway('cgw-1', { ipAddress, publicKey: 'K' })
    const link = linkAt('a/a1', 1, ['customer-gateway/cgw-1', device])
    assert.ok(link?.kind.case === 'wireguard')
    const { publicKey, presharedKey, listenPort } = link.kind.value
    assert.deepEqual(
      [publicKey, link.kind.value.endpoint, listenPort, link.mtu],
      ['K', endpoint, 44_001, 1420],
    )
    assert.deepEqual(Buffer.from(presharedKey), Buffer.from(wireguardKeyOf('key of tunnel 1')))
  })
}

test('while its gateway is detached a tunnel is there and nothing may meet in it', () => {
  const detached: Write = ['vpn-gateway/vgw-1', vpnGateway('vgw-1', '')]
  assert.deepEqual(linkAt('a/a1', 1, detached)?.localPrefixes, [])
  assert.deepEqual(routesAt('a/a1', 'subnet-1', detached), [`${FAR} BLACKHOLE`])
})

test("what the VPC has itself is not behind the device, whatever the connection's routes", () => {
  const routes = ['10.0.1.0/24', '10.0.0.0/8', FAR]
  const wide = vpnConnection(1, ['a/a1', 'c/c2'], { routes })
  assert.deepEqual(linkAt('a/a1', 1, ['vpn-connection/vpn-1', wide])?.remotePrefixes, [
    '10.0.0.0/8',
    FAR,
  ])
})

test('a deleted connection is nowhere', () => {
  const gone: Write = [
    'vpn-connection/vpn-1',
    vpnConnection(1, ['a/a1', 'c/c2'], { state: 'deleted' }),
  ]
  assert.equal(linkAt('a/a1', 1, gone), null)
  assert.deepEqual(routesAt('a/a1', 'subnet-1', gone), [`${FAR} BLACKHOLE`])
})

test('routes lead to the tunnel in its rack, and elsewhere to exactly the CC that holds it', () => {
  assert.deepEqual(routesAt('a/a1', 'subnet-1'), [`${FAR} VPN 1`])
  assert.deepEqual(routesAt('b/b1', 'subnet-2'), [`${FAR} RACK fd12:3456:789a:1::1`])
  const second: Write = ['vpn-link/2', vpnLink(2, 'c/c2')]
  assert.deepEqual(routesAt('a/a1', 'subnet-1', second), [`${FAR} RACK fd12:3456:789a:3::2`])
  assert.deepEqual(routesAt('b/b1', 'subnet-2', second), [`${FAR} RACK fd12:3456:789a:3::2`])
})

test('a rack with a tunnel knows the VPC that is not there, and which subnets use it', () => {
  const idle = desired('c/c2')
  assert.ok(idle.has('vpc/vpc-1') && !idle.has('routing/subnet-1') && !idle.has('vpc/vpc-2'))
  const second: Write = ['vpn-link/2', vpnLink(2, 'c/c2')]
  for (const id of ['subnet-1', 'subnet-2']) {
    assert.deepEqual(routesAt('c/c2', id, second), [`${FAR} VPN 2`])
  }
  assert.deepEqual(routesAt('b/b1', 'subnet-9', second), [])
})

for (const [what, links, want] of [
  ['the first of those that are up', [true, true], 1],
  ['the second while only that is up', [false, true], 2],
  ['the first while none is', [false, false], 1],
] as const) {
  test(`packets take ${what}`, () => {
    const more = links.map((up, i): Write => {
      return [`vpn-link/${i + 1}`, vpnLink(i + 1, ['a/a1', 'c/c2'][i] ?? '', up)]
    })
    const at = want === 1 ? 'a/a1' : 'c/c2'
    assert.deepEqual(routesAt(at, 'subnet-1', ...more), [`${FAR} VPN ${want}`])
  })
}

test('what a CC said of a tunnel that another one holds by now does not count', () => {
  const stale: Write = ['vpn-link/2', vpnLink(2, 'c/c1')]
  assert.deepEqual(routesAt('a/a1', 'subnet-1', stale), [`${FAR} VPN 1`])
})

test('a CC that is away carries nothing while another one does', () => {
  const up: Write[] = [
    ['vpn-link/1', vpnLink(1, 'a/a1')],
    ['vpn-link/2', vpnLink(2, 'c/c2')],
  ]
  const away: Write = ['host/a/a1', host('a', 'a1', 1, 'A', false)]
  assert.deepEqual(routesAt('c/c2', 'subnet-1', ...up), [])
  assert.deepEqual(routesAt('c/c2', 'subnet-1', ...up, away), [`${FAR} VPN 2`])
  const both: Write = ['host/c/c2', host('c', 'c2', 2, 'C2', false)]
  assert.deepEqual(routesAt('a/a1', 'subnet-1', ...up, away, both), [`${FAR} VPN 1`])
})

test('a connection that no CC holds leads nowhere', () => {
  const none: Write = ['vpn-connection/vpn-1', vpnConnection(1, ['', ''])]
  assert.deepEqual(routesAt('a/a1', 'subnet-1', none), [`${FAR} BLACKHOLE`])
})

test('of two connections with one route the one that is up has it, else the first', () => {
  const second: Write = ['vpn-connection/vpn-2', vpnConnection(2, ['a/a1', ''])]
  assert.deepEqual(routesAt('a/a1', 'subnet-1', second), [`${FAR} VPN 1`])
  const up: Write = ['vpn-link/3', vpnLink(3, 'a/a1')]
  assert.deepEqual(routesAt('a/a1', 'subnet-1', second, up), [`${FAR} VPN 3`])
})

test('a destination has of the connections what they share, and the rest goes nowhere', () => {
  assert.deepEqual(routesAt('a/a1', 'subnet-1', table('rtb-vpc-1', '192.0.0.0/8')), [
    `${FAR} VPN 1`,
    '192.0.0.0/8 BLACKHOLE',
  ])
  assert.deepEqual(routesAt('a/a1', 'subnet-1', table('rtb-vpc-1', '192.168.7.0/24')), [
    '192.168.7.0/24 VPN 1',
  ])
})

test('propagated routes lead there, and lose against one of the table itself', () => {
  const routes = [FAR, '172.16.0.0/12', 'fd77::/48', '10.0.1.0/24']
  const connection: Write = ['vpn-connection/vpn-1', vpnConnection(1, ['a/a1', 'c/c2'], { routes })]
  assert.deepEqual(routesAt('a/a1', 'subnet-1', connection, table('rtb-vpc-1', '', ['vgw-1'])), [
    'fd77::/48 VPN 1',
    `${FAR} VPN 1`,
    '172.16.0.0/12 VPN 1',
  ])
  const igw: Write = ['internet-gateway/igw-1', { id: 'igw-1', account: '1', vpc: 'vpc-1' }]
  const own: Write = [
    'route-table/rtb-vpc-1',
    {
      ...{ id: 'rtb-vpc-1', account: '1', vpc: 'vpc-1', propagating: ['vgw-1'] },
      routes: [{ destination: FAR, target: 'internet-gateway', targetId: 'igw-1' }],
    },
  ]
  assert.deepEqual(routesAt('a/a1', 'subnet-1', connection, igw, own), [
    'fd77::/48 VPN 1',
    `${FAR} INTERNET`,
    '172.16.0.0/12 VPN 1',
  ])
})

test('no other VPC leads there', () => {
  const other: Write = [
    'route-table/rtb-vpc-2',
    {
      ...{ id: 'rtb-vpc-2', account: '1', vpc: 'vpc-2', propagating: ['vgw-1'] },
      routes: [{ destination: FAR, target: 'vpn-gateway', targetId: 'vgw-1' }],
    },
  ]
  assert.deepEqual(routesAt('b/b1', 'subnet-9', other), [`${FAR} BLACKHOLE`])
})

test('two tunnels of other connections at one CC are two resources', () => {
  const second = { ...vpnConnection(2, []), tunnels: [vpnTunnel(3, 'a/a1'), vpnTunnel(4, 'c/c1')] }
  const links = bodies(desired('a/a1', ['vpn-connection/vpn-2', second]), 'vpnLink')
  assert.deepEqual(
    links.map(({ number, id }) => `${number} ${id}`),
    ['1 vpn-1', '3 vpn-2'],
  )
})
