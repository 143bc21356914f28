// Random addresses, prefixes and times for property tests.

import fc from 'fast-check'
import type { Address, Cidr, Family } from '../../topology/cidr.ts'

const BITS = { 4: 32, 6: 128 } as const

export const family: fc.Arbitrary<Family> = fc.constantFrom<Family>(4, 6)

/** Half of the groups are 0, as in addresses that people use. */
const group = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn }))

export const ipv6Value: fc.Arbitrary<bigint> = fc
  .array(group, { minLength: 8, maxLength: 8 })
  .map((groups) => groups.reduce((value, one) => (value << 16n) | one, 0n))

export const address: fc.Arbitrary<Address> = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value) => ({ family: 4 as const, value })),
  ipv6Value.map((value) => ({ family: 6 as const, value })),
)

/** The prefix of that length around an address. */
export function around({ family: of, value }: Address, length: number): Cidr {
  const host = BigInt(BITS[of] - length)
  return { family: of, base: (value >> host) << host, length }
}

export const cidr: fc.Arbitrary<Cidr> = address.chain((one) =>
  fc.integer({ min: 0, max: BITS[one.family] }).map((length) => around(one, length)),
)

/** Prefixes of one small IPv4 pool, so that they often meet. */
export function within(pool: Cidr, longest: number): fc.Arbitrary<Cidr> {
  return fc
    .record({
      length: fc.integer({ min: pool.length, max: longest }),
      offset: fc.bigInt({ min: 0n, max: 2n ** BigInt(BITS[pool.family] - pool.length) - 1n }),
    })
    .map(({ length, offset }) => around({ family: pool.family, value: pool.base + offset }, length))
}
