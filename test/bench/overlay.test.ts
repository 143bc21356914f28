// What the overlay benchmark reads from iperf3, ping and wg: a wrong number here is a wrong figure.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPart } from '../../bench/overlay.ts'
import { parseIperf, parsePings } from '../../bench/wire.ts'

test('parseIperf gives what the receiver got in Mbit/s, and no number without it', () => {
  const end = {
    sum_sent: { bits_per_second: 9e9 },
    sum_received: { bits_per_second: 1_234_500_000 },
  }
  assert.equal(parseIperf(JSON.stringify({ end })), 1234.5)
  assert.ok(Number.isNaN(parseIperf('{"end":{}}')))
  assert.ok(Number.isNaN(parseIperf('{"error":"unable to connect"}')))
})

test('parsePings gives the time of each answer, and nothing for lost ones and the summary', () => {
  const output = `PING fd00::2(fd00::2) from fd00::1 : 56 data bytes
64 bytes from fd00::2: icmp_seq=1 ttl=64 time=0.316 ms
64 bytes from fd00::2: icmp_seq=3 ttl=64 time=12.5 ms
64 bytes from fd00::2: icmp_seq=4 ttl=64 time=101 ms

--- fd00::2 ping statistics ---
4 packets transmitted, 3 received, 25% packet loss, time 31ms
rtt min/avg/max/mdev = 0.316/37.938/101.000/44.925 ms
`
  assert.deepEqual(parsePings(output), [0.316, 12.5, 101])
})

for (const [endpoint, want] of [
  ['192.0.2.1:51820', '192.0.2.1'],
  ['[2001:db8::1]:51820', '2001:db8::1'],
] as const) {
  test(`hostPart of ${endpoint} is ${want}`, () => {
    assert.equal(hostPart(endpoint), want)
  })
}
