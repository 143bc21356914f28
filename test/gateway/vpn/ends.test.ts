// Which CCs hold the tunnels of a VPN connection, and what moves when one leaves.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryView } from '../../../gateway/store/memory-view.ts'
import type { HostRecord } from '../../../gateway/store/records.ts'
import { settle, vpnCcs } from '../../../gateway/vpn/ends.ts'
import { endsFor, type TunnelEnd } from '../../../topology/vpn.ts'
import { changesOf, host } from '../control/records.ts'

const end = (rack: string, host: string) => ({ rack, host })
const NEW = [1, 2].map((number) => ({ number, ...end('', '') }))
const all = (ccs: readonly TunnelEnd[]) => ({ present: ccs, open: ccs })
const endsOf = (tunnels: readonly TunnelEnd[]) => tunnels.map(({ rack, host }) => end(rack, host))

function viewOf(hosts: readonly HostRecord[]): MemoryView {
  const view = new MemoryView()
  const records = hosts.map((one) => [`host/${one.rack}/${one.host}`, one] as const)
  view.apply(changesOf(records, 1), 1)
  return view
}

test('settle gives a new connection what endsFor says', () => {
  const ccs = [end('a', 'a1'), end('a', 'a2'), end('b', 'b1'), end('c', 'c1')]
  for (let i = 0; i < 100; i += 1) {
    const settled = settle(`vpn-${i}`, NEW, all(ccs))
    assert.deepEqual(endsOf(settled), endsFor(`vpn-${i}`, ccs))
    assert.deepEqual(
      settled.map(({ number }) => number),
      [1, 2],
    )
  }
})

test('settle leaves the second tunnel nowhere when there is one CC, and nobody twice', () => {
  assert.deepEqual(endsOf(settle('vpn-1', NEW, all([]))), [end('', ''), end('', '')])
  const one = settle('vpn-1', NEW, all([end('a', 'a1')]))
  assert.deepEqual(endsOf(one), [end('a', 'a1'), end('', '')])
  const two = settle('vpn-1', one, all([end('a', 'a1'), end('b', 'b1')]))
  assert.deepEqual(endsOf(two), [end('a', 'a1'), end('b', 'b1')])
})

test('settle moves what a CC that is gone had, away from the other tunnel, and nothing else', () => {
  const held = [
    { number: 1, ...end('a', 'a1') },
    { number: 2, ...end('b', 'b1') },
  ]
  const left = [end('b', 'b1'), end('b', 'b2'), end('c', 'c1')]
  assert.deepEqual(endsOf(settle('vpn-1', held, all(left))), [end('c', 'c1'), end('b', 'b1')])
  const same = [end('b', 'b1'), end('b', 'b2')]
  assert.deepEqual(endsOf(settle('vpn-1', held, all(same))), [end('b', 'b2'), end('b', 'b1')])
})

test('settle keeps what a CC holds that takes nothing more', () => {
  const held = [
    { number: 1, ...end('a', 'a1') },
    { number: 2, ...end('', '') },
  ]
  const ccs = { present: [end('a', 'a1'), end('b', 'b1')], open: [end('c', 'c1')] }
  assert.deepEqual(endsOf(settle('vpn-1', held, ccs)), [end('a', 'a1'), end('c', 'c1')])
})

test('vpnCcs gives more to those that have a key, and to none that is being taken out', () => {
  const seen = (...hosts: readonly HostRecord[]) => vpnCcs(viewOf(hosts), false)
  const a = host('a', 'a1', 1, 'key')
  const b = host('b', 'b1', 1, 'key', false)
  const silent = host('b', 'b2', 2, '')
  const present = [end('a', 'a1'), end('b', 'b1'), end('b', 'b2')]
  assert.deepEqual(seen(a, b, silent), { present, open: present.slice(0, 2) })
  const leaving = { ...b, cordoned: true as const }
  assert.deepEqual(seen(a, leaving, silent), { present, open: [end('a', 'a1')] })
  const lost = { ...b, lostAtMs: 1 }
  assert.deepEqual(seen(a, lost), all([end('a', 'a1')]))
  assert.deepEqual(seen(leaving), all([end('b', 'b1')]))
})

test('vpnCcs gives IPsec to those that have strongSwan, as long as one has it', () => {
  const cc = (rack: string, ipsec?: string): HostRecord => {
    const one = host(rack, `${rack}1`, 1, 'key')
    const status = one.status === null ? null : { ...one.status, ...(ipsec && { ipsec }) }
    return { ...one, status }
  }
  const open = (isIpsec: boolean, ...hosts: readonly HostRecord[]) => {
    return vpnCcs(viewOf(hosts), isIpsec).open.map(({ rack }) => rack)
  }
  // One of before says nothing.
  const all = [cc('a', 'missing'), cc('b', 'userspace'), cc('c', 'kernel'), cc('d')]
  assert.deepEqual(open(true, ...all), ['b', 'c', 'd'])
  assert.deepEqual(open(false, ...all), ['a', 'b', 'c', 'd'])
  assert.deepEqual(open(true, cc('a', 'missing'), cc('b', 'missing')), ['a', 'b'])
  // Where IPsec works, but nothing more is to come.
  const leaving = { ...cc('b', 'kernel'), cordoned: true as const }
  assert.deepEqual(open(true, cc('a', 'missing'), leaving), ['b'])
  const { present } = vpnCcs(viewOf([cc('a', 'missing')]), true)
  assert.deepEqual(present, [end('a', 'a1')])
})
