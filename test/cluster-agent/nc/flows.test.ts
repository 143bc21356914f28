// Port security as text; guest.test.ts shows that a real switch and guest heed it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { switchFlows } from '../../../cluster-agent/nc/flows.ts'

const MAC = '02:00:00:00:00:05'
const PORT = { ofport: 7, mac: MAC, ipv4: '10.1.0.5', ipv6: 'fd10:1::5' }

test('switchFlows without instances forwards everything', () => {
  assert.deepEqual(switchFlows([]), ['table=0,priority=0,actions=NORMAL'])
})

test('switchFlows lets a port speak for its own addresses and ends with a drop', () => {
  const flows = switchFlows([PORT]).slice(1)
  for (const flow of flows)
    assert.match(flow, /^table=0,priority=\d+,in_port=7,.*actions=(NORMAL|drop)$/)
  assert.equal(flows.at(-1), 'table=0,priority=10,in_port=7,actions=drop')
  const forwarding = flows.filter((flow) => flow.endsWith('NORMAL'))
  assert.ok(forwarding.length > 0)
  for (const flow of forwarding) assert.ok(flow.includes(`dl_src=${MAC}`), flow)
  for (const [, address] of forwarding.join().matchAll(/(?:nw_src|arp_spa)=([^,]+)/g)) {
    assert.ok(['10.1.0.5', '0.0.0.0'].includes(address ?? ''), address)
  }
  for (const [, address] of forwarding.join().matchAll(/(?:ipv6_src|nd_target)=([^,]+)/g)) {
    assert.ok(['fd10:1::5', 'fe80::ff:fe00:5', '::'].includes(address ?? ''), address)
  }
})

test('switchFlows gives an interface without IPv4 no IPv4 address, and without IPv6 no other', () => {
  const only6 = switchFlows([{ ...PORT, ipv4: '' }]).join('\n')
  assert.doesNotMatch(only6, /nw_src=(?!0\.0\.0\.0)|arp_spa=(?!0\.0\.0\.0)/)
  const only4 = switchFlows([{ ...PORT, ipv6: '' }]).join('\n')
  assert.doesNotMatch(only4, /fd10|ipv6_src=,|nd_target=,/)
  assert.match(only4, /ipv6,ipv6_src=fe80::ff:fe00:5/)
})

test('switchFlows names no flow twice: the switch counts them', () => {
  const flows = switchFlows([PORT, { ...PORT, ofport: 8, mac: '02:00:00:00:00:06', ipv6: '' }])
  const matches = flows.map((flow) => flow.replace(/,actions=.*/, ''))
  assert.equal(new Set(matches).size, matches.length)
})
