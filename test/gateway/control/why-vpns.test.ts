// Why packets to and from a customer's device pass, or do not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acl, group, host, networkInterface, subnet, type Write } from './records.ts'
import { customerGateway, vpnConnection, vpnGateway, vpnLink } from './vpn-changes.ts'
import { askWhy, GUEST } from './why-ground.ts'

const FAR = '192.168.7.9'
const CLOSED = group('sg-1', 'vpc-1', [])

/** i-2 in rack b; the first tunnel is in rack a, the second one here. */
const WORLD: readonly Write[] = [
  ...GUEST,
  [
    'route-table/rtb-vpc-1',
    { ...{ id: 'rtb-vpc-1', vpc: 'vpc-1', routes: [] }, propagating: ['vgw-1'] },
  ],
  ['customer-gateway/cgw-1', customerGateway('cgw-1')],
  ['vpn-gateway/vgw-1', vpnGateway('vgw-1', 'vpc-1')],
  ['vpn-connection/vpn-1', vpnConnection(1, ['a/a1', 'b/b1'])],
  ['vpn-link/1', vpnLink(1, 'a/a1')],
  ['vpn-link/2', vpnLink(2, 'b/b1')],
]

function ask(from: string, to: string, ...more: readonly Write[]) {
  return askWhy([...WORLD, ...more], from, to)
}

test('why leads a packet to a device over the rack and the tunnel that is up', () => {
  const { passes, texts, last } = ask('i-2', FAR)
  assert.ok(passes, last)
  assert.ok(texts.includes('the route of subnet-2 to 192.168.0.0/16 leads to vgw-1'))
  assert.ok(texts.includes('racks b and a are joined by a tunnel'))
  assert.ok(texts.includes('it goes to cgw-1 by tunnel 1 of vpn-1 at a/a1, which is up'))
})

test('why lets a packet of a device in over the tunnel, and its answer out', () => {
  const { passes, texts, last } = ask(FAR, 'i-2')
  assert.ok(passes, last)
  assert.ok(texts.includes('it comes from cgw-1 by tunnel 1 of vpn-1 at a/a1, which is up'))
})

const FIRST_DOWN: Write = ['vpn-link/1', vpnLink(1, 'a/a1', false)]

test('why names the other tunnel when the first is down', () => {
  const { passes, texts } = ask('i-2', FAR, FIRST_DOWN)
  assert.ok(passes)
  assert.ok(texts.includes('it goes to cgw-1 by tunnel 2 of vpn-1 at b/b1, which is up'))
})

const down = (trouble: string): Write[] => [
  ['vpn-link/1', { ...vpnLink(1, 'a/a1', false), trouble }],
  ['vpn-link/2', vpnLink(2, 'b/b1', false)],
]
const SILENT = 'tunnel 1 of vpn-1 at a/a1 is down: the device is not heard'
for (const [what, more, text] of [
  ['the device is silent', down(''), SILENT],
  ['the CC has trouble', down('no WireGuard here'), SILENT.replace(/: .*/, ': no WireGuard here')],
  [
    'the CC has not made it',
    [
      ['vpn-link/1', null],
      ['vpn-link/2', null],
    ],
    SILENT.replace(/: .*/, ': its CC has not made it yet'),
  ],
  [
    'its CC is away',
    [
      ['host/a/a1', host('a', 'a1', 1, 'A', false)],
      ['vpn-link/2', null],
    ],
    SILENT.replace(/: .*/, ': its CC is away'),
  ],
] as const) {
  test(`why says that the tunnel is down as ${what}, in both directions`, () => {
    for (const [from, to] of [
      ['i-2', FAR],
      [FAR, 'i-2'],
    ] as const) {
      const found = ask(from, to, ...(more as readonly Write[]))
      assert.deepEqual([found.passes, found.last], [false, 'vpn-1 BAD_STATE_VPN'])
      assert.equal(found.texts.at(-1), text)
    }
  })
}

for (const [what, from, to, more, last] of [
  ['the groups are closed', 'i-2', FAR, CLOSED, 'sg-1 ENI_SG_RULES_MISMATCH'],
  ['the groups are closed', FAR, 'i-2', CLOSED, 'sg-1 ENI_SG_RULES_MISMATCH'],
  [
    'the network ACL denies it',
    FAR,
    'i-2',
    acl('acl-vpc-1', []),
    'acl-vpc-1 SUBNET_ACL_RESTRICTION',
  ],
  [
    'no CC holds a tunnel',
    'i-2',
    FAR,
    ['vpn-connection/vpn-1', vpnConnection(1, ['', ''])],
    'rtb-vpc-1 BAD_STATE_ROUTE',
  ],
  [
    'no route leads back',
    FAR,
    'i-2',
    ['route-table/rtb-vpc-1', { id: 'rtb-vpc-1', vpc: 'vpc-1', routes: [] }],
    'rtb-vpc-1 NO_ROUTE_TO_DESTINATION',
  ],
  [
    'the connection has no such route',
    '172.16.0.1',
    'i-2',
    ['vpn-link/1', vpnLink(1, 'a/a1')],
    'vpc-1 IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS',
  ],
] as const) {
  test(`why stops a packet from ${from} to ${to} when ${what}`, () => {
    const found = ask(from, to, more as Write)
    assert.deepEqual([found.passes, found.last], [false, last])
  })
}

test('why does not lead to an interface that has an address of the device', () => {
  const elsewhere = networkInterface(
    'eni-9',
    { ...subnet('subnet-9', 'a', 9), vpc: 'vpc-2' },
    'a1',
    9,
  )
  const twin: Write = ['interface/eni-9', { ...elsewhere, ipv4: FAR, instance: 'i-9' }]
  const found = ask('i-2', FAR, twin)
  assert.deepEqual([found.passes, found.last], [false, 'vgw-1 NO_POSSIBLE_DESTINATION'])
  assert.equal(found.texts.at(-1), 'this leads to the device of vpn-1, and not to eni-9')
})
