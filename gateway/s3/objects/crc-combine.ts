// The CRC of bytes one after the other, from the CRCs of the pieces: no byte is read again. By the
// powers of the shift by one bit as matrices over GF(2) (zlib's crc32_combine, M. Adler).

export type CrcAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME'

/** Bit-reversed, and how many bits. */
const POLYNOMIALS: Readonly<Record<CrcAlgorithm, readonly [polynomial: bigint, bits: number]>> = {
  CRC32: [0xed_b8_83_20n, 32],
  CRC32C: [0x82_f6_3b_78n, 32],
  CRC64NVME: [0x9a_6c_93_29_ac_4b_c9_b5n, 64],
}
const BITS_PER_BYTE = 8

type Matrix = readonly bigint[]

export function isCrc(algorithm: string): algorithm is CrcAlgorithm {
  return Object.hasOwn(POLYNOMIALS, algorithm)
}

/** Of pieces in order, as base64 each, as base64. Without pieces: of nothing. */
export function combineCrcs(
  algorithm: CrcAlgorithm,
  pieces: readonly { readonly base64: string; readonly sizeBytes: number }[],
): string {
  const [polynomial, bits] = POLYNOMIALS[algorithm]
  const oneByte = powerOfTwo(shiftByOneBit(polynomial, bits), BITS_PER_BYTE)
  let sum = 0n
  for (const { base64, sizeBytes } of pieces) {
    sum = shifted(sum, oneByte, sizeBytes) ^ numberIn(base64)
  }
  return textOf(sum, bits)
}

/** The sum as it is after so many zero bytes more. */
function shifted(sum: bigint, oneByte: Matrix, sizeBytes: number): bigint {
  let power = oneByte
  let result = sum
  for (let left = sizeBytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = times(power, result)
    power = square(power)
  }
  return result
}

function shiftByOneBit(polynomial: bigint, bits: number): Matrix {
  return Array.from({ length: bits }, (_, row) => (row === 0 ? polynomial : 1n << BigInt(row - 1)))
}

function powerOfTwo(matrix: Matrix, exponent: number): Matrix {
  let power = matrix
  for (let n = exponent; n > 1; n /= 2) power = square(power)
  return power
}

function square(matrix: Matrix): Matrix {
  return matrix.map((column) => times(matrix, column))
}

function times(matrix: Matrix, vector: bigint): bigint {
  let sum = 0n
  let left = vector
  for (let row = 0; left !== 0n; row += 1) {
    if ((left & 1n) === 1n) sum ^= matrix[row] ?? 0n
    left >>= 1n
  }
  return sum
}

function numberIn(base64: string): bigint {
  return BigInt(`0x${Buffer.from(base64, 'base64').toString('hex')}`)
}

function textOf(sum: bigint, bits: number): string {
  return Buffer.from(sum.toString(16).padStart(bits / 4, '0'), 'hex').toString('base64')
}
