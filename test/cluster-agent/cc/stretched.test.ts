// A network that two racks have: one layer 2 by VXLAN between their CCs, told of every station.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import type { Cc } from '../../../cluster-agent/cc/reconcilers.ts'
import { silentLog } from '../../../common/log.ts'
import { NetworkSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { StationSchema } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { type Desired, resource } from '../../../proto/resources.ts'
import { until } from '../../../sandbox/until.ts'
import { whyNoHosts } from '../../support/netns.ts'
import {
  desiredOf,
  type FakeVm,
  inVm,
  listening,
  pings,
  plugVm,
  type Rack,
  startTwoRacks,
} from './two-racks.ts'

const skip = whyNoHosts() ?? false
const TAG = 14
/** The tunnels' 1420 without the 70 bytes of VXLAN in IPv6. */
const INSIDE = 1350

function stationed(n: 1 | 2): FakeVm {
  const at = { ipv4: `10.0.9.1${n}`, ipv6: `fd01:0:0:9::1${n}` }
  return { name: `any-${n}`, mac: `02:00:00:00:09:0${n}`, ...at }
}
const ONE = stationed(1)
const TWO = stationed(2)

function stretched(index: 1 | 2, peerKey: string, stations: readonly FakeVm[]): Desired {
  const all = new Map(desiredOf(index, peerKey))
  const network = create(NetworkSchema, {
    id: 'any',
    vpcId: 'blue',
    vlanTag: TAG,
    vni: 5_000,
    ipv4Cidr: '10.0.9.0/24',
    ipv4Gateway: '10.0.9.1',
    ipv6Cidr: 'fd01:0:0:9::/64',
    ipv6Gateway: 'fd01:0:0:9::1',
    mtu: INSIDE,
    stretched: true,
  })
  all.set('network/any', resource('network/any', { case: 'network', value: network }))
  for (const { name, mac, ipv4, ipv6 } of stations) {
    const fabricAddress = `fd00:fab:0:${3 - index}::1`
    const addresses = [ipv4, ipv6]
    const what = { networkId: 'any', interfaceId: name, mac, addresses, fabricAddress }
    const value = create(StationSchema, what)
    all.set(`station/${name}`, resource(`station/${name}`, { case: 'station', value }))
  }
  return all
}

describe('a network stretched over two racks', { skip }, () => {
  let a: Rack
  let b: Rack
  let ccs: [Cc, Cc]
  let stop: () => Promise<void>

  before(async () => {
    const started = await startTwoRacks()
    stop = started.stop
    ;[a, b] = started.racks
    ccs = [await a.open(silentLog), await b.open(silentLog)]
    await ccs[0].pass(stretched(1, ccs[1].wireguardPublicKey(), [TWO]))
    await ccs[1].pass(stretched(2, ccs[0].wireguardPublicKey(), [ONE]))
    for (const [rack, vm] of [
      [a, ONE],
      [b, TWO],
    ] as const) {
      await plugVm(rack, vm, TAG, silentLog)
      await inVm(rack, vm, ['ip', 'link', 'set', 'eth0', 'mtu', `${INSIDE}`])
      await inVm(rack, vm, ['ip', 'address', 'add', `${vm.ipv4}/24`, 'dev', 'eth0'])
      await inVm(rack, vm, ['ip', 'address', 'add', `${vm.ipv6}/64`, 'dev', 'eth0', 'nodad'])
    }
  })
  after(async () => {
    await stop?.()
  })

  test('stations meet at layer 2, in both families, with packets as large as told', async () => {
    for (const to of [TWO.ipv4, TWO.ipv6]) {
      await until(`${to} answers`, () => pings(a, ONE, to))
    }
    assert.ok(await pings(b, TWO, ONE.ipv4, '-M', 'do', '-s', String(INSIDE - 28)))
    assert.ok(await pings(b, TWO, ONE.ipv6, '-M', 'do', '-s', String(INSIDE - 48)))
    const { stdout } = await inVm(a, ONE, ['ip', 'neigh', 'show', TWO.ipv4])
    assert.match(stdout, new RegExp(TWO.mac))
  })

  test('each rack has its own gateway, and no broadcast crosses', async () => {
    assert.ok(await pings(a, ONE, '10.0.9.1'))
    assert.ok(await pings(b, TWO, '10.0.9.1'))
    const mac = async (rack: Rack, vm: FakeVm) =>
      (await inVm(rack, vm, ['ip', 'neigh', 'show', '10.0.9.1'])).stdout
    assert.notEqual(await mac(a, ONE), await mac(b, TWO))
    assert.equal(await pings(a, ONE, '10.0.9.77'), false)
    const { stdout } = await b.host.exec(['ip', '-s', '-json', 'link', 'show', 'dev', `vx${TAG}`])
    const [{ stats64 }] = JSON.parse(stdout) as [{ stats64: { rx: { multicast: number } } }]
    assert.equal(stats64.rx.multicast, 0)
  })

  test('a station that is gone is not reached; what is told stays told', async () => {
    const key = ccs[1].wireguardPublicKey()
    await ccs[0].pass(stretched(1, key, []))
    await inVm(a, ONE, ['ip', 'neigh', 'flush', 'dev', 'eth0'])
    assert.equal(await pings(a, ONE, TWO.ipv4), false)
    await ccs[0].pass(stretched(1, key, [TWO]))
    assert.ok(await pings(a, ONE, TWO.ipv4))
    const steps: string[] = []
    const again = await a.open(listening(steps))
    await again.pass(stretched(1, key, [TWO]))
    assert.deepEqual(steps, [])
  })

  test('the device goes with the network', async () => {
    await ccs[0].pass(desiredOf(1, ccs[1].wireguardPublicKey()))
    const { stdout } = await a.host.exec(['ip', '-br', 'link', 'show', 'type', 'vxlan'])
    assert.equal(stdout, '')
  })
})
