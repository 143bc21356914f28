// Where route tables lead besides the internet, on packets through the edges of two racks: to an
// interface, by a private NAT gateway, by an egress-only gateway.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { InterfaceSchema, NetworkSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { type Desired, resource } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, whyNoHosts } from '../../support/netns.ts'
import {
  OUT,
  peered,
  pingsFromWorld,
  sourceInWorld,
  startPublicRacks,
  type Wishes,
  WORLD,
  WORLD6,
  withPublic,
} from './public-racks.ts'
import { BLUE_A, BLUE_B, type FakeVm, inVm, MTU, pings, type Rack, RED_A } from './two-racks.ts'

const skip = whyNoHosts() ?? false
/** An appliance in a subnet of its own, in the first rack: it forwards for others. */
const MIDDLE: FakeVm = {
  name: 'middle',
  mac: '02:00:00:00:00:09',
  ipv4: '10.0.3.10',
  ipv6: 'fd01:0:0:3::10',
}
/** Behind the appliance, and of no VPC. */
const [BEYOND, BEYOND6] = ['10.99.0.1', 'fd99::1']
const EIP = '203.0.113.30'
const NAT_IP = '10.0.1.9'
const FIRST_RACK = 'fd00:fab:0:1::1'
const { BLACKHOLE, EGRESS_ONLY, INTERFACE, LOCAL, NAT, RACK } = RouteKind

const TO_MIDDLE = [
  ['10.99.0.0/16', INTERFACE, MIDDLE.ipv4],
  ['fd99::/64', INTERFACE, MIDDLE.ipv6],
] as const
const TO_RACK = [
  ['10.99.0.0/16', RACK, FIRST_RACK],
  ['fd99::/64', RACK, FIRST_RACK],
] as const

/** What is desired of a rack, with the appliance and its subnet in the first one. */
function withMiddle(desired: Desired, index: 1 | 2, checked: boolean): Desired {
  const all = new Map(desired)
  const tunnel = all.get('tunnel/r1/h1')?.body
  if (tunnel?.case === 'tunnel') {
    tunnel.value.allowedIps.push('10.0.3.0/24', 'fd01:0:0:3::/64')
    return all
  }
  assert.equal(index, 1)
  const network = create(NetworkSchema, {
    ...{ id: 'blue-3', vpcId: 'blue', vlanTag: 15, mtu: MTU },
    ...{ ipv4Cidr: '10.0.3.0/24', ipv4Gateway: '10.0.3.1' },
    ...{ ipv6Cidr: 'fd01:0:0:3::/64', ipv6Gateway: 'fd01:0:0:3::1' },
  })
  const { name, mac, ipv4, ipv6 } = MIDDLE
  const card = { id: name, networkId: 'blue-3', mac, ipv4, ipv6, sourceDestCheck: checked }
  const value = create(InterfaceSchema, card)
  all.set('network/blue-3', resource('network/blue-3', { case: 'network', value: network }))
  all.set('interface/middle', resource('interface/middle', { case: 'interface', value }))
  return all
}

