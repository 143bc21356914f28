// Where volumes go, as a function of what stores there are.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GIB } from '../../../common/volume-sizes.ts'
import { chooseVolumePlace, type VolumePlace } from '../../../gateway/ebs/volume-places.ts'

const place = (host: string, change: Partial<VolumePlace> = {}): VolumePlace => ({
  ...{ host, sizeBytes: 100 * GIB, roomBytes: 100 * GIB, promisedBytes: 0, why: '' },
  encrypts: true,
  ...change,
})

test('chooseVolumePlace takes the store with the most room when all are written full', () => {
  const places = [
    place('a', { promisedBytes: 60 * GIB }),
    place('b', { roomBytes: 50 * GIB }),
    place('c', { roomBytes: 90 * GIB, promisedBytes: 30 * GIB }),
  ]
  assert.deepEqual(chooseVolumePlace(places, GIB), { host: 'c' })
})

test('chooseVolumePlace takes the first by name of equals, whatever their order', () => {
  assert.deepEqual(chooseVolumePlace([place('b'), place('a')], GIB), { host: 'a' })
})

test('chooseVolumePlace says why each store refuses', () => {
  const places = [
    place('a', { why: 'is cordoned' }),
    place('b', { roomBytes: 4 * GIB }),
    place('c', { promisedBytes: 995 * GIB }),
  ]
  assert.deepEqual(chooseVolumePlace(places, 6 * GIB), {
    reasons: [
      'a is cordoned',
      'b is full: 4.0 of 100.0 GiB are free',
      'c has promised 10 times its 100.0 GiB but for 5.0 GiB',
    ],
  })
})

test('chooseVolumePlace never promises more than its bound, and refuses nothing that fits', () => {
  const anyPlace = fc.record({
    host: fc.string({ minLength: 1, maxLength: 3 }),
    sizeBytes: fc.integer({ min: 1, max: 1_000 }).map((n) => n * GIB),
    promisedBytes: fc.integer({ min: 0, max: 12_000 }).map((n) => n * GIB),
    why: fc.constantFrom('', '', 'is cordoned'),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  fc.assert(
    fc.property(
      fc.uniqueArray(anyPlace, { maxLength: 5, selector: ({ host }) => host }),
      fc.integer({ min: 1, max: 16_384 }),
      fc.integer({ min: 1, max: 20 }),
      (drawn, sizeGib, overcommit) => {
        const places = drawn.map(({ part, ...rest }) => ({
          ...{ ...rest, encrypts: true },
          roomBytes: Math.floor(rest.sizeBytes * part),
        }))
        const bytes = sizeGib * GIB
        const fits = places.filter(
          ({ why, sizeBytes, roomBytes, promisedBytes }) =>
            why === '' &&
            roomBytes >= sizeBytes / 20 &&
            promisedBytes + bytes <= roomBytes + (overcommit - 1) * sizeBytes,
        )
        const chosen = chooseVolumePlace(places, bytes, overcommit)
        if ('reasons' in chosen) {
          assert.equal(fits.length, 0)
          assert.equal(chosen.reasons.length, places.length)
        } else {
          const left = (one: VolumePlace) => one.roomBytes - one.promisedBytes
          const best = fits.find(({ host }) => host === chosen.host)
          assert.ok(best)
          assert.ok(fits.every((one) => left(one) <= left(best)))
        }
      },
    ),
  )
})
