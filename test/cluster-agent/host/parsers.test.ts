// What the wrappers make of their tools' output.

import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseOffloads } from '../../../cluster-agent/host/ethtool.ts'
import { guardRules, planGuard } from '../../../cluster-agent/host/guard.ts'
import { ipBatch, parseLinks, parseRoutes, withLength } from '../../../cluster-agent/host/ip.ts'
import { hookedDevices, tableComment } from '../../../cluster-agent/host/nft.ts'
import { parsePorts } from '../../../cluster-agent/host/ovs.ts'
import { planTrunk } from '../../../cluster-agent/host/trunk.ts'
import { ensureKey, parseDump, parseDumps, publicKeyOf } from '../../../cluster-agent/host/wg.ts'
import type { Exec } from '../../../common/exec.ts'
import { exec } from '../../../common/exec.ts'
import { probeMachine } from '../../../common/machine.ts'

test('parseDump reads a device without peers and keys', () => {
  assert.deepEqual(parseDump('(none)\t(none)\t55609\toff\n'), {
    publicKey: '',
    listenPort: 55_609,
    peers: [],
  })
})

test('parseDump reads a peer, its times in milliseconds', () => {
  const peer = 'pub\tpsk\t[2001:db8::1]:1\t10.0.0.0/24,fd00::/64\t1700000000\t5\t6\t25'
  const quiet = 'other\t(none)\t(none)\t(none)\t0\t0\t0\toff'
  assert.deepEqual(parseDump(`priv\town\t1\toff\n${peer}\n${quiet}\n`).peers, [
    {
      publicKey: 'pub',
      presharedKey: 'psk',
      endpoint: '[2001:db8::1]:1',
      allowedIps: ['10.0.0.0/24', 'fd00::/64'],
      latestHandshakeMs: 1_700_000_000_000,
      receivedBytes: 5,
      sentBytes: 6,
      keepaliveS: 25,
    },
    {
      publicKey: 'other',
      presharedKey: '',
      endpoint: null,
      allowedIps: [],
      latestHandshakeMs: 0,
      receivedBytes: 0,
      sentBytes: 0,
      keepaliveS: 0,
    },
  ])
})

test('parseDumps reads all devices by their names', () => {
  const found = parseDumps(
    'wg0\tpriv\town\t1\toff\nwg0\tpub\t(none)\t(none)\t10.0.0.0/24\t0\t0\t0\toff\n' +
      'wg1\tpriv\tother\t2\toff\n',
  )
  assert.deepEqual(
    [...found].map(([name, { publicKey, peers }]) => [name, publicKey, peers.length]),
    [
      ['wg0', 'own', 1],
      ['wg1', 'other', 0],
    ],
  )
  assert.deepEqual([...parseDumps('')], [])
})

test('parseDump refuses a line of another shape', () => {
  assert.throws(() => parseDump('a\tb\t1\toff\nonly\ttwo\n'), { code: 'CommandFailed' })
})

test('publicKeyOf agrees with wg pubkey, and refuses what is no key', async () => {
  const input = (await exec(['wg', 'genkey'])).stdout
  const theirs = (await exec(['wg', 'pubkey'], { input })).stdout
  assert.equal(publicKeyOf(input.trim()), theirs.trim())
  assert.throws(() => publicKeyOf('c2hvcnQ='), { code: 'BadConfig' })
})

test('ensureKey makes a key that only we can read, once', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-key-'))
  try {
    const file = join(dir, 'key')
    const made = await ensureKey(file)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.equal(await ensureKey(file), made)
    await writeFile(file, 'nonsense\n')
    await assert.rejects(ensureKey(file), { code: 'BadConfig' })
  } finally {
    await rm(dir, { recursive: true })
  }
})

test('parsePorts keeps the ports of our bridge that carry our mark', () => {
  const uuid = (n: number) => ['uuid', `u${n}`]
  const ours = ['map', [['mallee', 'gateway']]]
  const bridges = { data: [[['set', [uuid(1), uuid(2)]]]], headings: ['ports'] }
  const ports = {
    data: [
      [uuid(1), 'gw7', 7, ours],
      [uuid(2), 'foreign', ['set', []], ['map', []]],
      [uuid(3), 'elsewhere', ['set', []], ours],
    ],
  }
  const interfaces = { data: [['gw7', 'internal', -1, '02:00:00:00:00:07']] }
  const text = [bridges, ports, interfaces].map((one) => JSON.stringify(one)).join('\n')
  assert.deepEqual(parsePorts(text), [
    {
      name: 'gw7',
      tag: 7,
      trunk: false,
      internal: true,
      mac: '02:00:00:00:00:07',
      ofport: -1,
      externalIds: { mallee: 'gateway' },
    },
  ])
})

