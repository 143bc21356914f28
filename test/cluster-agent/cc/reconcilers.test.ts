// The CC's network in namespaces, with the real tools: two racks, a fake instance in each.

import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { removeGuard } from '../../../cluster-agent/host/guard.ts'
import type { Exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, whyNoHosts } from '../../support/netns.ts'
import {
  BLUE_A,
  BLUE_B,
  desiredOf,
  inVm,
  leaseAddresses,
  listening,
  MTU,
  pings,
  plugVm,
  type Rack,
  RED_A,
  startTwoRacks,
} from './two-racks.ts'

const skip = whyNoHosts() ?? false

describe('openCc, in two racks behind a router that passes only WireGuard', { skip }, () => {
  let racks: [Rack, Rack]
  let a: Rack
  let b: Rack
  let inet: SimulatedHost
  let ccs: [Cc, Cc]
  let stop: () => Promise<void>
  let baseline: string[]

  const desired = (): [ReturnType<typeof desiredOf>, ReturnType<typeof desiredOf>] => [
    desiredOf(1, ccs[1].wireguardPublicKey()),
    desiredOf(2, ccs[0].wireguardPublicKey()),
  ]

  before(async () => {
    const started = await startTwoRacks()
    racks = started.racks
    inet = started.inet
    stop = started.stop
    const [first, second] = racks
    a = first
    b = second
    baseline = await Promise.all(racks.map(footprint))
    ccs = [await a.open(silentLog), await b.open(silentLog)]
    const [forA, forB] = desired()
    await Promise.all([ccs[0].pass(forA), ccs[1].pass(forB)])
    await plugVm(a, BLUE_A, 11, silentLog)
    await plugVm(a, RED_A, 12, silentLog)
    await plugVm(b, BLUE_B, 13, silentLog)
  })
  after(async () => {
    await stop?.()
  })

  test('Cc.wireguardEndpoints names the addresses of the default routes, IPv6 first', () => {
    assert.deepEqual(ccs[0].wireguardEndpoints(), ['[2001:db8:1::2]:51820', '192.0.1.2:51820'])
  })

  test('Cc.statuses shows a handshake soon after the pass', async () => {
    await until('both tunnels are heard', () =>
      ccs.every((cc) =>
        cc.statuses().every(({ body }) => body.case === 'tunnel' && body.value.receivedBytes > 0n),
      ),
    )
  })

  test('router advertisements give a default route and the MTU, and no address', async () => {
    const ip6 = async (...what: string[]) => (await inVm(b, BLUE_B, ['ip', '-6', ...what])).stdout
    await until('the default route is there', async () =>
      (await ip6('route', 'show', 'default')).includes('via fe80::1 dev eth0 proto ra'),
    )
    const mtu = await inVm(b, BLUE_B, ['sysctl', '-n', 'net.ipv6.conf.eth0.mtu'])
    assert.equal(mtu.stdout, `${MTU}\n`)
    assert.equal(await ip6('address', 'show', 'dev', 'eth0', 'scope', 'global'), '')
  })

  test('dhcp leases what the gateway chose, with router, MTU, domain and name', async () => {
    const told = await leaseAddresses(a, BLUE_A)
    assert.equal(told, `10.0.1.10/24 10.0.1.1 ${MTU} mallee.internal blue-a\n`)
    await leaseAddresses(a, RED_A)
    await leaseAddresses(b, BLUE_B)
    const { stdout } = await inVm(a, BLUE_A, ['ip', '-6', '-br', 'address', 'show', 'dev', 'eth0'])
    assert.match(stdout, /fd01:0:0:1::10\/128/)
  })

  test('instances of one VPC reach each other across racks, with packets as large as told', async () => {
    for (const to of [BLUE_B.ipv4, BLUE_B.ipv6]) {
      await until(`${to} answers`, () => pings(a, BLUE_A, to))
    }
    assert.ok(await pings(a, BLUE_A, BLUE_B.ipv4, '-M', 'do', '-s', String(MTU - 28)))
    assert.ok(await pings(a, BLUE_A, BLUE_B.ipv6, '-M', 'do', '-s', String(MTU - 48)))
    assert.ok(await pings(b, BLUE_B, BLUE_A.ipv4))
    assert.ok(await pings(b, BLUE_B, BLUE_A.ipv6))
  })

  test('instances of another VPC are not reached, in one rack and across', async () => {
    for (const to of [RED_A.ipv4, RED_A.ipv6]) {
      assert.equal(await pings(a, BLUE_A, to), false, to)
      assert.equal(await pings(b, BLUE_B, to), false, to)
    }
    assert.ok(await pings(a, RED_A, '10.16.1.1'), 'red is up: its gateway answers it')
  })

  test('nothing but WireGuard leaves a rack, also towards a rack without a tunnel yet', async () => {
    assert.equal(await pings(a, BLUE_A, '10.0.9.9'), false)
    assert.equal(await pings(a, BLUE_A, 'fd01:0:0:9::9'), false)
    const { stdout } = await inet.exec(['nft', 'list', 'chain', 'inet', 'wire', 'forward'])
    assert.match(stdout, /udp dport 51820 counter packets [1-9]/)
    assert.match(stdout, /counter packets 0 bytes 0 drop/)
  })

  test("an instance with an address that is not its network's is dropped", async () => {
    await inVm(a, BLUE_A, ['ip', 'address', 'add', '10.0.3.3/32', 'dev', 'eth0'])
    assert.equal(await pings(a, BLUE_A, BLUE_B.ipv4, '-I', '10.0.3.3'), false)
    await inVm(a, BLUE_A, ['ip', 'address', 'del', '10.0.3.3/32', 'dev', 'eth0'])
    assert.ok(await pings(a, BLUE_A, BLUE_B.ipv4))
  })

  test('the host answers an instance on its gateway and nowhere else', async () => {
    assert.ok(await pings(a, BLUE_A, '10.0.1.1'))
    assert.ok(await pings(a, BLUE_A, 'fd01:0:0:1::1'))
    assert.equal(await pings(a, BLUE_A, '192.0.1.2'), false)
    assert.equal(await pings(a, BLUE_A, '10.16.1.1'), false, "another VPC's gateway")
    const connect = ['busybox', 'nc', '-w', '1', '10.0.1.1', '9']
    const started = performance.now()
    assert.notEqual((await inVm(a, BLUE_A, connect, [0, 1])).code, 0)
    assert.ok(performance.now() - started > 900, 'dropped, not refused')
  })

  test('CCs reach each other in the fabric', async () => {
    await a.host.exec(['ping', '-c', '1', '-W', '2', 'fd00:fab:0:2::1'])
  })

  test('a restarted agent adopts what runs: no step, the same processes', async () => {
    const running = await processes(a)
    const steps: string[] = []
    const restarted = await a.open(listening(steps))
    await restarted.pass(desired()[0])
    assert.deepEqual(steps, [])
    assert.equal(await processes(a), running)
    assert.ok(await pings(a, BLUE_A, BLUE_B.ipv4))
  })

  test('a pass lists each kind of thing once, however many of its parts look at it', async () => {
    const ran: string[] = []
    const { exec } = a.host
    const counting: Exec = (argv, options) => {
      ran.push(argv.join(' '))
      return exec(argv, options)
    }
    const cc = await a.open(silentLog, counting)
    ran.length = 0
    await cc.pass(desired()[0])
    const listings = ran.filter((one) => /^(?:ip .*show|ovs-vsctl .*list )/.test(one))
    assert.ok(listings.length > 5)
    assert.deepEqual(listings.toSorted(), [...new Set(listings)].toSorted())
  })

  test('pass repairs what died or was changed behind its back', async () => {
    const kill = async (name: string) => {
      const { stdout } = await a.host.exec(['pidof', name])
      await a.host.exec(['kill', '-9', ...stdout.trim().split(' ')])
    }
    await kill('ovs-vswitchd')
    await kill('dnsmasq')
    await kill('wireguard-go')
    await a.host.exec(['nft', 'delete', 'table', 'inet', 'mallee'])
    await a.host.exec(['ip', 'address', 'flush', 'dev', 'gw11'])
    await until(
      'wireguard-go has taken its interface along',
      async () => !(await a.host.exec(['ip', '-br', 'link'])).stdout.includes('mallee0'),
    )
    await ccs[0].pass(desired()[0])
    await until('blue-b answers again', () => pings(a, BLUE_A, BLUE_B.ipv4))
    assert.equal(await pings(a, RED_A, BLUE_B.ipv4), false)
    await inVm(a, BLUE_A, ['ip', 'address', 'flush', 'dev', 'eth0', 'scope', 'global'])
    assert.match(await leaseAddresses(a, BLUE_A), /^10\.0\.1\.10\/24 /)
    const steps: string[] = []
    await (await a.open(listening(steps))).pass(desired()[0])
    assert.deepEqual(steps, [])
  })

  test('an instance that goes and a network that goes leave nothing behind', async () => {
    const all = desired()[0]
    const left = new Map([...all].filter(([key]) => !key.includes('red')))
    await ccs[0].pass(left)
    const { stdout } = await a.host.exec(['ip', '-br', 'link'])
    assert.ok(!stdout.includes('gw12') && stdout.includes('gw11'), stdout)
    assert.ok(await pings(a, BLUE_A, BLUE_B.ipv4))
    await ccs[0].pass(all)
    await until('the gateway is back', () => pings(a, RED_A, '10.16.1.1'))
  })

  test('Cc.removeAll leaves the host as it was', async () => {
    for (const [at, rack] of racks.entries()) {
      for (const { name } of [BLUE_A, RED_A, BLUE_B]) {
        await rack.host.exec(['ip', 'link', 'del', `tap-${name}`], { okCodes: [0, 1] })
      }
      await removeGuard(rack.host.exec, 'taps')
      await ccs[at]?.removeAll()
      assert.equal(await footprint(rack), baseline[at])
      assert.ok(!existsSync(`${rack.host.paths.stateDir}/wireguard.key`))
      assert.deepEqual(readdirSync(rack.host.paths.runDir).sort(), ['lease.sh', 'wireguard.log'])
    }
  })
})

/** Everything on a host that a CC could leave: links, addresses, routes, rules, processes. */
async function footprint({ host }: Rack): Promise<string> {
  const commands = [
    ['ip', '-br', 'address'],
    ['ip', 'route'],
    ['ip', '-6', 'route'],
    ['nft', 'list', 'ruleset'],
    ['sysctl', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'],
  ]
  const answers: string[] = []
  for (const argv of commands) answers.push((await host.exec(argv)).stdout)
  await until('daemons have ended', async () => (await daemons(host)).length === 0).catch(
    async () => assert.deepEqual(await daemons(host), []),
  )
  return answers.join('---\n')
}

async function daemons(host: Rack['host']): Promise<string[]> {
  const { stdout } = await host.exec(['ps', '-e', '-o', 'comm='])
  return stdout.split('\n').filter((name) => /ovs|dnsmasq|wireguard/.test(name))
}

async function processes({ host }: Rack): Promise<string> {
  const { stdout } = await host.exec(['ps', '-e', '-o', 'pid=,comm='])
  return stdout
    .split('\n')
    .filter((line) => /ovs|dnsmasq|wireguard/.test(line))
    .sort()
    .join('\n')
}
