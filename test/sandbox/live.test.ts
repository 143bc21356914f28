// The live status says what is so, and elsewhere than on a terminal only what changed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { facts, LiveView } from '../../sandbox/live.ts'

const NOW_MS = 1_000_000

function cloud(handshakeMs: number) {
  const host = { host: 'a1', roles: ['cc'], connected: true, instances: 1 }
  return {
    ipv6Pool: '',
    instances: {},
    racks: [{ name: 'a', state: 'joined', hosts: [host] }],
    tunnels: [{ fromRack: 'a', toRack: 'b', latestHandshakeMs: handshakeMs }],
  }
}

const guest = { id: 'i-1', rack: 'a', ipv4: '10.0.0.4', ipv6: 'fd00::4', state: 'running' }

for (const [ageMs, want] of [
  [0, 'up'],
  [179_999, 'up'],
  [180_000, 'silent'],
] as const) {
  test(`facts says a tunnel is ${want} ${ageMs} ms after its handshake`, async () => {
    const lines = await facts({
      status: async () => cloud(NOW_MS - ageMs),
      instances: async () => [guest],
      nowMs: () => NOW_MS,
    })
    assert.deepEqual(lines, [
      'host      a1 of rack a: cc, connected, 1 instance',
      `tunnel    a to b: ${want}`,
      'instance  i-1 in rack a: running, 10.0.0.4, fd00::4',
    ])
  })
}

test('facts says why the gateway does not answer', async () => {
  const lines = await facts({
    status: () => Promise.reject(new Error('nobody there')),
    instances: async () => [],
    nowMs: () => NOW_MS,
  })
  assert.deepEqual(lines, ['gateway   does not answer: nobody there'])
})

for (const [isTTY, want] of [
  [false, ['a: 1\n', 'b: 1\n', 'a: 2\n', 'gone:     b: 1\n']],
  [true, ['a: 1\nb: 1\n', '\x1b[2F\x1b[Ja: 2\n']],
] as const) {
  test(`LiveView with isTTY ${isTTY} shows changes only`, () => {
    const written: string[] = []
    const view = new LiveView({ isTTY, write: (text) => written.push(text) })
    view.show(['a: 1', 'b: 1'])
    view.show(['a: 1', 'b: 1'])
    view.show(['a: 2'])
    assert.deepEqual(written, want)
  })
}
