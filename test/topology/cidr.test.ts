// Addresses and prefixes: strict at the door, exact in between, RFC 5952 on the way out.

import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  blockCount,
  contains,
  covers,
  formatAddress,
  formatCidr,
  freeAmong,
  lastAddress,
  mustAddress,
  mustCidr,
  nthAddress,
  nthBlock,
  overlaps,
  parseAddress,
  parseCidr,
  parseLooseCidr,
  single,
  size,
} from '../../topology/cidr.ts'
import { address, cidr, family, within } from './arbitraries.ts'

for (const [text, want] of [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['::', '::'],
  ['::1', '::1'],
  ['FE80::', 'fe80::'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['1:0:0:4:0:0:7:8', '1::4:0:0:7:8'],
  ['1:0:0:4:0:0:0:8', '1:0:0:4::8'],
  ['2001:0db8::0001', '2001:db8::1'],
  ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
  ['::ffff:a00:1', '::ffff:10.0.0.1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
] as const) {
  test(`formatAddress writes ${text} as ${want}`, () => {
    assert.equal(formatAddress(mustAddress(text)), want)
  })
}

for (const text of [
  '',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.04',
  '0x1.2.3.4',
  '1.2.3.4 ',
  '+1.2.3.4',
  '1e1.2.3.4',
  '16909060',
  '1.2.3.-4',
  '1.2.3.４',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1::2:3:4:5:6:7:8',
  '1:2:3:4:5:6:7:8::',
  ':1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:',
  '12345::',
  'g::',
  'fe80::1%eth0',
  '[::1]',
  '::1.2.3',
  '1.2.3.4::',
  '::1.2.3.4:5',
  '::01.2.3.4',
  '1:2:3:4:5:6:7:1.2.3.4',
  '::1\n',
  `${'0'.repeat(500)}::`,
]) {
  test(`parseAddress refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.deepEqual(parseAddress(text), { ok: false, why: 'BadAddress' })
  })
}

for (const [text, why] of [
  ['10.0.0.0', 'BadCidr'],
  ['10.0.0.0/', 'BadCidr'],
  ['10.0.0.0/33', 'BadCidr'],
  ['10.0.0.0/08', 'BadCidr'],
  ['10.0.0.0/+8', 'BadCidr'],
  ['10.0.0.0/8/8', 'BadCidr'],
  ['10.0.0.0/255.0.0.0', 'BadCidr'],
  ['10.0/8', 'BadCidr'],
  ['::/129', 'BadCidr'],
  ['fe80::%eth0/64', 'BadCidr'],
  ['10.0.0.1/8', 'HostBits'],
  ['10.0.0.1/31', 'HostBits'],
  ['fd00::1/64', 'HostBits'],
] as const) {
  test(`parseCidr says ${why} to ${text}`, () => {
    assert.deepEqual(parseCidr(text), { ok: false, why })
  })
}

test('mustAddress and mustCidr throw RangeError that shows the text', () => {
  assert.throws(() => mustAddress('10.0.0'), /RangeError: "10.0.0" is no address/)
  assert.throws(() => mustCidr('10.0.0.1/8'), /RangeError: .*HostBits/)
})

test('parseAddress gives back what formatAddress wrote, and Node agrees that it is one', () => {
  fc.assert(
    fc.property(address, (one) => {
      const text = formatAddress(one)
      assert.ok(one.family === 4 ? isIPv4(text) : isIPv6(text))
      assert.deepEqual(parseAddress(text), { ok: true, value: one })
    }),
  )
})

test('parseAddress takes what Node takes, but for zone ids', () => {
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom('0', '1', 'a', 'F', ':', '::', '.', '25'), maxLength: 16 }),
    fc
      .array(fc.constantFrom('0', 'ffff', '', '1', '10.0.0.1'), { minLength: 1, maxLength: 9 })
      .map((groups) => groups.join(':')),
    fc
      .array(fc.integer({ min: -1, max: 260 }), { minLength: 3, maxLength: 5 })
      .map((octets) => octets.join('.')),
  )
  fc.assert(
    fc.property(text, (one) => {
      assert.equal(parseAddress(one).ok, isIPv4(one) || isIPv6(one), one)
    }),
    { numRuns: 3000 },
  )
})

test('formatAddress writes IPv6 as URL does, which follows RFC 5952 but for mapped IPv4', () => {
  fc.assert(
    fc.property(address, (one) => {
      fc.pre(one.family === 6 && one.value >> 32n !== 0xffffn)
      assert.equal(`[${formatAddress(one)}]`, new URL(`http://[${formatAddress(one)}]`).hostname)
    }),
  )
})

