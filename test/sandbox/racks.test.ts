// missingOf says what a world still waits for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SANDBOX_PLAN } from '../../sandbox/plan.ts'
import { missingOf } from '../../sandbox/racks.ts'

function rack(name: string, connected: readonly string[], away: readonly string[] = []) {
  const hosts = [...connected, ...away].map((host) => ({
    host,
    roles: [],
    connected: connected.includes(host),
    instances: 0,
  }))
  return { name, state: 'joined', hosts }
}

function tunnel(fromRack: string, toRack: string, latestHandshakeMs: number) {
  return { fromRack, toRack, latestHandshakeMs }
}

const BOTH = [rack('a', ['a1', 'a2', 'a3']), rack('b', ['b1'])]

for (const [what, racks, tunnels, want] of [
  ['nothing when all is there', BOTH, [tunnel('a', 'b', 5), tunnel('b', 'a', 5)], []],
  [
    'a tunnel without a handshake, each way for itself',
    BOTH,
    [tunnel('a', 'b', 5), tunnel('b', 'a', 0)],
    ['no handshake from rack b to rack a'],
  ],
  [
    'hosts that are away and racks that are unknown',
    [rack('a', ['a1', 'a3'], ['a2'])],
    [],
    [
      'host a2 is not connected',
      'no handshake from rack a to rack b',
      'host b1 is not connected',
      'no handshake from rack b to rack a',
    ],
  ],
] as const) {
  test(`missingOf names ${what}`, () => {
    assert.deepEqual(missingOf(SANDBOX_PLAN, { ipv6Pool: '', instances: {}, racks, tunnels }), want)
  })
}
