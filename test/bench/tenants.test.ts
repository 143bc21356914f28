// What the benchmarks of tenants' networks read from ovs-ofctl, ping and /proc, and which rules
// they ask for: a wrong number here is a wrong figure.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longestSilence, parseAnswers } from '../../bench/eip.ts'
import { parseFlowEvent } from '../../bench/flow-watch.ts'
import { cpuTicks } from '../../bench/flows.ts'
import { rulesOf } from '../../bench/groups.ts'
import { parsePss, prefixOf } from '../../bench/networks.ts'

const CONJUNCTION = 'actions=conjunction(3,1/2)'

for (const [line, want] of [
  [
    ` event=ADDED table=52 cookie=0 priority=100,ip,nw_src=10.1.2.3 ${CONJUNCTION}`,
    { kind: 'added', address: '10.1.2.3' },
  ],
  [
    ` event=DELETED reason=delete table=52 cookie=0 ip,nw_src=10.1.2.3 ${CONJUNCTION}`,
    { kind: 'deleted', address: '10.1.2.3' },
  ],
  [` event=ADDED table=12 cookie=0 ip,nw_dst=10.1.2.3 ${CONJUNCTION}`, null],
  [' event=ADDED table=0 cookie=0 ip,in_port=3,nw_src=10.1.2.3 actions=drop', null],
  ['OFPST_FLOW_MONITOR reply (OF1.5) (xid=0x0):', null],
] as const) {
  test(`parseFlowEvent of ${line.trim()} is ${want === null ? 'nothing' : want.kind}`, () => {
    assert.deepEqual(parseFlowEvent(line), want)
  })
}

test('cpuTicks adds the times of processes and their children, whatever their names', () => {
  const stat = (name: string): string => `7 (${name}) S 1 7 7 0 -1 0 9 9 9 9 100 20 3 4 20 0 1 0`
  assert.equal(cpuTicks(`${stat('node')}\n${stat('a) (b c')}\n`), 254)
})

test('rulesOf gives as many incoming rules as asked for, and one that lets all out', () => {
  for (const count of [1, 50, 500]) {
    const rules = rulesOf(count)
    assert.equal(new Set(rules).size, count + 1)
    assert.equal(rules.filter((rule) => rule.startsWith('in ')).length, count)
  }
})

test('longestSilence is the longest time between two answers, and no number without', () => {
  const output = `PING 203.0.113.7 (203.0.113.7) 56(84) bytes of data.
[1700000000.100000] 64 bytes from 203.0.113.7: icmp_seq=1 ttl=61 time=1.11 ms
[1700000000.110500] 64 bytes from 203.0.113.7: icmp_seq=2 ttl=61 time=1.31 ms
[1700000000.350500] 64 bytes from 203.0.113.7: icmp_seq=26 ttl=60 time=1.21 ms

--- 203.0.113.7 ping statistics ---
26 packets transmitted, 3 received, 88% packet loss, time 255ms
`
  const answers = parseAnswers(output)
  assert.deepEqual(
    answers.map(({ sequence }) => sequence),
    [1, 2, 26],
  )
  assert.equal(longestSilence(answers), 240)
  assert.ok(Number.isNaN(longestSilence(answers.slice(0, 1))))
})

test('parsePss adds the proportional set sizes of processes, and is no number without any', () => {
  const rollup = (pss: number): string =>
    `55d0-7fff ---p 0 00:00 0 [rollup]\nRss: 3000 kB\nPss: ${pss} kB\nPss_Dirty: 5 kB\n`
  assert.equal(parsePss(rollup(900) + rollup(1_100)), 2_000)
  assert.ok(Number.isNaN(parsePss('')))
})

test('prefixOf gives every network a prefix of its own, 256 to a VPC', () => {
  assert.deepEqual([0, 255, 256, 304].map(prefixOf), [
    '10.62.0',
    '10.62.255',
    '10.63.0',
    '10.63.48',
  ])
})