describe('routes of two racks that lead elsewhere', { skip }, () => {
  let a: Rack
  let b: Rack
  let inet: SimulatedHost
  let ccs: [Cc, Cc]
  let stop: () => Promise<void>

  const passes = async (
    forA: Wishes,
    forB: Wishes,
    { checked = false, peers = false } = {},
  ): Promise<void> => {
    for (const [index, wishes] of [
      [1, forA],
      [2, forB],
    ] as const) {
      const key = ccs[2 - index]?.wireguardPublicKey() ?? ''
      const desired = withMiddle(withPublic(index, key, wishes), index, checked)
      await ccs[index - 1]?.pass(peers ? peered(desired) : desired)
    }
  }
  /** By which address another instance sees the pings of one. */
  const sourceAt = async (at: FakeVm, rack: Rack, from: FakeVm): Promise<string> => {
    const listen = ['timeout', '3', 'tcpdump', '-nl', '-i', 'eth0', '-c', '1']
    const heard = inVm(a, at, [...listen, 'icmp[icmptype] = 8'], [0, 124])
    await inVm(rack, from, ['ping', '-n', '-c', '6', '-i', '0.3', '-W', '1', at.ipv4], [0, 1, 2])
    return / IP ([\d.]+) > /.exec((await heard).stdout)?.[1] ?? ''
  }

  before(async () => {
    const started = await startPublicRacks(
      async (opened) => {
        ccs = opened
        await passes({}, {})
      },
      [[MIDDLE, 15]],
    )
    ;({ a, b, inet, stop } = started)
    for (const argv of [
      ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'],
      ['ip', 'address', 'add', `${BEYOND}/32`, 'dev', 'lo'],
      ['ip', 'address', 'add', `${BEYOND6}/128`, 'dev', 'lo', 'nodad'],
      // As a NAT instance does, for what does not stay in the VPC.
      ['nft', NAT_INSTANCE],
    ]) {
      await inVm(a, MIDDLE, argv)
    }
  })
  after(async () => {
    await stop?.()
  })

  test('a route to an interface leads there from its own rack and from another', async () => {
    const routes = { 'blue-1': TO_MIDDLE, 'blue-2': TO_MIDDLE, 'blue-3': [] }
    await passes({ routes, foreign: ['blue-2'] }, { routes: { 'blue-2': TO_RACK } })
    for (const to of [BEYOND, BEYOND6]) {
      assert.ok(await pings(a, BLUE_A, to), `${to} in the rack`)
      await until(`${to} answers to the other rack`, () => pings(b, BLUE_B, to))
    }
    for (const [from, to] of [
      [BEYOND, BLUE_A.ipv4],
      [BEYOND6, BLUE_A.ipv6],
      [BEYOND, BLUE_B.ipv4],
      [BEYOND6, BLUE_B.ipv6],
    ] as const) {
      assert.ok(await pings(a, MIDDLE, to, '-I', from), `${from} reaches ${to}`)
    }
    assert.equal(await pings(a, RED_A, BEYOND), false, 'another VPC')
    for (const [to, header, saysSo] of [
      [BEYOND, 28, /From 10\.0\.2\.1 .*mtu = 1350/i],
      [BEYOND6, 48, /From fd01:0:0:2::1 .*too big: mtu=1350/i],
    ] as const) {
      const large = ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', `${MTU - header}`, to]
      const { stdout } = await inVm(b, BLUE_B, large, [1, 2])
      assert.match(stdout, saysSo, 'the transit device carries less, and says so')
      assert.ok(await pings(b, BLUE_B, to, '-M', 'do', '-s', `${1350 - header}`))
    }
    assert.ok(await pings(b, BLUE_B, BLUE_A.ipv4), 'the VPC as before')
  })

  test('an interface that checks source and destination forwards nothing', async () => {
    const routes = { 'blue-1': TO_MIDDLE, 'blue-2': TO_MIDDLE, 'blue-3': [] }
    const wishes = { routes, foreign: ['blue-2'] }
    await passes(wishes, { routes: { 'blue-2': TO_RACK } }, { checked: true })
    const reached = await Promise.all([
      pings(a, BLUE_A, BEYOND),
      pings(a, BLUE_A, BEYOND6),
      pings(b, BLUE_B, BEYOND),
      pings(b, BLUE_B, BEYOND6),
      pings(a, MIDDLE, BLUE_A.ipv4, '-I', BEYOND),
    ])
    assert.deepEqual(reached, [false, false, false, false, false])
    assert.ok(await pings(a, MIDDLE, BLUE_A.ipv4), 'as itself it may')
  })

  test('a route whose target is gone drops', async () => {
    const gone = TO_MIDDLE.map(([destination]) => [destination, BLACKHOLE] as const)
    await passes({ routes: { 'blue-1': gone, 'blue-3': [] } }, {})
    assert.deepEqual(await Promise.all([pings(a, BLUE_A, BEYOND), pings(a, BLUE_A, BEYOND6)]), [
      false,
      false,
    ])
  })

  test('a NAT instance lends its public address to both racks', async () => {
    const all = [['0.0.0.0/0', INTERFACE, MIDDLE.ipv4]] as const
    const routes = { 'blue-1': all, 'blue-2': all, 'blue-3': OUT }
    const elastics = [[EIP, MIDDLE.ipv4]] as const
    const far = { 'blue-2': [['0.0.0.0/0', RACK, FIRST_RACK]] as const }
    await passes({ routes, elastics, foreign: ['blue-2'] }, { routes: far })
    assert.ok(await pings(a, BLUE_A, WORLD))
    assert.equal(await sourceInWorld(inet, a, BLUE_A), EIP)
    await until('the world answers to the other rack', () => pings(b, BLUE_B, WORLD))
    assert.equal(await sourceInWorld(inet, b, BLUE_B), EIP)
  })

  test('a private NAT gateway leads to a peer by its own address, from both racks', async () => {
    const nats = [['nat-1', '', NAT_IP]] as const
    const byNat = [['10.16.0.0/20', NAT, 'nat-1']] as const
    const routes = {
      'blue-2': byNat,
      'blue-3': byNat,
      'red-1': [['10.0.0.0/20', LOCAL]],
    } as const
    const far = { 'blue-2': [['10.16.0.0/20', RACK, FIRST_RACK]] as const }
    await passes({ routes, nats, foreign: ['blue-2'] }, { routes: far }, { peers: true })
    assert.ok(await pings(a, MIDDLE, RED_A.ipv4))
    assert.equal(await sourceAt(RED_A, a, MIDDLE), NAT_IP)
    await until('the peer answers to the other rack', () => pings(b, BLUE_B, RED_A.ipv4))
    assert.equal(await sourceAt(RED_A, b, BLUE_B), NAT_IP)
    const connect = ['busybox', 'nc', '-w', '1', NAT_IP, '80']
    assert.equal((await inVm(a, RED_A, connect, [0, 1])).code, 1, 'it takes no connections')
    await passes({ routes: { 'blue-3': [] } }, {})
    assert.equal(await pings(a, MIDDLE, RED_A.ipv4), false, 'without it')
  })

  test('an egress-only gateway lets out and nobody in, until the route is another', async () => {
    const egress = [['::/0', EGRESS_ONLY]] as const
    await passes({ routes: { 'blue-1': egress, 'blue-3': [] } }, {})
    assert.ok(await pings(a, BLUE_A, WORLD6))
    assert.equal(await pingsFromWorld(inet, BLUE_A.ipv6), false)
    await passes({ routes: { 'blue-1': OUT, 'blue-3': [] } }, {})
    assert.ok(await pingsFromWorld(inet, BLUE_A.ipv6))
  })
})

const NAT_INSTANCE = `table ip nat {
  chain leave {
    type nat hook postrouting priority srcnat;
    ip saddr 10.0.0.0/20 ip daddr != { 10.0.0.0/20, 10.16.0.0/20, 10.99.0.0/16 } masquerade
  }
}`