test('parseLinks reads links without addresses, MAC or flags', () => {
  const [lo, wg] = parseLinks(
    '[{},{"ifname":"lo","flags":["UP"],"mtu":65536,"address":"00:00:00:00:00:00",' +
      '"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host"}]},' +
      '{"ifname":"wg","flags":[],"mtu":1420,"addr_info":[]}]',
  )
  assert.equal(lo?.addresses[0]?.cidr, '127.0.0.1/8')
  assert.deepEqual(wg, { name: 'wg', mac: '', mtu: 1420, up: false, addresses: [] })
  assert.deepEqual(parseLinks(''), [])
})

test('parseRoutes gives every destination its length', () => {
  const text = '[{"dst":"10.1.1.1","protocol":"boot"},{"dst":"default","dev":"eth0"}]'
  assert.deepEqual(parseRoutes(text, 4, 'wg'), [
    { destination: '10.1.1.1/32', device: 'wg', protocol: 'boot', gateway: '' },
    { destination: '0.0.0.0/0', device: 'eth0', protocol: '', gateway: '' },
  ])
  assert.equal(withLength('fd00::1'), 'fd00::1/128')
})

test('ipBatch refuses a line that would be two', async () => {
  const lines = ['link set dev x up\nlink del dev eth0']
  await assert.rejects(ipBatch(exec, lines), { code: 'BadArgument' })
})

for (const [hook, devices] of [
  ['device "tr0"', ['tr0']],
  ['devices = { tr2, tr0 }', ['tr0', 'tr2']],
  ['devices = { }', []],
] as const) {
  test(`hookedDevices of ${hook} is [${devices.join()}]`, () => {
    const line = `\t\ttype filter hook ingress ${hook} priority filter; policy drop;`
    assert.deepEqual(hookedDevices(`table netdev x {\n\tchain i {\n${line}\n\t}\n}\n`), devices)
  })
}

test('tableComment is null without one', () => {
  assert.equal(tableComment('table inet x {\n\tcomment "abc"\n'), 'abc')
  assert.equal(tableComment('table inet x {\n\tchain c {\n\t\tcomment "abc"\n'), null)
})

test('planGuard loads rules when the devices differ and takes the table away with the last', () => {
  assert.deepEqual(planGuard('taps', { wanted: [], guarded: null }), [])
  assert.deepEqual(planGuard('taps', { wanted: ['a', 'b'], guarded: ['a', 'b'] }), [])
  assert.deepEqual(planGuard('taps', { wanted: ['a'], guarded: null }), [guardRules('taps', ['a'])])
  assert.deepEqual(planGuard('taps', { wanted: [], guarded: ['a'] }), [
    'table netdev mallee_guard_taps\ndelete table netdev mallee_guard_taps\n',
  ])
})

test('parseOffloads keeps what spoils frames and can be changed', () => {
  const text = 'tx-checksumming: on\n\ttx-checksum-sctp: on\nlarge-receive-offload: off [fixed]\n'
  assert.deepEqual(parseOffloads(text), { 'tx-checksumming': true })
})

test('planTrunk plugs the NIC whole and unplugs the one before', () => {
  const old = {
    name: 'eth1',
    tag: null,
    trunk: true,
    internal: false,
    mac: '',
    ofport: 1,
    externalIds: {},
  }
  const link = { name: 'eth2', mac: '', mtu: 1500, up: false, addresses: [] }
  const offloads = { 'tx-checksumming': true, 'generic-receive-offload': false }
  assert.deepEqual(planTrunk('eth2', { ports: [old], link, offloads }), [
    { kind: 'offloads-off', name: 'eth2', were: ['tx-checksumming'] },
    { kind: 'port', name: 'eth2' },
    { kind: 'up', name: 'eth2' },
    { kind: 'unplug', names: ['eth1'] },
  ])
  assert.deepEqual(planTrunk(null, { ports: [], link: null, offloads: {} }), [])
})

test('probeMachine says what is missing, and what that costs', async () => {
  const nothing = await probeMachine(() => Promise.reject(new Error('not installed')))
  assert.equal(nothing.wireguard, 'missing')
  assert.equal(nothing.ovs, 'missing')
  assert.equal(nothing.ipsec, 'missing')
  assert.equal(nothing.details.notes.length, 5)
  const kernel = await probeMachine(() =>
    Promise.resolve({ stdout: 'v1.2.3', stderr: '', code: 0 }),
  )
  assert.deepEqual([kernel.wireguard, kernel.ovs, kernel.ipsec], ['kernel', 'kernel', 'kernel'])
  assert.deepEqual(kernel.details.notes, [])
  const none: Exec = (argv) =>
    argv.includes('xfrm')
      ? Promise.reject(new Error('Unknown device type'))
      : Promise.resolve({ stdout: 'v1.2.3', stderr: '', code: 0 })
  const standIn = await probeMachine(none)
  assert.equal(standIn.ipsec, 'userspace')
  assert.match(standIn.details.notes.join(), /the kernel has no IPsec/)
  assert.equal(kernel.details.versions['wg'], '1.2.3')
})
