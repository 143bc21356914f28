// freeBlock against trying every block one after the other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { conflicts, freeBlock } from '../../topology/blocks.ts'
import { blockCount, type Cidr, mustCidr, nthBlock, overlaps } from '../../topology/cidr.ts'
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
