// Tunnels to customers' own devices without a host: what may pass and how it is routed, and that
// what is the matter with one keeps no other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { desiredRoutes } from '../../../cluster-agent/cc/routing.ts'
import { tenantsOf } from '../../../cluster-agent/cc/tenants.ts'
import type { VpnKind, VpnKindName, VpnSeen } from '../../../cluster-agent/cc/vpn-kind.ts'
import { VpnLinks } from '../../../cluster-agent/cc/vpn-links.ts'
import { vpnSets } from '../../../cluster-agent/cc/vpn-sets.ts'
import type { Exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { type VpnLink, VpnLinkSchema } from '../../../proto/gen/mallee/v1/border_pb.js'
import { byTunnel, withLinks } from './customers.ts'
import { withPublic } from './public-racks.ts'

const BLUE = ['10.0.0.0/20', 'fd01::/56']

function link(more: MessageInitShape<typeof VpnLinkSchema>): VpnLink {
  return create(VpnLinkSchema, {
    ...{ number: 1, host: 'h1', localPrefixes: BLUE, remotePrefixes: ['192.168.0.0/24'] },
    kind: { case: 'wireguard', value: {} },
    ...{ insideAddress: '169.254.16.5/30', farInsideAddress: '169.254.16.6/30' },
    ...more,
  })
}

function tenants(links: readonly VpnLink[], devices: readonly (readonly [number, string])[]) {
  const wishes = { routes: { 'blue-1': byTunnel(1) } }
  const desired = withLinks(withPublic(1, 'key', wishes), links)
  const vpnDevices = new Map(devices)
  return tenantsOf(desired, 'h1', { fabric: 'fd00:fab::/48', publicSide: null, vpnDevices })
}

function elements(name: string, ...of: Parameters<typeof tenants>): readonly string[] {
  return vpnSets(tenants(...of)).find((one) => one.name === name)?.elements ?? []
}

for (const [what, remotePrefixes, expected] of [
  ['a LAN', ['192.168.0.0/24'], ['192.168.0.0/24']],
  ["a part of the VPC's own", ['10.0.4.0/24'], []],
  ['what is around the VPC', ['10.0.0.0/19'], ['10.0.16.0/20']],
  ['the services of every network', ['169.254.169.0/24'], []],
  [
    'two of which one is in the other',
    ['172.16.0.0/30', '172.16.0.1/32'],
    ['172.16.0.0', '172.16.0.1', '172.16.0.2/31'],
  ],
] as const) {
  test(`vpnSets of a device that has ${what} behind it lets ${expected.join(', ')} pass`, () => {
    const found = elements(
      'vpn4',
      [link({ remotePrefixes: [...remotePrefixes] })],
      [[1, 'mallee-v1']],
    )
    assert.deepEqual(
      found,
      expected.map((one) => `"mallee-v1" . ${one} . 10.0.0.0/20`),
    )
  })
}

test('vpnSets has no two elements that overlap of links that share a device', () => {
  const two = [
    link({ remotePrefixes: ['172.16.0.0/15'] }),
    link({ number: 2, remotePrefixes: ['172.17.0.0/16'] }),
  ]
  const devices = [1, 2].map((number) => [number, 'mallee-vipsec'] as const)
  assert.deepEqual(elements('vpn4', two, devices), [
    '"mallee-vipsec" . 172.16.0.0/16 . 10.0.0.0/20',
    '"mallee-vipsec" . 172.17.0.0/16 . 10.0.0.0/20',
  ])
  assert.deepEqual(elements('vpn_marks', two, devices), ['"mallee-vipsec" : 0x6d760000'])
})

test('nothing passes a tunnel whose device is not there, or that another CC holds', () => {
  assert.deepEqual(elements('vpn4', [link({})], []), [])
  assert.deepEqual(elements('vpn4', [link({ host: 'h2' })], [[1, 'mallee-v1']]), [])
  const { routes } = desiredRoutes(tenants([link({})], []), 4)
  assert.ok(routes.includes('unreachable 192.168.0.0/24 table 10011'))
})

test('desiredRoutes leads by the device, errors back to it, and on to other racks', () => {
  const { rules, routes } = desiredRoutes(tenants([link({})], [[1, 'mallee-v1']]), 4)
  const over = 'via inet6 fe80::400:10ff:fe00:2001 dev vxt onlink'
  assert.deepEqual(routes, [
    `10.0.2.0/24 ${over} table 9999`,
    '169.254.16.6/32 dev mallee-v1 table 20001',
    '192.168.0.0/24 dev mallee-v1 table 10011',
    '192.168.0.0/24 dev mallee-v1 table 20001',
    'throw 10.0.0.0/20 table 10011',
    'unreachable default table 10011',
  ])
  assert.deepEqual(
    rules.filter((one) => one.includes('0x6d76')),
    [
      'pref 9050 iif lo fwmark 0x6d760001 lookup 20001',
      'pref 9060 fwmark 0x6d760000/0xffff0000 lookup 9999',
    ],
  )
})

/** Holds what it is told to; `fails` says how. */
class FakeKind implements VpnKind {
  up = false
  fails = ''
  #numbers: readonly number[] = []

  async removeUnwanted(): Promise<void> {
    if (this.fails !== '') throw new Error(this.fails)
  }
  async pass(_: Exec, links: readonly VpnLink[]): Promise<void> {
    if (this.fails !== '') throw new Error(this.fails)
    this.#numbers = links.map(({ number }) => number)
  }
  async look(): Promise<void> {}
  deviceOf(number: number): string | null {
    return this.#numbers.includes(number) ? `device-${number}` : null
  }
  seen(number: number): VpnSeen | null {
    if (!this.#numbers.includes(number)) return null
    return { up: this.up, publicKey: 'k', endpoints: [], trouble: '' }
  }
  async close(): Promise<void> {}
  async removeAll(): Promise<void> {}
}

test('VpnLinks says since when a tunnel is up, and what is the matter with a whole kind', async () => {
  let nowMs = 1_000
  const exec: Exec = async ([program]) => {
    assert.equal(program, 'sysctl')
    const stdout = 'net.ipv4.fwmark_reflect = 1\nnet.ipv6.fwmark_reflect = 1\n'
    return { code: 0, stdout, stderr: '' }
  }
  const [wireguard, ipsec] = [new FakeKind(), new FakeKind()]
  const options = {
    ...{ paths: { stateDir: '/nowhere', runDir: '/nowhere', configFile: '' }, log: silentLog },
    ...{ clock: { nowMs: () => nowMs }, config: { host: 'h1' } },
  }
  const kinds = new Map<VpnKindName, VpnKind>([
    ['ipsec', ipsec],
    ['wireguard', wireguard],
  ])
  const vpns = new VpnLinks(options, kinds)
  const links = [link({}), link({ number: 2, kind: { case: 'ipsec', value: {} } })]
  const pass = async (): Promise<void> => {
    await vpns.removeUnwanted(exec, links)
    await vpns.pass(exec, links)
  }
  const said = () =>
    vpns.statuses().map(({ key, body }) => {
      if (body.case !== 'vpnLink') return key
      return [key, body.value.up, Number(body.value.changedAtMs), body.value.trouble]
    })

  ipsec.fails = 'no daemon'
  await pass()
  assert.deepEqual(said(), [
    ['vpn/1', false, 1_000, ''],
    ['vpn/2', false, 1_000, 'no daemon'],
  ])
  assert.deepEqual([...vpns.devices()], [[1, 'device-1']])
  assert.ok(vpns.isAwaiting())

  nowMs = 2_000
  ;[ipsec.fails, wireguard.up] = ['', true]
  await pass()
  nowMs = 3_000
  await pass()
  assert.deepEqual(said(), [
    ['vpn/1', true, 2_000, ''],
    ['vpn/2', false, 1_000, ''],
  ])

  const without = new VpnLinks(options, new Map([['wireguard', wireguard]]))
  await without.pass(exec, links)
  const trouble = without
    .statuses()
    .map(({ body }) => body.case === 'vpnLink' && body.value.trouble)
  assert.deepEqual(trouble, ['', 'this host has no tunnels of the kind ipsec'])
})
