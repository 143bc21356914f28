// The mesh of gateways: every prefix at exactly one peer, the same seen from everywhere.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { covers, formatCidr, mustCidr, nthBlock, overlaps } from '../../topology/cidr.ts'
import {
  type OverlayGateway,
  type OverlayRack,
  type OverlayVpc,
  pairName,
  planTunnels,
} from '../../topology/overlay.ts'
import { fabricPrefix, rackFabric } from '../../topology/plan.ts'

const FABRIC = fabricPrefix('0000000001')

function gateway(index: number, more: Partial<OverlayGateway> = {}): OverlayGateway {
  const host = `cc${index}`
  const usual = { endpoints: [], connected: true, beyond: [] }
  return { host, index, publicKey: `key-${index}`, ...usual, ...more }
}

/** Each prefix is of a VPC of its own. */
function rack(index: number, prefixes: readonly string[], gateways: readonly OverlayGateway[]) {
  const vpcs = prefixes.map((prefix) => ({ id: `vpc-${prefix}`, prefixes: [prefix] }))
  return rackOf(index, vpcs, gateways)
}

function rackOf(index: number, vpcs: readonly OverlayVpc[], gateways: readonly OverlayGateway[]) {
  const fabric = formatCidr(rackFabric(FABRIC, index))
  return { name: `r${index}`, index, fabric, vpcs, gateways }
}

function prefixesOf({ vpcs }: OverlayRack): string[] {
  return vpcs.flatMap(({ prefixes }) => prefixes)
}

const someGateways = fc
  .array(fc.record({ connected: fc.boolean(), keyed: fc.boolean() }), { maxLength: 4 })
  .map((all) =>
    all.map(({ connected, keyed }, i) =>
      gateway(i + 1, { connected, publicKey: keyed ? `key-${i}` : '' }),
    ),
  )

/** Each rack its own /24s, as the number plan makes them. */
const someRacks: fc.Arbitrary<OverlayRack[]> = fc
  .array(fc.tuple(fc.nat(6), someGateways), { maxLength: 5 })
  .map((all) =>
    all.map(([count, gateways], i) => {
      const block = mustCidr(`10.${i}.0.0/16`)
      const prefixes = Array.from({ length: count }, (_, n) => nthBlock(block, 24, n))
      return rack(
        i + 1,
        prefixes.flatMap((one) => (one === null ? [] : [formatCidr(one)])),
        gateways,
      )
    }),
  )

function everyone(racks: readonly OverlayRack[]) {
  return racks.flatMap((one) => one.gateways.map(({ host }) => ({ rack: one.name, host })))
}

test('planTunnels gives each prefix to exactly one peer, and of a rack to exactly one of its own', () => {
  fc.assert(
    fc.property(someRacks, (racks) => {
      for (const from of everyone(racks)) {
        const plan = planTunnels(racks, from)
        const all = plan.flatMap((peer) => peer.allowedIps)
        assert.equal(new Set(all).size, all.length, 'an allowed-ip stands at two peers')
        for (const other of racks) {
          const peers = plan.filter((peer) => peer.rack === other.name)
          const keyed = other.gateways.filter((one) => one.publicKey !== '')
          const isInside = other.name === from.rack
          const others = keyed.filter(({ host }) => !isInside || host !== from.host)
          assert.equal(peers.length, others.length)
          const counted = isInside ? prefixesOf(other) : [other.fabric, ...prefixesOf(other)]
          for (const prefix of counted) {
            const speakers = peers.filter((peer) => peer.allowedIps.includes(prefix))
            // What no other one of the own rack speaks for is its own part.
            const most = peers.length === 0 ? 0 : 1
            assert.ok(speakers.length <= most, prefix)
            if (!isInside) assert.equal(speakers.length, most, prefix)
          }
        }
      }
    }),
  )
})

test('planTunnels lets allowed-ips of two peers meet only as a host in its own rack', () => {
  fc.assert(
    fc.property(someRacks, (racks) => {
      for (const from of everyone(racks)) {
        const plan = planTunnels(racks, from)
        const all = plan.flatMap((peer) =>
          peer.allowedIps.map((ip) => ({ peer, ip: mustCidr(ip) })),
        )
        for (const [i, a] of all.entries()) {
          for (const b of all.slice(i + 1)) {
            if (!overlaps(a.ip, b.ip)) continue
            const [outer, inner] = covers(a.ip, b.ip) ? [a, b] : [b, a]
            assert.ok(outer.peer.rack === inner.peer.rack && inner.ip.length === 128)
            assert.equal(outer.ip.length, 64)
          }
        }
      }
    }),
  )
})

test('planTunnels is symmetrical, and every peer can be reached at its own fabric address', () => {
  fc.assert(
    fc.property(someRacks, (racks) => {
      const keyed = racks.map((one) => ({
        ...one,
        gateways: one.gateways.filter((each) => each.publicKey !== ''),
      }))
      for (const from of everyone(keyed)) {
        for (const peer of planTunnels(racks, from)) {
          const back = planTunnels(racks, peer)
          assert.ok(back.some((one) => one.rack === from.rack && one.host === from.host))
          const there = racks.find((one) => one.name === peer.rack)
          const index = there?.gateways.find((one) => one.host === peer.host)?.index
          const own = mustCidr(`${there?.fabric.replace('/64', '')}${index?.toString(16)}/128`)
          assert.ok(peer.allowedIps.some((ip) => covers(mustCidr(ip), own)))
        }
      }
    }),
  )
})

