// CRCs of pieces combined: the same as that of all bytes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { combineCrcs } from '../../../gateway/s3/objects/crc-combine.ts'
import { startSum } from '../../../gateway/s3/wire/checksums.ts'

async function sumOf(
  algorithm: 'CRC32' | 'CRC32C' | 'CRC64NVME',
  bytes: Uint8Array,
): Promise<string> {
  const sum = await startSum(algorithm)
  sum.update(bytes)
  return sum.base64()
}

for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
  test(`${algorithm} of pieces is that of the whole`, async () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(pieces, async (all) => {
        const sums = await Promise.all(
          all.map(async (bytes) => ({
            base64: await sumOf(algorithm, bytes),
            sizeBytes: bytes.length,
          })),
        )
        assert.equal(combineCrcs(algorithm, sums), await sumOf(algorithm, Buffer.concat(all)))
      }),
    )
  })
}
