// The tables of a baseline JPEG file (ITU-T T.81): those that its Annex K gives as examples, and
// which every decoder has seen.

/** Where the coefficients of a block stand in the file's order (figure A.6). */
export const ZIGZAG: readonly number[] = zigzag()

/** Tables K.1 and K.2, row by row: how coarse brightness and colour are at quality 50. */
export const BRIGHTNESS_STEPS: readonly number[] = [
  ...[16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55],
  ...[14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62],
  ...[18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92],
  ...[49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99],
]
export const COLOUR_STEPS: readonly number[] = [
  ...[17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99],
  ...[24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99],
  ...Array.from({ length: 32 }, () => 99),
]

/** A Huffman table: how many codes have each length from 1 to 16, and what they stand for. */
export interface CodeTable {
  readonly counts: readonly number[]
  readonly values: readonly number[]
}

const hex = (text: string): number[] => [...Buffer.from(text, 'hex')]

/** Table K.3: differences of the mean. One table serves brightness and colour. */
export const MEANS: CodeTable = {
  counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
  values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
}

/** Table K.5: the other coefficients. */
export const DETAILS: CodeTable = {
  counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d],
  values: hex(
    '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25' +
      '262728292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a' +
      '838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9ca' +
      'd2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa',
  ),
}

function zigzag(): number[] {
  const cells = Array.from({ length: 64 }, (_, at) => ({ at, row: at >> 3, column: at & 7 }))
  const diagonal = (one: { row: number; column: number }) => one.row + one.column
  return cells
    .sort((a, b) => {
      const upwards = diagonal(a) % 2 === 0
      return diagonal(a) - diagonal(b) || (upwards ? b.row - a.row : a.row - b.row)
    })
    .map(({ at }) => at)
}
