// What rack-join looks at before it changes anything.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import {
  checkAddresses,
  checkClock,
  checkMtu,
  checkPort,
} from '../../../cluster-agent/join/checks.ts'
import type { Exec } from '../../../common/exec.ts'

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)
const TEN_MINUTES = 600_000

for (const [name, ours, outcome, sentence] of [
  [
    'ten minutes ahead',
    NOW + TEN_MINUTES,
    'failed',
    /600 s ahead of the gateway's .* set the clock/,
  ],
  ['ten minutes behind', NOW - TEN_MINUTES, 'failed', /600 s behind the gateway's/],
  ['two seconds off', NOW + 2_000, 'ok', /2 s from the gateway's/],
] as const) {
  test(`checkClock says of a clock ${name}: ${outcome}`, () => {
    const check = checkClock(NOW, ours)
    assert.equal(check.outcome, outcome)
    assert.match(check.sentence, sentence)
  })
}

test('checkPort says that nobody listens, and where', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  assert.equal((await checkPort('127.0.0.1', port)).outcome, 'ok')
  await new Promise((resolve) => server.close(resolve))
  const check = await checkPort('127.0.0.1', port)
  assert.equal(check.outcome, 'failed')
  assert.match(check.sentence, new RegExp(`127.0.0.1 port ${port}: .*ECONNREFUSED`))
})

test('checkAddresses finds an address of this host inside the fabric', () => {
  assert.equal(checkAddresses('fd00:dead:beef:1::/64').outcome, 'ok')
})

for (const [mtu, outcome] of [
  [1_500, 'ok'],
  [1_400, 'warning'],
  [1_300, 'failed'],
] as const) {
  test(`checkMtu says of an underlay of ${mtu} bytes: ${outcome}`, async () => {
    const exec: Exec = async ([program, , ...args]) => {
      const line = [program, ...args].join(' ')
      if (line === 'ip route get 192.0.2.1') {
        return { code: 0, stderr: '', stdout: '[{"dev":"eth0"}]' }
      }
      if (line === 'ip link show dev eth0') {
        return { code: 0, stderr: '', stdout: `[{"ifname":"eth0","mtu":${mtu}}]` }
      }
      throw new Error(`no such command in this test: ${line}`)
    }
    assert.equal((await checkMtu(exec, '192.0.2.1')).outcome, outcome)
  })
}
