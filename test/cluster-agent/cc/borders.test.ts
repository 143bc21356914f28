// What a border decides without asking the host: how large packets may be, who is heard, what
// stands in the packet filter, and what it does not lead away from its host.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { borderSets } from '../../../cluster-agent/cc/border-sets.ts'
import { edgeRules } from '../../../cluster-agent/cc/edge.ts'
import { measurePathMtu } from '../../../cluster-agent/cc/path-mtu.ts'
import { isAwaited, isDue, nextSeen } from '../../../cluster-agent/cc/peer-border.ts'
import { conflictsOf, hostNetworks } from '../../../cluster-agent/cc/peer-conflicts.ts'
import { tenantsOf } from '../../../cluster-agent/cc/tenants.ts'
import type { WgPeer } from '../../../cluster-agent/host/wg.ts'
import { PeerLinkSchema } from '../../../proto/gen/mallee/v1/border_pb.js'
import { cloudDesired, HERE, linkTo, THERE } from './two-clouds.ts'

for (const [gets, found, probes] of [
  [1500, { kind: 'mtu', bytes: 1420 }, 1],
  [1420, { kind: 'mtu', bytes: 1420 }, 1],
  [1419, { kind: 'mtu', bytes: 1416 }, 12],
  [1371, { kind: 'mtu', bytes: 1368 }, 12],
  [1280, { kind: 'mtu', bytes: 1280 }, 12],
  [1279, { kind: 'too-small' }, 9],
  [0, { kind: 'silent' }, 9],
] as const) {
  test(`measurePathMtu of a way that takes ${gets} bytes says ${JSON.stringify(found)}`, async () => {
    let asked = 0
    const probe = async (bytes: number): Promise<boolean> => {
      asked += 1
      return bytes <= gets
    }
    assert.deepEqual(await measurePathMtu(probe, 1420), found)
    assert.equal(asked, probes)
  })
}

const START_MS = 1_000_000_000
const SECOND_MS = 1000

function peer(latestHandshakeMs: number, more: Partial<WgPeer> = {}): WgPeer {
  const bytes = { receivedBytes: 1, sentBytes: 1 }
  const rest = { publicKey: 'k', presharedKey: '', allowedIps: [], keepaliveS: 5 }
  return { ...rest, ...bytes, endpoint: '192.0.2.1:52001', latestHandshakeMs, ...more }
}

/** Looks every two seconds, from 100 s after the handshake: whether it is up at each of them. */
function watched(heardAt: (second: number) => boolean, untilS: number): Map<number, boolean> {
  const beganMs = START_MS - 100 * SECOND_MS
  let seen = nextSeen(null, peer(beganMs), beganMs)
  let receivedBytes = 1
  const up = new Map<number, boolean>()
  for (let second = 0; second <= untilS; second += 2) {
    if (heardAt(second)) receivedBytes += 32
    seen = nextSeen(seen, peer(beganMs, { receivedBytes }), START_MS + second * SECOND_MS)
    up.set(second, seen.upSinceMs > 0)
  }
  return up
}

test('a border is heard until a quarter of a minute of silence, and since the same time', () => {
  const handshakeMs = START_MS - 170 * SECOND_MS
  const first = nextSeen(null, peer(handshakeMs), START_MS)
  const sinceMs = Math.floor(handshakeMs / 60_000) * 60_000
  assert.equal(first.upSinceMs, sinceMs, 'one that was just started believes the handshake')
  const laterMs = START_MS + 10 * SECOND_MS
  const later = nextSeen(first, peer(handshakeMs, { receivedBytes: 33 }), laterMs)
  assert.equal(later.upSinceMs, sinceMs)
  const silent = peer(handshakeMs, { receivedBytes: 33 })
  assert.equal(nextSeen(later, silent, laterMs + 12 * SECOND_MS).upSinceMs, sinceMs)
  assert.equal(nextSeen(later, silent, laterMs + 13 * SECOND_MS).upSinceMs, 0)
  assert.equal(nextSeen(null, peer(0), START_MS).upSinceMs, 0)
  assert.equal(nextSeen(null, null, START_MS).upSinceMs, 0)
})