test('parseCidr gives back what formatCidr wrote', () => {
  fc.assert(
    fc.property(cidr, (one) => {
      assert.deepEqual(parseCidr(formatCidr(one)), { ok: true, value: one })
    }),
  )
})

test('contains holds for the first and last address and not for their neighbours', () => {
  fc.assert(
    fc.property(cidr, (one) => {
      const { family: of, base } = one
      const last = lastAddress(one)
      assert.ok(contains(one, { family: of, value: base }) && contains(one, last))
      assert.ok(!contains(one, { family: of, value: base - 1n }))
      assert.ok(!contains(one, { family: of, value: last.value + 1n }))
      assert.equal(last.value - base + 1n, size(one))
    }),
  )
})

test('overlaps means that one covers the other, never between families', () => {
  fc.assert(
    fc.property(cidr, cidr, fc.integer({ min: 0, max: 128 }), (a, b, cut) => {
      const inner = nthBlock(a, Math.min(a.family === 4 ? 32 : 128, a.length + cut), 0)
      assert.ok(inner !== null && covers(a, inner) && overlaps(inner, a))
      assert.equal(covers(inner, a), inner.length === a.length)
      assert.equal(overlaps(a, b), covers(a, b) || covers(b, a))
      if (a.family !== b.family) assert.ok(!overlaps(a, b))
    }),
  )
})

test('freeAmong finds what overlaps as a look at each does, and takes one kind of block', () => {
  const some = within(mustCidr('10.0.0.0/20'), 28)
  fc.assert(
    fc.property(fc.array(fc.oneof(some, cidr)), fc.oneof(some, cidr), (taken, block) => {
      assert.equal(freeAmong(taken, block)(block), !taken.some((one) => overlaps(one, block)))
    }),
  )
  const isFree = freeAmong([], { family: 4, length: 24 })
  for (const other of ['10.0.0.0/25', 'fd00::/24']) {
    const wrong = { message: `${other} is no IPv4 block of /24` }
    assert.throws(() => isFree(mustCidr(other)), wrong)
  }
})

test('nthBlock gives blocks that are inside, apart, and as many as blockCount says', () => {
  fc.assert(
    fc.property(cidr, fc.nat(16), fc.bigInt(0n, 2n ** 16n), (one, more, n) => {
      const length = Math.min(one.length + more, one.family === 4 ? 32 : 128)
      const count = blockCount(one, length)
      const block = nthBlock(one, length, n)
      assert.equal(block === null, n >= count)
      if (block === null) return
      assert.ok(covers(one, block) && block.length === length)
      const next = nthBlock(one, length, n + 1n)
      if (next !== null) assert.equal(next.base, lastAddress(block).value + 1n)
      else assert.equal(lastAddress(block).value, lastAddress(one).value)
    }),
  )
})

test('nthBlock says null for blocks larger than the prefix and throws for nonsense', () => {
  assert.equal(nthBlock(mustCidr('10.0.0.0/8'), 7, 0), null)
  assert.throws(() => nthBlock(mustCidr('10.0.0.0/8'), 33, 0), RangeError)
  assert.throws(() => nthBlock(mustCidr('10.0.0.0/8'), 20, -1), RangeError)
})

test('nthAddress reaches every address of a prefix and none outside', () => {
  const block = mustCidr('10.1.2.0/24')
  assert.equal(formatAddress(nthAddress(block, 255)), '10.1.2.255')
  assert.throws(() => nthAddress(block, 256), /10.1.2.0\/24 has no address number 256/)
  assert.throws(() => nthAddress(block, -1), RangeError)
  const all = mustCidr('::/0')
  assert.equal(nthAddress(all, 2n ** 128n - 1n).value, lastAddress(all).value)
})

test('single has the one address and no other', () => {
  fc.assert(
    fc.property(address, family, (one, other) => {
      assert.equal(size(single(one)), 1n)
      assert.equal(contains(single(one), { family: other, value: one.value }), other === one.family)
    }),
  )
})

for (const [text, want] of [
  ['10.1.2.3/8', '10.0.0.0/8'],
  ['10.1.2.3/32', '10.1.2.3/32'],
  ['1.2.3.4/0', '0.0.0.0/0'],
  ['2001:DB8::1/32', '2001:db8::/32'],
  ['10.1.2.3', 'BadCidr'],
  ['10.1.2.3/33', 'BadCidr'],
  ['::/129', 'BadCidr'],
] as const) {
  test(`parseLooseCidr of ${text} says ${want}`, () => {
    const parsed = parseLooseCidr(text)
    assert.equal(parsed.ok ? formatCidr(parsed.value) : parsed.why, want)
  })
}