test('planTunnels tells everybody the same about a rack, in whatever order things are listed', () => {
  fc.assert(
    fc.property(someRacks, (racks) => {
      const turned = racks.map((one) => ({
        ...one,
        vpcs: [...one.vpcs].reverse(),
        gateways: [...one.gateways].reverse(),
      }))
      const seen = new Map<string, string>()
      for (const from of everyone(racks)) {
        assert.deepEqual(planTunnels(turned.reverse(), from), planTunnels(racks, from))
        for (const peer of planTunnels(racks, from)) {
          const name = `${peer.rack}/${peer.host} ${peer.rack === from.rack}`
          const said = seen.get(name) ?? JSON.stringify(peer)
          assert.equal(JSON.stringify(peer), said)
          seen.set(name, said)
        }
      }
    }),
  )
})

const PREFIXES = Array.from({ length: 64 }, (_, i) => `10.0.${i}.0/24`)
const FROM = { rack: 'r2', host: 'cc1' }

function shares(gateways: readonly OverlayGateway[]): Map<string, readonly string[]> {
  const plan = planTunnels([rack(1, PREFIXES, gateways), rack(2, [], [gateway(1)])], FROM)
  return new Map(plan.map((peer) => [peer.host, peer.allowedIps]))
}

test('planTunnels spreads prefixes over a rack and moves only those of a gateway that is away', () => {
  const before = shares([gateway(1), gateway(2), gateway(3)])
  for (const [host, ips] of before) assert.ok(ips.length > 8, `${host} has ${ips.length} of 65`)
  const after = shares([gateway(1), gateway(2), gateway(3, { connected: false })])
  for (const host of ['cc1', 'cc2']) {
    const lost = (before.get(host) ?? []).filter((ip) => !after.get(host)?.includes(ip))
    assert.deepEqual(
      lost.filter((ip) => !ip.endsWith('/128')),
      [],
    )
  }
  assert.deepEqual(after.get('cc3'), ['fd00:0:1:1::3/128'])
})

test('planTunnels removes nothing when all of a rack fall silent', () => {
  const silent = [1, 2, 3].map((index) => gateway(index, { connected: false }))
  assert.deepEqual(shares(silent), shares([gateway(1), gateway(2), gateway(3)]))
})

test('planTunnels gives a VPC of a rack to one gateway, seen from inside and from elsewhere', () => {
  const gateways = [1, 2, 3].map((index) => gateway(index))
  const vpcs = Array.from({ length: 24 }, (_, n) => ({
    id: `vpc-${n}`,
    prefixes: [`10.0.${n}.0/24`, `fd00:0:100:${n}::/64`, `10.1.0.${n}/32`],
  }))
  const racks = [rackOf(1, vpcs, gateways), rack(2, [], [gateway(1)])]
  const seen = planTunnels(racks, FROM)
  for (const { prefixes } of vpcs) {
    const speakers = seen.filter(({ allowedIps }) => allowedIps.includes(prefixes[0] ?? ''))
    assert.equal(speakers.length, 1)
    assert.ok(prefixes.every((one) => speakers[0]?.allowedIps.includes(one)))
  }
  for (const { host } of gateways) {
    const inside = planTunnels(racks, { rack: 'r1', host }).filter(({ rack: of }) => of === 'r1')
    assert.deepEqual(
      inside.map(({ host: peer, allowedIps }) => [peer, allowedIps]),
      seen
        .filter((one) => one.rack === 'r1' && one.host !== host)
        .map((one) => [one.host, one.allowedIps.filter((ip) => ip !== 'fd00:0:1:1::/64')]),
    )
  }
})

test('planTunnels has no peer for a gateway without a key', () => {
  assert.deepEqual([...shares([gateway(1, { publicKey: '' })])], [])
})

test('planTunnels of two racks with one gateway each is what one expects', () => {
  const a = rack(1, ['10.0.0.0/24', 'fd00:0:100::/64'], [gateway(1)])
  const endpoints = ['198.51.100.7:51820', '[2001:db8::7]:51820']
  const b = rack(2, ['10.0.1.0/24'], [gateway(9, { endpoints })])
  assert.deepEqual(planTunnels([a, b], { rack: 'r1', host: 'cc1' }), [
    {
      rack: 'r2',
      host: 'cc9',
      publicKey: 'key-9',
      endpoints,
      allowedIps: ['10.0.1.0/24', 'fd00:0:1:2::/64', 'fd00:0:1:2::9/128'],
    },
  ])
})

test('pairName is the same from both sides and another for another pair', () => {
  assert.equal(pairName('b', 'a'), 'a|b')
  assert.equal(pairName('a', 'b'), 'a|b')
  assert.equal(pairName('a', 'a'), 'a|a')
  assert.notEqual(pairName('a-b', 'c'), pairName('a', 'b-c'))
})

test('planTunnels gives what a gateway has beyond its rack to that one alone', () => {
  const there = rack(2, [], [gateway(1), gateway(2, { beyond: ['100.64.0.0/20'] })])
  const plan = planTunnels([rack(1, [], [gateway(1)]), there], { rack: 'r1', host: 'cc1' })
  const speakers = plan.filter(({ allowedIps }) => allowedIps.includes('100.64.0.0/20'))
  assert.deepEqual(
    speakers.map(({ host }) => host),
    ['cc2'],
  )
})
