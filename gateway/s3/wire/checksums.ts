// The checksums of S3, computed while bytes pass. Node has CRC32 and the SHAs in native code;
// CRC32C and CRC64NVME come as WebAssembly.

import { createHash, type Hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { createCRC32, createCRC64, type IHasher } from 'hash-wasm'
import type { ChecksumAlgorithm } from './call.ts'

export interface Summing {
  readonly algorithm: ChecksumAlgorithm
  readonly update: (bytes: Uint8Array) => void
  /** Big-endian, base64. To be called once, and nothing after it. */
  readonly base64: () => string
  /** In place of `base64`, when nobody asks any more. */
  readonly drop: () => void
}

/** Algorithm → bytes of its sum. */
export const CHECKSUM_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
}

/** Castagnoli, and that of the NVM Express command set: both bit-reversed. */
const CRC32C_POLYNOMIAL = 0x82_f6_3b_78
const CRC64NVME_POLYNOMIAL = '9a6c9329ac4bc9b5'
/** Each has its own WebAssembly memory, and takes half a millisecond to make. */
const MAX_FREE = 64

const free: Readonly<Record<'CRC32C' | 'CRC64NVME', IHasher[]>> = { CRC32C: [], CRC64NVME: [] }

export async function startSum(algorithm: ChecksumAlgorithm): Promise<Summing> {
  switch (algorithm) {
    case 'CRC32':
      return crc32Sum()
    case 'SHA1':
    case 'SHA256':
      return hashSum(algorithm, createHash(algorithm.toLowerCase()))
    case 'CRC32C':
    case 'CRC64NVME':
      return wasmSum(algorithm, free[algorithm].pop() ?? (await makeHasher(algorithm)))
  }
}

/** What a header or a trailer calls it (`x-amz-checksum-crc32c`); null for none that is known. */
export function algorithmOf(name: string): ChecksumAlgorithm | null {
  const upper = name.slice(PREFIX.length).toUpperCase()
  return name.startsWith(PREFIX) && upper in CHECKSUM_BYTES ? (upper as ChecksumAlgorithm) : null
}

export const PREFIX = 'x-amz-checksum-'

/** Is the text the base64 of as many bytes as the algorithm's sum has? */
export function isSum(algorithm: ChecksumAlgorithm, text: string): boolean {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === CHECKSUM_BYTES[algorithm] && bytes.toString('base64') === text
}

function crc32Sum(): Summing {
  let sum = 0
  return {
    algorithm: 'CRC32',
    update: (bytes) => {
      sum = crc32(bytes, sum)
    },
    base64: () => {
      const bytes = Buffer.alloc(CHECKSUM_BYTES.CRC32)
      bytes.writeUInt32BE(sum)
      return bytes.toString('base64')
    },
    drop: () => undefined,
  }
}

function hashSum(algorithm: ChecksumAlgorithm, hash: Hash): Summing {
  return {
    algorithm,
    update: (bytes) => {
      hash.update(bytes)
    },
    base64: () => hash.digest('base64'),
    drop: () => undefined,
  }
}

function wasmSum(algorithm: 'CRC32C' | 'CRC64NVME', hasher: IHasher): Summing {
  hasher.init()
  const drop = (): void => {
    if (free[algorithm].length < MAX_FREE) free[algorithm].push(hasher)
  }
  return {
    algorithm,
    update: (bytes) => {
      hasher.update(bytes)
    },
    base64: () => {
      const sum = Buffer.from(hasher.digest('binary')).toString('base64')
      drop()
      return sum
    },
    drop,
  }
}

async function makeHasher(algorithm: 'CRC32C' | 'CRC64NVME'): Promise<IHasher> {
  return algorithm === 'CRC32C'
    ? await createCRC32(CRC32C_POLYNOMIAL)
    : await createCRC64(CRC64NVME_POLYNOMIAL)
}
