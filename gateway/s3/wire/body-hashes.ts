// All that is computed over a body, in one pass: its MD5, which becomes the ETag, its checksum, and
// the SHA-256 that a signature may cover.

import { createHash } from 'node:crypto'
import type { ChecksumAlgorithm } from './call.ts'
import { startSum } from './checksums.ts'

export interface HashWish {
  readonly algorithm: ChecksumAlgorithm
  readonly sha256: boolean
}

export interface HashSums {
  readonly md5Hex: string
  /** Null when nobody wished for it. */
  readonly sha256Hex: string | null
  /** Of the algorithm, in base64. */
  readonly checksum: string
}

/** `end` or `drop` is to be called once, and nothing after it. */
export interface BodyHashes {
  readonly update: (bytes: Uint8Array) => void
  readonly end: () => HashSums
  readonly drop: () => void
}

export async function startHashes({ algorithm, sha256 }: HashWish): Promise<BodyHashes> {
  const sum = await startSum(algorithm)
  const md5 = createHash('md5')
  const whole = sha256 ? createHash('sha256') : null
  return {
    update: (bytes) => {
      md5.update(bytes)
      whole?.update(bytes)
      sum.update(bytes)
    },
    end: () => ({
      md5Hex: md5.digest('hex'),
      sha256Hex: whole?.digest('hex') ?? null,
      checksum: sum.base64(),
    }),
    drop: () => sum.drop(),
  }
}
