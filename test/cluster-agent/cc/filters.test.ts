// What two racks with one public LAN let pass when things end, and on hosts that filter by reverse
// path: the real tools.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { removeGuard } from '../../../cluster-agent/host/guard.ts'
import { RouteKind } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, whyNoHosts } from '../../support/netns.ts'
import {
  appliance,
  OUT,
  peered,
  pingsFromWorld,
  startPublicRacks,
  withPublic,
} from './public-racks.ts'
import { BLUE_A, BLUE_B, inVm, pings, type Rack, RED_A } from './two-racks.ts'

const skip = whyNoHosts() ?? false
const EIP_RED = '203.0.113.12'

describe('two racks whose filters have seen the first packet', { skip }, () => {
  let a: Rack
  let b: Rack
  let inet: SimulatedHost
  let ccs: [Cc, Cc]
  let stop: () => Promise<void>

  before(async () => {
    const started = await startPublicRacks(async (opened) => {
      ccs = opened
      await ccs[0].pass(withPublic(1, ccs[1].wireguardPublicKey(), {}))
      await ccs[1].pass(withPublic(2, ccs[0].wireguardPublicKey(), {}))
    })
    ;({ a, b, inet, stop } = started)
  })
  after(async () => {
    await stop?.()
  })

  test('a peering that ends takes its connections along, whatever the other rack believes', async () => {
    const [keyA, keyB] = [ccs[0].wireguardPublicKey(), ccs[1].wireguardPublicKey()]
    const local = (...to: string[]) => to.map((one) => [one, RouteKind.LOCAL] as const)
    const toRed = local('10.16.0.0/20', 'fd02::/56')
    const routes = { 'blue-1': toRed, 'red-1': local('10.0.0.0/20', 'fd01::/56') }
    const inB = { routes: { 'blue-2': toRed } }
    // Routes stay as they are: it is the peering that must end it. Echo requests with one
    // identifier are one connection.
    const forA = withPublic(1, keyB, { routes })
    const asked = async (): Promise<boolean[]> => [
      await pings(a, BLUE_A, RED_A.ipv4, '-e', '701'),
      await pings(a, BLUE_A, RED_A.ipv6, '-e', '702'),
      await pings(b, BLUE_B, RED_A.ipv4, '-e', '703'),
      await pings(b, BLUE_B, RED_A.ipv6, '-e', '704'),
      await pings(a, RED_A, BLUE_B.ipv4, '-e', '705'),
    ]
    await ccs[1].pass(peered(withPublic(2, keyA, inB)))
    await ccs[0].pass(peered(forA))
    assert.deepEqual(await asked(), [true, true, true, true, true])
    await ccs[0].pass(forA)
    assert.deepEqual(await asked(), [false, false, false, false, false])
    await ccs[0].pass(peered(forA))
    assert.deepEqual(await asked(), [true, true, true, true, true])
  })

  test('a connection by a private NAT gateway ends with the peering, too', async () => {
    const routes = { 'blue-1': [['10.16.0.0/20', RouteKind.NAT, 'nat-2']] } as const
    const wishes = { routes, nats: [['nat-2', '', '10.0.1.9']] } as const
    const forA = withPublic(1, ccs[1].wireguardPublicKey(), wishes)
    const asked = (): Promise<boolean> => pings(a, BLUE_A, RED_A.ipv4, '-e', '711')
    await ccs[0].pass(peered(forA))
    assert.ok(await asked())
    await ccs[0].pass(forA)
    assert.equal(await asked(), false)
  })

  test('a host with reverse path filters passes what comes by other ways, and keeps its own', async () => {
    const filter = (device: string): string => `net.ipv4.conf.${device}.rp_filter`
    const devices = ['all', 'gw11', 'gw12', 'mallee0', 'pub0', 'eth0']
    const strict = ['all', 'gw11', 'mallee0', 'pub0'].map((device) => `${filter(device)}=1`)
    await a.host.exec(['sysctl', '-qw', ...strict])
    await inVm(a, RED_A, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    const routes = {
      'blue-1': [['10.0.2.0/24', RouteKind.INTERFACE, RED_A.ipv4]],
      'red-1': [...OUT, ['10.0.0.0/20', RouteKind.LOCAL]],
    } as const
    const key = ccs[1].wireguardPublicKey()
    await ccs[0].pass(
      appliance(peered(withPublic(1, key, { routes, elastics: [[EIP_RED, RED_A.ipv4]] })), RED_A),
    )
    const { stdout } = await a.host.exec(['sysctl', '-n', ...devices.map(filter)])
    assert.equal(stdout, '0\n0\n0\n0\n0\n1\n')
    await inet.exec(['ip', 'neigh', 'flush', 'dev', 'public'])
    await until('neighbours learn who has a public address', () => pingsFromWorld(inet, EIP_RED))
    await until('the appliance passes packets on', () => pings(a, BLUE_A, BLUE_B.ipv4))
    // Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams ...
    const counters = (await inVm(a, RED_A, ['cat', '/proc/net/snmp'])).stdout
    assert.match(counters, /^Ip: \d+ \d+ \d+ \d+ \d+ [1-9]/m, 'they went there')

    for (const { name } of [BLUE_A, RED_A]) {
      await a.host.exec(['ip', 'link', 'del', `tap-${name}`], { okCodes: [0, 1] })
    }
    await removeGuard(a.host.exec, 'taps')
    await ccs[0].removeAll()
    const after = ['all', 'pub0', 'eth0'].map(filter)
    assert.equal((await a.host.exec(['sysctl', '-n', ...after])).stdout, '1\n1\n0\n')
  })
})
