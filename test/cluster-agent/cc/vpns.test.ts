// Two racks, two VPCs with a VPN connection each, and customers' own WireGuard devices that have
// the same LAN behind them. The real tools.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { hostOf } from '../../../cluster-agent/cc/vpn-sets.ts'
import type { VpnLinkStatus } from '../../../proto/gen/mallee/v1/border_pb.js'
import { until } from '../../../sandbox/until.ts'
import { whyNoHosts } from '../../support/netns.ts'
import {
  byTunnel,
  type Customer,
  configureDevice,
  FAR,
  FAR4,
  FAR6,
  keyFor,
  linkOf,
} from './customers.ts'
import { BLUE_A, BLUE_B, inVm, listening, pings, type Rack, RED_A } from './two-racks.ts'
import {
  asksFrom,
  byRack,
  forget,
  get,
  pingIn,
  pingOut,
  startVpnWorld,
  type VpnWorld,
} from './vpn-world.ts'

const skip = whyNoHosts() ?? false
/** Addresses that only the CC's host has. */
const [HOST4, HOST6] = ['203.0.113.99', '2001:db8:77::9']

describe("customers' own devices and the VPCs of two racks", { skip }, () => {
  let world: VpnWorld
  let a: Rack
  let b: Rack
  let blues: Customer
  let pass: VpnWorld['pass']

  before(async () => {
    world = await startVpnWorld()
    ;({ a, b, blues, pass } = world)
  })
  after(async () => {
    await world?.stop()
  })

  const statusOf = (number: number): VpnLinkStatus | undefined => {
    const body = world.ccs[0].statuses().find(({ key }) => key === `vpn/${number}`)?.body
    return body?.case === 'vpnLink' ? body.value : undefined
  }
  const endsOf = (): [cloud: string, device: string] => {
    const { insideAddress, farInsideAddress } = linkOf(world.tunnels[0])
    return [hostOf(insideAddress), hostOf(farInsideAddress)]
  }

  test('TCP passes from either rack and to it, and each VPC has its own customer', async () => {
    for (const to of [FAR4, `[${FAR6}]`]) {
      assert.equal(await get(a, BLUE_A, to), 'blues')
      assert.equal(await get(b, BLUE_B, to), 'blues')
      assert.equal(await get(a, RED_A, to), 'reds')
    }
    for (const vm of [BLUE_A, BLUE_B]) {
      assert.ok(await asksFrom(blues, vm.ipv4), vm.ipv4)
      assert.ok(await asksFrom(blues, `[${vm.ipv6}]`), vm.ipv6)
    }
    assert.ok(await asksFrom(world.reds, RED_A.ipv4))
    assert.ok(await asksFrom(world.reds, `[${RED_A.ipv6}]`))
  })

  test('what comes by the other tunnel is answered by the one that the route names', async () => {
    const way = (device: string) =>
      blues.host.exec(['ip', 'route', 'replace', '10.0.0.0/20', 'dev', device])
    await way('wg3')
    assert.ok(await asksFrom(blues, BLUE_A.ipv4), 'by the other rack')
    assert.ok(await asksFrom(blues, BLUE_B.ipv4), 'in the rack of that tunnel')
    assert.equal(await get(a, BLUE_A, FAR4), 'blues')
    assert.equal(await get(b, BLUE_B, FAR4), 'blues')
    await way('wg1')
  })

  test('what is known goes on when the other tunnel takes over', async () => {
    const asked = async (): Promise<boolean[]> => [
      await pings(a, BLUE_A, FAR4, '-e', '901'),
      await pings(a, BLUE_A, FAR6, '-e', '902'),
    ]
    assert.deepEqual(await asked(), [true, true])
    await world.passSecond({ 'blue-1': byTunnel(3) })
    await pass({ routes: { 'blue-1': byRack('fd00:fab:0:2::1') } })
    assert.deepEqual(await asked(), [true, true])
    await pass()
    await world.passSecond()
    assert.deepEqual(await asked(), [true, true])
  })

  test('a CC says its key, where it is reached, and that the device is heard', async () => {
    await pass()
    for (const number of [1, 2]) {
      const status = statusOf(number)
      assert.equal(status?.up, true)
      assert.equal(status?.trouble, '')
      assert.ok((status?.changedAtMs ?? 0n) > 0n)
      const port = 44_000 + number
      assert.deepEqual(status?.endpoints, [`[2001:db8:1::2]:${port}`, `192.0.1.2:${port}`])
    }
    assert.notEqual(keyFor(world.ccs[0], 1), keyFor(world.ccs[0], 2))
    const { stdout } = await a.host.exec(['ip', 'route', 'show', 'table', 'main'])
    assert.ok(!stdout.includes('192.168.'), stdout)
  })

  test('a second pass changes nothing', async () => {
    const steps: string[] = []
    const again = await a.open(listening(steps))
    await again.pass(world.desired())
    assert.deepEqual(steps, [])
    await again.close()
  })

  test('instances learn how large packets may be, and devices too', async () => {
    await pass({ mtu: 1300 })
    for (const [rack, vm] of [
      [a, BLUE_A],
      [b, BLUE_B],
    ] as const) {
      const small = await pingOut(rack, vm, '-M', 'do', '-s', '1300', FAR4)
      assert.match(small, /mtu = 1300/, small)
      const small6 = await pingOut(rack, vm, '-M', 'do', '-s', '1290', FAR6)
      assert.match(small6, /mtu=1300/, small6)
      await forget((argv) => inVm(rack, vm, argv))
    }
    await pass()
    // Between racks it is less; the error comes back by the tunnel that the packet came by.
    for (const [from, to, mtu] of [
      [FAR4, BLUE_B.ipv4, 'mtu = 1350'],
      [FAR6, BLUE_B.ipv6, 'mtu=1350'],
    ] as const) {
      const large = await pingIn(blues, from, to, '-M', 'do', '-s', '1352')
      assert.match(large, new RegExp(`From ${to}[ :].*${mtu}`), large)
    }
    await forget(blues.host.exec)
  })

  test("errors of the device's own reach instances, and its pings the inside address", async () => {
    assert.match(await pingOut(a, BLUE_A, '192.168.0.200'), /From 169\.254\.\S+ .*Unreachable/)
    assert.match(await pingOut(b, BLUE_B, '192.168.0.200'), /From 169\.254\.\S+ .*Unreachable/)
    const [cloud, device] = endsOf()
    assert.match(await pingIn(blues, device, cloud), /1 received/)
    assert.match(await pingIn(blues, FAR4, cloud), / 0 received/)
    assert.match(await pingOut(a, BLUE_A, cloud), / 0 received/)
    const own = await a.host.exec(['ping', '-n', '-c', '1', '-W', '1', device])
    assert.match(own.stdout, /1 received/)
  })

  test('a device gets through only what is behind it, and only to its own VPC', async () => {
    const { host } = blues
    // As if WireGuard took all of it.
    const far = world.tunnels[0].publicKey
    const all = ['wg', 'set', 'mallee-v1', 'peer', far, 'allowed-ips', '0.0.0.0/0,::/0']
    await a.host.exec(all)
    await a.host.exec(['ip', 'address', 'add', `${HOST4}/32`, 'dev', 'lo'])
    await a.host.exec(['ip', 'address', 'add', `${HOST6}/128`, 'dev', 'lo', 'nodad'])
    const [cloud, device] = endsOf()
    const sources = [
      ...['192.168.0.77', '192.168.1.9', '10.0.1.99', '10.0.2.99', '10.16.1.99', '8.8.8.8'],
      ...[device, '169.254.169.253', 'fd77::77', 'fd78::1', 'fd01:0:0:1::99', 'fd02:0:0:1::9'],
      ...['2001:db8:99::1', 'fd00:fab:0:1::5', 'fd00:ec2::253'],
    ]
    const targets = [
      ...[BLUE_A, BLUE_B, RED_A].flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]),
      ...['10.0.1.1', cloud, '169.254.169.254', HOST4, '8.8.4.4', '192.168.0.9'],
      ...['fd01:0:0:1::1', 'fd00:fab:0:1::1', 'fd00:ec2::254', HOST6, '2001:db8:98::9'],
    ]
    const of = (family: 4 | 6) => (one: string) => one.includes(':') === (family === 6)
    for (const family of [4, 6] as const) {
      const how = family === 4 ? '' : ' nodad'
      const lines = [
        ...sources.filter(of(family)).map((one) => `address replace ${one} dev lo${how}`),
        ...targets.filter(of(family)).map((one) => `route add ${one} dev wg1 table 99`),
        'rule add pref 1 lookup 99',
      ]
      await host.exec(['ip', `-${family}`, '-batch', '-'], { input: `${lines.join('\n')}\n` })
    }
    const sees = 'icmp[icmptype] == 8 or ip6[40] == 128'
    const heard = a.host.exec(['timeout', '4', 'tcpdump', '-nl', '-i', 'any', sees], {
      okCodes: [0, 124],
    })
    const pairs = ([4, 6] as const).flatMap((family) =>
      sources
        .filter(of(family))
        .flatMap((from) => targets.filter(of(family)).map((to) => [from, to] as const)),
    )
    const answered = await Promise.all(
      pairs.map(async ([from, to]) =>
        (await pingIn(blues, from, to)).includes('1 received') ? [`${from} ${to}`] : [],
      ),
    )
    assert.deepEqual(
      answered.flat().sort(),
      [
        `${device} ${cloud}`,
        ...['192.168.0.77', 'fd77::77'].flatMap((from) =>
          [BLUE_A, BLUE_B].map(({ ipv4, ipv6 }) => `${from} ${from.includes(':') ? ipv6 : ipv4}`),
        ),
      ].sort(),
    )
    // Also of what nobody answers.
    const sent = (await heard).stdout.split('\n').filter((line) => / Out +IP/.test(line))
    assert.ok(sent.length > 0)
    for (const line of sent) assert.match(line, /IP6? (?:192\.168\.0\.77|fd77::77) > /)
    for (const family of ['-4', '-6']) await host.exec(['ip', family, 'rule', 'del', 'pref', '1'])
    await pass()
    const { stdout } = await a.host.exec(['wg', 'show', 'mallee-v1', 'allowed-ips'])
    assert.equal(
      stdout.trim().split(/\s/).slice(1).sort().join(' '),
      [...FAR, `${device}/32`].sort().join(' '),
    )
  })

  test('a subnet whose routes lead elsewhere reaches nothing there and is not reached', async () => {
    await pass({ routes: { 'blue-1': [] } })
    const all = async () => [
      await pings(a, BLUE_A, FAR4),
      await pings(a, BLUE_A, FAR6),
      (await pingIn(blues, FAR4, BLUE_A.ipv4)).includes('1 received'),
      await pings(b, BLUE_B, FAR4),
      await pings(a, RED_A, FAR4),
    ]
    assert.deepEqual(await all(), [false, false, false, true, true])
    await pass()
    assert.deepEqual(await all(), [true, true, true, true, true])
  })

  test('the wire has had nothing but WireGuard', async () => {
    const { stdout } = await world.inet.exec(['nft', 'list', 'table', 'inet', 'wire'])
    assert.match(stdout, /counter packets 0 bytes 0 drop/)
  })

  test('a tunnel that goes takes its device, its key, and known connections along', async () => {
    const asked = async (): Promise<boolean[]> => [
      await pings(a, BLUE_A, FAR4, '-e', '801'),
      await pings(b, BLUE_B, FAR6, '-e', '802'),
      await pings(a, RED_A, FAR4, '-e', '803'),
    ]
    assert.deepEqual(await asked(), [true, true, true])
    await pass({ without: 1 })
    assert.deepEqual(await asked(), [false, false, true])
    const { stdout: links } = await a.host.exec(['ip', '-o', 'link'])
    assert.ok(!links.includes('mallee-v1') && links.includes('mallee-v2'), links)
    const keys = readdirSync(a.host.paths.stateDir).filter((one) => one.includes('-v'))
    assert.deepEqual(keys, ['wireguard-v2.key'])
    const { stdout: table } = await a.host.exec(['nft', 'list', 'table', 'inet', 'mallee'])
    assert.ok(!table.includes('mallee-v1'), table)
    assert.equal(statusOf(1), undefined)
    // What comes again has another key.
    await pass()
    await configureDevice(world.tunnels[0], keyFor(world.ccs[0], 1))
    await until('it is as it was', async () => (await asked()).every((one) => one))
  })

  test('a CC that leaves takes all of it along', async () => {
    for (const { name } of [BLUE_A, RED_A]) {
      await a.host.exec(['ip', 'link', 'del', `tap-${name}`])
    }
    await world.ccs[0].removeAll()
    const { stdout } = await a.host.exec(['ip', '-o', 'link'])
    assert.ok(!stdout.includes('mallee'), stdout)
    const keys = readdirSync(a.host.paths.stateDir).filter((one) => one.endsWith('.key'))
    assert.deepEqual(keys, [])
    const { stdout: rules } = await a.host.exec(['ip', 'rule'])
    assert.ok(!rules.includes('0x6d76'), rules)
    const reflect = ['net.ipv4.fwmark_reflect', 'net.ipv6.fwmark_reflect']
    assert.equal((await a.host.exec(['sysctl', '-n', ...reflect])).stdout, '0\n0\n')
  })
})
