// A rack with two VPCs, and customers' IPsec devices that have the same LAN behind them: what a
// whole CC lets pass. The real tools.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { silentLog } from '../../../common/log.ts'
import type { VpnLinkStatus } from '../../../proto/gen/mallee/v1/border_pb.js'
import type { Desired } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { joinHosts, type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'
import { byTunnel, withLinks } from './customers.ts'
import { type Customer, FAR4, FAR6, linkOf, setUpDevice } from './ipsec-world.ts'
import { withPublic } from './public-racks.ts'
import {
  BLUE_A,
  type FakeVm,
  inVm,
  pings,
  plugVm,
  type Rack,
  RED_A,
  settleVm,
  startTwoRacks,
} from './two-racks.ts'

const skip = whyNoHosts() ?? false
const CLOUD = '192.0.1.2'
const ROUTES = { 'blue-1': byTunnel(1), 'red-1': byTunnel(2) }

describe('a rack and customers with IPsec devices', { skip }, () => {
  let rack: Rack
  let cc: Cc
  let blue: Customer
  let red: Customer
  let stop: () => Promise<void>
  const hosts: SimulatedHost[] = []

  const desired = (numbers: readonly number[] = [1, 2]): Desired =>
    withLinks(
      withPublic(1, cc.wireguardPublicKey(), { routes: ROUTES }),
      [blue, red].filter(({ number }) => numbers.includes(number)).map((one) => linkOf(one)),
    )
  const statusOf = (number: number): VpnLinkStatus | undefined => {
    const body = cc.statuses().find(({ key }) => key === `vpn/${number}`)?.body
    return body?.case === 'vpnLink' ? body.value : undefined
  }

  before(async () => {
    const started = await startTwoRacks({ ports: [500, 4500] })
    const dir = await mkdtemp(join(tmpdir(), 'mallee-ipsec-racks-'))
    stop = async () => {
      await cc?.close()
      for (const host of hosts) await host.stop()
      await started.stop()
      await rm(dir, { recursive: true, force: true })
    }
    ;[rack] = started.racks
    cc = await rack.open(silentLog)
    const start = async (name: string, net: number): Promise<SimulatedHost> => {
      const host = await startHost(name, dir)
      hosts.push(host)
      await joinHosts([host, 'eth0'], [started.inet, `cust${net}`])
      await started.inet.exec(['ip', 'address', 'add', `192.0.${net}.1/24`, 'dev', `cust${net}`])
      await host.exec(['ip', 'address', 'add', `192.0.${net}.2/24`, 'dev', 'eth0'])
      await host.exec(['ip', 'route', 'add', 'default', 'via', `192.0.${net}.1`])
      const www = join(host.paths.runDir, 'www')
      await mkdir(www)
      await writeFile(join(www, 'hello'), name)
      await host.exec(['busybox', 'httpd', '-p', '[::]:80', '-h', www])
      return host
    }
    blue = {
      ...{ number: 1, host: await start('blues', 11), address: '192.0.11.2', cloud: CLOUD },
      ...{ blocks: ['10.0.0.0/20', 'fd01::/56'], instances: [BLUE_A.ipv4, BLUE_A.ipv6] },
      key: 'blue.key.0123456789',
    }
    red = {
      ...{ number: 2, host: await start('reds', 12), address: '192.0.12.2', cloud: CLOUD },
      ...{ blocks: ['10.16.0.0/20', 'fd02::/56'], instances: [RED_A.ipv4, RED_A.ipv6] },
      key: 'red.key.0123456789',
    }
    await cc.pass(desired())
    for (const [vm, tag] of [
      [BLUE_A, 11],
      [RED_A, 12],
    ] as const) {
      await plugVm(rack, vm, tag, silentLog)
      await settleVm(rack, vm)
      await inVm(rack, vm, ['busybox', 'httpd', '-p', '[::]:80', '-h', '/etc'])
    }
    await setUpDevice(blue, rack.machine)
    await setUpDevice(red, rack.machine)
    await until('the tunnels are up', async () => {
      return (await pings(rack, BLUE_A, FAR4)) && (await pings(rack, RED_A, FAR4))
    })
  })
  after(async () => {
    await stop?.()
  })

  async function get(vm: FakeVm, host: string): Promise<string> {
    const argv = ['curl', '-gsS', '--max-time', '5', `http://${host}/hello`]
    return (await inVm(rack, vm, argv)).stdout
  }
  async function asks({ host }: Customer, to: string): Promise<boolean> {
    const from = ['--interface', to.startsWith('[') ? FAR6 : FAR4]
    const argv = ['curl', '-gsS', '--max-time', '3', ...from, `http://${to}/hostname`]
    return (await host.exec(argv, { okCodes: [0, 7, 28] })).code === 0
  }

  test('TCP passes from the instances and to them, and each VPC has its own customer', async () => {
    for (const to of [FAR4, `[${FAR6}]`]) {
      assert.equal(await get(BLUE_A, to), 'blues')
      assert.equal(await get(RED_A, to), 'reds')
    }
    for (const [customer, vm] of [
      [blue, BLUE_A],
      [red, RED_A],
    ] as const) {
      assert.ok(await asks(customer, vm.ipv4))
      assert.ok(await asks(customer, `[${vm.ipv6}]`))
    }
    assert.equal(await asks(blue, RED_A.ipv4), false)
  })

  test('the CC says that the tunnels are up, and where the devices reach it', async () => {
    await cc.pass(desired())
    for (const number of [1, 2]) {
      const status = statusOf(number)
      assert.deepEqual([status?.up, status?.trouble, status?.publicKey], [true, '', ''])
      assert.deepEqual(status?.endpoints, [CLOUD])
    }
  })

  test('the host answers pings of the inner address, and nothing else', async () => {
    const ping = async (to: string): Promise<number> => {
      const argv = ['ping', '-n', '-c', '1', '-W', '1', '-I', '169.254.30.6', to]
      return (await blue.host.exec(argv, { okCodes: [0, 1, 2] })).code
    }
    assert.equal(await ping('169.254.30.5'), 0)
    // The first of a block is on the device: an address of the host, and none of the VPC's.
    assert.notEqual(await ping('10.0.0.0'), 0)
    assert.equal(await asks(blue, '10.0.0.0'), false)
  })

  test('a large packet is told of', async () => {
    const argv = ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', '1380', FAR4]
    const { stdout } = await inVm(rack, BLUE_A, argv, [0, 1, 2])
    assert.match(stdout, /mtu = 1390/)
  })

  test('a deleted connection ends, and no other', async () => {
    await cc.pass(desired([2]))
    assert.equal(await pings(rack, BLUE_A, FAR4), false)
    assert.equal(await get(RED_A, FAR4), 'reds')
    assert.equal(statusOf(1), undefined)
    await cc.pass(desired([]))
    const { stdout } = await rack.host.exec(['ip', '-br', 'link'])
    assert.doesNotMatch(stdout, /ipsec|mallee-v/)
  })
})
