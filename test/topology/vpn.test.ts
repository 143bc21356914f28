// Where tunnels of VPN connections end, and their inner addresses.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contains, formatAddress, formatCidr, mustAddress, mustCidr } from '../../topology/cidr.ts'
import { IPSEC_MTU, VPN_NUMBERS } from '../../topology/ranges.ts'
import { endsFor, insideCidr, insideEnds } from '../../topology/vpn.ts'

const end = (rack: string, host: string) => ({ rack, host })

test('a connection has two ends in two racks, and on one host no two', () => {
  const ccs = [end('a', 'a1'), end('a', 'a2'), end('b', 'b1')]
  for (let i = 0; i < 200; i += 1) {
    const ends = endsFor(`vpn-${i}`, ccs)
    assert.equal(new Set(ends.map(({ rack }) => rack)).size, 2)
    assert.deepEqual(endsFor(`vpn-${i}`, ccs.toReversed()), ends)
  }
  assert.equal(endsFor('vpn-1', ccs.slice(0, 2)).length, 2)
  assert.equal(endsFor('vpn-1', ccs.slice(0, 1)).length, 1)
  assert.deepEqual(endsFor('vpn-1', []), [])
})

test('a CC that comes takes only what it gets', () => {
  const before = [end('a', 'a1'), end('b', 'b1'), end('c', 'c1')]
  const fresh = end('d', 'd1')
  for (let i = 0; i < 200; i += 1) {
    const [first] = endsFor(`vpn-${i}`, before)
    const [now] = endsFor(`vpn-${i}`, [...before, fresh])
    assert.ok(now === first || now === fresh)
  }
})

test('inner addresses are apart, and none is a service', () => {
  const all = new Set<string>()
  const service = mustAddress('169.254.169.254')
  for (let number = VPN_NUMBERS.first; number <= VPN_NUMBERS.last; number += 1) {
    const cidr = insideCidr(number)
    assert.ok(!contains(cidr, service))
    all.add(formatCidr(cidr))
  }
  assert.equal(all.size, VPN_NUMBERS.last - VPN_NUMBERS.first + 1)
  const { cloud, device } = insideEnds(mustCidr('169.254.16.4/30'))
  assert.deepEqual([cloud, device].map(formatAddress), ['169.254.16.5', '169.254.16.6'])
  assert.throws(() => insideCidr(0), RangeError)
  assert.throws(() => insideCidr(7_801), RangeError)
})

test('IPSEC_MTU is what every cipher that a tunnel may have leaves of an Ethernet frame', () => {
  const outer = 1500 - 40 - 8 - 8
  const room = (iv: number, icv: number, align: number): number =>
    Math.floor((outer - iv - icv) / align) * align - 2
  const cbc = [12, 16, 24, 32].map((icv) => room(16, icv, 16))
  assert.equal(IPSEC_MTU, Math.min(...cbc, room(8, 16, 4)))
})
