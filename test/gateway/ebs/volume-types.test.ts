// What volumes of each type may be, and what is said of those that may not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { limitsOf, shapeOf, type VolumeWish } from '../../../gateway/ebs/volume-types.ts'

const GOOD: readonly (readonly [VolumeWish, iops: number | null, mibps: number | null])[] = [
  [{ sizeGib: 8 }, 100, null],
  [{ sizeGib: 500, type: 'gp2' }, 1_500, null],
  [{ sizeGib: 16_384, type: 'gp2' }, 16_000, null],
  [{ sizeGib: 1, type: 'gp3' }, 3_000, 125],
  [{ sizeGib: 20, type: 'gp3', iops: 10_000, throughputMibps: 2_000 }, 10_000, 2_000],
  [{ sizeGib: 65_536, type: 'gp3', iops: 80_000 }, 80_000, 125],
  [{ sizeGib: 4, type: 'io1', iops: 200 }, 200, null],
  [{ sizeGib: 4, type: 'io2', iops: 4_000, multiAttach: true }, 4_000, null],
  [{ sizeGib: 125, type: 'st1' }, null, null],
  [{ sizeGib: 16_384, type: 'sc1' }, null, null],
  [{ sizeGib: 1_024, type: 'standard' }, null, null],
]

for (const [wish, iops, mibps] of GOOD) {
  test(`shapeOf takes ${JSON.stringify(wish)}`, () => {
    const { type = 'gp2', sizeGib, multiAttach = false } = wish
    const want = { sizeGib, type, iops, throughputMibps: mibps, multiAttach }
    assert.deepEqual(shapeOf(wish), want)
  })
}

const VALUE = 'InvalidParameterValue'
const COMBINATION = 'InvalidParameterCombination'
const BAD: readonly (readonly [VolumeWish, code: string, words: RegExp])[] = [
  [{ sizeGib: 8, type: 'gp9' }, 'UnknownVolumeType', /'gp9'.* gp2, gp3/],
  [{ sizeGib: 8, type: '__proto__' }, 'UnknownVolumeType', /'__proto__'/],
  [{ sizeGib: 0 }, VALUE, /0GiB is too small .* gp2; minimum is 1GiB/],
  [{ sizeGib: 16_385 }, VALUE, /16385GiB is too large .* gp2; maximum is 16384GiB/],
  [{ sizeGib: 65_537, type: 'gp3' }, VALUE, /maximum is 65536GiB/],
  [{ sizeGib: 3, type: 'io1', iops: 100 }, VALUE, /minimum is 4GiB/],
  [{ sizeGib: 124, type: 'sc1' }, VALUE, /minimum is 125GiB/],
  [{ sizeGib: 1_025, type: 'standard' }, VALUE, /maximum is 1024GiB/],
  [{ sizeGib: 8, iops: 100 }, COMBINATION, /iops is not supported for gp2 volumes/],
  [{ sizeGib: 125, type: 'st1', iops: 100 }, COMBINATION, /iops is not supported for st1/],
  [{ sizeGib: 8, type: 'io1' }, COMBINATION, /iops must be specified for io1 volumes/],
  [{ sizeGib: 8, type: 'io2', iops: 99 }, VALUE, /iops of 99 is too low; minimum is 100/],
  [{ sizeGib: 8, type: 'gp3', iops: 2_999 }, VALUE, /minimum is 3000/],
  [{ sizeGib: 2_000, type: 'io1', iops: 64_001 }, VALUE, /maximum is 64000/],
  [{ sizeGib: 10, type: 'io1', iops: 501 }, VALUE, /ratio of 50.100000 is too high; maximum is 50/],
  [{ sizeGib: 6, type: 'gp3', iops: 3_001 }, VALUE, /maximum is 500/],
  [{ sizeGib: 8, throughputMibps: 125 }, COMBINATION, /throughput is not supported for gp2/],
  [{ sizeGib: 8, type: 'gp3', throughputMibps: 124 }, VALUE, /minimum is 125 MiB/],
  [{ sizeGib: 99, type: 'gp3', iops: 9_000, throughputMibps: 2_001 }, VALUE, /maximum is 2000/],
  [{ sizeGib: 8, type: 'gp3', throughputMibps: 751 }, VALUE, /ratio of 0.250333 .* 0.250000/],
  [{ sizeGib: 8, type: 'gp3', multiAttach: true }, COMBINATION, /MultiAttachEnabled .* gp3/],
]

for (const [wish, code, words] of BAD) {
  test(`shapeOf refuses ${JSON.stringify(wish)}`, () => {
    assert.throws(
      () => shapeOf(wish),
      (error) => error instanceof ApiError && error.code === code && words.test(error.message),
    )
  })
}

test('every volume that may be has limits of its own, which grow with what is asked', () => {
  const types = fc.constantFrom('gp2', 'gp3', 'io1', 'io2', 'st1', 'sc1', 'standard')
  fc.assert(
    fc.property(types, fc.integer({ min: 125, max: 1_024 }), (type, sizeGib) => {
      const own = type.startsWith('io') ? { iops: 1_000 } : {}
      const { iops, throughputBytesPerS } = limitsOf(shapeOf({ type, sizeGib, ...own }))
      assert.ok(Number.isInteger(iops) && iops >= 200)
      assert.ok(Number.isInteger(throughputBytesPerS) && throughputBytesPerS >= 10 * 2 ** 20)
      const larger = limitsOf(shapeOf({ type, sizeGib: Math.min(1_024, sizeGib * 2), ...own }))
      assert.ok(larger.iops >= iops && larger.throughputBytesPerS >= throughputBytesPerS)
    }),
  )
})
