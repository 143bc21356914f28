// Public addresses, NAT and IPv6 at the edges of two racks with one public LAN: the real tools.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { removeGuard } from '../../../cluster-agent/host/guard.ts'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, whyNoHosts } from '../../support/netns.ts'
import {
  BY_NAT,
  BY_RACK,
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
import {
  BLUE_A,
  BLUE_B,
  type FakeVm,
  inVm,
  listening,
  MTU,
  pings,
  type Rack,
  RED_A,
} from './two-racks.ts'

const skip = whyNoHosts() ?? false
const EIP_A = '203.0.113.10'
const EIP_RED = '203.0.113.12'
const NAT_IP = '203.0.113.20'

const FIRST: Wishes = {
  routes: { 'blue-1': OUT, 'red-1': OUT },
  elastics: [
    [EIP_A, BLUE_A.ipv4],
    [EIP_RED, RED_A.ipv4],
  ],
}
const SECOND: Wishes = { routes: { 'blue-2': OUT } }

/** Sends a stream to an instance; how many bytes arrived. */
async function upload(from: SimulatedHost, at: Rack, vm: FakeVm, to: string): Promise<string> {
  const got = inVm(at, vm, ['timeout', '20', '/usr/bin/python3', '-c', COUNT])
  const ear = async () => (await inVm(at, vm, ['ss', '-Hltn', 'sport', '=', ':8000'])).stdout
  await until('the instance listens', async () => (await ear()) !== '')
  const send = `head -c ${UPLOAD_BYTES} /dev/zero >/dev/tcp/${to}/8000`
  await from.exec(['timeout', '15', 'bash', '-c', send], { timeoutMs: 20_000 })
  return (await got).stdout.trim()
}

const UPLOAD_BYTES = 300_000
const COUNT = `
import socket
server = socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True)
stream, count = server.accept()[0], 0
while some := stream.recv(65536):
    count += len(some)
print(count)
`

describe('a public side that two racks share', { skip }, () => {
  let a: Rack
  let b: Rack
  let inet: SimulatedHost
  let ccs: [Cc, Cc]
  let stop: () => Promise<void>

  const passes = async (forA: Wishes, forB: Wishes): Promise<void> => {
    await ccs[0].pass(withPublic(1, ccs[1].wireguardPublicKey(), forA))
    await ccs[1].pass(withPublic(2, ccs[0].wireguardPublicKey(), forB))
  }
  const worldPings = (to: string, ...more: string[]) => pingsFromWorld(inet, to, ...more)
  const sourceSeen = (rack: Rack, vm: FakeVm) => sourceInWorld(inet, rack, vm)

  before(async () => {
    const started = await startPublicRacks(async (opened) => {
      ccs = opened
      await passes(FIRST, SECOND)
    })
    ;({ a, b, inet, stop } = started)
  })
  after(async () => {
    await stop?.()
  })

  test('an instance with a public address reaches the world and is reached, by that address', async () => {
    assert.ok(await pings(a, BLUE_A, WORLD))
    assert.ok(await worldPings(EIP_A))
    assert.equal(await sourceSeen(a, BLUE_A), EIP_A)
  })

  test('an instance without a public address sends nothing to the world', async () => {
    assert.equal(await pings(b, BLUE_B, WORLD), false)
    assert.equal(await sourceSeen(b, BLUE_B), '')
    assert.equal(await worldPings(BLUE_B.ipv4), false)
  })

  test('two instances of other VPCs meet by public addresses alone', async () => {
    assert.ok(await pings(a, BLUE_A, EIP_RED))
    assert.ok(await pings(a, RED_A, EIP_A))
    assert.equal(await pings(a, BLUE_A, RED_A.ipv4), false)
  })

  test('IPv6 is routed both ways, to subnets with a route there', async () => {
    assert.ok(await pings(a, BLUE_A, WORLD6))
    assert.ok(await worldPings(BLUE_A.ipv6))
    assert.ok(await worldPings(BLUE_B.ipv6))
    const routes = { ...FIRST.routes, 'blue-1': OUT.slice(0, 1) }
    await passes({ ...FIRST, routes }, SECOND)
    assert.equal(await worldPings(BLUE_A.ipv6), false)
    assert.equal(await pings(a, BLUE_A, WORLD6), false)
    await passes(FIRST, SECOND)
  })

  for (const mtu of [1500, 9000]) {
    test(`senders of ${mtu} bytes in the world learn what a tenant network takes`, async () => {
      for (const [host, device] of [
        [inet, 'pub1'],
        [inet, 'public'],
        [a.host, 'pub0'],
      ] as const) {
        await host.exec(['ip', 'link', 'set', device, 'mtu', `${mtu}`])
      }
      // As if its own network took as much: else nobody would send it large segments.
      const route = ['via', '10.0.1.1', 'advmss', `${mtu - 60}`]
      await inVm(a, BLUE_A, ['ip', 'route', 'replace', 'default', ...route])
      const route6 = ['via', 'fe80::1', 'dev', 'eth0', 'advmss', `${mtu - 80}`]
      await inVm(a, BLUE_A, ['ip', '-6', 'route', 'replace', 'default', ...route6])
      for (const [to, from, header, saysSo] of [
        [EIP_A, WORLD, 28, new RegExp(`From ${EIP_A}.*mtu = ${MTU}`, 'i')],
        [BLUE_A.ipv6, WORLD6, 48, new RegExp(`too big: mtu=${MTU}`, 'i')],
      ] as const) {
        assert.equal(await upload(inet, a, BLUE_A, to), `${UPLOAD_BYTES}`, `a stream to ${to}`)
        await inet.exec(['ip', 'route', 'flush', 'cache'])
        await inet.exec(['ip', '-6', 'route', 'flush', 'cache'])
        const large = ['-M', 'do', '-s', `${mtu - header}`]
        const argv = ['ping', '-n', '-c', '1', '-W', '1', '-I', from, ...large, to]
        const { stdout } = await inet.exec(argv, { okCodes: [1, 2] })
        assert.match(stdout, saysSo)
        assert.ok(await worldPings(to, '-M', 'do', '-s', `${MTU - header}`))
      }
    })
  }

  test('a NAT gateway lends its address, to its own subnets only and one way', async () => {
    const routes = { ...FIRST.routes, 'blue-1': BY_NAT('nat-1') }
    const nats = [['nat-1', NAT_IP, '10.0.1.9']] as const
    await passes({ ...FIRST, routes, nats }, SECOND)
    assert.ok(await pings(a, BLUE_A, WORLD))
    assert.equal(await sourceSeen(a, BLUE_A), NAT_IP)
    assert.ok(await pings(a, BLUE_A, EIP_RED), 'hairpin')
    assert.equal(await worldPings(NAT_IP), false)
    await passes(FIRST, SECOND)
  })

  test("a subnet of another rack uses this rack's NAT gateway, by the transit device", async () => {
    const nats = [['nat-1', NAT_IP, '10.0.1.9']] as const
    const routes = { ...FIRST.routes, 'blue-2': BY_NAT('nat-1') }
    const far = { 'blue-2': BY_RACK('fd00:fab:0:1::1') }
    await passes({ ...FIRST, routes, nats, foreign: ['blue-2'] }, { routes: far })
    await until('the world answers', () => pings(b, BLUE_B, WORLD))
    assert.equal(await sourceSeen(b, BLUE_B), NAT_IP)
    assert.ok(await pings(b, BLUE_B, BLUE_A.ipv4), 'the VPC as before')
    await passes(FIRST, SECOND)
    assert.equal(await pings(b, BLUE_B, WORLD), false)
  })

  test('a public address moves between racks and takes its connections along', async () => {
    await passes({ ...FIRST, elastics: [[EIP_RED, RED_A.ipv4]] }, SECOND)
    await passes(
      { ...FIRST, elastics: [[EIP_RED, RED_A.ipv4]] },
      { ...SECOND, elastics: [[EIP_A, BLUE_B.ipv4]] },
    )
    await until('the new owner answers', () => worldPings(EIP_A))
    assert.equal(await sourceSeen(b, BLUE_B), EIP_A)
    assert.equal(await pings(a, BLUE_A, WORLD), false, 'the old owner has none')
    await passes(FIRST, SECOND)
    await until('it is back', () => worldPings(EIP_A))
  })

  test('peers reach each other as long as they are peers', async () => {
    const key = ccs[1].wireguardPublicKey()
    const routes = {
      'blue-1': [...OUT, ['10.16.0.0/20', RouteKind.LOCAL]],
      'red-1': [['10.0.0.0/20', RouteKind.LOCAL]],
    } as const
    await ccs[0].pass(peered(withPublic(1, key, { routes })))
    assert.ok(await pings(a, BLUE_A, RED_A.ipv4))
    await passes(FIRST, SECOND)
    assert.equal(await pings(a, BLUE_A, RED_A.ipv4), false)
  })

  test('an instance reaches no host, no fabric, no underlay and no neighbour in private', async () => {
    for (const to of ['192.0.1.2', 'fd00:fab:0:1::1', 'fd00:fab:0:2::1']) {
      assert.equal(await pings(a, RED_A, to, '-W', '1'), false, to)
    }
    const { stdout } = await inet.exec(['ip', 'neigh', 'show', 'dev', 'public'])
    assert.doesNotMatch(stdout, /\b10\.(0|16)\./)
  })

  test('a pass mends what was flushed by hand, and has nothing to do after that', async () => {
    await a.host.exec(['nft', 'flush', 'ruleset'])
    await a.host.exec(['ip', 'rule', 'flush', 'protocol', '77'], { okCodes: [0, 1, 2, 255] })
    await passes(FIRST, SECOND)
    assert.ok(await worldPings(EIP_A))
    await a.host.exec(['nft', 'flush', 'map', 'inet', 'mallee', 'eip_in'], { okCodes: [0, 1] })
    await passes(FIRST, SECOND)
    assert.ok(await worldPings(EIP_A))
    const steps: string[] = []
    const again = await a.open(listening(steps))
    await again.pass(withPublic(1, ccs[1].wireguardPublicKey(), FIRST))
    assert.deepEqual(steps, [])
  })

  test('Cc.removeAll leaves no rule, route, proxy, address or table', async () => {
    for (const [at, rack] of [a, b].entries()) {
      for (const { name } of [BLUE_A, RED_A, BLUE_B]) {
        await rack.host.exec(['ip', 'link', 'del', `tap-${name}`], { okCodes: [0, 1] })
      }
      await removeGuard(rack.host.exec, 'taps')
      await ccs[at]?.removeAll()
      const left: string[] = []
      for (const argv of [
        ['ip', 'rule'],
        ['ip', '-6', 'rule'],
        ['ip', 'route', 'show', 'table', 'all', 'proto', '77'],
        ['ip', 'neigh', 'show', 'proxy'],
        ['nft', 'list', 'ruleset'],
        ['ip', '-br', 'link', 'show', 'type', 'vxlan'],
        ['ip', '-br', 'address', 'show', 'dev', 'lo'],
      ]) {
        left.push((await rack.host.exec(argv)).stdout)
      }
      assert.doesNotMatch(left.join(''), /77|proxy|table inet|vxt|169\.254|lookup 1/)
    }
  })
})
