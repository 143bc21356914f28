// freeBlock against trying every block one after the other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  chooseBlock,
  conflicts,
  freeBlock,
  type KnownBlock,
  remainder,
} from '../../topology/blocks.ts'
import {
  blockCount,
  type Cidr,
  covers,
  formatCidr,
  mustCidr,
  nthBlock,
  overlaps,
  size,
} from '../../topology/cidr.ts'
import { within } from './arbitraries.ts'

const SPACE = mustCidr('10.0.0.0/20')

function tryAll(pools: readonly Cidr[], used: readonly Cidr[], length: number): Cidr | null {
  for (const pool of pools) {
    for (let n = 0n; n < blockCount(pool, length); n++) {
      const block = nthBlock(pool, length, n)
      if (block !== null && conflicts(block, used).length === 0) return block
    }
  }
  return null
}

test('freeBlock finds the block that trying all would find, and it is free', () => {
  const pools = fc.array(within(SPACE, 24), { minLength: 1, maxLength: 3 })
  const used = fc.array(within(SPACE, 30), { maxLength: 25 })
  fc.assert(
    fc.property(pools, used, fc.integer({ min: 18, max: 28 }), (from, taken, length) => {
      const found = freeBlock(from, taken, length)
      assert.deepEqual(found, tryAll(from, taken, length))
      if (found !== null) assert.ok(!taken.some((one) => overlaps(one, found)))
    }),
    { numRuns: 300 },
  )
})

test('freeBlock fills a pool to the last block, whatever the sizes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 20, max: 26 }), { maxLength: 40 }), (lengths) => {
      const used: Cidr[] = []
      for (const length of [...lengths].sort((a, b) => a - b)) {
        const found = freeBlock([SPACE], used, length)
        const room = 4096 - used.reduce((sum, one) => sum + 2 ** (32 - one.length), 0)
        // Largest first leaves no gaps.
        assert.equal(found !== null, room >= 2 ** (32 - length))
        if (found !== null) used.push(found)
      }
    }),
  )
})

test('freeBlock takes used blocks of any family and size', () => {
  const pool = mustCidr('fd00::/40')
  const v4 = mustCidr('0.0.0.0/0')
  assert.deepEqual(freeBlock([pool], [v4], 56), mustCidr('fd00::/56'))
  assert.equal(freeBlock([pool], [mustCidr('::/0')], 56), null)
  assert.deepEqual(freeBlock([pool], [mustCidr('fd00::5/128')], 56), mustCidr('fd00:0:0:100::/56'))
  assert.equal(freeBlock([pool], [], 39), null)
  assert.equal(freeBlock([mustCidr('10.0.0.0/8')], [], 56), null)
  assert.equal(freeBlock([], [], 24), null)
})

test('conflicts lists those in the way in their order', () => {
  const used = ['10.0.8.0/24', '10.1.0.0/16', '10.0.0.0/8', 'fd00::/8'].map(mustCidr)
  assert.deepEqual(conflicts(mustCidr('10.0.0.0/16'), used), [used[0], used[2]])
})

function known(...blocks: readonly (readonly [string, number | null])[]): KnownBlock[] {
  return blocks.map(([cidr, freedAtMs]) => ({ cidr: mustCidr(cidr), freedAtMs }))
}

for (const [why, blocks, length, want] of [
  ['lowest that was never used', [['10.0.0.0/22', null]], 24, '10.0.4.0/24'],
  ['never used before rested', [['10.0.0.0/21', 1]], 24, '10.0.8.0/24'],
  [
    'longest rested of those left',
    [
      ['10.0.0.0/21', null],
      ['10.0.8.0/23', 5],
      ['10.0.10.0/23', 2],
      ['10.0.12.0/22', null],
    ],
    24,
    '10.0.10.0/24',
  ],
  [
    'several rested ones side by side',
    [
      ['10.0.0.0/21', null],
      ['10.0.8.0/23', 5],
      ['10.0.10.0/23', 2],
      ['10.0.12.0/22', null],
    ],
    22,
    '10.0.8.0/22',
  ],
  ['nothing that rests still', [['10.0.0.0/20', 11]], 24, null],
  [
    'nothing outside of the pools',
    [
      ['10.0.0.0/20', null],
      ['172.16.0.0/16', 1],
    ],
    24,
    null,
  ],
] as const) {
  test(`chooseBlock takes the ${why}`, () => {
    const found = chooseBlock([SPACE], known(...blocks), [], length, 10)
    assert.equal(found === null ? null : formatCidr(found), want)
  })
}

test('chooseBlock never takes what is reserved, rested or not', () => {
  const reserved = [mustCidr('10.0.0.0/24')]
  const one = [mustCidr('10.0.0.0/24')]
  assert.equal(chooseBlock(one, known(['10.0.0.0/25', 1]), reserved, 25, 10), null)
})

test('remainder and the part make up the block', () => {
  fc.assert(
    fc.property(within(SPACE, 30), within(SPACE, 30), (a, b) => {
      const [block, part] = covers(a, b) ? [a, b] : [SPACE, a]
      const left = remainder(block, part)
      const sum = left.reduce((total, one) => total + size(one), size(part))
      assert.equal(sum, size(block))
      for (const [i, one] of [part, ...left].entries()) {
        assert.ok(covers(block, one))
        assert.ok(![part, ...left].slice(i + 1).some((other) => overlaps(one, other)))
      }
    }),
  )
})