test('a border that fell silent counts again when it was heard for a while, longer each time', () => {
  // Silent for 20 s at the start of every minute.
  const up = watched((second) => second < 60 || second % 60 >= 20, 400)
  assert.deepEqual([up.get(58), up.get(70), up.get(72)], [true, true, false])
  // Heard again from 80 on: up after 15 s, then after 30 s, and then no minute is long enough.
  assert.deepEqual([up.get(94), up.get(96)], [false, true])
  assert.deepEqual([up.get(168), up.get(170)], [false, true])
  for (let second = 200; second <= 400; second += 2)
    assert.equal(up.get(second), false, `${second}`)
  const steady = watched((second) => second < 60 || second >= 80, 1_000)
  assert.deepEqual([steady.get(72), steady.get(94), steady.get(96)], [false, false, true])
})

test('a border is awaited for its first minute, while it was never heard', () => {
  const silent = nextSeen(null, peer(0, { receivedBytes: 0 }), START_MS)
  assert.ok(isAwaited(silent, START_MS + 59 * SECOND_MS))
  assert.equal(isAwaited(silent, START_MS + 60 * SECOND_MS), false)
  assert.equal(isAwaited(nextSeen(silent, peer(START_MS), START_MS), START_MS), false)
})

test('a way is measured when it is heard first, goes another way, and every ten minutes', () => {
  const up = nextSeen(null, peer(START_MS), START_MS)
  assert.ok(isDue(up, START_MS))
  const path = { kind: 'mtu', bytes: 1420 } as const
  const measured = { ...up, path, measuredAtMs: START_MS }
  assert.equal(isDue(measured, START_MS + 599 * SECOND_MS), false)
  assert.ok(isDue(measured, START_MS + 600 * SECOND_MS))
  const silent = { ...up, path: { kind: 'silent' } as const, measuredAtMs: START_MS }
  assert.ok(isDue(silent, START_MS + 60 * SECOND_MS))
  const elsewhere = peer(START_MS, { endpoint: '192.0.2.2:52001' })
  const moved = nextSeen(measured, elsewhere, START_MS + SECOND_MS)
  assert.ok(isDue(moved, START_MS + SECOND_MS))
  assert.equal(isDue({ ...moved, upSinceMs: 0 }, START_MS + SECOND_MS), false)
})

test('borderSets has own blocks as they are here, and on the wire as they are seen', () => {
  const link = create(PeerLinkSchema, linkTo(HERE, THERE, 'k'.repeat(43)))
  const found = Object.fromEntries(borderSets([link]).map((one) => [one.name, one.elements]))
  assert.deepEqual(found, {
    border4: ['"mallee-p3" . 100.64.16.0/20 . 10.0.0.0/20'],
    wire4: ['"mallee-p3" . 100.64.16.0/20 . 100.64.0.0/20'],
    seen_as4: ['"mallee-p3" . 10.0.0.0/20 : 100.64.0.0/20'],
    meant4: ['"mallee-p3" . 100.64.0.0/20 : 10.0.0.0/20'],
    border6: ['"mallee-p3" . fd02::/56 . fd01::/56'],
    wire6: ['"mallee-p3" . fd02::/56 . fd01::/56'],
    seen_as6: [],
    meant6: [],
  })
})

test('edgeRules limits what a peer may have, in each direction, and no other', () => {
  const rules = (bandwidthBitsPerS: bigint): string => {
    const link = { ...linkTo(HERE, THERE, null), bandwidthBitsPerS }
    const desired = cloudDesired(HERE, THERE, { link })
    return edgeRules(tenantsOf(desired, 'h1', { fabric: 'fd00:a::/48', publicSide: null })).ruleset
  }
  const over = 'limit rate over 12500000 bytes/second burst 1250000 bytes drop'
  assert.ok(rules(100_000_000n).includes(`iifname "mallee-p3" ${over}`))
  assert.ok(rules(100_000_000n).includes(`oifname "mallee-p3" ${over}`))
  assert.ok(!rules(0n).includes('rate over 12500000'))
})

test('conflictsOf names what of a peer lies in a network of the host itself', () => {
  const of = (name: string, cidr: string, scope = 'global') => {
    const addresses = [{ cidr, family: 4, scope } as const]
    return { name, mac: '', mtu: 1500, up: true, addresses }
  }
  const hosts = hostNetworks([
    of('eth0', '100.64.16.9/24'),
    of('gw11', '100.64.17.1/24'),
    of('mallee-p9', 'fe80::1/128', 'link'),
    of('lo', '127.0.0.1/8', 'host'),
  ])
  const link = create(PeerLinkSchema, linkTo(HERE, THERE, 'k'.repeat(43)))
  assert.deepEqual(
    [...conflictsOf(link, hosts)],
    [
      [
        '100.64.16.0/20',
        '100.64.16.0/20 overlaps 100.64.16.9/24 of eth0 on this host, nothing of it passes',
      ],
    ],
  )
})
